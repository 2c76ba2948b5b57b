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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from mailward.content.lookalikes import folded

BITS = 20
BUCKETS = 1 << BITS
MAX_CHARS = 6_000  # judged of one text: the first 4,500 and the last 1,500; filler cannot push the message out of sight
HEAD = 4_500
MAX_TOKENS = 6_000  # of all places together

Hashes = npt.NDArray[np.uint32]
_U64 = npt.NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15 | 1  # odd, so it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)
_PAIR = np.uint64(0xC2B2AE3D27D4EB4F)
_GRAM = np.uint64(0x165667B19E3779F9)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_SEVEN = np.uint64(7)  # so that no character weighs nothing

_STACKED = re.compile(
    r"(?<=[a-z])[\u0300-\u036f\u0483-\u0489\u0730-\u074a\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)  # marks no language puts there

SPACE, LETTER, DIGIT, SINGLE, MARK = 0, 1, 2, 3, 4


def _powers(size: int) -> tuple[_U64, _U64]:
    """Powers of the base and of its inverse: a prefix sum of c*base^i gives the hash of any span in O(1). Made longer when needed."""
    if _table[0].size < size + 1:
        length = max(2 * size, MAX_CHARS)
        with np.errstate(over="ignore"):
            for index, base in enumerate((_BASE, _INVERSE)):
                _table[index] = np.cumprod(np.append(np.ones(1, np.uint64), np.full(length, base, np.uint64)), dtype=np.uint64)
    return _table[0], _table[1]


_table: list[_U64] = [np.zeros(0, np.uint64), np.zeros(0, np.uint64)]


@cache
def _tables() -> tuple[npt.NDArray[np.uint8], _U64]:
    """The class and the hash value of every code point of the basic plane. All digits have one value."""
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
    values = np.arange(0x10000, dtype=np.uint64) + _SEVEN
    values[table == DIGIT] = 48 + 7
    return table, values


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
    """The hashed features of several texts, place after place.

    `keys` are distinct and sorted: the place's number above the bucket. `bounds[i]:bounds[i + 1]` are the keys of place i.
    `words` are the buckets of the single tokens, `starts` and `ends` their positions in `text`, `word_bounds` where the words of
    each place begin; they serve explanations.
    """

    text: str
    words: Hashes
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    word_bounds: tuple[int, ...]
    keys: Hashes
    bounds: tuple[int, ...]

    @property
    def features(self) -> Hashes:
        """The buckets of all places."""
        return self.keys & _BUCKET_MASK

    def of(self, *places: int) -> Hashes:
        """The buckets of some places."""
        return np.concatenate([self.keys[self.bounds[place] : self.bounds[place + 1]] for place in places]) & _BUCKET_MASK


_BUCKET_MASK = np.uint32(BUCKETS - 1)


def _characters(text: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8], _U64]:
    """Codes, classes and hash values of the characters of a text."""
    classes, weights = _tables()
    if text.isascii():
        narrow = np.frombuffer(text.encode("ascii"), np.uint8)
        return narrow, classes[narrow], weights[narrow]
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    low = np.minimum(codes, 0xFFFF)
    kinds, values = classes[low], weights[low]
    high = codes > 0xFFFF
    if high.any():  # emoji and rare scripts: a token each
        kinds[high] = SINGLE
        values[high] = codes[high].astype(np.uint64) + _SEVEN
    return codes, kinds, values


def tokenise(texts: Sequence[str], first_salt: int = 1) -> Tokens:
    """Hash texts of different places. The salts, counted up from `first_salt`, keep the features of the places apart."""
    folded = [fold(text) for text in texts]
    whole = "".join(folded)
    offsets = [0, *accumulate(map(len, folded))]
    codes, kinds, values = _characters(whole)
    change = np.empty(codes.size, bool)
    change[:1] = True
    np.not_equal(kinds[1:], kinds[:-1], out=change[1:])
    change |= kinds >= SINGLE
    change[[offset for offset in offsets[:-1] if offset < codes.size]] = True
    starts = np.flatnonzero(change)
    ends = np.append(starts[1:], codes.size)
    used = kinds[starts] != SPACE
    starts, ends = starts[used][:MAX_TOKENS], ends[used][:MAX_TOKENS]
    word_bounds = np.searchsorted(starts, offsets)
    up, down = _powers(codes.size)
    prefix = np.zeros(codes.size + 1, np.uint64)
    np.cumsum(values * up[: codes.size], out=prefix[1:])
    words = (prefix[ends] - prefix[starts]) * down[starts]
    buckets = np.zeros(words.size, np.uint32)
    pieces = []
    for place, (low, high, first, last) in enumerate(zip(offsets, offsets[1:], word_bounds, word_bounds[1:], strict=False)):
        if low == high:
            continue
        salt = first_salt + place
        own = words[first:last] + np.uint64(salt * int(_MIX) % (1 << 64))
        grams = (prefix[low + 5 : high + 1] - prefix[low : max(high - 4, low)]) * down[low : max(high - 4, low)] * _GRAM + np.uint64(salt)
        piece = _bucket(np.concatenate((own, own[:-1] * _PAIR + own[1:], grams)))
        buckets[first:last] = piece[: last - first]
        pieces.append(piece | np.uint32(place << BITS))
    keys = _distinct(np.concatenate(pieces)) if pieces else np.zeros(0, np.uint32)
    bounds = np.searchsorted(keys, np.arange(len(texts) + 1, dtype=np.uint32) << np.uint32(BITS))
    return Tokens(whole, buckets, starts, ends, tuple(word_bounds.tolist()), keys, tuple(bounds.tolist()))


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
