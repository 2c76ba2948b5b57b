"""Our actions in the words of rspamd, for its HTTP protocol and for the dialect Exim speaks."""

from __future__ import annotations

from mailward.policy import Action

REJECT_FACTOR = 3  # rspamd tells a score from which it rejects; our policy has actions instead, so the number is far off and only shown

_NAMES = {
    Action.PASS: "no action",
    Action.TAG: "rewrite subject",
    Action.JUNK: "add header",
    Action.QUARANTINE: "add header",
    Action.DEFER: "soft reject",
    Action.REJECT: "reject",
    Action.DISCONNECT: "reject",
    Action.DELETE: "discard",
}


def action_name(action: Action) -> str:
    """The word for an action. "quarantine" is a word of rspamd's too, but most callers would deliver such mail unmarked."""
    return _NAMES[action]
