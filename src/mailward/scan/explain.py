"""A verdict in words for an administrator: what happened, what counted, what decided, what would have changed it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mailward.auth import Authentication
from mailward.policy import Policy
from mailward.reputation.answer import ListAnswer, Outcome
from mailward.scan.advanced_spam_prevention import ADVANCED_SPAM_PREVENTION
from mailward.scan.assessment import Assessment
from mailward.scan.authentication import AUTHENTICATION
from mailward.scan.counterfactual import counterfactuals
from mailward.scan.decide import CONTENT_SCANNING, score_of
from mailward.scan.email_reputation import EMAIL_REPUTATION, action_of, charges
from mailward.scan.impersonation import IMPERSONATION
from mailward.scan.impersonation import action_of as action_taken
from mailward.scan.new_spam_sources import NEW_SPAM_SOURCES
from mailward.scan.verdict import Kind, Reason, Verdict
from mailward.scan.web_reputation import WEB_REPUTATION, rated
from mailward.scan.wording import KINDS, treated

_UNKNOWN = "unknown"
MAX_SIGNATURES = 10  # shown


@dataclass(frozen=True, slots=True)
class Explanation:
    """The parts, for a page or a terminal to lay out; `text` lays them out plainly."""

    headline: str
    facts: tuple[tuple[str, str], ...]  # what is known of the message: label and value
    notes: tuple[str, ...]  # entries, limits and settings that decided
    contributions: tuple[Reason, ...]  # the shares of the spam score, the weightiest first
    score: float | None  # their sum; None where nothing could be judged
    threshold: float
    counterfactuals: tuple[str, ...]
    phishing: tuple[Reason, ...] = ()  # the shares of the phishing score, the weightiest first
    phishing_score: float | None = None  # their sum; None where nobody looked
    phishing_threshold: float = 0.0

    def text(self) -> str:
        return "\n".join(_lines(self)) + "\n"


def explain(assessment: Assessment, verdict: Verdict, policy: Policy) -> Explanation:
    """Explain a verdict that `decide` gave for the assessment under the policy."""
    score, phishing = verdict.scores.get("spam"), verdict.scores.get("phishing")
    return Explanation(
        headline=_headline(verdict),
        facts=tuple(_facts(assessment, policy)),
        notes=(*_notes(verdict), *_settings(assessment, verdict, policy)),
        contributions=tuple(reason for reason in verdict.reasons if reason.filter == CONTENT_SCANNING and reason.contribution),
        score=score_of(assessment.spam) if isinstance(score, int | float) else None,
        threshold=policy.content_scanning.target.threshold,
        counterfactuals=counterfactuals(assessment, policy),
        phishing=tuple(reason for reason in verdict.reasons if reason.filter == ADVANCED_SPAM_PREVENTION and reason.contribution),
        phishing_score=float(phishing) if isinstance(phishing, int | float) else None,
        phishing_threshold=policy.advanced_spam_prevention.target.threshold,
    )


def _headline(verdict: Verdict) -> str:
    word = KINDS[verdict.kind]
    if verdict.kind in {Kind.CLEAN, Kind.UNSCANNABLE}:
        return f"{word.capitalize()}: the message is {treated(verdict.kind, verdict.action)}" + (
            f" because of {verdict.entry}" if verdict.entry else ""
        )
    return f"{word.capitalize()}: the message is {treated(verdict.kind, verdict.action)}"


def _acquaintance(assessment: Assessment) -> str:
    """How well the sender is known here, "" where that is not known."""
    if assessment.written_to:
        return "one of our users has written to this address"
    match assessment.first_contact, assessment.first_of_domain:
        case True, True:
            return "first mail from anybody at this domain"
        case True, _:
            return "first mail from this address"
        case False, _:
            return "wrote here before"
    return ""


def _facts(assessment: Assessment, policy: Policy) -> Iterator[tuple[str, str]]:
    auth = assessment.auth
    yield "id", assessment.id
    yield "time", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(assessment.time))
    yield "from", ", ".join(assessment.header_from) or _UNKNOWN
    if any(assessment.shown_from):
        yield "shown as", ", ".join([repr(name)[1:-1] for name in assessment.shown_from if name])
    if assessment.reply_to:
        yield "answers to", ", ".join(assessment.reply_to)
    if contact := _acquaintance(assessment):
        yield "contact", contact
    if assessment.thread:
        yield "conversation", "one that passed here" if assessment.thread == "known" else "of which nothing ever passed here"
    yield "envelope from", _UNKNOWN if assessment.mail_from is None else assessment.mail_from or "<> (a bounce)"
    yield "to", ", ".join(assessment.rcpt_to) or _UNKNOWN
    yield "subject", assessment.subject
    yield "sender IP", f"{assessment.sender_ip.address or _UNKNOWN}, standing {assessment.sender_ip.standing}"
    if assessment.reputation:
        yield "lists", "; ".join([_answer(answer) for answer in assessment.reputation])
    yield (
        "authentication",
        f"spf={auth.spf} dkim={auth.dkim} dmarc={auth.dmarc} arc={auth.arc}" + (f", by {auth.source}" if auth.source else ""),
    )
    yield from _authentication(auth)
    yield "visible From", {True: "authenticated", False: "not authenticated", None: "not checked"}[assessment.from_aligned]
    yield (
        "size",
        "the client was refused before it sent the message"
        if assessment.connection_only
        else f"{assessment.size} bytes, by {assessment.way_in}",
    )
    if assessment.urls:
        yield "links", _links(assessment, policy)
    if "refusals" in assessment.extra:
        yield "refusals", f"{assessment.extra['refusals']} connections within a minute"
    if "direction" in assessment.extra:
        yield "direction", assessment.extra["direction"]
    if assessment.findings:
        yield "findings", ", ".join(assessment.findings)
    yield "model", f"{assessment.model or 'none'}, {assessment.local_reports} local reports"


def _authentication(auth: Authentication) -> Iterator[tuple[str, str]]:
    """What we found out ourselves: of which domains, and why not."""
    if not auth.here:
        return
    yield "SPF", f"{auth.spf} for {auth.spf_domain or 'no domain'} ({auth.spf_identity})" + (f": {auth.spf_why}" if auth.spf_why else "")
    for one in auth.signatures[:MAX_SIGNATURES]:
        named = f"{one.selector} of {one.domain}" if one.domain else "a signature"
        yield "DKIM", f"{one.outcome} for {named}" + (f": {one.why}" if one.why else "")
    if auth.dmarc_policy is not None:
        yield "DMARC", f"{auth.dmarc}; {auth.dmarc_domain} asks for {auth.dmarc_policy} where it fails"
    if auth.arc_sealer:
        yield "ARC", f"{auth.arc}, last sealed by {auth.arc_sealer}" + (f", whose word for {auth.vouched} is taken" if auth.vouched else "")


def _links(assessment: Assessment, policy: Policy) -> str:
    bands = Counter(rated(url, policy).band for url in assessment.urls)
    return ", ".join([f"{count} {band}" for band, count in bands.most_common()])


def _answer(answer: ListAnswer) -> str:
    """One list's answer in a few words."""
    more = ", ".join(answer.codes[:5]) if answer.outcome is Outcome.LISTED else answer.why
    return f"{answer.zone} {answer.outcome}" + (f" ({more})" if more else "")


def _notes(verdict: Verdict) -> Iterator[str]:
    for reason in verdict.reasons:
        if not reason.contribution:
            yield reason.text


def _settings(assessment: Assessment, verdict: Verdict, policy: Policy) -> Iterator[str]:
    if verdict.filter == EMAIL_REPUTATION:
        cause = next(charges(assessment, policy)).cause
        yield f"email_reputation.action.{cause}_action is {action_of(cause, policy.email_reputation)}"
    if assessment.connection_only:
        return
    if verdict.filter == AUTHENTICATION:
        yield f"authentication.target.act_on is {policy.authentication.target.act_on}"
        yield f"authentication.action is {policy.authentication.action.action}"
    yield from _phishing_settings(verdict, policy)
    if verdict.filter == IMPERSONATION:
        name, action = action_taken(assessment, policy)
        yield f"{IMPERSONATION}.{name} is {action}"
    if verdict.filter == WEB_REPUTATION:
        target = policy.web_reputation.target
        yield f"Level {target.level.capitalize()} of Web Reputation acts on links rated below {target.level.threshold}"
        yield f"web_reputation.action is {policy.web_reputation.action.action}"
    if verdict.filter == NEW_SPAM_SOURCES:
        yield f"new_spam_sources.action is {policy.new_spam_sources.action.action}"
    scanning = policy.content_scanning
    if not scanning.enabled:
        yield "Content Scanning is switched off (content_scanning.enabled)"
        return
    score = verdict.scores.get("spam")
    if isinstance(score, int | float):
        side = "reaches" if score >= scanning.target.threshold else "stays below"
        yield f"The score {score:.2f} {side} the threshold {scanning.target.threshold:.1f} of level {scanning.target.level.capitalize()}"
    if verdict.filter == CONTENT_SCANNING:
        yield f"content_scanning.action is {scanning.action.action}"
    if verdict.kind is Kind.UNSCANNABLE:
        yield f"unscannable.action is {policy.unscannable.action}"


def _phishing_settings(verdict: Verdict, policy: Policy) -> Iterator[str]:
    settings, score = policy.advanced_spam_prevention, verdict.scores.get("phishing")
    if not settings.enabled:
        yield "Advanced Spam Prevention is switched off (advanced_spam_prevention.enabled)"
    elif isinstance(score, int | float):
        side, target = "reaches" if score >= settings.target.threshold else "stays below", settings.target
        yield f"The phishing score {score:.2f} {side} the threshold {target.threshold:.1f} of level {target.level.capitalize()}"
    if verdict.filter == ADVANCED_SPAM_PREVENTION:
        yield f"advanced_spam_prevention.action is {settings.action.action}"


def _lines(explanation: Explanation) -> Iterator[str]:
    yield explanation.headline
    yield ""
    width = max(len(label) for label, _ in explanation.facts)
    for label, value in explanation.facts:
        yield f"  {label:<{width}}  {value}"
    yield ""
    yield "What decided"
    for note in explanation.notes:
        yield f"  {note}"
    yield from _sum("What counted", "spam", explanation.contributions, explanation.score, explanation.threshold)
    yield from _sum(
        "What counted as phishing", "phishing", explanation.phishing, explanation.phishing_score, explanation.phishing_threshold
    )
    if explanation.counterfactuals:
        yield ""
        yield "What would have changed it"
        for sentence in explanation.counterfactuals:
            yield f"  It {sentence}."


def _sum(title: str, kind: str, shares: tuple[Reason, ...], score: float | None, threshold: float) -> Iterator[str]:
    """The contributions of a score above their sum."""
    if score is None:
        return
    yield ""
    yield title
    width = max([len(reason.name) for reason in shares] + [len("score")])
    for reason in shares:
        yield f"  {reason.contribution:+8.3f}  {reason.name:<{width}}  {reason.text}"
    yield f"  {score:+8.3f}  {'score':<{width}}  the sum; {kind} from {threshold:.1f} on"
