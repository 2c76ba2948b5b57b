"""The names that are asked about an address (RFC 5782, 2.1 and 2.4), and the test points every list has (section 5)."""

from __future__ import annotations

import random
from dataclasses import dataclass

from mailward.reputation.address import Source


def name(source: Source, zone: str, code: str = "") -> str:
    """Reversed octets or nibbles, an access code where the list wants one, the zone: `2.0.0.127.list.example.org`."""
    number = source.number
    if source.version == 4:
        turned = f"{number & 255}.{number >> 8 & 255}.{number >> 16 & 255}.{number >> 24}"
    else:
        turned = ".".join(f"{number:032x}"[::-1])
    return f"{turned}.{code}.{zone}" if code else f"{turned}.{zone}"


@dataclass(frozen=True, slots=True)
class TestPoints:
    """Addresses whose answer is known before it is asked."""

    listed: Source
    clear: tuple[Source, ...]  # the second is made up anew each time, for zones that answer everything but the well-known points


def v4_points() -> TestPoints:
    made_up = 127 << 24 | random.randint(1 << 16, (255 << 16) - 1)  # a loopback address: no honest list has it
    return TestPoints(Source(4, 0x7F000002), (Source(4, 0x7F000001), Source(4, made_up)))


def v6_points() -> TestPoints:
    mapped = 0xFFFF << 32
    return TestPoints(Source(6, mapped | 0x7F000002), (Source(6, mapped | 0x7F000001),))
