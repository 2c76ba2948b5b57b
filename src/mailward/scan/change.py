"""A change of facts or settings, to be tried by deciding again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailward.policy import Policy
from mailward.scan.assessment import Assessment

_FILTERS = {
    "content_scanning": "Content Scanning",
    "email_reputation": "Email Reputation",
    "authentication": "Authentication",
    "advanced_spam_prevention": "Advanced Spam Prevention",
    "advanced_spam_prevention.impersonation": "Impersonation",
    "web_reputation": "Web Reputation",
    "new_spam_sources": "New Spam Sources",
}


@dataclass(frozen=True, slots=True)
class Change:
    """The facts and the policy as changed. `condition` ends the sentence "would be delivered ..."."""

    condition: str
    assessment: Assessment
    policy: Policy


def observing(filter: str, assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Have a filter look on; with it one other that would have done the same; at last all of them."""
    alone = _looking_on(policy, filter)
    yield Change(f"if {_FILTERS[filter]} only observed (log_only)", assessment, alone)
    for other, name in _FILTERS.items():
        if other != filter:
            yield Change(f"if {_FILTERS[filter]} and {name} only observed (log_only)", assessment, _looking_on(alone, other))
    yield Change("if every filter only observed (log_only)", assessment, _looking_on(alone, *_FILTERS))


def _looking_on(policy: Policy, *filters: str) -> Policy:
    for filter in filters:
        policy = policy.changed(f"{filter}.log_only", True)
    return policy
