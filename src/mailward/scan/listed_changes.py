"""What would have had to be different for Email Reputation: addresses approved or not, lists that count or not, the level."""

from __future__ import annotations

from collections.abc import Iterator

from mailward.policy import Policy, ReputationLevel
from mailward.policy.lists import EntryList
from mailward.reputation.answer import ListAnswer, Outcome
from mailward.reputation.listing import LEVELS, Database
from mailward.scan.assessment import Assessment
from mailward.scan.change import Change, observing
from mailward.scan.email_reputation import EMAIL_REPUTATION, Cause, charges

MAX_NAMED = 4  # entries named in one sentence
_TARGET = f"{EMAIL_REPUTATION}.target"
_APPROVED, _BLOCKED = f"{_TARGET}.approved_ips", f"{_TARGET}.blocked_ips"
_LEVEL, _DYNAMIC_LEVEL, _LOG_ONLY = f"{_TARGET}.level", f"{_TARGET}.dynamic_level", f"{EMAIL_REPUTATION}.log_only"


def approve(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Put the address on the approved list."""
    address = assessment.sender_ip.address
    if address:
        changed = policy.email_reputation.target.approved_ips.plus(address)
        yield Change(f"if {address} were approved (on {EMAIL_REPUTATION}.approved_ips)", assessment, policy.changed(_APPROVED, changed))


def unapprove(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Take the approved entries that match off their list, one after the other."""
    yield from _without(assessment, policy, policy.email_reputation.target.approved_ips, _APPROVED)


def unblock(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    yield from _without(assessment, policy, policy.email_reputation.target.blocked_ips, _BLOCKED)


def _without(assessment: Assessment, policy: Policy, entries: EntryList, path: str) -> Iterator[Change]:
    gone: list[str] = []
    while len(gone) < MAX_NAMED and (entry := entries.match(assessment.sender_ip.address)):  # type: ignore[attr-defined]
        gone.append(entry)
        entries = entries.minus(entry)
        condition = f"without {' and '.join(gone)} on {path.replace('.target', '')}"
        yield Change(condition, assessment, policy.changed(path, entries))


def lower_level(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """The highest dynamic level that does not list the address; at last level 0, which acts on no dynamic list."""
    own = _own_dynamic(assessment)
    now = policy.email_reputation.target.dynamic_level
    if own is not None and 1 < own.level <= now:
        yield Change(f"at dynamic level {own.level - 1}", assessment, policy.changed(_DYNAMIC_LEVEL, own.level - 1))
    if now:
        yield Change("at dynamic level 0, which only counts", assessment, policy.changed(_DYNAMIC_LEVEL, 0))


def higher_level(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """The lowest level that would have listed it, and at level standard, the advanced one."""
    target = policy.email_reputation.target
    own = _own_dynamic(assessment)
    listing = own.level if own is not None else LEVELS
    if target.dynamic_level < listing or not target.dynamic_level:
        wanted = max(1, min(listing, LEVELS))
        yield Change(f"at dynamic level {wanted}", assessment, policy.changed(_DYNAMIC_LEVEL, wanted))
    if target.level is ReputationLevel.STANDARD:
        yield Change("at level advanced, which asks dynamic lists too", assessment, policy.changed(_LEVEL, ReputationLevel.ADVANCED))


def _own_dynamic(assessment: Assessment) -> ListAnswer | None:
    return next(
        (each for each in assessment.reputation if each.own and each.database is Database.DYNAMIC and each.outcome is Outcome.LISTED), None
    )


def uncounted(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Have the lists that list the address not count, one after the other."""
    gone: list[str] = []
    changed = policy
    while len(gone) < MAX_NAMED:
        charge = next((each for each in charges(assessment, changed) if each.cause is not Cause.BLOCKED), None)
        if charge is None or charge.answer is None:
            return
        setting = charge.entry.partition(":")[0].rpartition(".")[2]
        path = f"{_TARGET}.{setting}"
        entries = getattr(changed.email_reputation.target, setting)
        changed = changed.changed(path, False if charge.own else entries.minus(f"{charge.answer.zone}=127.0.0.2"))
        gone.append(charge.answer.zone)
        yield Change(f"if {' and '.join(gone)} did not count", assessment, changed)


def observed(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    yield from observing(EMAIL_REPUTATION, assessment, policy)


def switched_on(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    if not policy.email_reputation.enabled:
        yield Change("if Email Reputation was switched on", assessment, policy.changed(f"{EMAIL_REPUTATION}.enabled", True))
    elif policy.email_reputation.log_only:
        yield Change("if Email Reputation did not only observe (log_only)", assessment, policy.changed(_LOG_ONLY, False))
