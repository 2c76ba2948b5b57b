"""Facts from the way the message came: the client, its HELO, and the trace lines below (which anybody can write)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache

from mailward.content.mail import Mail
from mailward.reputation.knowledge import Known, known_host, registrable

# Reverse names of machines that are not mail servers: the address in the name, or words of access networks and rented machines.
_GENERIC = re.compile(
    r"\d{1,3}[-.x_]\d{1,3}[-.x_]\d{1,3}[-.x_]\d{1,3}|(?:^|[-.\d])(?:dyn|dynamic|dhcp|dial(?:up|in)?|ppp|pppoe|pool|adsl|[avsx]?dsl|cable|client|customer|"
    r"cpe|broadband|user|home|resnet|wireless|mobile|gprs|umts|lte|fiber|ftth|ip)[-.\d]|\d{9,12}|[0-9a-f]{8}\."
)
_RENTED = re.compile(
    r"(?:googleusercontent|compute|amazonaws|cloudapp|vultr|linode|contabo|ovh|hosted-by|static|vps|host)[-.\d]|colocrossing|(?:^|\.)ptr\."
)
_NOT_A_NAME = re.compile(r"^\[?\d{1,3}(?:\.\d{1,3}){3}\]?$")
_MAILER_BULK = re.compile(
    r"the bat|foxmail|dreammail|leaf ?phpmailer|phpmailer|mass|bulk|blast|sendblaster|atomic|group ?mail|advanced mass|supermailer|turbo|xmailer|"
    r"e-?mail sender|"
    r"diffondi|dynamic mail|mailout|ecampaign|webmailer|chilkat|indy|delphi|codeignitor|java ?mail",
    re.I,
)
_OUTLOOK_ID = re.compile(
    r"^<?[0-9a-f]{12}\$[0-9a-f]{8}\$[0-9a-f]{8}@|^<?[0-9A-Z]{16,40}@|^<?[\w.+=-]+@[\w.-]*(?:outlook|prod|exch|local|lan|corp)"
)


def trace_facts(mail: Mail) -> Iterator[tuple[str, float]]:
    """Return facts about the client and the trace."""
    yield from _client(mail)
    yield from _path(mail)
    yield from _mailer(mail)


def _client(mail: Mail) -> Iterator[tuple[str, float]]:
    name, helo = mail.client_name[:255], mail.origin.helo[:255].lower().rstrip(".")
    if mail.origin.address is None:
        return
    if _inside(mail.origin.address):
        yield "trace:local", 1.0
        return
    what = known_host(name) if name else 0
    trusted = bool(what & (Known.PLATFORM | Known.PROVIDER))
    yield "trace:no-reverse-name", float(mail.origin.name == "")
    if name:
        yield "trace:generic-name", float(bool(_GENERIC.search(name)) and not trusted)
        yield "trace:rented-name", float(bool(_RENTED.search(name)) and not trusted)
        yield "trace:provider", float(bool(what & Known.PROVIDER))
        yield "trace:school", float(bool(what & Known.SCHOOL))
    if helo:
        literal = bool(_NOT_A_NAME.match(helo))
        yield "trace:helo-address", float(literal)
        yield "trace:helo-no-domain", float("." not in helo and not literal and not helo.startswith("["))
        if name and "." in helo and not literal:
            same = registrable(helo) == registrable(name)
            yield "trace:helo-fits", float(same and not trusted)
            yield "trace:helo-foreign", float(not same and not trusted)
        yield "trace:helo-is-sender", float(registrable(helo) == mail.site != "" and mail.origin.name == "")
        borrowed = bool(known_host(helo) & (Known.FREEMAIL | Known.PROVIDER)) and not trusted
        yield "trace:helo-borrowed", float(borrowed and mail.origin.name is not None and registrable(helo) != mail.client_site)
    freemail = bool(mail.site_known & Known.FREEMAIL)
    yield (
        "trace:freemail-not-from-there",
        float(freemail and mail.proven is not True and not trusted and mail.origin.name is not None and mail.client_site != mail.site),
    )


def _path(mail: Mail) -> Iterator[tuple[str, float]]:
    below = mail.message.received[mail.origin.hop + 1 :]
    yield "trace:direct", float(not below and mail.origin.address is not None)
    private = named = 0
    for hop in below[:15]:
        private += hop.address is not None and _inside(hop.address)
        named += hop.protocol in ("HTTP", "HTTPS", "MAPI")
    yield "trace:inside-hops", float(private > 0)
    yield "trace:by-web", float(named > 0)
    last = below[-1] if below else None
    if last is not None and last.name:
        yield "trace:from-access-network", float(bool(_GENERIC.search(last.name)))


def _mailer(mail: Mail) -> Iterator[tuple[str, float]]:
    mailer = (mail.fields.get("x-mailer") or mail.fields.get("user-agent") or "")[:200]
    yield "trace:bulk-mailer", float(bool(mailer) and bool(_MAILER_BULK.search(mailer)))
    outlook = "outlook" in mailer.lower()
    yield (
        "trace:outlook-forged",
        float(outlook and bool(mail.message.message_id) and not _OUTLOOK_ID.search(mail.message.message_id.strip())),
    )
    yield "trace:mimeole-alone", float(mail.fields.get("x-mimeole") is not None and not mailer)
    yield "trace:by-script", float(mail.fields.get("x-php-originating-script") is not None or mail.fields.get("x-php-script") is not None)
    yield "trace:personal-mailer", float(mail.fields.get("user-agent") is not None)
    yield "trace:old-signature", float(mail.fields.get("domainkey-signature") is not None and mail.fields.get("dkim-signature") is not None)
    yield "trace:signed", float(mail.fields.get("dkim-signature") is not None)


@lru_cache(1 << 12)
def _inside(address: str) -> bool:
    """Whether the address is of a private network or this machine (documentation ranges count as public)."""
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_link_local or any(parsed in network for network in _PRIVATE if network.version == parsed.version)


_PRIVATE = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")]
