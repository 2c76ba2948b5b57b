"""Who sent it: the first host that is not ours (shared rules of filters.md)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mailward.message.address import addresses
from mailward.message.domains import registrable
from mailward.message.model import Envelope, Hop, Message
from mailward.message.received import canonical_ip

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Origin:
    """The sender's host. `hop` is the index in Message.received of the line written when that host handed the mail to us
    (lines below it are foreign and untrusted); -1 when the connection itself is the sender."""

    address: str | None
    name: str | None  # the verified name, "" if it has none, None if nobody looked
    helo: str
    hop: int


def origin(message: Message, envelope: Envelope, own_networks: Iterable[str | Network] = ()) -> Origin:
    """Find the sender: the connecting address, or the first one beyond our own hops when that is one of ours.

    Loopback and private addresses count as ours. For a stored message (way in "file") `hop` names the line of the client.
    """
    own = tuple(own_networks)
    client = canonical_ip(envelope.client_ip) if envelope.client_ip else None
    if client is None:
        return _stored(message.received, own)
    if not is_own(client, own):
        hop = _written_for(message.received, client, own) if envelope.way_in == "file" else -1
        return Origin(client, envelope.client_name, envelope.helo or "", hop)
    for index, hop_line in enumerate(message.received):
        if hop_line.address is not None and not is_own(hop_line.address, own):
            return _at(message.received, index)
    return Origin(client, envelope.client_name, envelope.helo or "", -1)


def envelope_from_trace(message: Message) -> Envelope:
    """Rebuild the envelope of a stored message from its trace headers; what they do not tell stays None."""
    sender = _stored(message.received, ())
    mail_from = message.return_path
    if mail_from is None and (other := message.get("x-envelope-from")) is not None:
        mail_from = _bare(other)
    recipients: tuple[str, ...] = ()
    for key in ("delivered-to", "x-original-to", "envelope-to"):
        if values := message.get_all(key):
            recipients = tuple(dict.fromkeys(a.addr for value in values[:10] for a in addresses(value)))
            break
    found = sender.hop >= 0
    return Envelope(sender.address, sender.name if found else None, sender.helo if found else None, mail_from, recipients)


def _bare(raw: str) -> str:
    found = addresses(raw)
    return found[0].addr if found else ""


def _stored(hops: tuple[Hop, ...], own: tuple[str | Network, ...]) -> Origin:
    """The sender of a message that nobody handed us: its line, without address and names where these may be the recipient's."""
    index = _first_foreign(hops, own)
    if index >= 0 and _unclear(hops, index):
        return Origin(None, None, "", index)
    return _at(hops, index)


def _at(hops: tuple[Hop, ...], index: int) -> Origin:
    if index < 0:
        return Origin(None, None, "", -1)
    hop = hops[index]
    return Origin(hop.address, hop.name, hop.helo, index)


def _written_for(hops: tuple[Hop, ...], client: str, own: tuple[str | Network, ...]) -> int:
    """The line in which our side took the mail from that client: below only hops that are internal."""
    first = _first_foreign(hops, own)
    if first >= 0 and hops[first].address == client:
        return first
    return next((i for i, hop in enumerate(hops) if hop.address == client), -1)


def _first_foreign(hops: tuple[Hop, ...], own: tuple[str | Network, ...]) -> int:
    for index, hop in enumerate(hops):
        if hop.address is None or hop.protocol in _FETCHED or is_own(hop.address, own) or _same_house(hop):
            continue
        return index
    return -1


_FETCHED = frozenset({"POP3", "POP3S", "IMAP", "IMAPS"})  # a mailbox emptied by the recipient: the peer is his provider, not the sender


_MICROSOFT = frozenset({"outlook.com", "exchangelabs.com", "office365.com"})


def _same_house(hop: Hop) -> bool:
    """A relay between hosts of one registrable domain. The HELO name is what anyone may claim, so it counts only behind the doors of Microsoft 365."""
    house = registrable(hop.by)
    if house in _MICROSOFT and ".protection.outlook.com" not in hop.by:  # that is the door, where mail comes in from outside
        return registrable(hop.name or hop.helo) in _MICROSOFT
    if not hop.name and hop.protocol in {"MAPI", "HTTPS"}:
        return bool(house) and registrable(hop.helo) == house
    return bool(house) and registrable(hop.name or "") == house


def _unclear(hops: tuple[Hop, ...], index: int) -> bool:
    """A hop that may be one of the recipient's own: it says HELO with a name of the recipient's domain, and that very host wrote the line below.

    Whoever runs the mailbox can tell by address (`gateway_networks`). Who only reads it cannot: the line below may be forged.
    """
    hop = hops[index]
    below = hops[index + 1].by if index + 1 < len(hops) else ""
    return bool(below) and hop.helo.lower() == below and registrable(below) == registrable(hop.by) != ""


@lru_cache(maxsize=4096)
def is_own(address: str, own: tuple[str | Network, ...]) -> bool:
    """Whether a canonical address is one of our own hops: in `own`, or loopback, link-local or private."""
    ip = ipaddress.ip_address(address)
    if ip.is_loopback or ip.is_link_local or (ip.is_private and not _documentation(ip)) or ip.is_unspecified:
        return True
    return any(ip.version == network.version and ip in network for network in map(_network, own))


_DOCUMENTATION = tuple(ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))


def _documentation(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Documentation addresses stand for public ones in examples and tests."""
    return any(ip.version == network.version and ip in network for network in _DOCUMENTATION)


@lru_cache(maxsize=1024)
def _network(value: str | Network) -> Network:
    return ipaddress.ip_network(value, strict=False) if isinstance(value, str) else value
