"""Boosted trees of one depth, as arrays: all of them are walked at once, one level a turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DEPTH = 3
INNER, LEAVES = (1 << DEPTH) - 1, 1 << DEPTH


@dataclass(frozen=True, slots=True)
class Trees:
    """Inner nodes in heap order, one tree after the other: at or below the limit goes left. A leaf's value is added to the score."""

    base: float
    features: npt.NDArray[np.int64]  # trees x INNER
    limits: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]  # trees x LEAVES
    inner: npt.NDArray[np.int64]  # where each tree's inner nodes and leaves begin, flat
    leaves: npt.NDArray[np.int64]

    @classmethod
    def of(cls, base: float, features: npt.NDArray[np.int16], limits: npt.NDArray[np.float32], values: npt.NDArray[np.float32]) -> Trees:
        if features.shape[1:] != (INNER,) or limits.shape != features.shape or values.shape != (len(features), LEAVES):
            raise ValueError("these trees do not belong to this version")
        count = np.arange(len(features))
        return cls(base, features.ravel().astype(np.int64), limits.ravel(), values.ravel(), count * INNER, count * LEAVES)

    def score(self, facts: npt.NDArray[np.float32]) -> float:
        over = facts.take(self.features) > self.limits  # every node of every tree at once is cheaper than a level at a time
        at = over.take(self.inner).astype(np.int64)
        for level in range(1, DEPTH):
            at = 2 * at + over.take(self.inner + ((1 << level) - 1) + at)
        return self.base + float(np.add.reduce(self.values.take(self.leaves + at), dtype=np.float64))

    def scores(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Of many rows of facts."""
        return np.array([self.score(row) for row in rows])
