"""Fits the URL model: linear models of pieces and marks, then trees on what those say of hosts they have not seen."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mailward.reputation.knowledge import registrable
from mailward.reputation.url.features import (
    BLOCKS,
    FACTS,
    LEARNED,
    brands_in,
    facts,
    host_marks,
    host_pieces,
    name_of,
    path_marks,
    path_pieces,
)
from mailward.reputation.url.model import MARK, STARTS, Settings, UrlModel
from mailward.reputation.url.trees import DEPTH, INNER, LEAVES, Trees

SEED = 20261125
HOST_C, PATH_C = 3.0, 5.0
FOLDS = 3  # the trees learn from scores of linear models that have not seen the row
MOST_BAD, MOST_COMMON = 90_000, 50_000  # rows trained on
# What one host counts for. Those of wanted mail and home pages are few, and like what will be met; popular names are many and have no path.
LINEAR_WEIGHTS = {"bad": 1.0, "common": 0.2, "ham": 20.0, "pages": 8.0, "homes": 20.0}
TREE_WEIGHTS = {"bad": 1.0, "common": 0.02, "ham": 20.0, "pages": 4.0, "homes": 20.0}
PATH_SHARES = {"ham": 0.4, "pages": 0.4, "homes": 0.2}  # of the weight of the wanted side
TREES, RATE, LEAST_ROWS, SMOOTHING, COLUMNS = 300, 0.05, 100, 10.0, 0.7
FEWEST = 3  # hosts seen below a suffix for it to be remembered

Array = npt.NDArray[Any]
Host = tuple[str, str]  # and a path of it


@dataclass(frozen=True, slots=True)
class Rows:
    """Hosts of one group with what the model looks at. `asked`: whether the model is, because lists do not answer."""

    hosts: list[Host]
    host: tuple[Any, Any]  # sparse: pieces, marks
    path: tuple[Any, Any]
    facts: Array
    suffixes: list[str]
    fold: Array
    asked: Array

    @classmethod
    def of(cls, hosts: Iterable[Host], asked: Array) -> Rows:
        hosts = list(hosts)
        names = [name_of(host) for host, _ in hosts]
        found = [brands_in(name) for name in names]
        paths = [path for _, path in hosts]
        plain = [facts(name, path, brands) for name, path, brands in zip(names, paths, found, strict=True)]
        return cls(
            hosts,
            (_sparse(map(host_pieces, names), BLOCKS[0], None), _sparse(map(host_marks, names, found), BLOCKS[1], MARK)),
            (_sparse(map(path_pieces, paths), BLOCKS[2], None), _sparse(map(path_marks, paths), BLOCKS[3], MARK)),
            np.array(plain, np.float32).reshape(len(hosts), len(FACTS) - LEARNED),
            [name.suffix for name in names],
            np.array([hashlib.blake2b(registrable(host).encode(), digest_size=2).digest()[1] % FOLDS for host, _ in hosts], np.int64),
            asked,
        )

    def take(self, which: Array) -> Rows:
        """Some rows, by a mask or numbers."""
        numbers = np.flatnonzero(which) if which.dtype == bool else which
        return Rows(
            [self.hosts[n] for n in numbers], (self.host[0][numbers], self.host[1][numbers]), (self.path[0][numbers], self.path[1][numbers]),
            self.facts[numbers], [self.suffixes[n] for n in numbers], self.fold[numbers], self.asked[numbers],
        )  # fmt: skip

    def some(self, most: int) -> Rows:
        return self.take(np.sort(np.random.default_rng(SEED).permutation(len(self.hosts))[:most])) if len(self.hosts) > most else self

    @property
    def with_path(self) -> Array:
        return np.array([bool(path) for _, path in self.hosts], bool)


Groups = dict[str, Rows]  # "bad", and the names of TREE_WEIGHTS


def _sparse(rows: Iterable[Any], width: int, value: float | None) -> Any:
    from scipy.sparse import csr_matrix

    parts = [np.asarray(row, np.int64) for row in rows]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in parts])])
    values = np.concatenate(
        [np.full(len(row), value or 1 / math.sqrt(max(1, len(row))), np.float32) for row in parts] or [np.empty(0, np.float32)]
    )
    return csr_matrix((values, np.concatenate(parts or [np.empty(0, np.int64)]), ends), shape=(len(parts), width))


class Linear:
    """The four linear models and what is known of suffixes."""

    def __init__(self, groups: Groups) -> None:
        names = list(groups)
        sizes = [len(groups[name].hosts) for name in names]
        weights = np.repeat([LINEAR_WEIGHTS[name] for name in names], sizes)
        host, self.host_bias = _logistic([rows.host for rows in groups.values()], _labels(names, sizes), weights, HOST_C)
        paths = {name: rows.take(rows.with_path) for name, rows in groups.items() if name != "common"}
        sizes = [len(rows.hosts) for rows in paths.values()]
        shares = [1.0 if name == "bad" else PATH_SHARES[name] * sizes[0] / max(1, size) for name, size in zip(paths, sizes, strict=True)]
        path, self.path_bias = _logistic(
            [rows.path for rows in paths.values()], _labels(list(paths), sizes), np.repeat(shares, sizes), PATH_C
        )
        self.weights = np.concatenate([host, path])
        bad = Counter(groups["bad"].suffixes)
        good = Counter(
            suffix for name in ("ham", "pages", "homes") if name in groups
            for suffix, asked in zip(groups[name].suffixes, groups[name].asked, strict=True) if asked
        )  # fmt: skip
        totals = bad.total(), max(1, good.total())
        self.stranger = _suffix(0, 0, *totals)
        self.suffixes = {
            suffix: _suffix(bad[suffix], good[suffix], *totals) for suffix in bad | good if bad[suffix] + good[suffix] >= FEWEST
        }

    def columns(self, rows: Rows) -> Array:
        """The learned facts of rows."""
        parts = [part @ self.weights[start : start + part.shape[1]] for part, start in zip((*rows.host, *rows.path), STARTS, strict=True)]
        parts[0] += self.host_bias
        parts[2] += self.path_bias
        for column in (2, 3):
            parts[column] *= rows.with_path
        suffixes = np.array([self.suffixes.get(suffix, self.stranger) for suffix in rows.suffixes]).reshape(-1, 3)
        return np.column_stack([*parts, suffixes]).astype(np.float32)


def _labels(names: list[str], sizes: list[int]) -> Array:
    return np.repeat([int(name == "bad") for name in names], sizes)


def _logistic(blocks: list[tuple[Any, Any]], labels: Array, weights: Array, strength: float) -> tuple[Array, float]:
    from scipy.sparse import hstack, vstack
    from sklearn.linear_model import LogisticRegression

    rows = vstack([hstack(pair) for pair in blocks]).tocsr()
    fitted = LogisticRegression(C=strength, solver="liblinear", tol=3e-3, random_state=SEED).fit(rows, labels, weights)
    return fitted.coef_[0], float(fitted.intercept_[0])


def _suffix(bad: int, good: int, all_bad: int, all_good: int) -> tuple[float, float, float]:
    """Evidence for phishing, with half a host added to both sides, and both shares."""
    evidence = math.log((bad + 0.5) / all_bad) - math.log((good + 0.5) / all_good)
    return round(evidence, 3), round(math.log1p(bad / all_bad * 1e4), 3), round(math.log1p(good / all_good * 1e4), 3)


def fit(groups: Groups, thresholds: dict[str, float]) -> UrlModel:
    """Fit everything. The trees see each row through linear models fitted to the other folds."""
    groups = {name: rows.some({"bad": MOST_BAD, "common": MOST_COMMON}.get(name, len(rows.hosts))) for name, rows in groups.items()}
    seen, labels, weights = [], [], []
    for fold in range(FOLDS):
        linear = Linear({name: rows.take(rows.fold != fold) for name, rows in groups.items()})
        for name, rows in groups.items():
            held = rows.take((rows.fold == fold) & (rows.asked | (name in ("bad", "common"))))
            seen.append(np.column_stack([linear.columns(held), held.facts]))
            labels.append(np.full(len(held.hosts), int(name == "bad")))
            weights.append(np.full(len(held.hosts), TREE_WEIGHTS[name]))
    trees = _grow(np.concatenate(seen), np.concatenate(labels), np.concatenate(weights))
    linear = Linear(groups)
    settings = Settings(
        f"urls-{time.strftime('%Y.%m')}", linear.host_bias, linear.path_bias, trees.base, linear.suffixes, linear.stranger, **thresholds
    )
    return UrlModel(settings, linear.weights.astype(np.float16), trees)


def _grow(rows: Array, labels: Array, weights: Array) -> Trees:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    rising = [1] * 5 + [0] * (len(FACTS) - 5)  # what the linear models and the suffix say can only count for what they say
    grown = HistGradientBoostingClassifier(
        learning_rate=RATE, max_iter=TREES, max_depth=DEPTH, max_leaf_nodes=LEAVES, min_samples_leaf=LEAST_ROWS, l2_regularization=SMOOTHING,
        max_features=COLUMNS, monotonic_cst=rising, early_stopping=False, random_state=SEED,
    )  # fmt: skip
    with threadpool_limits(1):  # threads that wait for each other on a busy machine cost ten times as much
        grown.fit(rows, labels, sample_weight=weights)
    nodes = [predictor[0].nodes for predictor in grown._predictors]
    features = np.zeros((len(nodes), INNER), np.int16)
    limits = np.full((len(nodes), INNER), np.inf, np.float32)
    values = np.zeros((len(nodes), LEAVES), np.float32)
    for tree, table in enumerate(nodes):
        _place(table, 0, 0, 0, features[tree], limits[tree], values[tree])
    return Trees.of(float(grown._baseline_prediction.ravel()[0]), features, limits, values)


def _place(table: Any, node: int, at: int, level: int, features: Array, limits: Array, values: Array) -> None:
    """Write a node and what is below it in heap order; an early leaf goes all the way left."""
    row = table[node]
    if row["is_leaf"]:
        values[(at + 1) * (1 << (DEPTH - level)) - LEAVES] = row["value"]
        return
    features[at], limits[at] = row["feature_idx"], row["num_threshold"]
    _place(table, row["left"], 2 * at + 1, level + 1, features, limits, values)
    _place(table, row["right"], 2 * at + 2, level + 1, features, limits, values)
