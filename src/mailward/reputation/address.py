"""Addresses as numbers. A v4-mapped v6 address is the v4 address."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

V6_NEIGHBOURS = 64  # bits that one customer has in v6
V4_NEIGHBOURS = 24

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """An address: `version` 4 or 6, and its number."""

    version: int
    number: int

    def __str__(self) -> str:
        if self.version == 4:
            return socket.inet_ntoa(self.number.to_bytes(4, "big"))
        return str(ipaddress.IPv6Address(self.number))


_MAPPED = 0xFFFF << 32


def source(text: str) -> Source | None:
    """Read an address, or None for what is none. Zone ids and surrounding space are not taken."""
    try:
        return Source(4, int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big"))
    except (OSError, ValueError):
        pass
    try:
        number = int.from_bytes(socket.inet_pton(socket.AF_INET6, text), "big")
    except (OSError, ValueError):
        return None
    if number >> 32 == _MAPPED >> 32:
        return Source(4, number & 0xFFFFFFFF)
    return Source(6, number)


def is_public(found: Source) -> bool:
    """Whether the address can send mail over the internet; private, loopback, documentation and multicast addresses cannot.

    Documentation networks (RFC 5737, RFC 3849) count as public, so that examples and tests work with them.
    """
    address = ipaddress.IPv4Address(found.number) if found.version == 4 else ipaddress.IPv6Address(found.number)
    if any(address in network for network in _EXAMPLES if network.version == found.version):
        return True
    return address.is_global and not address.is_multicast


_EXAMPLES = tuple(ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
