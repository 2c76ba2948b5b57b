"""Trees as arrays say what the library that grew them says."""

from __future__ import annotations

import numpy as np
import pytest

from mailward.learning.urlfit import _grow
from mailward.reputation.url.features import FACTS
from mailward.reputation.url.trees import INNER, LEAVES, Trees


def test_a_walk_ends_where_the_limits_lead() -> None:
    """At or below the limit goes left, above it right, on every level; all trees and the base add up."""
    features = np.zeros((2, INNER), np.int16)
    features[1] = 1
    limits = np.tile(np.array([4, 2, 6, 1, 3, 5, 7], np.float32), (2, 1))
    values = np.stack([np.arange(LEAVES), 10 * np.arange(LEAVES)]).astype(np.float32)
    trees = Trees.of(0.5, features, limits, values)
    for first in range(9):
        for second in range(9):
            expected = 0.5 + max(0, first - 1) + 10 * max(0, second - 1)
            assert trees.score(np.array([first, second], np.float32)) == expected


def test_trees_of_another_build_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong"):
        Trees.of(0.0, np.zeros((2, INNER + 1), np.int16), np.zeros((2, INNER), np.float32), np.zeros((2, LEAVES), np.float32))


def test_grown_trees_learn_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two facts together decide; the arrays tell both sides apart and agree with the library to rounding."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    grown = []
    plain = HistGradientBoostingClassifier.fit
    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", lambda self, *a, **k: grown.append(plain(self, *a, **k)) or self)
    choice = np.random.default_rng(7)
    rows = choice.random((3000, len(FACTS))).astype(np.float32)
    labels = ((rows[:, 0] > 0.5) & (rows[:, 9] < 0.7)).astype(int)
    trees = _grow(rows, labels, np.ones(len(rows)))
    found = trees.scores(rows[:500])
    assert np.allclose(found, grown[0].decision_function(rows[:500]), atol=1e-4)
    assert ((found > 0) == labels[:500]).mean() > 0.98
