"""What would have had to be different: the smallest settings and facts that flip the outcome.

Nothing here is guessed: every change is made and decided again, by `rule`, the half of `decide` without the words; only changes
that flip the outcome are told. A message flips when it is delivered as clean instead of caught, or the other way round, or when
another action applies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mailward.policy import THRESHOLDS, Level, Policy
from mailward.policy.document import UnscannableAction
from mailward.policy.lists import EntryList
from mailward.scan import authentication_changes, impersonation_changes, listed_changes, phishing_changes, source_changes, web_changes
from mailward.scan.assess import MORE
from mailward.scan.assessment import Assessment, Contribution
from mailward.scan.authentication import AUTHENTICATION
from mailward.scan.change import Change, observing
from mailward.scan.decide import Ruling, rule, score_of
from mailward.scan.impersonation import IMPERSONATION
from mailward.scan.verdict import NO_EVIDENCE, Kind, Verdict
from mailward.scan.wording import treated

LOWEST, HIGHEST = 3.0, 10.0  # the range of custom_threshold
MAX_NAMED = 4  # contributions or entries named in one sentence; a longer list convinces nobody

_TARGET = "content_scanning.target"
_APPROVED, _BLOCKED, _IPS = f"{_TARGET}.approved_senders", f"{_TARGET}.blocked_senders", f"{_TARGET}.approved_ips"
_APPROVAL_AUTH = f"{_TARGET}.approval_requires_authentication"


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """One change, with the facts and the policy as changed: `decide` on them gives another outcome."""

    text: str
    assessment: Assessment
    policy: Policy


def counterfactuals(assessment: Assessment, policy: Policy) -> tuple[str, ...]:
    """The sentences of `find`."""
    return tuple(found.text for found in find(assessment, policy))


def find(assessment: Assessment, policy: Policy) -> tuple[Counterfactual, ...]:
    """Every change known that flips the outcome, the smallest and most telling first."""
    ruling = rule(assessment, policy)
    return tuple(flip for look in _looks(ruling, policy) if (flip := _first(look(assessment, policy), ruling)))


_Look = Callable[[Assessment, Policy], Iterator[Change]]


def _looks(ruling: Ruling, policy: Policy) -> tuple[_Look, ...]:
    """The kinds of change worth trying on such a verdict. Of each kind the first that flips is told."""
    if ruling.kind is Kind.UNSCANNABLE:
        return (_unscannable_action,)
    if ruling.kind is Kind.LISTED_SOURCE:
        listed = (listed_changes.approve, listed_changes.unblock, listed_changes.lower_level, listed_changes.uncounted)
        return (*listed, listed_changes.observed)
    if ruling.kind is Kind.PHISHING:
        changes = phishing_changes
        return (changes.lower_level, changes.fewer_shares, changes.approve, changes.observed)
    if ruling.kind is Kind.MALICIOUS_URL:
        web = (web_changes.approve, web_changes.lower_level, web_changes.tested, web_changes.uncounted)
        return (*web, web_changes.authenticated, web_changes.observed)
    if ruling.kind is Kind.NEW_SPAM_SOURCE:
        return (source_changes.better_standing, source_changes.approve, source_changes.approve_links, source_changes.observed)
    if ruling.filter == AUTHENTICATION:
        failed = authentication_changes
        return (failed.authenticated, failed.approve, failed.uncounted, failed.observed)
    if ruling.filter == IMPERSONATION:
        person = impersonation_changes
        looks = (person.known_address, person.acquainted, person.authenticated, person.partner, person.own_domains, person.learned_names)
        return (*looks, person.approve, person.observed)
    if ruling.kind is Kind.SPAM:
        return (_authenticated, _higher_threshold, _fewer_shares, _approve, _approve_address, _unauthenticated_approval, _switched_off)
    if ruling.kind is Kind.BLOCKED_SENDER:
        return (_authenticated, _unblocked, _approve, _approve_address, _unauthenticated_approval, _switched_off)
    first = (listed_changes.unapprove, listed_changes.higher_level, listed_changes.switched_on)
    phishing = (phishing_changes.unapprove, phishing_changes.higher_level, phishing_changes.switched_on)
    people = (impersonation_changes.unapprove, impersonation_changes.switched_on)
    last = (web_changes.unapprove, web_changes.higher_level, web_changes.switched_on, source_changes.switched_on)
    return (*first, *_content_looks(ruling, policy), *people, *phishing, *last, authentication_changes.acted_on)


def _content_looks(ruling: Ruling, policy: Policy) -> tuple[_Look, ...]:
    """What Content Scanning might have made of a message that is delivered."""
    if not policy.content_scanning.enabled or policy.content_scanning.log_only:
        return (_switched_on,)
    if ruling.entry.startswith("approved_"):
        return (_unapproved, _not_authenticated)
    return (_lower_threshold, _without_good, _higher_score, _block)


def _first(changes: Iterator[Change], ruling: Ruling) -> Counterfactual | None:
    for change in changes:
        changed = rule(change.assessment, change.policy)
        if effect(changed) != effect(ruling):
            text = f"would be {treated(changed.kind, changed.action)} {change.condition}"
            return Counterfactual(text, change.assessment, change.policy)
    return None


def effect(ruling: Ruling | Verdict) -> str:
    """What a person would notice: "clean", or the action."""
    return Kind.CLEAN.value if ruling.kind is Kind.CLEAN else ruling.action.value


def _levels(policy: Policy, assessment: Assessment, levels: tuple[Level, ...]) -> Iterator[Change]:
    score = score_of(assessment.spam)
    for level in levels:
        condition = f"at level {level.capitalize()} (score {score:.2f}, threshold {THRESHOLDS[level]:.1f})"
        yield Change(condition, assessment, policy.changed(f"{_TARGET}.level", level))


def _custom(policy: Policy, assessment: Assessment, threshold: float) -> Iterator[Change]:
    if LOWEST <= threshold <= HIGHEST:
        changed = policy.changed(f"{_TARGET}.level", Level.CUSTOM).changed(f"{_TARGET}.custom_threshold", threshold)
        yield Change(f"with a custom threshold of {threshold:.1f} (score {score_of(assessment.spam):.2f})", assessment, changed)


def _higher_threshold(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    score = score_of(assessment.spam)
    levels = tuple(level for level in (Level.MEDIUM, Level.LOW) if THRESHOLDS[level] > score)
    yield from _levels(policy, assessment, levels[:1])
    if not levels:
        yield from _custom(policy, assessment, math.floor(score * 10 + 1) / 10)


def _lower_threshold(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    score = score_of(assessment.spam)
    levels = tuple(level for level in (Level.LOW, Level.MEDIUM, Level.HIGH) if THRESHOLDS[level] <= score)
    yield from _levels(policy, assessment, levels[:1])
    if not levels:
        yield from _custom(policy, assessment, math.floor(score * 10) / 10)


def _fewer_shares(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Leave out the largest contributions, as few as it takes."""
    ordered = sorted(assessment.spam, key=lambda share: (share.name in NO_EVIDENCE, -share.value))
    threshold = policy.content_scanning.target.threshold
    for count in range(1, len(ordered) + 1):
        if ordered[count - 1].value <= 0 or ordered[count - 1].name in NO_EVIDENCE:
            return
        if math.fsum([share.value for share in ordered[count:]]) < threshold:
            yield Change(f"without {_named(ordered[:count])}", replace(assessment, spam=tuple(ordered[count:])), policy)
            return


def _without_good(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Leave out what spoke most for the message, as little as it takes."""
    ordered = sorted(assessment.spam, key=lambda share: (share.name in NO_EVIDENCE, share.value))
    threshold = policy.content_scanning.target.threshold
    for count in range(1, len(ordered) + 1):
        if ordered[count - 1].value >= 0 or ordered[count - 1].name in NO_EVIDENCE:
            return
        if math.fsum([share.value for share in ordered[count:]]) >= threshold:
            yield Change(f"without {_named(ordered[:count])}", replace(assessment, spam=tuple(ordered[count:])), policy)
            return


def _named(shares: list[Contribution]) -> str:
    names = [f"{share.name} ({share.value:+.2f})" for share in shares]
    if len(names) > MAX_NAMED:
        return f"its {len(names)} weightiest contributions, from {names[0]} to {names[-1]}"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _higher_score(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    score, threshold = score_of(assessment.spam), policy.content_scanning.target.threshold
    distance = math.ceil((threshold - score) * 100) / 100
    while score + distance < threshold:
        distance += 0.01
    more = Contribution("what-if:score", distance, "A score so much higher")
    condition = f"with a score {distance:.2f} higher (score {score:.2f}, threshold {threshold:.1f})"
    yield Change(condition, replace(assessment, spam=(*assessment.spam, more)), policy)


def _authenticated(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """An approval failed for lack of authentication."""
    if assessment.from_aligned is not True and assessment.header_from:
        entry = policy.content_scanning.target.approved_senders.match(assessment.header_from[0])
        if entry:
            yield Change(f"if it had passed authentication (approved_senders: {entry})", replace(assessment, from_aligned=True), policy)


def _not_authenticated(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    if assessment.from_aligned is True:
        yield Change("if it had not passed authentication", replace(assessment, from_aligned=False), policy)


def _unauthenticated_approval(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    if assessment.from_aligned is not True:
        yield Change("with approval_requires_authentication off", assessment, policy.changed(_APPROVAL_AUTH, False))


def _approve(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Put every visible From address on the approved list; where that alone does not count, authentication has to pass too."""
    approved = policy.content_scanning.target.approved_senders
    missing = [sender for sender in dict.fromkeys(assessment.header_from) if not approved.match(sender)]
    if not missing or len(missing) > MAX_NAMED or MORE in missing:
        return
    changed = approved
    try:
        for sender in missing:
            changed = changed.plus(sender)
    except ValueError:  # an address no list can hold
        return
    with_entries = policy.changed(_APPROVED, changed)
    listed = f"if {' and '.join(missing)} were on approved_senders"
    yield Change(listed, assessment, with_entries)
    yield Change(f"{listed} and it had passed authentication", replace(assessment, from_aligned=True), with_entries)


def _approve_address(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    address = assessment.sender_ip.address
    if address:
        yield from _with_entry(assessment, policy, _IPS, address, f"if {address} were on approved_ips")


def _block(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    for sender in (*assessment.header_from[:1], assessment.mail_from or ""):
        yield from _with_entry(assessment, policy, _BLOCKED, sender, f"if {sender} were on blocked_senders")


def _with_entry(assessment: Assessment, policy: Policy, path: str, entry: str, condition: str) -> Iterator[Change]:
    entries: EntryList = getattr(policy.content_scanning.target, path.rpartition(".")[2])
    try:
        changed = entries.plus(entry)
    except ValueError:  # the address cannot stand on a list
        return
    yield Change(condition, assessment, policy.changed(path, changed))


def _unblocked(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Take the blocked entries that match off the list, one after the other."""
    blocked = policy.content_scanning.target.blocked_senders
    senders = (*assessment.header_from, assessment.mail_from or "")
    gone: list[str] = []
    while len(gone) < MAX_NAMED:
        entry = next((found for sender in senders if (found := blocked.match(sender))), None)
        if entry is None:
            return
        gone.append(entry)
        blocked = blocked.minus(entry)
        yield Change(f"without {' and '.join(gone)} on blocked_senders", assessment, policy.changed(_BLOCKED, blocked))


def _unapproved(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Take the approved entries that match off their lists, one after the other."""
    target = policy.content_scanning.target
    addresses, senders, gone, changed = target.approved_ips, target.approved_senders, list[str](), policy
    while len(gone) < MAX_NAMED:
        network = addresses.match(assessment.sender_ip.address)
        sender = next((found for address in assessment.header_from if (found := senders.match(address))), None)
        if network:
            addresses = addresses.minus(network)
            changed = changed.changed(_IPS, addresses)
        elif sender:
            senders = senders.minus(sender)
            changed = changed.changed(_APPROVED, senders)
        else:
            return
        gone.append(f"{network} on approved_ips" if network else f"{sender} on approved_senders")
        yield Change(f"without {' and '.join(gone)}", assessment, changed)


def _switched_off(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    yield from observing("content_scanning", assessment, policy)


def _switched_on(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    if not policy.content_scanning.enabled:
        yield Change("if Content Scanning was switched on", assessment, policy.changed("content_scanning.enabled", True))
    else:
        yield Change("if Content Scanning did not only observe (log_only)", assessment, policy.changed("content_scanning.log_only", False))


def _unscannable_action(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    for action in UnscannableAction:
        if action is not policy.unscannable.action:
            yield Change(f'with unscannable.action = "{action}"', assessment, policy.changed("unscannable.action", action))
