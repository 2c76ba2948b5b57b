"""What one filter says of an assessment. Every filter has the same signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailward.policy import Policy
from mailward.scan.assessment import Assessment
from mailward.scan.verdict import Hit, Reason


@dataclass(frozen=True, slots=True)
class Opinion:
    """Whether the filter fired, the list entry that decided, and the reasons that are no part of a score."""

    hit: Hit | None = None
    entry: str = ""
    reasons: tuple[Reason, ...] = ()


NOTHING = Opinion()
Filter = Callable[[Assessment, Policy], Opinion]
