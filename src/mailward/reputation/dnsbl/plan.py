"""Which lists are asked about a sender, and when the asking ends."""

from __future__ import annotations

from dataclasses import dataclass

from mailward.policy.dnsbl import ListEntry
from mailward.reputation.listing import LEVELS


@dataclass(frozen=True, slots=True)
class Plan:
    """Standard comes before dynamic, our own databases before foreign lists; the first listing that decides ends the asking.

    Entries that are off may stand in it and are not asked. A dynamic listing of our own decides only when its level is at
    most `dynamic_level`: 0 lets none decide.
    """

    standard: tuple[ListEntry, ...] = ()
    dynamic: tuple[ListEntry, ...] = ()
    own_standard: bool = True
    own_dynamic: bool = True
    dynamic_level: int = LEVELS // 2
