"""Turn a message and its envelope into facts that depend on no setting. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from mailward.auth import Authentication
from mailward.auth.results import recorded
from mailward.content.evidence import Evidence
from mailward.content.local import LocalModel
from mailward.message import Envelope, Message
from mailward.message.domains import registrable
from mailward.message.origin import Origin, origin
from mailward.policy import DomainList, Policy
from mailward.policy.addresses import canonical_address
from mailward.scan.alignment import aligned
from mailward.scan.assessment import Assessment, Contribution, RatedUrl, SenderIp

MAX_SUBJECT = 998  # characters kept, the longest line of RFC 5322
MAX_ADDRESS = 320  # characters kept of one address (RFC 3696 erratum 1690: 64 + 1 + 255)
MAX_FROM = 100  # visible From addresses kept; real mail has one
MAX_RECIPIENTS = 1_000  # kept of the envelope (RFC 5321 4.5.3.1.10 asks servers to take 100)
MAX_URLS_LENGTH = 65_536  # characters of URLs kept together, so that one message cannot fill the storage
MORE = "(more)"  # stands for the From addresses that were not kept; no list entry matches it


class Model(Protocol):
    """What `assess` and local feedback need of the content model."""

    @property
    def name(self) -> str: ...

    def score(
        self, message: Message, origin: Origin, envelope: Envelope, auth: Authentication, local: LocalModel | None = None
    ) -> tuple[Contribution, ...]: ...

    def judge(self, evidence: Evidence) -> tuple[Contribution, ...]: ...


@dataclass(frozen=True, slots=True)
class Site:
    """What holds for the whole site, not for one message: our own hops, whose results we believe, our domains."""

    own_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    authserv_ids: tuple[str, ...] = ()
    internal_domains: DomainList = field(default_factory=DomainList)

    @classmethod
    def of(cls, policy: Policy) -> Site:
        organisation = policy.organisation
        return cls(organisation.gateway_networks.networks(), organisation.trusted_authserv_ids, organisation.internal_domains)


def assess(message: Message, envelope: Envelope, site: Site, model: Model, local: LocalModel | None, now: float, id: str) -> Assessment:
    """Gather the facts of one message. `now` in seconds since 1970; `local` is the site's own model or None."""
    source = origin(message, envelope, site.own_networks)
    auth = recorded_for(message, envelope, source, site)
    contributions = tuple(
        [share for share in model.score(message, source, envelope, auth, local) if share.value]
    )  # a share of 0 says nothing
    finite = math.isfinite(math.fsum(share.value for share in contributions))
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
        sender_ip=SenderIp(source.address),
        auth=auth,
        from_aligned=aligned(message.from_, auth),
        spam=contributions if finite else (),
        urls=_urls(message),
        findings=tuple(dict.fromkeys(finding.name for finding in message.findings)),
        unscannable="" if finite else "the content model gave a score that is no number",
        model=model.name,
        local_reports=local.reports if local is not None else 0,
        extra={"direction": _direction(senders, envelope, site)},
    )


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


def _urls(message: Message) -> tuple[RatedUrl, ...]:
    room = MAX_URLS_LENGTH
    urls: dict[str, RatedUrl] = {}
    for link in message.links:
        if link.url in urls:
            continue
        room -= len(link.url)
        if room < 0:
            break
        urls[link.url] = RatedUrl(_kept(link.url, len(link.url)), _kept(link.found_in, MAX_SUBJECT))
    return tuple(urls.values())


def _direction(senders: Sequence[str], envelope: Envelope, site: Site) -> str:
    """Incoming, outgoing or internal, by the organisation's own domains; mail of a user who signed in is outgoing."""
    own = envelope.authenticated or bool(senders and site.internal_domains.match(senders[0].rpartition("@")[2]))
    to_us = [bool(site.internal_domains.match(recipient.rpartition("@")[2].lower())) for recipient in envelope.rcpt_to[:MAX_RECIPIENTS]]
    if not own:
        return "incoming"
    return "internal" if to_us and all(to_us) else "outgoing"
