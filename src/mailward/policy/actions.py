"""What can be done with a message, from the mildest to the most severe."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """The closed set of actions (filters.md). Compare by `severity`, never as text."""

    PASS = "pass"
    TAG = "tag"
    JUNK = "junk"
    QUARANTINE = "quarantine"
    DEFER = "defer"
    REJECT = "reject"
    DISCONNECT = "disconnect"
    DELETE = "delete"

    @property
    def severity(self) -> int:
        """0 for `pass`, rising in the order of the members."""
        return _SEVERITY[self]

    @property
    def delivers(self) -> bool:
        """Whether the recipient gets the message now: `pass`, `tag` and `junk`."""
        return self in _DELIVERS

    def without_refusal(self) -> Action:
        """The action where the way in cannot refuse (after-queue, files): refusals become `quarantine`."""
        return Action.QUARANTINE if self in _REFUSES else self


_SEVERITY = {action: rank for rank, action in enumerate(Action)}
_DELIVERS = frozenset({Action.PASS, Action.TAG, Action.JUNK})
_REFUSES = frozenset({Action.DEFER, Action.REJECT, Action.DISCONNECT})
