"""The figures mean what measures.md says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mailward.learning.measure import auc, lam, recall_at, wilson


def test_auc_is_the_chance_that_spam_scores_above_ham() -> None:
    """Ties count half."""
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert auc(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0.5
    assert auc(np.array([0.0, 2.0]), np.array([1.0])) == 0.5
    assert math.isnan(auc(np.array([]), np.array([1.0])))


def test_recall_at_a_rate_allows_that_many_ham_and_no_more() -> None:
    """With 10 ham, 10 % is one ham above the threshold; ties with the next ham do not count."""
    ham = np.arange(10.0)
    bad = np.array([9.5, 8.5, 8.0, 3.0])
    assert recall_at(bad, ham, 0.0) == 0.25
    assert recall_at(bad, ham, 0.1) == 0.5


def test_wilson_interval_holds_the_share() -> None:
    """No count is certain: zero of 100 is still up to 3.7 %."""
    low, high = wilson(0, 100)
    assert low == 0
    assert high == pytest.approx(0.037, abs=0.001)
    assert wilson(5, 10)[0] < 0.5 < wilson(5, 10)[1]


def test_lam_balances_both_errors() -> None:
    """One error in a hundred of each kind is about one percent; no errors are not zero."""
    assert lam(1, 100, 1, 100) == pytest.approx(0.0149, abs=0.001)
    assert 0 < lam(0, 100, 0, 100) < 0.01
