"""The filter Web Reputation: does a link lead to a bad place? (filters.md, section 4)

The link rated lowest decides. A link of which nothing is known is acted on only where the policy says so, and one that nobody
looked at never is.
"""

from __future__ import annotations

from dataclasses import replace

from mailward.policy import Policy
from mailward.policy.dnsbl import catalogue
from mailward.policy.urls import hosts_above, place
from mailward.policy.web_reputation import WebTarget
from mailward.reputation.answer import ListAnswer, Outcome
from mailward.reputation.url.rating import band_of, defanged
from mailward.scan.approval import approved_sender, unless_approved
from mailward.scan.assessment import Assessment, RatedUrl
from mailward.scan.opinion import NOTHING, Opinion
from mailward.scan.verdict import Hit, Kind, Reason

WEB_REPUTATION = "web_reputation"
MAX_TOLD = 5  # links named in the reasons
MAX_SHOWN = 120  # characters of a URL in words
_WEB = ("http://", "https://", "ftp://")
LISTED_RATING = 25  # of a domain that a DNS list lists: somebody has seen it misused
_ATTACHMENT = "attachment:"


def web_reputation(assessment: Assessment, policy: Policy) -> Opinion:
    """Fires on a link below the threshold, and on an untested one where the policy says so."""
    settings = policy.web_reputation
    if not settings.enabled or not assessment.urls or assessment.connection_only:
        return NOTHING
    found, approved = charged(assessment, policy)
    told = tuple(_note("link", sentence(url)) for url in found[:MAX_TOLD])
    if not found:
        return Opinion(None, approved, (_note("approved", f"A link was not judged because of {approved}"),)) if approved else NOTHING
    sender = approved_sender(assessment, settings.target.approved_senders, settings.target.approval_requires_authentication)
    hit = Hit(WEB_REPUTATION, Kind.MALICIOUS_URL, settings.action.action, settings.log_only)
    return unless_approved(hit, sender, "Its links were not judged", told)


def charged(assessment: Assessment, policy: Policy) -> tuple[list[RatedUrl], str]:
    """The links to act on, the worst first; and the approved entry that held another one back, "" if none did."""
    target = policy.web_reputation.target
    found, approved = [], ""
    for url in counted(assessment, policy):
        if not _counts(url, target):
            continue
        entry = target.approved_urls.match(url.url)
        if entry:
            approved = approved or f"{WEB_REPUTATION}.approved_urls: {entry}"
        else:
            found.append(url)
    return sorted(found, key=_badness), approved


def counted(assessment: Assessment, policy: Policy) -> list[RatedUrl]:
    """The links the policy wants looked at, rated with the DNS lists that it names. Approved ones are among them."""
    target = policy.web_reputation.target
    return [
        rated(url, policy)
        for url in assessment.urls
        if (target.scan_attachments or not url.found_in.startswith(_ATTACHMENT))
        and not (target.skip_internal_domains and is_internal(url.url, policy))
    ]


def rated(url: RatedUrl, policy: Policy) -> RatedUrl:
    """A link with its rating under the policy: lowered where a DNS list that the policy names lists its domain."""
    if not url.lists:
        return url
    listing = next((answer for answer in url.lists if _is_listing(answer, policy)), None)
    if listing is None or (isinstance(url.rating, int) and url.rating <= LISTED_RATING):
        return url
    known = catalogue().get(listing.zone)
    codes = ", ".join([f"{code} {known.meanings.get(code, '') if known else ''}".strip() for code in listing.codes[:3]])
    why = f"its domain is listed in {listing.zone} ({codes})"
    return replace(url, rating=LISTED_RATING, band=band_of(LISTED_RATING).value, why=why, source=f"dns:{listing.zone}")


def _is_listing(answer: ListAnswer, policy: Policy) -> bool:
    if answer.outcome is not Outcome.LISTED:
        return False
    entry = policy.web_reputation.target.domain_lists.get(answer.zone)
    return entry is not None and entry.on and any(entry.counts(tuple(map(int, code.split(".")))) for code in answer.codes)


def _counts(url: RatedUrl, target: WebTarget) -> bool:
    if isinstance(url.rating, int):
        return url.rating < target.level.threshold
    return url.rating == "untested" and target.act_on_untested and url.url.startswith(_WEB)


def _badness(url: RatedUrl) -> tuple[bool, int]:
    """The lowest rating first; untested is no number and comes last."""
    return (False, url.rating) if isinstance(url.rating, int) else (True, 0)


def is_internal(url: str, policy: Policy) -> bool:
    """Whether it leads to a domain of the organisation, or below one."""
    domains = policy.organisation.internal_domains
    return bool(domains) and any(domains.match(domain) for domain in hosts_above(place(url)[0]))


def shown(url: str) -> str:
    """A URL in words, cut, so that no program makes a link of it."""
    text = defanged(url)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def sentence(url: RatedUrl) -> str:
    """Which link, where it stood, how it is rated and why."""
    rated = "is untested" if url.rating == "untested" else f"is rated {url.rating} ({url.band})"
    return f"A link to {shown(url.url)} (in: {url.found_in}) {rated}" + (f": {url.why}" if url.why else "")


def _note(name: str, text: str) -> Reason:
    return Reason(WEB_REPUTATION, name, 0.0, text)
