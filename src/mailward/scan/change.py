"""A change of facts or settings, to be tried by deciding again."""

from __future__ import annotations

from dataclasses import dataclass

from mailward.policy import Policy
from mailward.scan.assessment import Assessment


@dataclass(frozen=True, slots=True)
class Change:
    """The facts and the policy as changed. `condition` ends the sentence "would be delivered ..."."""

    condition: str
    assessment: Assessment
    policy: Policy
