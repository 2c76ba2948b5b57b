"""The filter Email Reputation: is the sender's address known for spam? (filters.md, section 1)

An approved address beats everything, a blocked one beats lists, standard lists come before dynamic ones, our own databases before
foreign ones. Only an answer that says "listed", with a code the policy names, counts; one that could not be had never does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mailward.policy import EmailReputation, ListedAction, ListEntry, Policy, ReputationLevel
from mailward.policy.dnsbl import catalogue
from mailward.reputation.answer import ListAnswer, Outcome
from mailward.reputation.listing import LEVELS, Database, ListingKind
from mailward.scan.assessment import Assessment
from mailward.scan.opinion import NOTHING, Opinion
from mailward.scan.verdict import Hit, Kind, Reason

EMAIL_REPUTATION = "email_reputation"
ROLES = frozenset({"postmaster", "abuse"})  # RFC 5321 4.5.1, RFC 2142: who is refused has to be able to ask why
_TOKEN = re.compile(r"\{(ip|zone|link)\}")
_WORDS = {kind.code: kind.words for kind in ListingKind if kind.code}


class Cause(StrEnum):
    """What the policy has an action for."""

    BLOCKED = "blocked"
    STANDARD = "standard"
    DYNAMIC = "dynamic"


@dataclass(frozen=True, slots=True)
class Charge:
    """What is held against an address. `answer` None: an entry of blocked_ips."""

    cause: Cause
    entry: str  # "email_reputation.standard_lists: zen.spamhaus.org"
    answer: ListAnswer | None = None

    @property
    def own(self) -> bool:
        """Whether our own databases say so; what follows from them is no evidence."""
        return self.answer is not None and self.answer.own


def email_reputation(assessment: Assessment, policy: Policy) -> Opinion:
    """Fires on a blocked and on a listed sender IP. An approved one is exempt, and mail to postmaster and abuse alone."""
    settings = policy.email_reputation
    if not settings.enabled or assessment.authenticated:
        return NOTHING
    charge = next(charges(assessment, policy), None)
    if charge is None:
        return NOTHING
    address = assessment.sender_ip.address
    approved = settings.target.approved_ips.match(address)
    if approved:
        entry = f"{EMAIL_REPUTATION}.approved_ips: {approved}"
        return Opinion(None, entry, (_note("approved", f"Not refused because of {entry}, which beats {charge.entry}"),))
    reasons = [_note(charge.cause, told(charge, address or ""))]
    if assessment.rcpt_to and all(is_role(recipient) for recipient in assessment.rcpt_to):
        reasons.insert(0, _note("postmaster", "Mail to postmaster and abuse alone is never refused for the address it comes from"))
        return Opinion(None, "", tuple(reasons))
    action = action_of(charge.cause, settings).action
    observed = why_observed(charge.cause, settings, relayed=assessment.relayed)
    if observed:
        reasons.insert(0, _note("log-only", f"Email Reputation only observes ({observed}); it would have used the action {action}"))
    return Opinion(Hit(EMAIL_REPUTATION, Kind.LISTED_SOURCE, action, bool(observed)), charge.entry, tuple(reasons))


def charges(assessment: Assessment, policy: Policy) -> Iterator[Charge]:
    """Everything that is held against the sender IP under the policy, what decides first. Approvals are not looked at."""
    target = policy.email_reputation.target
    blocked = target.blocked_ips.match(assessment.sender_ip.address)
    if blocked:
        yield Charge(Cause.BLOCKED, f"{EMAIL_REPUTATION}.blocked_ips: {blocked}")
    listed = [answer for answer in assessment.reputation if answer.outcome is Outcome.LISTED]
    if not listed:
        return
    foreign = {answer.zone: answer for answer in listed if not answer.own}
    own = {answer.database: answer for answer in listed if answer.own}
    if target.own_standard and Database.STANDARD in own:
        yield _by(Cause.STANDARD, "own_standard", own[Database.STANDARD])
    for entry in target.standard_lists.lists():
        if _counts(entry, foreign):
            yield _by(Cause.STANDARD, "standard_lists", foreign[entry.zone])
    if target.level is ReputationLevel.STANDARD:
        return
    level = target.dynamic_level or LEVELS  # at 0 every listing is counted, and none acts
    if target.own_dynamic and Database.DYNAMIC in own and own[Database.DYNAMIC].level <= level:
        yield _by(Cause.DYNAMIC, "own_dynamic", own[Database.DYNAMIC])
    for entry in target.dynamic_lists.lists():
        if _counts(entry, foreign):
            yield _by(Cause.DYNAMIC, "dynamic_lists", foreign[entry.zone])


def _by(cause: Cause, setting: str, answer: ListAnswer) -> Charge:
    return Charge(cause, f"{EMAIL_REPUTATION}.{setting}: {answer.zone}", answer)


def _counts(entry: ListEntry, foreign: dict[str, ListAnswer]) -> bool:
    """Whether a list that is on said one of the codes that mean "listed" there."""
    if not entry.on or entry.zone not in foreign:
        return False
    return any(entry.counts(tuple([int(octet) for octet in code.split(".")])) for code in foreign[entry.zone].codes)


def is_role(recipient: str) -> bool:
    """Whether it is postmaster or abuse, at any domain or at none."""
    return recipient.partition("@")[0].lower() in ROLES


def action_of(cause: Cause, settings: EmailReputation) -> ListedAction:
    return {
        Cause.BLOCKED: settings.action.blocked_action,
        Cause.STANDARD: settings.action.standard_action,
        Cause.DYNAMIC: settings.action.dynamic_action,
    }[cause]


def why_observed(cause: Cause, settings: EmailReputation, *, relayed: bool) -> str:
    """Why the filter looks on only, "" where it acts.

    A dynamic listing means "not now". Said to a hop of ours it would fill our own queue, and in the end bounce.
    """
    if settings.log_only:
        return "log_only"
    if cause is not Cause.DYNAMIC:
        return ""
    if settings.target.dynamic_level == 0:
        return "dynamic_level is 0"
    return "the sender is not connected: a hop of ours or a file brought the message" if relayed else ""


def told(charge: Charge, address: str) -> str:
    """The charge as a sentence: list, why, since when, until when."""
    answer = charge.answer
    if answer is None:
        return f"{address} is blocked by {charge.entry}"
    if not answer.own:
        known = catalogue().get(answer.zone)
        codes = ", ".join([f"{code} {known.meanings.get(code, '') if known else ''}".strip() for code in answer.codes[:5]])
        return f"{address} is listed in {answer.zone} ({codes})"
    kind = next((_WORDS[code] for code in answer.codes if code in _WORDS), "listed source")
    level = f", from level {answer.level} on" if answer.level else ""
    until = f"until {_when(answer.until)}" if answer.until else "until it is taken off"
    since = f"since {_when(answer.since)}, " if answer.since else ""
    why = f": {answer.reason.rstrip('.')}" if answer.reason else ""
    return f"{address} is listed in {answer.zone} as {kind}{level}{why} ({since}{until})"


def _when(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def refusal(charge: Charge, policy: Policy, address: str, lookup_url: str) -> tuple[int, str]:
    """Code and text the policy has for such a source, with address, list and look-up page filled in. `lookup_url`: of our own page.

    Where a list has no page, the text ends before {link}. What is filled in is printable ASCII without blanks and is not read again.
    """
    action = policy.email_reputation.action
    code, text = {
        Cause.BLOCKED: (action.blocked_code, action.blocked_text),
        Cause.STANDARD: (action.standard_code, action.standard_text),
        Cause.DYNAMIC: (action.dynamic_code, action.dynamic_text),
    }[charge.cause]
    answer = charge.answer
    values = {"ip": address, "zone": answer.zone if answer else "", "link": _link(answer, address, lookup_url)}
    if not values["link"] and "{link}" in text:
        text = text.partition("{link}")[0].rstrip(" :;,-(") or "[{ip}] listed in {zone}"
    return code, _TOKEN.sub(lambda token: "".join([c for c in values[token[1]] if "!" <= c <= "~"]), text)


def _link(answer: ListAnswer | None, address: str, lookup_url: str) -> str:
    if answer is None:
        return ""
    if answer.own:
        return f"{lookup_url}?ip={address}" if lookup_url else ""
    known = catalogue().get(answer.zone)
    return known.lookup.replace("{ip}", address) if known else ""


def _note(name: str, text: str) -> Reason:
    return Reason(EMAIL_REPUTATION, name, 0.0, text)
