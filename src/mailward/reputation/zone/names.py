"""Addresses as names of a zone (RFC 5782): reversed octets (v4) or nibbles (v6), read and written."""

from __future__ import annotations

import re
from collections.abc import Iterator

OCTETS = {bytes((len(text),)) + text: number for number, text in ((n, str(n).encode()) for n in range(256))}
_V4 = re.compile(rb"(\x01.|\x02..|\x03...)" * 4, re.DOTALL)
_V6 = re.compile(rb"(?:\x01[0-9a-f]){32}")
_PART_OF_V4 = re.compile(rb"(?:\x01.|\x02..|\x03...){1,3}", re.DOTALL)
_PART_OF_V6 = re.compile(rb"(?:\x01[0-9a-f]){1,31}")
_LABEL = re.compile(rb"\x01.|\x02..|\x03...", re.DOTALL)

Range = tuple[int, int, int]  # version, first and last address


def address(owner: bytes) -> tuple[int, int] | None:
    """Version and number of the address that these labels (in wire form, lower case) name, None if they name none."""
    found = _V4.fullmatch(owner)
    if found is not None:
        try:
            d, c, b, a = map(OCTETS.__getitem__, found.groups())
        except KeyError:
            return None
        return 4, a << 24 | b << 16 | c << 8 | d
    if _V6.fullmatch(owner):
        return 6, int(owner[:0:-2], 16)
    return None


def below(owner: bytes) -> list[Range]:
    """The addresses whose names end in these labels, where there can be some: "2.0" is in names of 0.2.0.0/16 and of 0200::/8."""
    found: list[Range] = []
    if _PART_OF_V4.fullmatch(owner):
        octets = [OCTETS.get(label, -1) for label in _LABEL.findall(owner)]
        if min(octets) >= 0:
            number, bits = sum(octet << 8 * at for at, octet in enumerate(octets)), 32 - 8 * len(octets)
            found.append((4, number << bits, (number + 1 << bits) - 1))
    if _PART_OF_V6.fullmatch(owner):
        number, bits = int(owner[:0:-2], 16), 128 - 2 * len(owner)
        found.append((6, number << bits, (number + 1 << bits) - 1))
    return found


def owner(version: int, number: int) -> str:
    """The labels that name an address: "1.2.0.192"."""
    if version == 4:
        return f"{number & 255}.{number >> 8 & 255}.{number >> 16 & 255}.{number >> 24}"
    return ".".join(f"{number:032x}"[::-1])


def owners(version: int, first: int, last: int) -> Iterator[str]:
    """Names, wildcards among them, that together match every address of the range and no other address.

    A wildcard stands for a whole block on an octet (v4) or nibble (v6) border. Ranges of a zone are disjoint, so a block has
    no other name below its parent, and nothing shadows the wildcard (RFC 4592 2.2.1). Both families share the top of the
    tree: `*.0.4.2` would match 2.4.0.0/24 and 2400::/12 alike. So blocks that both could mean are split until they cannot:
    a v4 wildcard has a label that is no nibble, a v6 wildcard has more labels than a v4 address below it.
    """
    while first <= last:
        free = _free(version, first, last)
        yield _wildcard(version, first, free) if free else owner(version, first)
        first += 1 << free


def size(version: int, labels: str) -> int:
    """How many addresses a name of `owners` stands for."""
    if not labels.startswith("*"):
        return 1
    return 1 << (32 - 8 * labels.count(".") if version == 4 else 128 - 4 * labels.count("."))


def _free(version: int, first: int, last: int) -> int:
    """How many bits the largest block has that starts at `first`, ends by `last` and can be a wildcard; 0: a single address."""
    step, bits = (8, 32) if version == 4 else (4, 128)
    free = 0
    while free + step < bits and not first & (1 << free + step) - 1 and first + (1 << free + step) - 1 <= last:
        free += step
    while free and _ambiguous(version, first, free):
        free -= step
    return free


def _ambiguous(version: int, first: int, free: int) -> bool:
    if version == 6:
        return free > 128 - 16
    return all(first >> shift & 255 < 10 for shift in range(free, 32, 8))


def _wildcard(version: int, first: int, free: int) -> str:
    labels = owner(version, first).split(".")
    return ".".join(["*", *labels[free // (8 if version == 4 else 4) :]])
