"""The filter New Spam Sources: what a link leads to and who sent it, looked at together (filters.md, section 5).

A link nobody knows, sent by an address that sends spam right now, is most probably part of that spam; a bad link sent by an
address nobody knows makes that address a source. Only the worst combination of a message counts, and only *high* is acted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mailward.policy import Policy
from mailward.reputation.answer import Standing
from mailward.reputation.url.rating import Band
from mailward.scan.approval import approved_sender, unless_approved
from mailward.scan.assessment import Assessment, RatedUrl
from mailward.scan.opinion import NOTHING, Opinion
from mailward.scan.verdict import Hit, Kind, Reason
from mailward.scan.web_reputation import counted, shown

NEW_SPAM_SOURCES = "new_spam_sources"
_LOOK = ("model:", "address", "registration")  # ratings by how a URL looks and how old it is, of which nobody has seen the place
_SHOWN_STANDINGS = {
    Standing.GOOD: "of good standing",
    Standing.UNKNOWN: "of which nothing is known",
    Standing.DYNAMIC: "that sends spam right now (dynamic database)",
    Standing.STANDARD: "that is a known source of spam (standard database)",
}


class Suspicion(IntEnum):
    """How much link and sender together speak for a new source of spam."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3


_N, _L, _M, _H = Suspicion
_STANDINGS = (Standing.GOOD, Standing.UNKNOWN, Standing.DYNAMIC, Standing.STANDARD)
TABLE = {  # by the band of the link, then by the standing of its sender, in the order of _STANDINGS
    Band.SAFE: (_N, _N, _L, _M),
    Band.UNTESTED: (_N, _L, _H, _H),
    Band.SUSPICIOUS: (_L, _M, _H, _H),
    Band.HIGHLY_SUSPICIOUS: (_M, _H, _H, _H),
    Band.DANGEROUS: (_M, _H, _H, _H),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The link that speaks most against the message, and how much it does together with the sender's standing."""

    suspicion: Suspicion
    url: RatedUrl
    standing: Standing


def new_spam_sources(assessment: Assessment, policy: Policy) -> Opinion:
    """Fires where link and sender together are of high suspicion; an authenticated approved sender is exempt."""
    settings = policy.new_spam_sources
    found = finding(assessment, policy)
    if found is None or found.suspicion < Suspicion.MEDIUM:
        return NOTHING
    told = (Reason(NEW_SPAM_SOURCES, found.suspicion.name.lower(), 0.0, sentence(found, assessment)),)
    if found.suspicion is not Suspicion.HIGH:
        return Opinion(None, "", told)
    target = settings.target
    sender = approved_sender(assessment, target.approved_senders, target.approval_requires_authentication)
    hit = Hit(NEW_SPAM_SOURCES, Kind.NEW_SPAM_SOURCE, settings.action.action, settings.log_only)
    return unless_approved(hit, sender, "Not taken for a new source of spam", told)


def finding(assessment: Assessment, policy: Policy) -> Finding | None:
    """What link and sender say together; None where the filter is off or there is nothing to combine.

    Mail of our own users has no foreign sender IP, and none is judged here. A standing that could not be had is taken as unknown.
    """
    if not (policy.new_spam_sources.enabled and policy.web_reputation.enabled) or assessment.connection_only:
        return None
    if assessment.sender_ip.address is None or assessment.authenticated:
        return None
    standing = Standing(assessment.sender_ip.standing)
    standing = Standing.UNKNOWN if standing is Standing.UNCHECKED else standing
    urls = _links(assessment, policy)
    if not urls:
        return None
    worst = max(urls, key=lambda url: _weight(url, standing))
    return Finding(_suspicion(worst, standing), worst, standing)


def accused(assessment: Assessment, policy: Policy) -> tuple[RatedUrl, ...]:
    """The links of a message of high suspicion that are suspicious with its sender and not known by anybody who looked at them."""
    found = finding(assessment, policy)
    if found is None or found.suspicion is not Suspicion.HIGH:
        return ()
    high = [url for url in _links(assessment, policy) if _suspicion(url, found.standing) is Suspicion.HIGH]
    return tuple([url for url in high if not url.source or url.source.startswith(_LOOK)])


def _links(assessment: Assessment, policy: Policy) -> list[RatedUrl]:
    """The rated links that are neither internal nor approved."""
    approved = policy.web_reputation.target.approved_urls
    return [url for url in counted(assessment, policy) if url.rating != "unchecked" and not approved.match(url.url)]


def _suspicion(url: RatedUrl, standing: Standing) -> Suspicion:
    return TABLE[Band(url.band)][_STANDINGS.index(standing)]


def _weight(url: RatedUrl, standing: Standing) -> tuple[Suspicion, int]:
    """Of equal suspicion, the link rated lowest."""
    return _suspicion(url, standing), -url.rating if isinstance(url.rating, int) else -100


def sentence(found: Finding, assessment: Assessment) -> str:
    """Link, sender, and what they are together."""
    url = found.url
    link = "an untested link" if url.rating == "untested" else f"a link rated {url.rating} ({url.band})"
    sender = f"{assessment.sender_ip.address}, an address {_SHOWN_STANDINGS[found.standing]}"
    return f"{link[0].upper()}{link[1:]} to {shown(url.url)} came from {sender}: suspicion {found.suspicion.name.lower()}"
