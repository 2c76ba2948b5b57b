"""What a text looks like: characters that pass for others become one (Unicode TS 39), for comparing, never for showing.

Everything is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from mailward.phishing.packaged import DATA

_ALIKE = str.maketrans("01|!i35$", "olllless")
_ROUGHLY = str.maketrans("0123456789bcdefghijklmnopqrstuvwxyz", "olzcasdtdqdcdcfqhllklnnopqnstuuuxyz")
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_DROPPED = frozenset({"Mn", "Me", "Cf"})  # accents, variation selectors, zero-width characters


@cache
def _confusables() -> dict[int, str]:
    """Characters that pass for Latin letters or digits, with those."""
    table: dict[int, str] = {}
    for line in (DATA / "confusables.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            letter, _, characters = line.partition(" ")
            table |= {ord(character): letter for character in characters}
    return table


def latin(text: str) -> str:
    """The text with look-alikes of Latin letters as those, accents and what cannot be seen dropped; the case stays where a letter has one."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text).translate(_confusables())
    return text if text.isascii() else "".join([letter for letter in text if unicodedata.category(letter) not in _DROPPED])


def skeleton(text: str) -> str:
    """Texts that a reader takes for one another have the same (i, l and 1; o and 0; rn and m; vv and w)."""
    return latin(text).lower().replace("rn", "m").replace("vv", "w").replace("cl", "d").translate(_ALIKE)


def rough(text: str) -> str:
    """As `skeleton` with more letters alike (b and d, c and e, g and q, m, n and r, u, v and w): for long names only."""
    joined = latin(text).lower().replace("cl", "d").replace("lc", "k").replace("lb", "b").replace("lh", "h")
    return joined.translate(_ROUGHLY).replace("nnn", "n").replace("nn", "n").replace("uu", "u")


def words(text: str) -> list[str]:
    """The words of a text as `latin`, split at changes from lower to upper case too."""
    return [piece for word in _WORD.findall(latin(text)) for piece in _CAMEL.split(word)]


def compact(text: str) -> str:
    """Its words in lower case, joined."""
    return "".join(_WORD.findall(latin(text))).lower()
