"""Turn a message and its envelope into facts that depend on no setting. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Protocol

from mailward.auth import Authentication
from mailward.auth.results import recorded
from mailward.content.evidence import Evidence, gather
from mailward.content.local import LocalModel
from mailward.message import Envelope, Message
from mailward.message.domains import registrable
from mailward.message.origin import Origin, is_own, origin
from mailward.message.urls import FoundUrl, urls_of
from mailward.phishing import evidence as pretence
from mailward.policy import DomainList, NetworkList, Policy
from mailward.policy.addresses import canonical_address
from mailward.policy.urls import place
from mailward.reputation.address import is_public
from mailward.reputation.address import source as address_of
from mailward.reputation.answer import Outcome, Standing
from mailward.reputation.url.rating import UNTESTED_SHOWN, Rating
from mailward.scan.alignment import aligned
from mailward.scan.answers import NOBODY, Answers
from mailward.scan.assessment import Assessment, Contribution, RatedUrl, SenderIp

MAX_SUBJECT = 998  # characters kept, the longest line of RFC 5322
MAX_ADDRESS = 320  # characters kept of one address (RFC 3696 erratum 1690: 64 + 1 + 255)
MAX_FROM = 100  # visible From addresses kept; real mail has one
MAX_SHOWN = 200  # characters kept of a display name; clients show fewer
MAX_REPLY_TO = 10  # addresses kept
MAX_RECIPIENTS = 1_000  # kept of the envelope (RFC 5321 4.5.3.1.10 asks servers to take 100)
MAX_URLS = 500  # distinct ones rated and kept; wanted mail with more is a newsletter of one site
MAX_LINK_TEXT = 200  # characters kept of what stood on a link
MAX_URLS_LENGTH = 65_536  # characters of URLs kept together, so that one message cannot fill the storage
MORE = "(more)"  # stands for the From addresses that were not kept; no list entry matches it


class Model(Protocol):
    """What `assess` and local feedback need of the content model."""

    @property
    def name(self) -> str: ...

    def score(
        self,
        message: Message,
        origin: Origin,
        envelope: Envelope,
        auth: Authentication,
        local: LocalModel | None = None,
        evidence: Evidence | None = None,
    ) -> tuple[Contribution, ...]: ...

    def judge(self, evidence: Evidence) -> tuple[Contribution, ...]: ...


class PhishingModel(Protocol):
    """What `assess` needs of the phishing model."""

    def judge(self, evidence: pretence.Evidence) -> tuple[Contribution, ...]: ...


class Rater(Protocol):
    """What `assess` needs to rate URLs; at most 100 us a URL."""

    def rate(self, url: str) -> Rating: ...


@dataclass(frozen=True, slots=True)
class Site:
    """What holds for the whole site, not for one message: our own hops, whose results we believe, our domains."""

    own_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    authserv_ids: tuple[str, ...] = ()
    internal_domains: DomainList = field(default_factory=DomainList)

    @classmethod
    def of(
        cls, policy: Policy, trusted_proxies: NetworkList | None = None, mail_servers: tuple[IPv4Network | IPv6Network, ...] = ()
    ) -> Site:
        """`trusted_proxies` hand us the mail of others, so they are hops of ours too; `mail_servers`: what `mx_domains` led to."""
        organisation = policy.organisation
        own = organisation.gateway_networks.networks() + (trusted_proxies.networks() if trusted_proxies else ()) + mail_servers
        return cls(own, organisation.trusted_authserv_ids, organisation.internal_domains)

    def origin(self, message: Message, envelope: Envelope) -> Origin:
        """Who sent it: the first host that is not ours."""
        return origin(message, envelope, self.own_networks)

    def foreign(self, address: str | None) -> bool:
        """Whether it is an address that lists may know: one on the internet, and none of our own hops."""
        return address is not None and _foreign(address, self.own_networks)


@lru_cache(maxsize=4096)
def _foreign(address: str, own_networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    found = address_of(address)
    return found is not None and is_public(found) and not is_own(str(found), own_networks)


def assess(
    message: Message,
    envelope: Envelope,
    site: Site,
    model: Model,
    local: LocalModel | None,
    now: float,
    id: str,
    source: Origin | None = None,
    answers: Answers = NOBODY,
    rater: Rater | None = None,
    urls: Sequence[FoundUrl] | None = None,
    phishing: PhishingModel | None = None,
) -> Assessment:
    """Gather the facts of one message. `now` in seconds since 1970; `local` is the site's own model or None.

    `source` and `urls`: what `Site.origin` and `urls_of` say, where that is known already. `answers`: what was found out outside of the message.
    `rater`: rates the URLs; without one they stay unchecked. `phishing`: without one nobody looks whether it is phishing.
    """
    source = source or site.origin(message, envelope)
    found = (*(urls_of(message) if urls is None else urls), *answers.attachments.urls)
    reputation = answers.reputation
    auth = answers.auth or recorded_for(message, envelope, source, site)
    evidence = None if phishing is None else gather(message, source, envelope, auth)
    contributions = _telling(model.score(message, source, envelope, auth, local, evidence))
    rated = _urls(found, answers, rater)
    pretences = None
    if phishing is not None and evidence is not None:
        pretences = _telling(phishing.judge(pretence.gather(evidence, found, _ratings(rated))))
    finite = _is_finite(contributions) and _is_finite(pretences or ())
    senders = tuple(_kept(canonical_address(address.addr), MAX_ADDRESS) for address in message.from_[:MAX_FROM] if address.addr)
    if len(message.from_) > MAX_FROM:
        senders = (*senders, MORE)
    return Assessment(
        id=id,
        time=now,
        way_in=envelope.way_in,
        size=message.size,
        subject=_kept(message.subject, MAX_SUBJECT),
        message_id=_kept(message.message_id, MAX_SUBJECT),
        mail_from=None if envelope.mail_from is None else _kept(canonical_address(envelope.mail_from), MAX_ADDRESS),
        rcpt_to=tuple(_kept(canonical_address(recipient), MAX_ADDRESS) for recipient in envelope.rcpt_to[:MAX_RECIPIENTS]),
        header_from=senders,
        helo=_kept(source.helo, MAX_ADDRESS),
        sender_ip=SenderIp(
            source.address,
            reputation.standing.value if reputation else Standing.UNCHECKED.value,
            _kept(source.name or "", MAX_ADDRESS),
        ),
        auth=auth,
        from_aligned=aligned(message.from_, auth),
        spam=contributions if finite else (),
        phishing=pretences if finite else None,
        urls=rated,
        findings=tuple(dict.fromkeys(finding.name for finding in (*message.findings, *answers.attachments.findings))),
        unscannable="" if finite else "a model gave a score that is no number",
        model=model.name,
        local_reports=local.reports if local is not None else 0,
        reputation=reputation.answers if reputation else (),
        relayed=source.hop >= 0,
        authenticated=envelope.authenticated,
        shown_from=tuple(_kept(address.display, MAX_SHOWN) for address in message.from_[:MAX_FROM] if address.addr),
        reply_to=tuple(_kept(canonical_address(address.addr), MAX_ADDRESS) for address in message.reply_to[:MAX_REPLY_TO] if address.addr),
        first_contact=answers.acquaintance.first_contact,
        first_of_domain=answers.acquaintance.first_of_domain,
        written_to=answers.acquaintance.written_to,
        thread=answers.acquaintance.thread,
        named_internal=tuple([_kept(name, MAX_SHOWN) for name in answers.acquaintance.named_internal]),
        extra={"direction": _direction(senders, envelope, site)},
    )


def _telling(shares: tuple[Contribution, ...]) -> tuple[Contribution, ...]:
    """Without shares of 0, which say nothing."""
    return tuple([share for share in shares if share.value])


def _is_finite(shares: tuple[Contribution, ...]) -> bool:
    return math.isfinite(math.fsum([share.value for share in shares]))


def _ratings(urls: Sequence[RatedUrl]) -> list[int]:
    return [url.rating for url in urls if isinstance(url.rating, int)]


def recorded_for(message: Message, envelope: Envelope, source: Origin, site: Site) -> Authentication:
    """The authentication results to believe: those of the servers the policy names.

    For a stored message with no server named, those of the host that took it from outside: whoever reads a mailbox trusts the server that filled it.
    """
    ids = site.authserv_ids
    if not ids and envelope.way_in == "file" and 0 <= source.hop < len(message.received):
        host = message.received[source.hop].by
        ids = (registrable(host) or host,) if host else ()
    return recorded(message, ids, source.hop)


def _kept(text: str, length: int) -> str:
    """Cut, and replace what UTF-8 cannot hold (8-bit bytes of headers travel as lone surrogates)."""
    text = text[:length]
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _urls(found: Sequence[FoundUrl], answers: Answers, rater: Rater | None) -> tuple[RatedUrl, ...]:
    """The URLs with their ratings, each once: as many as may be kept, those that are known to be bad before all others."""
    urls: dict[str, RatedUrl] = {}
    for each in found:
        if each.url not in urls:
            urls[each.url] = _rated(each, answers, rater)
    kept, room = list[RatedUrl](), MAX_URLS_LENGTH
    for url in urls.values() if len(urls) <= MAX_URLS else sorted(urls.values(), key=_badness):
        room -= len(url.url)
        if room < 0 or len(kept) == MAX_URLS:
            break
        kept.append(url)
    return tuple(kept)


def _badness(url: RatedUrl) -> int:
    if any(answer.outcome is Outcome.LISTED for answer in url.lists):
        return -1
    return url.rating if isinstance(url.rating, int) else UNTESTED_SHOWN


def _rated(found: FoundUrl, answers: Answers, rater: Rater | None) -> RatedUrl:
    where, text = _kept(found.found_in, MAX_SUBJECT), _kept(found.text, MAX_LINK_TEXT)
    if rater is None:
        return RatedUrl(found.url, where, text=text)
    rating = rater.rate(found.url)
    known: int | Literal["untested"] = "untested" if rating.rating is None else rating.rating
    lists = answers.domains.get(registrable(place(found.url)[0]), ()) if answers.domains else ()
    return RatedUrl(found.url, where, known, rating.band.value, rating.why, rating.source, text, lists)


def _direction(senders: Sequence[str], envelope: Envelope, site: Site) -> str:
    """Incoming, outgoing or internal, by the organisation's own domains; mail of a user who signed in is outgoing."""
    own = envelope.authenticated or bool(senders and site.internal_domains.match(senders[0].rpartition("@")[2]))
    to_us = [bool(site.internal_domains.match(recipient.rpartition("@")[2].lower())) for recipient in envelope.rcpt_to[:MAX_RECIPIENTS]]
    if not own:
        return "incoming"
    return "internal" if to_us and all(to_us) else "outgoing"
