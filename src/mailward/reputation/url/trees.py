"""Boosted trees of one depth, as arrays: every node of every tree is asked at once, and the answers of a tree are the place of its value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DEPTH = 3
INNER, LEAVES = (1 << DEPTH) - 1, 1 << DEPTH
_ANSWERS = 8  # of a tree, in one octet: its inner nodes, and one that is never over its limit


@dataclass(frozen=True, slots=True)
class Trees:
    """Inner nodes in heap order, one tree after the other: at or below the limit goes left. A leaf's value is added to the score."""

    base: float
    features: npt.NDArray[np.int64]  # trees x INNER
    limits: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]  # trees x LEAVES
    asked: npt.NDArray[np.int64]  # features and limits, flat, _ANSWERS a tree
    bounds: npt.NDArray[np.float32]
    answers: npt.NDArray[np.float32]  # flat: the value for each of the 256 octets a tree can answer
    starts: npt.NDArray[np.int64]  # where a tree's answers begin

    @classmethod
    def of(cls, base: float, features: npt.NDArray[np.int16], limits: npt.NDArray[np.float32], values: npt.NDArray[np.float32]) -> Trees:
        """Raises ValueError for arrays of another build."""
        if features.shape[1:] != (INNER,) or limits.shape != features.shape or values.shape != (len(features), LEAVES):
            raise ValueError("these trees do not belong to this version")
        wide = features.astype(np.int64)
        asked = np.pad(wide, ((0, 0), (0, _ANSWERS - INNER)))
        bounds = np.pad(limits, ((0, 0), (0, _ANSWERS - INNER)), constant_values=np.inf)
        return cls(base, wide, limits, values, asked.ravel(), bounds.ravel(), values[:, _leaves()].ravel(), np.arange(len(features)) << 8)

    def score(self, facts: npt.NDArray[np.float32]) -> float:
        answers = np.packbits(facts.take(self.asked) > self.bounds)
        return self.base + float(np.add.reduce(self.answers.take(self.starts + answers), dtype=np.float64))

    def scores(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Of many rows of facts."""
        return np.array([self.score(row) for row in rows])


def _leaves() -> npt.NDArray[np.int64]:
    """The leaf that each octet of answers leads to; the first node is the highest bit."""
    over = (np.arange(256)[:, None] >> np.arange(7, -1, -1)) & 1
    node = np.zeros(256, np.int64)
    for _ in range(DEPTH):
        node = 2 * node + 1 + over[np.arange(256), node]
    return node - INNER
