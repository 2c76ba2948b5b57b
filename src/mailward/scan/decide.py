"""Turn the facts of a message and a policy into a verdict. Pure: the same facts and policy give the same verdict for ever."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mailward.policy import Action, Policy
from mailward.scan.advanced_spam_prevention import ADVANCED_SPAM_PREVENTION, advanced_spam_prevention
from mailward.scan.approval import approved_sender
from mailward.scan.assessment import Assessment, Contribution
from mailward.scan.authentication import authentication
from mailward.scan.email_reputation import email_reputation
from mailward.scan.impersonation import impersonation
from mailward.scan.new_spam_sources import new_spam_sources
from mailward.scan.opinion import NOTHING, Filter, Opinion
from mailward.scan.verdict import Hit, Kind, Reason, Verdict
from mailward.scan.web_reputation import rated, web_reputation

CONTENT_SCANNING = "content_scanning"
UNSCANNABLE = "unscannable"


def score_of(contributions: tuple[Contribution, ...]) -> float:
    """The exact sum of the contributions."""
    return math.fsum([contribution.value for contribution in contributions])


def unscannable(assessment: Assessment, policy: Policy) -> Opinion:
    """Fires on a message that could not be judged."""
    if not assessment.unscannable:
        return NOTHING
    hit = Hit(UNSCANNABLE, Kind.UNSCANNABLE, Action(policy.unscannable.action.value), False)
    return Opinion(hit, "", (Reason(UNSCANNABLE, "unscannable", 0.0, f"The message could not be judged: {assessment.unscannable}"),))


def content_scanning(assessment: Assessment, policy: Policy) -> Opinion:
    """Fires on a blocked sender, and on a score at or above the threshold; an approved sender or address is exempt."""
    settings = policy.content_scanning
    if not settings.enabled or assessment.connection_only:
        return NOTHING
    reasons: list[Reason] = []
    approved = approval(assessment, policy, reasons)
    blocked = blocking(assessment, policy)
    if approved:
        beaten = f", and beats {blocked}" if blocked else ""
        reasons.insert(0, _note("approved", f"Not judged as spam because of {approved}{beaten}"))
        return Opinion(None, approved, tuple(reasons))
    if blocked:
        reasons.insert(0, _note("blocked", f"The sender is blocked by {blocked}"))
        return _fired(Kind.BLOCKED_SENDER, blocked, policy, reasons)
    if not assessment.unscannable and score_of(assessment.spam) >= settings.target.threshold:
        return _fired(Kind.SPAM, "", policy, reasons)
    return Opinion(None, "", tuple(reasons)) if reasons else NOTHING


def _fired(kind: Kind, entry: str, policy: Policy, reasons: list[Reason]) -> Opinion:
    settings = policy.content_scanning
    action = settings.action.action
    if settings.log_only:
        reasons.insert(0, _note("log-only", f"Content Scanning only observes (log_only); it would have used the action {action}"))
    return Opinion(Hit(CONTENT_SCANNING, kind, action, settings.log_only), entry, tuple(reasons))


def _note(name: str, text: str) -> Reason:
    return Reason(CONTENT_SCANNING, name, 0.0, text)


def approval(assessment: Assessment, policy: Policy, reasons: list[Reason]) -> str:
    """The approved entry that counts, "" if none. An entry that matches but does not count adds a reason."""
    target = policy.content_scanning.target
    address = target.approved_ips.match(assessment.sender_ip.address)
    if address:
        return f"approved_ips: {address}"
    entry, why_not = approved_sender(assessment, target.approved_senders, target.approval_requires_authentication)
    if why_not:
        reasons.append(_note("approval-not-counted", why_not))
    return entry


def blocking(assessment: Assessment, policy: Policy) -> str:
    """The blocked entry that matches a visible From address or the envelope sender, "" if none."""
    blocked = policy.content_scanning.target.blocked_senders
    for sender in (*assessment.header_from, assessment.mail_from or ""):
        entry = blocked.match(sender)
        if entry:
            return f"blocked_senders: {entry}"
    return ""


FILTERS: tuple[Filter, ...] = (  # of equal severity, the first decides
    email_reputation,
    authentication,
    impersonation,
    advanced_spam_prevention,
    web_reputation,
    content_scanning,
    new_spam_sources,
    unscannable,
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decision itself, without the words and numbers that `decide` adds to it."""

    kind: Kind
    action: Action
    filter: str
    entry: str
    hits: tuple[Hit, ...]
    notes: tuple[Reason, ...]


def rule(assessment: Assessment, policy: Policy) -> Ruling:
    """Ask every filter; the most severe action wins, in the order of `Action`. Filters that only observe never win."""
    opinions = [look(assessment, policy) for look in FILTERS]
    hits = [opinion.hit for opinion in opinions if opinion.hit]
    acting = [hit for hit in hits if not hit.log_only]
    winner = max(acting, key=lambda hit: hit.action.severity) if acting else None
    return Ruling(
        kind=winner.kind if winner else Kind.CLEAN,
        action=winner.action if winner else Action.PASS,
        filter=winner.filter if winner else "",
        entry=_entry(opinions, winner),
        hits=tuple(sorted(hits, key=lambda hit: -hit.action.severity)),
        notes=tuple([reason for opinion in _decider_first(opinions, winner) for reason in opinion.reasons]),
    )


def _decider_first(opinions: list[Opinion], winner: Hit | None) -> list[Opinion]:
    """What decided is told before what others have to say."""
    return sorted(opinions, key=lambda opinion: winner is None or opinion.hit is not winner)


def _entry(opinions: list[Opinion], winner: Hit | None) -> str:
    """The list entry that decided: of the filter that won, or, where none did, the approval that held one back."""
    return next((opinion.entry for opinion in opinions if opinion.entry and opinion.hit is winner), "")


def decide(assessment: Assessment, policy: Policy) -> Verdict:
    """Judge the facts by the policy.

    Reasons: first those that are no part of a score (an entry, a limit), of the filter that decided before all others; then the contributions,
    the weightiest first.
    """
    ruling = rule(assessment, policy)
    return Verdict(
        kind=ruling.kind,
        action=ruling.action,
        filter=ruling.filter,
        entry=ruling.entry,
        hits=ruling.hits,
        reasons=(*ruling.notes, *share_reasons(assessment, ruling.filter)),
        scores=_scores(assessment, policy),
        thresholds=_thresholds(policy),
        policy=policy.digest,
    )


def share_reasons(assessment: Assessment, filter: str = "") -> tuple[Reason, ...]:
    """The contributions of every score as reasons, the weightiest first within its score; before all others those of the filter that decided."""
    reasons: list[Reason] = []
    scores = [(assessment.spam, CONTENT_SCANNING), (assessment.phishing or (), ADVANCED_SPAM_PREVENTION)]
    for shares, name in reversed(scores) if filter == ADVANCED_SPAM_PREVENTION else scores:
        ordered = sorted(shares, key=lambda share: -abs(share.value))
        reasons += [Reason(name, share.name, share.value, share.text) for share in ordered]
    return tuple(reasons)


def _thresholds(policy: Policy) -> dict[str, float | int]:
    web = policy.web_reputation
    phishing = policy.advanced_spam_prevention
    return (
        {"spam": policy.content_scanning.target.threshold}
        | ({"phishing": phishing.target.threshold} if phishing.enabled else {})
        | ({"web": web.target.level.threshold} if web.enabled else {})
    )


def _scores(assessment: Assessment, policy: Policy) -> dict[str, float | int | str | None]:
    judged = (bool(assessment.spam) or not assessment.unscannable) and not assessment.connection_only
    ratings = [url.rating for each in assessment.urls if isinstance((url := rated(each, policy)).rating, int)]
    return {
        "spam": score_of(assessment.spam) if judged else "unchecked",
        "phishing": score_of(assessment.phishing) if judged and assessment.phishing is not None else "unchecked",
        "web": min(ratings) if ratings else None,
    }
