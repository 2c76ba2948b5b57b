"""What would have had to be different for Impersonation: a known address, authentication, a partner's domain, an approved sender."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mailward.policy import PeopleList, Policy
from mailward.scan.assess import MORE
from mailward.scan.assessment import Assessment
from mailward.scan.change import Change, observing
from mailward.scan.impersonation import IMPERSONATION, concerns, shown_address, signs

MAX_NAMED = 4  # people or entries named in one sentence
_TARGET = f"{IMPERSONATION}.target"
_APPROVED, _PARTNERS = f"{_TARGET}.approved_senders", f"{_TARGET}.partner_domains"
_LISTS = {"high-profile-name": "high_profile_users", "internal-name": "internal_names", "learned-name": "internal_names"}


def known_address(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Count the addresses among those of the people whose names they bear, all of them."""
    told: list[str] = []
    for sign in signs(assessment, policy)[:MAX_NAMED]:
        if sign.person is None or not sign.address:
            continue
        setting = f"{_TARGET}.{_LISTS[sign.name]}"
        people: PeopleList = getattr(policy.advanced_spam_prevention.impersonation.target, _LISTS[sign.name])
        try:
            known = people.plus(f"{sign.person.names[0]} <{sign.address}>") if sign.name == "learned-name" else None
            policy = policy.changed(setting, known or people.knowing(sign.person, sign.address))
        except ValueError:  # an address no list can hold
            return
        told.append(f"{shown_address(sign.address)} were a known address of {sign.person.names[0]}")
        yield Change(f"if {' and '.join(told)}", assessment, policy)


def authenticated(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    if assessment.from_aligned is not True:
        yield Change("if it had passed authentication", replace(assessment, from_aligned=True), policy)


def partner(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Put the domains that look like others on the list of those we write with."""
    hosts = list(dict.fromkeys(sign.lookalike.host for sign in signs(assessment, policy) if sign.lookalike is not None))
    entries = policy.advanced_spam_prevention.impersonation.target.partner_domains
    try:
        for host in hosts[:MAX_NAMED]:
            entries = entries.plus(host)
    except ValueError:  # a host no list can hold
        return
    if hosts:
        named = " and ".join(host.replace(".", "[.]") for host in hosts[:MAX_NAMED])
        verb = "was" if len(hosts) == 1 else "were"
        yield Change(f"if {named} {verb} on {IMPERSONATION}.partner_domains", assessment, policy.changed(_PARTNERS, entries))


def own_domains(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    if any(sign.name == "own-domain" for sign in signs(assessment, policy)):
        yield Change("with check_own_domains off", assessment, policy.changed(f"{_TARGET}.check_own_domains", False))


def acquainted(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Had the sender written here before, or the conversation passed here."""
    found = {sign.name for sign in signs(assessment, policy)}
    known, told = assessment, list[str]()
    if "first-contact" in found:
        told.append(f"{shown_address(assessment.header_from[0])} had written here before")
        known = replace(known, first_contact=False, first_of_domain=False)
        yield Change(f"if {told[-1]}", known, policy)
    if "unknown-thread" in found:
        told.append("the conversation it answers to had passed here")
        known = replace(known, thread="known")
        yield Change(f"if {told[-1]}", replace(assessment, thread="known"), policy)
    if len(told) > 1:
        yield Change(f"if {' and '.join(told)}", known, policy)


def learned_names(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    if any(sign.name == "learned-name" for sign in signs(assessment, policy)):
        yield Change("with learn_names off", assessment, policy.changed(f"{_TARGET}.learn_names", False))


def approve(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Approve every visible sender here; where that alone does not count, authentication has to pass too."""
    entries = policy.advanced_spam_prevention.impersonation.target.approved_senders
    missing = [sender for sender in dict.fromkeys(assessment.header_from) if not entries.match(sender)]
    if not assessment.header_from or len(missing) > MAX_NAMED or MORE in missing:
        return
    try:
        for sender in missing:
            entries = entries.plus(sender)
    except ValueError:  # an address no list can hold
        return
    approved = policy.changed(_APPROVED, entries)
    named = " and ".join(shown_address(each) for each in missing or assessment.header_from[:1])
    condition = f"if {named} {'was' if len(missing) < 2 else 'were'} approved (on {IMPERSONATION}.approved_senders)"
    yield Change(condition, assessment, approved)
    yield Change(f"{condition} and it had passed authentication", replace(assessment, from_aligned=True), approved)


def observed(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    yield from observing(IMPERSONATION, assessment, policy)


def unapprove(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Take the approved entries that match off their list, one after the other."""
    entries, gone = policy.advanced_spam_prevention.impersonation.target.approved_senders, list[str]()
    while len(gone) < MAX_NAMED:
        entry = next((found for sender in assessment.header_from if (found := entries.match(sender))), None)
        if entry is None:
            return
        gone.append(entry)
        entries = entries.minus(entry)
        yield Change(f"without {' and '.join(gone)} on {IMPERSONATION}.approved_senders", assessment, policy.changed(_APPROVED, entries))


def switched_on(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    settings = policy.advanced_spam_prevention.impersonation
    if not concerns(assessment, policy):
        return
    if not settings.enabled:
        yield Change("if Impersonation was switched on", assessment, policy.changed(f"{IMPERSONATION}.enabled", True))
    elif settings.log_only:
        yield Change("if Impersonation did not only observe (log_only)", assessment, policy.changed(f"{IMPERSONATION}.log_only", False))
