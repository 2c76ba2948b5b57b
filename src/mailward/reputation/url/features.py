"""What the model looks at in a host name and a path: pieces of text, hashed into buckets. The same for training and rating."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from publicsuffixlist import PublicSuffixList

from mailward.message import domains
from mailward.reputation.knowledge import Known, brands, known

BUCKETS = 1 << 18
SHORTEST, LONGEST = 2, 5  # octets of a piece
MAX_HOST, MAX_PATH = 100, 80  # octets looked at; what follows in a path is mostly a number
BRAND_LETTERS = 5  # of a name that is looked for inside others; shorter ones are in too many words

_HOST, _PATH = 0, 7  # set the pieces of hosts and of paths apart
_FACTOR, _MIX = np.uint64(1099511628211), np.uint64(0x9E3779B97F4A7C15)
_SHIFT, _MASK = np.uint64(29), np.uint64(BUCKETS - 1)
_WORDS = re.compile(r"[.-]")
_NAMES = Known.POPULAR | Known.BANK

Buckets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Name:
    """A host name: what its owner chose, and the suffix below which everybody can have names.

    `shared`: the suffix belongs to a company that gives names or space away (the private section of the public suffix list).
    """

    chosen: str
    suffix: str
    shared: bool


@cache
def _official() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


@lru_cache(1 << 13)
def name_of(host: str) -> Name:
    """Split a host name (lower case, A-labels)."""
    suffix = domains.registrable(host).partition(".")[2]
    return Name(host[: -len(suffix) - 1] if suffix else host, suffix, _shared(suffix))


@lru_cache(1 << 12)
def _shared(suffix: str) -> bool:
    return bool(suffix) and _official().publicsuffix(f"x.{suffix}") != suffix


def host_buckets(name: Name) -> Buckets:
    """Pieces of the chosen part, the official suffix, the build of the name, and brands that stand in it."""
    marks = [_bucket(mark) for mark in _marks(name)]
    return np.unique(np.concatenate([_pieces(f".{name.chosen[-MAX_HOST:]}.", _HOST), np.array(marks, np.int64)]))


def path_buckets(path: str) -> Buckets:
    """Pieces of path and query; none for the front page."""
    return np.unique(_pieces(path[:MAX_PATH], _PATH)) if path not in ("", "/") else np.empty(0, np.int64)


def _marks(name: Name) -> list[str]:
    labels, kind = name.chosen.split("."), "shared " if name.shared else ""
    marks = [
        f"{kind}dots {min(3, len(labels))}",
        f"{kind}length {min(6, len(name.chosen) // 6)}",
        f"{kind}hyphens {min(4, name.chosen.count('-'))}",
        f"{kind}digits {min(4, sum(letter.isdigit() for letter in name.chosen) // 2)}",
    ]
    if not name.shared:
        marks.append(f"suffix {name.suffix}")
    return marks + [f"{kind}brand {place}" for place in _brands(name, labels)]


def _brands(name: Name, labels: list[str]) -> list[str]:
    """Where names of well-known sites stand: as a word, as a label below, inside a longer label."""
    main = labels[-1]
    if not name.shared and known(f"{main}.{name.suffix}") & _NAMES:
        return []
    places = []
    if any(len(word) >= BRAND_LETTERS and known(f"{word}.com") & _NAMES for word in _WORDS.split(name.chosen) if word != main):
        places.append("word")
    if any(len(label) >= BRAND_LETTERS and known(f"{label}.com") & _NAMES for label in labels[:-1]):
        places.append("below")
    whole, compact = name.chosen.replace("-", ""), main.replace("-", "")
    there = [brand for brand in _well_known() if brand in whole]
    if any(brand in compact and brand != compact for brand in there):
        places.append("inside")
    return [*places, "anywhere"] if there else places


@cache
def _well_known() -> tuple[str, ...]:
    names = {brand.name.replace(" ", "") for brand in brands()}
    return tuple(sorted(name for name in names if len(name) >= BRAND_LETTERS))


@lru_cache(1 << 12)
def _bucket(mark: str) -> int:
    return int.from_bytes(hashlib.blake2b(mark.encode(), digest_size=4).digest(), "big") % BUCKETS


def _pieces(text: str, salt: int) -> Buckets:
    """Every run of SHORTEST to LONGEST octets as a bucket, by hashes that grow by one octet a turn."""
    octets = np.frombuffer(text.encode("utf-8", "replace"), np.uint8).astype(np.uint64) + np.uint64(1 + salt)
    found = []
    hashes = np.zeros(len(octets), np.uint64)
    for length in range(1, min(LONGEST, len(octets)) + 1):
        hashes = hashes[: len(octets) - length + 1] * _FACTOR + octets[length - 1 :]
        if length >= SHORTEST:
            found.append(hashes)
    if not found:
        return np.empty(0, np.int64)
    mixed = np.concatenate(found) * _MIX
    return ((mixed ^ (mixed >> _SHIFT)) & _MASK).astype(np.int64)
