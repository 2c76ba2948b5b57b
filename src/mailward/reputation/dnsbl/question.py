"""The names that are asked about an address or a domain (RFC 5782, 2.1, 2.4 and 3), and the test points every list has (section 5)."""

from __future__ import annotations

import random
from dataclasses import dataclass

from mailward.reputation.address import Source

Subject = Source | str  # an address, or a domain in lower-case A-labels


def name(subject: Subject, zone: str, code: str = "") -> str:
    """Reversed octets or nibbles, or the domain; an access code where the list wants one; the zone: `2.0.0.127.list.example.org`."""
    first = subject if isinstance(subject, str) else _turned(subject)
    return f"{first}.{code}.{zone}" if code else f"{first}.{zone}"


def _turned(source: Source) -> str:
    number = source.number
    if source.version == 4:
        return f"{number & 255}.{number >> 8 & 255}.{number >> 16 & 255}.{number >> 24}"
    return ".".join(f"{number:032x}"[::-1])


@dataclass(frozen=True, slots=True)
class TestPoints:
    """Addresses or domains whose answer is known before it is asked."""

    listed: Subject
    clear: tuple[Subject, ...]  # the second is made up anew each time, for zones that answer everything but the well-known points


def v4_points() -> TestPoints:
    made_up = 127 << 24 | random.randint(1 << 16, (255 << 16) - 1)  # a loopback address: no honest list has it
    return TestPoints(Source(4, 0x7F000002), (Source(4, 0x7F000001), Source(4, made_up)))


def v6_points() -> TestPoints:
    mapped = 0xFFFF << 32
    return TestPoints(Source(6, mapped | 0x7F000002), (Source(6, mapped | 0x7F000001),))


def domain_points(listed: str = "test") -> TestPoints:
    """`listed`: what a list documents in the place of TEST, which RFC 5782 asks for."""
    return TestPoints(listed, ("invalid", f"made-up-{random.randint(1 << 30, 1 << 31)}.invalid"))


def never(*, domains: bool) -> Subject:
    """An address or a domain, made up anew, that no honest list has."""
    return (domain_points() if domains else v4_points()).clear[-1]
