"""What would have had to be different for Advanced Spam Prevention: the level, the evidence, the sender's approval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from mailward.policy import THRESHOLDS, Level, Policy
from mailward.scan.advanced_spam_prevention import ADVANCED_SPAM_PREVENTION, score
from mailward.scan.assess import MORE
from mailward.scan.assessment import Assessment, Contribution
from mailward.scan.change import Change, observing
from mailward.scan.verdict import NO_EVIDENCE

HIGHEST = 10.0  # of custom_threshold
MAX_NAMED = 4  # contributions or entries named in one sentence
_TARGET = f"{ADVANCED_SPAM_PREVENTION}.target"
_APPROVED, _LEVEL, _LOG_ONLY = f"{_TARGET}.approved_senders", f"{_TARGET}.level", f"{ADVANCED_SPAM_PREVENTION}.log_only"


def lower_level(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """The level, or the custom threshold, at which the score is not enough."""
    found = score(assessment)
    if found is None:
        return
    above = [level for level in (Level.MEDIUM, Level.LOW) if THRESHOLDS[level] > found]
    if above:
        yield _at(above[0], found, assessment, policy)
    elif (threshold := math.floor(found * 10 + 1) / 10) <= HIGHEST:
        changed = policy.changed(_LEVEL, Level.CUSTOM).changed(f"{_TARGET}.custom_threshold", threshold)
        yield Change(f"with a custom threshold of {threshold:.1f} for phishing (score {found:.2f})", assessment, changed)


def higher_level(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """The level at which the score is enough."""
    found = score(assessment)
    if found is None or not policy.advanced_spam_prevention.enabled or policy.advanced_spam_prevention.log_only:
        return
    now = policy.advanced_spam_prevention.target.threshold
    for level in (Level.LOW, Level.MEDIUM, Level.HIGH):
        if THRESHOLDS[level] <= found and THRESHOLDS[level] < now:
            yield _at(level, found, assessment, policy)


def _at(level: Level, found: float, assessment: Assessment, policy: Policy) -> Change:
    condition = f"at level {level.capitalize()} of Advanced Spam Prevention (phishing score {found:.2f}, threshold {THRESHOLDS[level]:.1f})"
    return Change(condition, assessment, policy.changed(_LEVEL, level))


def fewer_shares(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Leave out the largest contributions, as few as it takes."""
    shares = assessment.phishing or ()
    ordered = sorted(shares, key=lambda share: (share.name in NO_EVIDENCE, -share.value))
    threshold = policy.advanced_spam_prevention.target.threshold
    for count in range(1, len(ordered) + 1):
        if ordered[count - 1].value <= 0 or ordered[count - 1].name in NO_EVIDENCE:
            return
        if math.fsum([share.value for share in ordered[count:]]) < threshold:
            yield Change(f"without {_named(ordered[:count])}", replace(assessment, phishing=tuple(ordered[count:])), policy)
            return


def _named(shares: list[Contribution]) -> str:
    names = [f"{share.name} ({share.value:+.2f})" for share in shares]
    if len(names) > MAX_NAMED:
        return f"its {len(names)} weightiest contributions, from {names[0]} to {names[-1]}"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def approve(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Approve every visible sender here; where that alone does not count, authentication has to pass too."""
    entries = policy.advanced_spam_prevention.target.approved_senders
    missing = [sender for sender in dict.fromkeys(assessment.header_from) if not entries.match(sender)]
    if len(missing) > MAX_NAMED or MORE in missing or not assessment.header_from:
        return
    try:
        for sender in missing:
            entries = entries.plus(sender)
    except ValueError:  # an address no list can hold
        return
    approved = policy.changed(_APPROVED, entries)
    named = " and ".join(missing or assessment.header_from[:1])
    condition = f"if {named} {'was' if len(missing) < 2 else 'were'} approved (on {ADVANCED_SPAM_PREVENTION}.approved_senders)"
    yield Change(condition, assessment, approved)
    yield Change(f"{condition} and it had passed authentication", replace(assessment, from_aligned=True), approved)


def unapprove(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Take the approved entries that match off their list, one after the other."""
    entries, gone = policy.advanced_spam_prevention.target.approved_senders, list[str]()
    while len(gone) < MAX_NAMED:
        entry = next((found for sender in assessment.header_from if (found := entries.match(sender))), None)
        if entry is None:
            return
        gone.append(entry)
        entries = entries.minus(entry)
        yield Change(
            f"without {' and '.join(gone)} on {ADVANCED_SPAM_PREVENTION}.approved_senders", assessment, policy.changed(_APPROVED, entries)
        )


def observed(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    yield from observing(ADVANCED_SPAM_PREVENTION, assessment, policy)


def switched_on(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    settings = policy.advanced_spam_prevention
    if assessment.phishing is None:
        return
    if not settings.enabled:
        yield Change("if Advanced Spam Prevention was switched on", assessment, policy.changed(f"{ADVANCED_SPAM_PREVENTION}.enabled", True))
    elif settings.log_only:
        yield Change("if Advanced Spam Prevention did not only observe (log_only)", assessment, policy.changed(_LOG_ONLY, False))
