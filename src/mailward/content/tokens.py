"""Text to hashed tokens in a handful of numpy calls a text, whatever its length.

A token is a run of letters or a run of digits of one script-less class; every CJK character is a token of its own, so that languages without spaces need
no dictionary. Features of a text are its tokens, its pairs of neighbouring tokens and its character 5-grams across them, each hashed
into one of `BUCKETS` buckets and counted once (presence, not frequency, so repeating a word moves nothing).
Obfuscation is undone first: compatibility forms (bold, circled, full-width letters), combining marks, look-alikes of Latin letters
inside Latin words, digits to one digit.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from mailward.content.lookalikes import folded

BITS = 20
BUCKETS = 1 << BITS
MAX_CHARS = 20_000  # judged of one text: the first 14,000 and the last 6,000; filler cannot push the message out of sight
HEAD = 14_000
MAX_TOKENS = 4_000

Hashes = npt.NDArray[np.uint32]
_U64 = npt.NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15 | 1  # odd, so it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)
_PAIR = np.uint64(0xC2B2AE3D27D4EB4F)
_GRAM = np.uint64(0x165667B19E3779F9)
_MIX = np.uint64(0xFF51AFD7ED558CCD)

_STACKED = re.compile(
    r"(?<=[a-z])[\u0300-\u036f\u0483-\u0489\u0730-\u074a\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)  # marks no language puts there

SPACE, LETTER, DIGIT, SINGLE, MARK = 0, 1, 2, 3, 4


@cache
def _powers() -> tuple[_U64, _U64]:
    """Powers of the base and of its inverse: a prefix sum of c*base^i gives the hash of any span in O(1)."""
    size = MAX_CHARS + 2
    with np.errstate(over="ignore"):
        up = np.cumprod(np.append(np.ones(1, np.uint64), np.full(size - 1, _BASE, np.uint64)), dtype=np.uint64)
        down = np.cumprod(np.append(np.ones(1, np.uint64), np.full(size - 1, _INVERSE, np.uint64)), dtype=np.uint64)
    return up, down


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """The class of every code point of the basic plane."""
    table = np.zeros(0x10000, np.uint8)
    for code in range(0x10000):
        char = chr(code)
        category = unicodedata.category(char)
        if (
            0x2E80 <= code <= 0x31FF
            or 0x3400 <= code <= 0x9FFF
            or 0xF900 <= code <= 0xFAFF
            or 0x0E00 <= code <= 0x0EFF
            or 0x1000 <= code <= 0x109F
        ):
            table[code] = SINGLE if category[0] in "LNM" else SPACE
        elif category[0] == "L" or category[0] == "M" or char in "'’":
            table[code] = LETTER
        elif category[0] == "N":
            table[code] = DIGIT
        elif char in "$€£¥%!?@#":
            table[code] = MARK
    return table


def fold(text: str) -> str:
    """Lower case, compatibility forms and look-alikes undone, at most MAX_CHARS characters."""
    if len(text) > MAX_CHARS:
        text = text[:HEAD] + " " + text[-(MAX_CHARS - HEAD - 1) :]
    if text.isascii():
        return text.lower()
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return _STACKED.sub("", folded(text.lower()))[:MAX_CHARS]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The hashed features of one text. `spans` are the character positions of the tokens in `text`, for explanations."""

    text: str
    words: Hashes
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    features: Hashes  # unique buckets of words, pairs and grams


_EMPTY = np.zeros(0, np.uint32)
_NO_SPANS = np.zeros(0, np.int64)


def tokenise(text: str, salt: int) -> Tokens:
    """Hash one text. `salt` keeps the features of different places (subject, body, ...) apart."""
    text = fold(text)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    if not codes.size:
        return Tokens(text, _EMPTY, _NO_SPANS, _NO_SPANS, _EMPTY)
    kinds = _classes()[np.minimum(codes, 0xFFFF)]
    kinds[codes > 0xFFFF] = SINGLE  # emoji and rare scripts: a token each
    values = codes.astype(np.uint64)
    values[kinds == DIGIT] = 48
    change = np.empty(codes.size, bool)
    change[0] = True
    np.not_equal(kinds[1:], kinds[:-1], out=change[1:])
    change |= kinds >= SINGLE
    starts = np.flatnonzero(change)
    ends = np.append(starts[1:], codes.size)
    used = kinds[starts] != SPACE
    starts, ends = starts[used][:MAX_TOKENS], ends[used][:MAX_TOKENS]
    with np.errstate(over="ignore"):
        up, down = _powers()
        prefix = np.empty(codes.size + 1, np.uint64)
        prefix[0] = 0
        np.cumsum((values + np.uint64(7)) * up[: codes.size], out=prefix[1:])
        words = (prefix[ends] - prefix[starts]) * down[starts] + np.uint64(salt) * _MIX
        pairs = words[:-1] * _PAIR + words[1:]
        grams = (prefix[5:] - prefix[:-5]) * down[: max(codes.size - 4, 0)] * _GRAM + np.uint64(salt) if codes.size >= 5 else prefix[:0]
        features = np.concatenate((_bucket(words), _bucket(pairs), _bucket(grams)))
    return Tokens(text, _bucket(words), starts, ends, _distinct(features))


def _bucket(hashes: _U64) -> Hashes:
    mixed = (hashes ^ (hashes >> np.uint64(33))) * _MIX
    return (mixed >> np.uint64(64 - BITS)).astype(np.uint32)


def _distinct(hashes: Hashes) -> Hashes:
    """Sorted and without repeats; `np.unique` costs five times as much here."""
    ordered = np.sort(hashes)
    keep = np.empty(ordered.size, bool)
    keep[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]
