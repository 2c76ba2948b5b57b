"""The model for names nobody has seen: how much a host and a path look like those of phishing pages. Made by learning/urls.py.

Four linear models, of pieces and marks of host and path, and what training saw of the suffix come, with plain facts, into boosted trees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from math import sqrt
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.reputation.knowledge import DATA
from mailward.reputation.url.features import (
    BLOCKS,
    FACTS,
    PATH_FACTS,
    Brands,
    Buckets,
    Name,
    brands_in,
    facts,
    host_marks,
    host_pieces,
    name_of,
    path_facts,
    path_marks,
    path_pieces,
)
from mailward.reputation.url.trees import Trees

FOLDER = "url"
STARTS = (0, BLOCKS[0], sum(BLOCKS[:2]), sum(BLOCKS[:3]))
MARK = 0.3  # what one mark weighs beside the pieces, whose lengths sum to one
MOST_REASONS = 3
HOSTS = 1 << 14  # remembered, with what was seen of them: some 1 kB each
_PATH_LEARNED = slice(FACTS.index("path pieces"), FACTS.index("path marks") + 1)
_TEXT, _BUILD, _PLACE, _PATH = (FACTS.index(name) for name in ("host pieces", "host marks", "suffix", "path marks"))
_DIGITS, _CONSONANTS = (FACTS.index(name) for name in ("digits", "consonants"))


class Settings(msgspec.Struct, frozen=True):
    """What training decides besides weights and trees."""

    name: str
    host_bias: float
    path_bias: float
    base: float  # of the trees
    suffixes: dict[str, tuple[float, float, float]]  # evidence, and how many of 10,000 phishing and wanted hosts it has (logarithms)
    stranger: tuple[float, float, float]  # of a suffix training never met
    dangerous: float  # scores from which on a rating is given
    highly_suspicious: float
    suspicious: float


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one URL, and how much it is like phishing."""

    name: Name
    brands: Brands
    facts: npt.NDArray[np.float32]
    score: float


@dataclass(frozen=True, slots=True)
class _Host:
    """What was seen of a host, whatever the path: the facts with those of the path left at 0."""

    name: Name
    brands: Brands
    facts: npt.NDArray[np.float32]


class UrlModel:
    """Weights, half precision, memory-mapped, and trees. Read-only but for remembering the hosts looked at last."""

    def __init__(self, settings: Settings, weights: npt.NDArray[np.float16], trees: Trees) -> None:
        self.settings = settings
        self.weights = weights
        self.trees = trees
        self._host = lru_cache(HOSTS)(self._look_at)

    def look(self, host: str, path: str) -> Look:
        """How much it looks like phishing; what that means is in the settings. A front page has no path."""
        seen = self._host(host)
        found = seen.facts
        if path and path != "/":
            found = found.copy()
            sums = self._sums(path_pieces(path), path_marks(path), STARTS[2], STARTS[3])
            found[_PATH_LEARNED] = sums[0] + self.settings.path_bias, sums[1]
            found[PATH_FACTS] = path_facts(path)
        return Look(seen.name, seen.brands, found, self.trees.score(found))

    def _look_at(self, host: str) -> _Host:
        settings, name = self.settings, name_of(host)
        brands = brands_in(name)
        pieces, marks = self._sums(host_pieces(name), host_marks(name, brands), STARTS[0], STARTS[1])
        suffix = settings.suffixes.get(name.suffix, settings.stranger)
        seen = np.array([pieces + settings.host_bias, marks, 0.0, 0.0, *suffix, *facts(name, "", brands)], np.float32)
        seen.flags.writeable = False
        return _Host(name, brands, seen)

    def _sums(self, pieces: Buckets, marks: list[int], pieces_start: int, marks_start: int) -> tuple[float, float]:
        """What the linear models say: the weights of pieces by the root of their count, those of marks by MARK."""
        at = np.array(marks, np.int64)
        at += marks_start
        total = float(np.add.reduce(self.weights.take(pieces + pieces_start), dtype=np.float64))
        return total / sqrt(len(pieces) or 1), MARK * float(np.add.reduce(self.weights.take(at), dtype=np.float64))


def reasons(look: Look) -> Iterator[str]:
    """What is most telling, in words, the strongest first; at least one."""
    name, seen = look.name, look.facts
    count = 0
    for holds, words in (
        (bool(look.brands.name), f"its name holds “{look.brands.name}”, on a domain that is somebody else's"),
        (seen[_PLACE] > 1 and name.shared, f"{name.suffix} gives pages or names to anybody and is often abused"),
        (seen[_PLACE] > 1 and not name.shared, f"names under .{name.suffix} are far more common in phishing than in wanted mail"),
        (seen[_PATH] > 1, "its path is one that phishing pages use"),
        (seen[_TEXT] > 0, "its name is spelled like names of phishing sites"),
        (seen[_DIGITS] >= 3, "its name is full of digits"),
        (seen[_CONSONANTS] >= 5, "its name cannot be pronounced"),
        (seen[_BUILD] > 0, "its name is built like names of phishing sites"),
    ):
        if holds:
            yield words
            count += 1
            if count == MOST_REASONS:
                return
    if not count:
        yield "name and path together look like those of phishing pages"


@cache
def load(folder: Path | None = None) -> UrlModel:
    """The packaged model, or one from a folder. Raises OSError, ValueError or msgspec.MsgspecError where it cannot be read."""
    folder = folder or Path(str(DATA / FOLDER))
    weights = np.load(folder / "weights.npy", mmap_mode="r").view(np.ndarray)  # still mapped; np.memmap itself makes each step dearer
    if weights.shape != (sum(BLOCKS),):
        raise ValueError(f"{folder / 'weights.npy'} does not belong to this version")
    settings = msgspec.json.decode((folder / "settings.json").read_bytes(), type=Settings)
    nodes = [np.load(folder / f"tree_{part}.npy") for part in ("features", "limits", "values")]
    return UrlModel(settings, weights, Trees.of(settings.base, *nodes))
