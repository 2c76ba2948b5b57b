"""The figures of measures.md: areas, recall at fixed false-positive rates, shares with their intervals."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
Z95 = 1.959964


def auc(bad: Scores, ham: Scores) -> float:
    """Area under the ROC curve by ranks, ties counted half (Mann-Whitney)."""
    if not bad.size or not ham.size:
        return math.nan
    both = np.concatenate((bad, ham))
    order = np.sort(both)
    ranks = (np.searchsorted(order, both, "left") + np.searchsorted(order, both, "right") + 1) / 2
    return float((ranks[: bad.size].sum() - bad.size * (bad.size + 1) / 2) / (bad.size * ham.size))


def recall_at(bad: Scores, ham: Scores, rate: float) -> float:
    """The highest recall of any threshold at which at most `rate` of the ham is caught."""
    if not bad.size or not ham.size:
        return math.nan
    worst = np.sort(ham)[::-1]
    allowed = int(rate * ham.size + 1e-9)
    limit = worst[allowed] if allowed < ham.size else -math.inf
    return float((bad > limit).mean())


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    if not of:
        return 0.0, 1.0
    share = count / of
    centre = share + Z95**2 / (2 * of)
    spread = Z95 * math.sqrt(share * (1 - share) / of + Z95**2 / (4 * of**2))
    whole = 1 + Z95**2 / of
    return max(0.0, (centre - spread) / whole), min(1.0, (centre + spread) / whole)


def lam(false_alarms: int, ham: int, misses: int, bad: int) -> float:
    """Logistic average misclassification (TREC), counts smoothed as (k + 0.5) / (n + 1)."""

    def logit(count: int, of: int) -> float:
        share = (count + 0.5) / (of + 1)
        return math.log(share / (1 - share))

    return 1 / (1 + math.exp(-(logit(false_alarms, ham) + logit(misses, bad)) / 2))
