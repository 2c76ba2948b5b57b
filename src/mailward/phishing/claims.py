"""Which brands a message names, where, and whether its sender is one of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from mailward.reputation.knowledge import Brand, brands, registrable

MAX_TEXT = 6_000  # characters of the text searched for names
HEAD = 300  # characters of the text in which a brand named introduces itself
OFTEN = 3  # times a brand is named by mail that speaks for it
MARGIN = 60  # octets behind a copyright sign in which its owner stands


@dataclass(frozen=True, slots=True)
class Named:
    """A brand named in a text: how often, whether at its head, whether as the owner of the text."""

    brand: Brand
    times: int
    head: bool
    owner: bool


def owns(brand: Brand, domain: str) -> bool:
    """Whether a registrable domain is the brand's."""
    return domain.partition(".")[0] in brand.labels


@lru_cache(1 << 14)
def owner_of(domain: str) -> Brand | None:
    """The brand whose domain it is, None if none."""
    site = registrable(domain)
    return next((brand for brand in brands() if site and owns(brand, site)), None)


@cache
def _letters() -> bytes:
    """Latin-1 octets to lower-case letters without accents; everything else to blanks."""
    table = bytearray(b" " * 256)
    for code in range(256):
        plain = unicodedata.normalize("NFKD", chr(code))[0].lower()
        if plain.isascii() and plain.isalnum():
            table[code] = ord(plain)
    for mark in b"&":
        table[mark] = mark
    return bytes(table)


@cache
def _index() -> dict[bytes, list[tuple[tuple[bytes, ...], Brand]]]:
    """Brands by the first word of their name."""
    index: dict[bytes, list[tuple[tuple[bytes, ...], Brand]]] = {}
    for brand in brands():
        words = tuple(brand.name.encode("latin-1", "replace").translate(_letters()).split())
        if words:
            index.setdefault(words[0], []).append((words, brand))
    return index


def _octets(text: str) -> bytes:
    return text.encode("latin-1", "replace").translate(_letters())


def brands_in(line: str) -> list[Brand]:
    """The brands named in a line: a subject, a display name."""
    if not line.isascii():
        line = unicodedata.normalize("NFKC", line)
    words = _octets(line).split()
    return [brand for brand, _ in _found(words)]


def _found(words: Sequence[bytes]) -> list[tuple[Brand, int]]:
    """Brands among words, with the number of the first word of each."""
    index = _index()
    hits = index.keys() & set(words)
    found = []
    for first in hits:
        place = words.index(first)
        for name, brand in index[first]:
            at = place if len(name) == 1 else _phrase(words, name, place)
            if at >= 0:
                found.append((brand, at))
    return found


def _phrase(words: Sequence[bytes], name: tuple[bytes, ...], place: int) -> int:
    """Where the words of a name stand in a row, -1 nowhere. Looks at no more than ten places."""
    for _ in range(10):
        if tuple(words[place : place + len(name)]) == name:
            return place
        try:
            place = words.index(name[0], place + 1)
        except ValueError:
            return -1
    return -1


def brands_of_text(text: str) -> list[Named]:
    """The brands a text names."""
    text = text[:MAX_TEXT]
    octets = _octets(text)
    words = octets.split()
    found = []
    head = len(_octets(text[:HEAD]).split())
    for brand, place in _found(words):
        name = b" ".join(brand.name.encode("latin-1", "replace").translate(_letters()).split())
        found.append(Named(brand, octets.count(name), place < head, _owner(text, octets, name)))
    return found


def _owner(text: str, octets: bytes, name: bytes) -> bool:
    """Whether the name stands behind a copyright sign."""
    at = text.find("©")
    if at < 0:
        at = octets.find(b"copyright")
    return at >= 0 and name in octets[at : at + MARGIN]
