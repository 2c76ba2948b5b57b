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
from functools import cache
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.content.lookalikes import folded

BITS = 20
BUCKETS = 1 << BITS
GRAM = 5  # characters of a run that is hashed wherever it begins
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


def _powers(size: int) -> tuple[_U64, _U64, _U64]:
    """Powers of the base, of its inverse, and these times _GRAM: a prefix sum of c*base^i gives the hash of any span in O(1). Made longer when needed."""
    if _table[0].size < size + 1:
        length = max(2 * size, MAX_CHARS)
        with np.errstate(over="ignore"):
            for index, base in enumerate((_BASE, _INVERSE)):
                _table[index] = np.cumprod(np.append(np.ones(1, np.uint64), np.full(length, base, np.uint64)), dtype=np.uint64)
            _table[2] = _table[1] * _GRAM
    return _table[0], _table[1], _table[2]


_table: list[_U64] = [np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.uint64)]


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


class Tokens(msgspec.Struct, frozen=True):
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


@cache
def _ascii_tables() -> tuple[bytes, bytes]:
    """The same for the characters of ASCII, to be applied in one go."""
    classes, weights = _tables()
    return classes[:256].tobytes(), weights[:256].astype(np.uint8).tobytes()


def _characters(text: str) -> tuple[int, npt.NDArray[np.uint8], npt.NDArray[Any]]:
    """How many characters there are, their classes and their hash values."""
    if text.isascii():
        data = text.encode("ascii")
        kinds, weights = _ascii_tables()
        return len(data), np.frombuffer(data.translate(kinds), np.uint8), np.frombuffer(data.translate(weights), np.uint8)
    classes, values = _tables()
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    low = np.minimum(codes, 0xFFFF)
    found, hashed = classes.take(low), values.take(low)
    high = codes > 0xFFFF
    if high.any():  # emoji and rare scripts: a token each
        found[high] = SINGLE
        hashed[high] = codes[high].astype(np.uint64) + _SEVEN
    return codes.size, found, hashed


def tokenise(texts: Sequence[str], first_salt: int = 1) -> Tokens:
    """Hash texts of different places. The salts, counted up from `first_salt`, keep the features of the places apart."""
    folded = [fold(text) for text in texts]
    whole = "".join(folded)
    offsets = [0, *accumulate(map(len, folded))]
    size, kinds, values = _characters(whole)
    change = np.empty(size, bool)
    change[:1] = True
    np.not_equal(kinds[1:], kinds[:-1], out=change[1:])
    change |= kinds >= SINGLE
    change[[offset for offset in offsets[:-1] if offset < size]] = True
    starts = change.nonzero()[0]
    ends = np.empty_like(starts)
    ends[:-1] = starts[1:]
    ends[-1:] = size
    used = kinds.take(starts) != SPACE
    starts, ends = starts[used][:MAX_TOKENS], ends[used][:MAX_TOKENS]
    word_bounds = starts.searchsorted(offsets).tolist()
    up, down, down_gram = _powers(size)
    prefix = np.empty(size + 1, np.uint64)
    prefix[0] = 0
    np.add.accumulate(up[:size] * values, out=prefix[1:])
    words = prefix.take(ends)
    words -= prefix.take(starts)
    words *= down.take(starts)
    hashes = np.empty(2 * words.size + size, np.uint64)
    buckets = np.zeros(words.size, np.uint32)
    spans, at = [], 0
    for place, (low, high, first, last) in enumerate(zip(offsets, offsets[1:], word_bounds, word_bounds[1:], strict=False)):
        begun, salt = at, first_salt + place
        own = hashes[at : at + last - first]
        np.add(words[first:last], np.uint64(salt * int(_MIX) % (1 << 64)), out=own)
        at += own.size
        if own.size > 1:
            pairs = hashes[at : at + own.size - 1]
            np.multiply(own[:-1], _PAIR, out=pairs)
            pairs += own[1:]
            at += pairs.size
        if high - low >= GRAM:
            grams = hashes[at : at + high - low - GRAM + 1]
            np.subtract(prefix[low + GRAM : high + 1], prefix[low : high - GRAM + 1], out=grams)
            grams *= down_gram[low : high - GRAM + 1]
            grams += np.uint64(salt)
            at += grams.size
        spans.append((begun, at, first, last))
    found = _bucket(hashes[:at])
    for place, (begun, end, first, last) in enumerate(spans):
        buckets[first:last] = found[begun : begun + last - first]
        found[begun:end] |= np.uint32(place << BITS)
    keys = _distinct(found)
    bounds = keys.searchsorted(np.arange(len(texts) + 1, dtype=np.uint32) << np.uint32(BITS))
    return Tokens(whole, buckets, starts, ends, tuple(word_bounds), keys, tuple(bounds.tolist()))


def _bucket(hashes: _U64) -> Hashes:
    """Mix hashes, in place, into the numbers of buckets."""
    hashes ^= hashes >> np.uint64(33)
    hashes *= _MIX
    hashes >>= np.uint64(64 - BITS)
    return hashes.astype(np.uint32)


def _distinct(hashes: Hashes) -> Hashes:
    """Without repeats, sorted in place; `np.unique` costs five times as much here."""
    hashes.sort()
    keep = np.empty(hashes.size, bool)
    keep[:1] = True
    np.not_equal(hashes[1:], hashes[:-1], out=keep[1:])
    return hashes[keep]
