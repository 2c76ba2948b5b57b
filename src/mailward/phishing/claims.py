"""Which brands a message names, where, and whether its sender is one of them.

`brands.table()` judges a single name carefully; here a whole text is searched for all names at once, on words of plain letters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from mailward.message import invisible
from mailward.phishing.brands import Brand, Needs, table
from mailward.phishing.vocabulary import service_words

MAX_TEXT = 6_000  # characters of the text searched for names
HEAD = 300  # characters of the text in which a brand named introduces itself
OFTEN = 3  # times a brand is named by mail that speaks for it
MARGIN = 60  # octets behind a copyright sign in which its owner stands
LEAST = 3  # letters of a name that is looked for
SHORT = 4  # letters of a name that may be something else within a text
MAX_PLACES = 10  # places looked at for a name of several words


@dataclass(frozen=True, slots=True)
class Named:
    """A brand named in a text: how often, whether at its head, whether as the owner of the text."""

    brand: Brand
    times: int
    head: bool
    owner: bool


@cache
def _letters() -> bytes:
    """Latin-1 octets to lower-case letters without accents; everything else to blanks."""
    octets = bytearray(b" " * 256)
    for code in range(256):
        plain = unicodedata.normalize("NFKD", chr(code))[0].lower()
        if plain.isascii() and plain.isalnum():
            octets[code] = ord(plain)
    return bytes(octets)


def _plain(text: str) -> str:
    """Compatibility forms and accents undone, invisible characters gone."""
    if text.isascii():
        return text
    return "".join([letter for letter in unicodedata.normalize("NFKD", invisible.strip(text)[0]) if not unicodedata.combining(letter)])


def _octets(text: str) -> bytes:
    """Letters and digits of Latin scripts in lower case, blanks for all others."""
    if not text.isascii():
        text = invisible.strip(text)[0]
    return text.encode("latin-1", "replace").translate(_letters())


Entry = tuple[tuple[bytes, ...], Needs, Brand]


@cache
def _index() -> tuple[dict[bytes, list[Entry]], tuple[tuple[str, Brand], ...]]:
    """Names of brands by their first word; and names in scripts without blanks."""
    index: dict[bytes, list[Entry]] = {}
    unspaced = []
    for brand in table():
        for name in brand.names:
            if any(letter > "\u02ff" and letter.isalpha() for letter in name.text):
                unspaced.append((name.text, brand))
                continue
            words = tuple(_octets(_plain(name.text)).split())
            if sum(map(len, words)) >= LEAST and not all(word.isdigit() for word in words):
                index.setdefault(words[0], []).append((words, name.needs, brand))
    return index, tuple(unspaced)


def brands_in(line: str) -> list[Brand]:
    """The brands named in a line, a subject or a display name. Names that are ordinary words count only beside words of a service."""
    words = _octets(_plain(line)).split()
    found = [brand for name, needs, brand, _ in _names(words) if needs is Needs.NOTHING or _alone(words, name)]
    return found + _in_script(line)


def _alone(words: Sequence[bytes], name: tuple[bytes, ...]) -> bool:
    """Whether the other words of a line are those of a service."""
    known = _service_words()
    rest = [word for word in words if word not in name]
    return all(word in known or word.isdigit() for word in rest)


@cache
def _service_words() -> frozenset[bytes]:
    return frozenset(word.encode() for word in service_words() if word.isascii())


def _in_script(text: str) -> list[Brand]:
    return [] if text.isascii() else [brand for name, brand in _index()[1] if name in text]


def _names(words: Sequence[bytes]) -> list[tuple[tuple[bytes, ...], Needs, Brand, int]]:
    """Names among words, with the number of the first word of each."""
    index, there = _index()[0], set(words)
    found = []
    for first in sorted(index.keys() & there):  # in an order that is the same in every process
        for name, needs, brand in index[first]:
            if len(name) > 1 and name[1] not in there:
                continue
            place = words.index(first)
            at = place if len(name) == 1 else _phrase(words, name, place)
            if at >= 0:
                found.append((name, needs, brand, at))
    return found


def _phrase(words: Sequence[bytes], name: tuple[bytes, ...], place: int) -> int:
    """Where the words of a name stand in a row, -1 nowhere. Looks at no more than MAX_PLACES places."""
    for _ in range(MAX_PLACES):
        if tuple(words[place : place + len(name)]) == name:
            return place
        try:
            place = words.index(name[0], place + 1)
        except ValueError:
            return -1
    return -1


def brands_of_text(text: str) -> list[Named]:
    """The brands a text names. One whose name is an ordinary word, or very short, has to own the text, or (if short) to open it and return."""
    text = text[:MAX_TEXT]
    octets = _octets(text)
    words = octets.split()
    found: dict[str, Named] = {}
    head = len(octets[:HEAD].split())
    for name, needs, brand, place in _names(words):
        joined = b" ".join(name)
        times, owner = octets.count(joined), _owner(text, octets, joined)
        if owner or (needs is Needs.NOTHING and (len(joined) > SHORT or (place < head and times >= OFTEN))):
            known = found.get(brand.name)
            if known is None or times > known.times:
                found[brand.name] = Named(brand, times, place < head, owner)
    for brand in _in_script(text):
        found.setdefault(brand.name, Named(brand, text.count(brand.names[0].text), False, False))
    return list(found.values())


def _owner(text: str, octets: bytes, name: bytes) -> bool:
    """Whether the name stands behind a copyright sign."""
    at = text.find("©")
    if at < 0:
        at = octets.find(b"copyright")
    return at >= 0 and name in octets[at : at + MARGIN]
