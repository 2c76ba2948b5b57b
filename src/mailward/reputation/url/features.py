"""What the model looks at in a host name and a path: pieces of text, marks of how they are built, and facts as numbers.

The same for training and rating.
"""

from __future__ import annotations

import re
from binascii import crc32
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import re2
from publicsuffixlist import PublicSuffixList

from mailward.message import domains
from mailward.reputation.knowledge import Known, brands, known, known_host

# One row of weights holds four blocks: pieces and marks of the host, pieces and marks of the path.
HOST_PIECES, HOST_MARKS, PATH_PIECES, PATH_MARKS = 1 << 19, 1 << 17, 1 << 17, 1 << 17
BLOCKS = (HOST_PIECES, HOST_MARKS, PATH_PIECES, PATH_MARKS)
SHORTEST, LONGEST = 2, 5  # octets of a piece
MAX_HOST, MAX_PATH, MAX_MARKED = 100, 80, 200  # octets cut into pieces, and of a path looked at at all; what follows is mostly a number
MAX_SEGMENTS, MAX_KEYS = 6, 6
BRAND_LETTERS = 5  # of a name that is looked for inside others; shorter ones are in too many words
WORD_LETTERS = 4

_HOST, _PATH = 0, 7  # set the pieces of hosts and of paths apart
_FACTOR, _MIX, _SHIFT, _MOST = 1099511628211, 0x9E3779B97F4A7C15, np.uint64(29), 4 * 100
_POWERS = np.array([pow(_FACTOR, n, 1 << 64) for n in range(_MOST + 1)], np.uint64)
_INVERSE = np.array([pow(_FACTOR, -n, 1 << 64) * _MIX % (1 << 64) for n in range(_MOST + 1)], np.uint64)
_WORDS = re.compile(r"[.-]")
_NO_LETTERS = re.compile(r"[^a-z]+")
_NAMES = Known.POPULAR | Known.BANK
_GENERIC = frozenset({"com", "net", "org"})
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KINDS = str.maketrans(dict.fromkeys(_LETTERS, "b") | dict.fromkeys("aeiouy", "a") | dict.fromkeys("0123456789", "0"))
_SHAPES = str.maketrans(dict.fromkeys(_LETTERS, "a") | dict.fromkeys("0123456789", "0"))
_CONSONANTS = re.compile(r"[b-df-hj-np-tv-xz]+")
_RUNS = re.compile(r"a+|0+|.")
_ENCODED = re.compile(r"[A-Za-z0-9+/]{12}={1,2}\Z")

Buckets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Name:
    """A host name: what its owner chose, and the suffix below which everybody can have names.

    `shared`: the suffix belongs to a company that gives names or space away (the private section of the public suffix list).
    """

    host: str
    chosen: str
    suffix: str
    shared: bool
    group: str  # names that are chosen alike: those of a company's customers ("shared"), and own domains by kind of suffix
    labels: list[str]  # of what was chosen; the last one is the main one
    digits: int  # of the main one
    vowels: int
    consonants: int  # in a row


@cache
def _official() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


@lru_cache(1 << 13)
def name_of(host: str) -> Name:
    """Split a host name (lower case, A-labels)."""
    suffix = domains.registrable(host).partition(".")[2]
    chosen = (host[: -len(suffix) - 1] if suffix else host)[-MAX_HOST:]
    labels, shared = chosen.split("."), _shared(suffix)
    main = labels[-1]
    kinds = main.translate(_KINDS)
    group = "shared" if shared else _group(suffix)
    return Name(
        host, chosen, suffix, shared, group, labels, kinds.count("0"), kinds.count("a"), max(map(len, _CONSONANTS.findall(main)), default=0)
    )


@lru_cache(1 << 12)
def _shared(suffix: str) -> bool:
    return bool(suffix) and _official().publicsuffix(f"x.{suffix}") != suffix


def _group(suffix: str) -> str:
    if suffix in _GENERIC:
        return suffix
    return "country" if len(suffix.rpartition(".")[2]) == 2 else "new"


def host_pieces(name: Name) -> Buckets:
    """Every run of a few octets of what the owner chose."""
    return _pieces(f".{name.chosen}.", _HOST, HOST_PIECES)


def path_pieces(path: str) -> Buckets:
    """The same of path and query; none for the front page."""
    return _pieces(path[:MAX_PATH], _PATH, PATH_PIECES)


def host_marks(name: Name, found: Brands) -> list[int]:
    """Suffix, words, brands and build of a name."""
    labels = name.labels
    main, group, kind = labels[-1], name.group, "shared" if name.shared else "own"
    size = len(main)
    marks = [
        f"{kind} dots {min(4, len(labels))}",
        f"{group} size {min(12, size // 2)}",
        f"{kind} all {min(8, len(name.chosen) // 6)}",
        f"{kind} hyphens {min(4, main.count('-'))}",
        f"{kind} digits {min(5, name.digits)}",
        f"{kind} consonants {min(7, name.consonants)}",
        f"{group} shape {_shape(main)}",
        f"{kind} below {_shape(labels[0]) if len(labels) > 1 else ''}",
        f"{group} vowels {5 * name.vowels // max(1, size)} {min(4, size // 4)}",
        f"suffix {name.suffix}",
        f"tld {name.suffix.rpartition('.')[2]}",
        f"suffix {name.suffix} size {min(5, size // 3)}",
        f"suffix {name.suffix} dots {min(3, len(labels))}",
        f"first {labels[0] if len(labels) > 1 else ''}",
    ]
    marks += [f"word {word}" for word in set(_NO_LETTERS.split(name.chosen)) if len(word) >= WORD_LETTERS]
    marks += [f"{kind} brand {place}" for place in found.places]
    return [crc32(mark.encode()) % HOST_MARKS for mark in marks]


def path_marks(path: str) -> list[int]:
    """Depth, ending, words, keys of the query and build of a path; none for the front page."""
    if not path:
        return []
    path = path[:MAX_MARKED].lower()
    place, _, query = path.partition("?")
    segments = [segment for segment in place.split("/") if segment]
    last = segments[-1] if segments else ""
    ending = last.rpartition(".")[2][:6] if "." in last else ""
    marks = [
        f"depth {min(6, len(segments))}",
        f"ending {ending}",
        f"query {min(4, query.count('=')) if query else -1}",
        f"size {min(8, len(path) // 10)}",
        f"folder {path.endswith('/')}",
        f"build {ending} {bool(query)} {min(3, len(segments))}",
        f"whole {'/'.join(segments)[:40]}",
    ]
    if "@" in path or "%40" in path or (path[-1:] == "=" and _ENCODED.search(path, len(path) - 14)):
        marks.append("address")
    marks += [f"segment {segment[:24]}" for segment in segments[:MAX_SEGMENTS]]
    marks += [f"shape {_shape(segment[:24])[:10]}" for segment in segments[:MAX_SEGMENTS]]
    marks += [f"key {pair.partition('=')[0][:16]}" for pair in query.split("&")[:MAX_KEYS]]
    return [crc32(mark.encode()) % PATH_MARKS for mark in marks]


@dataclass(frozen=True, slots=True)
class Brands:
    """Well-known names that stand in a host name: the first one, and where: as a word, below, inside a longer label, anywhere."""

    name: str
    places: tuple[str, ...]


def brands_in(name: Name) -> Brands:
    """None where the owner of the domain is well known."""
    labels = name.labels
    main = labels[-1]
    if not name.shared and known(f"{main}.{name.suffix}") & _NAMES:
        return Brands("", ())
    places = []
    first = ""
    for word in _WORDS.split(name.chosen):
        if len(word) >= BRAND_LETTERS and word != main and known(f"{word}.com") & _NAMES:
            first = first or word
            places = ["word", "below"] if word in labels[:-1] else ["word"]
    compact = main.replace("-", "")
    if anywhere := _well_known().search(name.chosen.replace("-", "")):
        within = _well_known().search(compact)
        if within and within[0] != compact:
            places.append("inside")
        places.append("anywhere")
        first = (within or anywhere)[0]
    return Brands(first, tuple(places))


FACTS = (
    "host pieces", "host marks", "path pieces", "path marks", "suffix", "suffix of phishing", "suffix of wanted",
    "shared", "country", "generic", "labels", "size", "whole size", "hyphens", "digits", "share of digits", "vowels", "consonants", "variety",
    "brand as word", "brand below", "brand inside", "brand", "path", "path size", "depth", "query", "ending", "folder",
    "hosting", "dynamic", "popular above", "size of first",
)  # fmt: skip
LEARNED = 7  # so many of them, the first, come out of training


PATH_FACTS = slice(FACTS.index("path"), FACTS.index("folder") + 1)


def facts(name: Name, path: str, found: Brands) -> list[float]:
    """The facts that need no training, in the order of FACTS after the LEARNED ones."""
    labels = name.labels
    main, group = labels[-1], name.group
    size = max(1, len(main))
    flags = known_host(name.host)
    return [
        name.shared, group == "country", group in _GENERIC,
        len(labels), len(main), len(name.chosen), main.count("-"), name.digits, name.digits / size,
        name.vowels / size, name.consonants, len(set(main)) / size,
        "word" in found.places, "below" in found.places, "inside" in found.places, bool(found.name),
        *path_facts(path),
        bool(flags & Known.HOSTING), bool(flags & Known.DYNAMIC), bool(flags & Known.POPULAR), len(labels[0]) if len(labels) > 1 else 0,
    ]  # fmt: skip


def path_facts(path: str) -> tuple[float, ...]:
    """Those that are PATH_FACTS of FACTS; all 0 for the front page."""
    place, _, query = path[:MAX_MARKED].partition("?")
    last = place.rstrip("/").rpartition("/")[2]
    size = min(MAX_MARKED, len(path))
    return bool(path), size, place.rstrip("/").count("/"), bool(query), "." in last, path.endswith("/")


@lru_cache(1 << 12)
def _shape(label: str) -> str:
    """Letters and digits as runs with their lengths: `ab-12` is `a2-1 02`."""
    return "".join(f"{run[0]}{min(9, len(run))}" for run in _RUNS.findall(label.translate(_SHAPES)))[:16]


@cache
def _well_known() -> re2._Regexp:
    names = {brand.name.replace(" ", "") for brand in brands()}
    return re2.compile("|".join(sorted(re.escape(name) for name in names if len(name) >= BRAND_LETTERS)))


def _pieces(text: str, salt: int, size: int) -> Buckets:
    """Every run of SHORTEST to LONGEST octets as a bucket: differences of prefix sums, the place taken out by its inverse power."""
    octets = np.frombuffer(text.encode("utf-8", "replace")[:_MOST], np.uint8)
    starts, ends, inverse = _runs(len(octets))
    sums = np.zeros(len(octets) + 1, np.uint64)
    np.add.accumulate((octets + np.uint64(1 + salt)) * _POWERS[: len(octets)], out=sums[1:])
    mixed = (sums.take(ends) - sums.take(starts)) * inverse
    return ((mixed ^ (mixed >> _SHIFT)) & np.uint64(size - 1)).view(np.int64)


@lru_cache(1 << 9)
def _runs(count: int) -> tuple[Buckets, Buckets, npt.NDArray[np.uint64]]:
    """Where all runs in so many octets begin and end, and what a run's sum is multiplied by."""
    places = [(start, start + length) for length in range(SHORTEST, LONGEST + 1) for start in range(count - length + 1)]
    starts, ends = np.array(places, np.int64).reshape(-1, 2).T
    return starts.copy(), ends.copy(), _INVERSE[starts]
