"""What would have had to be different for Authentication: the result, the sender approved or not, what is acted on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mailward.auth import Outcome
from mailward.policy import ActOn, Policy
from mailward.scan.assessment import Assessment
from mailward.scan.authentication import AUTHENTICATION, fails
from mailward.scan.change import Change

_TARGET = f"{AUTHENTICATION}.target"


def authenticated(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    passed = replace(assessment, auth=replace(assessment.auth, dmarc=Outcome.PASS), from_aligned=True)
    yield Change("if it had passed DMARC", passed, policy)


def approve(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Put the visible From address on the approved list."""
    try:
        changed = policy.authentication.target.approved_senders.plus(assessment.header_from[0])
    except (IndexError, ValueError):  # no address, or one no list can hold
        return
    condition = f"if {assessment.header_from[0]} were on {AUTHENTICATION}.approved_senders"
    yield Change(condition, assessment, policy.changed(f"{_TARGET}.approved_senders", changed))


def uncounted(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    yield Change(f'with {_TARGET}.act_on = "nothing"', assessment, policy.changed(f"{_TARGET}.act_on", ActOn.NOTHING))


def observed(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    yield Change("if Authentication only observed (log_only)", assessment, policy.changed(f"{AUTHENTICATION}.log_only", True))


def acted_on(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """A failure that is delivered: the mildest setting that acts on it."""
    if fails(assessment.auth):
        for one in (ActOn.REJECT, ActOn.QUARANTINE):
            yield Change(f'with {_TARGET}.act_on = "{one}"', assessment, policy.changed(f"{_TARGET}.act_on", one))
