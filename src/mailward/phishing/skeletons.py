"""What a text looks like: characters that pass for others become one (Unicode TS 39), for comparing, never for showing."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from mailward.phishing.packaged import DATA

_ASCII = str.maketrans("01|!i35$", "olllless")
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


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
    """Lower-case text with look-alikes of Latin letters replaced, accents dropped."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", text).translate(_confusables()).lower()
    return "".join([letter for letter in text if not unicodedata.combining(letter)])


def skeleton(text: str) -> str:
    """The form in which texts that look alike are the same. Linear in its length."""
    return latin(text).translate(_ASCII).replace("rn", "m").replace("vv", "w")


def words(text: str) -> list[str]:
    """The words of a text, split at changes from lower to upper case too, accents and look-alikes gone but not the case."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).translate(_confusables())
        text = "".join([letter for letter in text if not unicodedata.combining(letter)])
    return [piece for word in _WORD.findall(text) for piece in _CAMEL.split(word)]


def compact(text: str) -> str:
    """Its words in lower case, joined."""
    return "".join(words(text)).lower()
