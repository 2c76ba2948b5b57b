"""Make a content model: wording by logistic regression, facts by a constrained fit around their priors, start by calibration.

Every step that decides something for a source is done on predictions made without that source, so that nothing is judged by a model
that has seen it: the facts are fitted, and the scale is set, on wording scores of models that left the message's own source out.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mailward.content.model import Model, Weights, meanings, save
from mailward.content.tokens import BUCKETS
from mailward.content.wording import CAP
from mailward.learning.card import write_card
from mailward.learning.examples import Example, read_all

SEED = 20261123
MOST_OF_A_KIND = 3  # near duplicates used of one group
MOST_OF_A_CLASS = 2_500  # messages used of one source and class, so that a large list does not drown a small mailbox
WORDING_C = 1.0  # inverse strength of the wording's regularisation
PULL = 2.0  # how strongly fact weights are held to their priors
HAM_WEIGHT = 3.0  # a wanted mail lost is worse than a spam delivered
SHARE = 0.003  # of wanted mail at Medium: the calibration target
MEDIUM = 5.0
NOT_FOR_FACTS = frozenset({"synthetic_ham"})  # its headers are made up; its texts are real
WORDING_PRIORS = np.array([1.2, 0.6, 0.25, 0.9, 0.4, 0.15, 1.0])  # trust by form, then for proven senders; last: evidence for wanted mail

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wording:
    buckets: npt.NDArray[np.float32]
    bias: float

    def score(self, example: Example) -> float:
        found = example.features
        if not found.size:
            return 0.0
        return float(self.buckets[found].sum(dtype=np.float64)) / math.sqrt(found.size) + self.bias


def by_source(examples: Iterable[Example]) -> dict[str, list[Example]]:
    sources: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        sources[example.entry.source].append(example)
    return dict(sources)


def chosen(examples: Sequence[Example]) -> list[Example]:
    """The examples of one source to train on: few of each near-duplicate group, not too many of a class."""
    order = np.random.default_rng(SEED).permutation(len(examples))
    groups: Counter[str] = Counter()
    classes: Counter[bool] = Counter()
    kept = []
    for index in order.tolist():
        entry = examples[index].entry
        if groups[entry.group] < MOST_OF_A_KIND and classes[entry.bad] < MOST_OF_A_CLASS:
            groups[entry.group] += 1
            classes[entry.bad] += 1
            kept.append(index)
    return [examples[index] for index in sorted(kept)]


def _class_weights(sources: Sequence[Sequence[Example]]) -> Floats:
    """Weights that let a source and class count with the root of its size, and both classes the same."""
    weights: list[float] = []
    for examples in sources:
        sizes = Counter(example.entry.bad for example in examples)
        weights += [1 / math.sqrt(sizes[example.entry.bad]) for example in examples]
    result = np.array(weights)
    bad = np.array([example.entry.bad for examples in sources for example in examples])
    for side in (False, True):
        if (bad == side).any():
            result[bad == side] *= 0.5 * result.size / result[bad == side].sum()
    return result


class Wordings:
    """Wording models by the sources they left out, each made once."""

    def __init__(self, sources: dict[str, list[Example]], say: Callable[[str], None] = lambda _: None) -> None:
        self.sources = {name: chosen(examples) for name, examples in sources.items()}
        self._made: dict[frozenset[str], Wording] = {}
        self._scores: dict[tuple[frozenset[str], str], Floats] = {}
        self._rows: dict[str, Any] = {}
        self.all = sources
        self.say = say

    def without(self, left_out: frozenset[str]) -> Wording:
        if left_out not in self._made:
            self._made[left_out] = self._fit([name for name in self.sources if name not in left_out])
            self.say(f"wording without {', '.join(sorted(left_out)) or 'nothing'}")
        return self._made[left_out]

    def scores(self, left_out: frozenset[str], source: str) -> Floats:
        """Wording scores of all messages of a source by the model that left out `left_out`."""
        key = (left_out, source)
        if key not in self._scores:
            model = self.without(left_out)
            self._scores[key] = np.array([model.score(example) for example in self.all[source]])
            if len(left_out) == 2 and all((left_out, name) in self._scores for name in left_out):
                self._made.pop(left_out)  # 4 MB each
        return self._scores[key]

    def _matrix(self, name: str) -> Any:
        from scipy.sparse import csr_matrix

        if name not in self._rows:
            found = [example.features for example in self.sources[name]]
            sizes = np.array([features.size for features in found])
            values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
            columns = np.concatenate(found).astype(np.int32) if found else np.zeros(0, np.int32)
            self._rows[name] = csr_matrix((values, columns, np.concatenate(([0], np.cumsum(sizes)))), shape=(len(found), BUCKETS))
        return self._rows[name]

    def _fit(self, names: Sequence[str]) -> Wording:
        from scipy.sparse import vstack
        from sklearn.linear_model import LogisticRegression

        used = [self.sources[name] for name in names]
        labels = np.array([example.entry.bad for examples in used for example in examples])
        model = LogisticRegression(C=WORDING_C, solver="liblinear", tol=0.02, max_iter=100, random_state=SEED)
        model.fit(vstack([self._matrix(name) for name in names]), labels, sample_weight=_class_weights(used))
        return Wording(model.coef_[0].astype(np.float32), float(model.intercept_[0]))


class Facts:
    """The linear layer above the wording: facts in columns of their sign, then the wording by form and sender."""

    def __init__(self) -> None:
        told = meanings()
        self.names = list(told)
        self.column = {name: index for index, name in enumerate(self.names)}
        self.signs = np.array([told[name].sign for name in self.names])
        priors = np.array([told[name].prior for name in self.names])
        free = self.signs == 0
        self.start = np.concatenate((np.where(free, 0.0, priors), WORDING_PRIORS))
        self.low = np.concatenate((np.where(free, -0.5, 0.25 * priors), 0.3 * WORDING_PRIORS))
        self.high = np.concatenate((np.where(free, 0.5, 1.6 * priors + 0.3), 1.5 * WORDING_PRIORS))
        self.scale = np.concatenate((np.maximum(priors, 0.3), WORDING_PRIORS))

    def matrix(self, examples: Sequence[Example], wording: Floats) -> Floats:
        rows = np.zeros((len(examples), len(self.start)))
        width = len(self.names)
        pressed = CAP * np.tanh(wording / CAP)
        for row, example, value in zip(rows, examples, pressed, strict=True):
            for name, strength in example.evidence.facts.items():
                row[self.column[name]] = strength * (self.signs[self.column[name]] or 1)
            if value > 0:
                row[width + example.evidence.form + (3 if example.evidence.proven else 0)] = value
            else:
                row[width + 6] = value
        return rows

    def fit(self, rows: Sequence[Floats], sources: Sequence[Sequence[Example]]) -> tuple[Floats, float]:
        """Weights near their priors, of their sign, that separate best; wanted mail counts HAM_WEIGHT times."""
        from scipy.optimize import minimize

        data = np.vstack(rows)
        bad = np.array([example.entry.bad for examples in sources for example in examples])
        weight = np.concatenate([_fact_weights(examples) for examples in sources])
        side = np.where(bad, 1.0, -1.0)

        def loss(point: Floats) -> tuple[float, Floats]:
            margin = side * (data @ point[:-1] + point[-1])
            pull = (point[:-1] - self.start) / self.scale
            slope = -(weight * side) / (1 + np.exp(np.clip(margin, -30, 30)))
            value = float((weight * np.logaddexp(0, -margin)).sum() + PULL * (pull @ pull))
            return value, np.append(data.T @ slope + 2 * PULL * pull / self.scale, slope.sum())

        bounds = [*zip(self.low, self.high, strict=True), (-8.0, 2.0)]
        found = minimize(loss, np.append(self.start, -2.0), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300})
        return found.x[:-1], float(found.x[-1])


def _fact_weights(examples: Sequence[Example]) -> Floats:
    groups = Counter(example.entry.group for example in examples)
    weights = np.array([1 / math.sqrt(groups[example.entry.group]) for example in examples])
    bad = np.array([example.entry.bad for example in examples])
    for side in (False, True):
        whole = weights[bad == side].sum()
        if whole:
            weights[bad == side] *= whole**-0.6 * (1.0 if side else HAM_WEIGHT)
    return weights


def calibrated(scores: dict[str, Floats]) -> float:
    """Where Medium lies on the raw scale: the level that all but the worst fifth of ham sources keep to SHARE below.

    A source with fewer messages than SHARE can tell apart is to have none above.
    """
    levels = []
    for values in scores.values():
        allowed = round(SHARE * values.size)
        levels.append(float(np.sort(values)[::-1][allowed]))
    return float(np.quantile(levels, 0.8)) + 0.05


def train(wordings: Wordings, left_out: str | None, name: str) -> Model:
    """Make a model of all sources but one (none: of all)."""
    out = frozenset({left_out} if left_out else ())
    layer = Facts()
    used = [source for source in wordings.all if source not in out and source not in NOT_FOR_FACTS]
    rows = {source: layer.matrix(wordings.all[source], wordings.scores(out | {source}, source)) for source in used}
    point, bias = layer.fit([rows[source] for source in used], [wordings.all[source] for source in used])
    ham = {source: np.array([not example.entry.bad for example in wordings.all[source]]) for source in used}
    medium = calibrated({source: (rows[source] @ point + bias)[ham[source]] for source in used if ham[source].any()})
    wording = wordings.without(out)
    signed = point[: len(layer.names)] * np.where(layer.signs == 0, 1, layer.signs)
    trust = point[len(layer.names) :]
    weights = Weights(
        name=name,
        start=round(bias + MEDIUM - medium, 4),
        facts={fact: round(float(value), 4) for fact, value in zip(layer.names, signed, strict=True)},
        wording_bias=round(wording.bias, 4),
        wording_for_spam=tuple(round(float(value), 4) for value in trust[:6]),
        wording_against=round(float(trust[6]), 4),
    )
    return Model(weights, wording.buckets.astype(np.float16))


def main(corpora: Sequence[Path], out: Path, say: Callable[[str], None] = lambda _: None) -> None:
    """Read the corpora, make the model, write it with its card. `say` hears about the progress."""
    started = time.time()
    say("reading the corpora")
    sources = by_source(read_all(corpora))
    model = train(Wordings(sources, say), None, "base-2026.11")
    save(model, out)
    write_card(out / "card.md", sources, model, time.time() - started)
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{out}: {sum(map(len, sources.values())):,} messages of {len(sources)} sources, {size / 1e6:.1f} MB")
