"""Make the phishing model, and measure it: `python -m mailward.learning.phishing CORPORA [--out FOLDER] [--measure] [--labels FILE]`.

Positives are the messages labelled `phish`; negatives are all other mail, ordinary spam with less weight: spam called phishing is a cheap mistake.
The sources of negatives are dealt into FOLDS by their sorted position, the positives by date, so that every wording score that
a weight is fitted on, and every score that is reported, comes from a model that has seen nothing of the message's source (phishing: of its time).
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.content.evidence import Form
from mailward.content.evidence import gather as gather_content
from mailward.content.tokens import BUCKETS, Hashes
from mailward.content.wording import CAP
from mailward.learning.corpora import Entry, entries
from mailward.learning.examples import CHUNK, corpora_in
from mailward.learning.measure import wilson
from mailward.learning.normalise import normalise
from mailward.message import Address, Message, parse
from mailward.message.origin import origin
from mailward.message.urls import urls_of
from mailward.phishing.evidence import gather
from mailward.phishing.score import STANDINGS, Model, Weights, meanings, save
from mailward.reputation.url.rater import Rater, load

NAME = "phishing-2026.11"
FOLDS = 4
MAX_RATED = 60  # URLs of a message that are rated
SEED = 20261125
OLDER = 0.8  # share of the positives, by date, that a measured model is trained on
MOST_OF_A_GROUP = 3  # near duplicates used
MOST_OF_A_CLASS = 2_500  # messages used of one source of negatives
SPAM_SHARE = 0.15  # what ordinary spam weighs together, where wanted mail weighs 1
UNSORTED = frozenset({"linux_nvdimm", "foff_milter"})  # their spam holds much phishing without saying so: not used as negatives
NOT_FOR_FACTS = frozenset({"synthetic_ham"})  # its headers are made up; its texts are real
WORDING_C = 3.0  # inverse strength of the wording's regularisation
PULL = 1.0  # how strongly fact weights are held to their priors
HAM_WEIGHT = 3.0  # a wanted mail lost is worse than a phishing mail delivered
SHARE = 0.001  # of wanted mail at Medium: the target
MARGIN = 0.1  # points between that and Medium
LEAST, LEAST_WANTED = 0.5, 1.0  # shares of the prior that a weight keeps, for facts against and for a sender
MOST_WORDING = 1.15  # times the prior that wording is trusted at most
MEDIUM = 5.0
LEVELS = {"high": 4.0, "medium": MEDIUM, "low": 8.0}
WORDING_PRIORS = np.array([1.0, 0.9, 0.5, 1.0, 0.8, 0.3, 1.0, 0.7, 0.25, 1.0, 1.0, 1.2])  # by form and standing; then against, by standing

Floats = npt.NDArray[np.float64]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Example:
    """One message, looked at."""

    entry: Entry
    facts: dict[str, float]
    features: Hashes
    form: int
    standing: int

    @property
    def phishing(self) -> bool:
        return self.entry.label == "phish"

    @property
    def wanted(self) -> bool:
        return not self.entry.bad


@cache
def _rater() -> Rater:
    return load()


def example(entry: Entry) -> Example:
    """Normalise and look at one message, exactly as a gateway would with the packaged knowledge of URLs."""
    sample = normalise(entry)
    message = _renamed(parse(sample.raw), entry)
    urls = urls_of(message)
    found = gather_content(message, origin(message, sample.envelope), sample.envelope, sample.auth)
    ratings = [rating for url in urls[:MAX_RATED] if (rating := _rater().rate(url.url).rating) is not None]
    evidence = gather(found, urls, ratings)
    told = meanings()
    facts = {name: value for name, value in evidence.shared.items() if name in told} | {
        name: value for name, (value, _) in evidence.facts.items()
    }
    return Example(entry, facts, evidence.wording.features, int(evidence.form), evidence.standing)


_RECIPIENT = re.compile(
    r"(?:phishing@pot|rodrigo(?:-f-p)?|user@example(?:\.com)?(?:-f-p)?|user-f-p)(?:@(?:hotmail|outlook|live)\.com)?(?: ferreira peixoto)?",
    re.I,
)
_NAMES = "anna ben chris dana eva felix greta henk ines jan karin luis maria nina otto paula quinn rosa sam tina uwe vera wim xenia yann zoe".split()
_HOSTS = "example.org example.net mail.example contoso.example firma.example empresa.example societe.example azienda.example bedrijf.example".split()


def _renamed(message: Message, entry: Entry) -> Message:
    """The message with another name for its recipient in each: the mask of a collection is no wording of phishing."""
    picked = random.Random(entry.path.name)
    name = picked.choice(_NAMES)
    local, domain = f"{name}.{picked.choice(_NAMES)}", picked.choice(_HOSTS)

    def other(found: re.Match[str]) -> str:
        return f"{local}@{domain}" if "@" in found[0] else name

    return msgspec.structs.replace(
        message,
        subject=_RECIPIENT.sub(other, message.subject),
        text=_RECIPIENT.sub(other, message.text),
        from_=tuple(Address(_RECIPIENT.sub(other, each.display), each.local, each.domain) for each in message.from_),
        to=tuple(Address(each.display, local, domain) if _RECIPIENT.search(each.addr) else each for each in message.to),
    )


def read_all(paths: Sequence[Path], jobs: int = 0) -> list[Example]:
    """Examples of all corpora, in order. Uses one process a core."""
    todo = [entry for path in corpora_in(paths) for entry in entries(path)]
    with ProcessPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        return list(pool.map(example, todo, chunksize=CHUNK))


# Who trains and who tests


def split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """The older and the newer positives. A group of near duplicates that reaches into the older part is taken out of the newer one."""
    ordered = sorted((each for each in examples if each.phishing), key=lambda each: (each.entry.date, str(each.entry.path)))
    at = round(OLDER * len(ordered))
    older, newer = ordered[:at], ordered[at:]
    seen = {each.entry.group for each in older}
    return older, [each for each in newer if each.entry.group not in seen]


def folds_of(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    """The fold of every example: negatives by the sorted position of their source, positives by date, near duplicates together."""
    sources = sorted({each.entry.source for each in examples if not each.phishing})
    ordered = sorted({each.entry.group: each.entry.date for each in reversed(examples) if each.phishing}.items(), key=lambda pair: pair[1])
    block = {group: position * FOLDS // max(1, len(ordered)) for position, (group, _) in enumerate(ordered)}
    return np.array([block[e.entry.group] if e.phishing else sources.index(e.entry.source) % FOLDS for e in examples])


def chosen(examples: Sequence[Example]) -> list[int]:
    """Positions of what is trained on: few of each group, not too many of a source and class, no spam that may be phishing."""
    groups: Counter[tuple[str, str]] = Counter()
    classes: Counter[tuple[str, str]] = Counter()
    kept = []
    for index in np.random.default_rng(SEED).permutation(len(examples)).tolist():
        entry = examples[index].entry
        if entry.label == "spam" and entry.source in UNSORTED:
            continue
        kind = (entry.source, entry.label)
        most = len(examples) if entry.label == "phish" else MOST_OF_A_CLASS
        if groups[entry.source, entry.group] < MOST_OF_A_GROUP and classes[kind] < most:
            groups[entry.source, entry.group] += 1
            classes[kind] += 1
            kept.append(index)
    return sorted(kept)


def weights_of(examples: Sequence[Example]) -> Floats:
    """A source counts with the root of its size; all wanted mail weighs as much as all phishing, ordinary spam SPAM_SHARE of it."""
    sizes = Counter((each.entry.source, each.entry.label) for each in examples)
    result = np.array([1 / math.sqrt(sizes[each.entry.source, each.entry.label]) for each in examples])
    phishing = np.array([each.phishing for each in examples])
    wanted = np.array([each.wanted for each in examples])
    for rows, share in ((phishing, 1.0), (wanted, 1.0), (~phishing & ~wanted, SPAM_SHARE)):
        if rows.any():
            result[rows] *= share * len(examples) / 2 / result[rows].sum()
    return result


# The wording


@dataclass(frozen=True, slots=True)
class Wording:
    buckets: npt.NDArray[np.float32]
    bias: float


def matrix(examples: Sequence[Example]) -> Any:
    """Hashed tokens as rows of unit length."""
    from scipy.sparse import csr_matrix

    sizes = np.array([each.features.size for each in examples])
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
    columns = np.concatenate([each.features for each in examples]).astype(np.int32)
    return csr_matrix((values, columns, np.concatenate(([0], np.cumsum(sizes)))), shape=(len(examples), BUCKETS))


class Wordings:
    """Wording models by the folds they left out, each made once, and what they say of all examples."""

    def __init__(self, examples: Sequence[Example], say: Say) -> None:
        self.examples, self.folds, self.say = examples, folds_of(examples), say
        self.rows = matrix(examples)
        self.used = np.zeros(len(examples), bool)
        self.used[chosen(examples)] = True
        self.labels = np.array([each.phishing for each in examples])
        self._scores: dict[frozenset[int], Floats] = {}

    def fit(self, left_out: frozenset[int]) -> Wording:
        from sklearn.linear_model import LogisticRegression

        part = np.flatnonzero(self.used & ~np.isin(self.folds, list(left_out)))
        weights = weights_of([self.examples[index] for index in part.tolist()])
        model = LogisticRegression(C=WORDING_C, solver="liblinear", tol=0.02, max_iter=100, random_state=SEED)
        model.fit(self.rows[part], self.labels[part], sample_weight=weights)
        self.say(f"wording without folds {sorted(left_out)}: {part.size} messages")
        return Wording(model.coef_[0].astype(np.float32), float(model.intercept_[0]))

    def scores(self, left_out: frozenset[int]) -> Floats:
        if left_out not in self._scores:
            made = self.fit(left_out)
            self._scores[left_out] = said(made, self.rows)
        return self._scores[left_out]


def said(wording: Wording, rows: Any) -> Floats:
    """What a wording model says of rows of tokens; nothing where there are none."""
    value = np.asarray(rows @ wording.buckets, float) + wording.bias
    return np.where(np.diff(rows.indptr) > 0, value, 0.0)


# The facts


class Facts:
    """The layer above the wording: facts in columns of their sign, then the wording by form and standing."""

    def __init__(self) -> None:
        told = meanings()
        self.names = list(told)
        self.column = {name: index for index, name in enumerate(self.names)}
        self.signs = np.array([told[name].sign for name in self.names])
        priors = np.array([told[name].prior for name in self.names])
        self.start = np.concatenate((priors, WORDING_PRIORS))
        wanted = self.signs < 0  # what speaks for a sender is known better than the little modern wanted mail at hand can tell
        self.low = np.concatenate((np.where(wanted, LEAST_WANTED, LEAST) * priors, 0.3 * WORDING_PRIORS))
        self.high = np.concatenate((1.6 * priors + 0.2, MOST_WORDING * WORDING_PRIORS))
        self.scale = np.concatenate((np.maximum(priors, 0.3), WORDING_PRIORS))

    def matrix(self, examples: Sequence[Example], wording: Floats) -> Floats:
        rows = np.zeros((len(examples), len(self.start)))
        width = len(self.names)
        pressed = CAP * np.tanh(wording / CAP)
        for row, each, value in zip(rows, examples, pressed, strict=True):
            for name, strength in each.facts.items():
                column = self.column.get(name)
                if column is not None:
                    row[column] = strength * self.signs[column]
            row[width + (each.form * STANDINGS + each.standing if value > 0 else len(Form) * STANDINGS + each.standing)] = value
        return rows

    def fit(self, rows: Floats, examples: Sequence[Example]) -> tuple[Floats, float]:
        """Weights near their priors, of their sign, that separate best; wanted mail counts HAM_WEIGHT times."""
        from scipy.optimize import minimize

        side = np.where([each.phishing for each in examples], 1.0, -1.0)
        weight = fact_weights(examples)

        def loss(point: Floats) -> tuple[float, Floats]:
            margin = side * (rows @ point[:-1] + point[-1])
            pull = (point[:-1] - self.start) / self.scale
            slope = -(weight * side) / (1 + np.exp(np.clip(margin, -30, 30)))
            value = float((weight * np.logaddexp(0, -margin)).sum() + PULL * (pull @ pull))
            return value, np.append(rows.T @ slope + 2 * PULL * pull / self.scale, slope.sum())

        bounds = [*zip(self.low, self.high, strict=True), (-10.0, 2.0)]
        found = minimize(loss, np.append(self.start, -3.0), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 400})
        return found.x[:-1], float(found.x[-1])


def fact_weights(examples: Sequence[Example]) -> Floats:
    """Groups and sources by the root of their size; together 200 for phishing, HAM_WEIGHT times that for wanted mail."""
    groups = Counter((each.entry.source, each.entry.group) for each in examples)
    result = np.array([1 / math.sqrt(groups[each.entry.source, each.entry.group]) for each in examples])
    kinds = Counter((each.entry.source, each.entry.label) for each in examples)
    result *= np.array([1 / math.sqrt(kinds[each.entry.source, each.entry.label]) for each in examples])
    phishing = np.array([each.phishing for each in examples])
    wanted = np.array([each.wanted for each in examples])
    for part, share in ((phishing, 1.0), (wanted, HAM_WEIGHT), (~phishing & ~wanted, SPAM_SHARE)):
        if part.any():
            result[part] *= 200 * share / result[part].sum()
    return result


def calibrated(scores: Floats, sources: Sequence[str]) -> float:
    """The level that wanted mail keeps below: of all but the worst tenth of the sources at most SHARE reaches it, with a margin for mail nobody has seen."""
    names = np.array(sources)
    levels = []
    for name in sorted(set(sources)):
        own = np.sort(scores[names == name])[::-1]
        levels.append(float(own[min(own.size - 1, math.floor(SHARE * own.size))]))
    return float(np.quantile(levels, 0.9)) + MARGIN


@dataclass(frozen=True, slots=True)
class Layer:
    """Facts, their weights and the start, for wording scores of any model."""

    facts: Facts
    point: Floats
    start: float

    def scores(self, examples: Sequence[Example], wording: Floats) -> Floats:
        return np.asarray(self.facts.matrix(examples, wording) @ self.point + self.start)


def layer(wordings: Wordings, left_out: frozenset[int]) -> Layer:
    """Fit weights and scale on the folds that are not left out, each scored by a wording model that has not seen it either."""
    facts = Facts()
    rows, examples, wanted = [], list[Example](), list[npt.NDArray[np.bool_]]()
    for fold in range(FOLDS):
        if fold in left_out:
            continue
        part = np.flatnonzero(wordings.folds == fold)
        own = [wordings.examples[index] for index in part.tolist()]
        use = np.array(
            [each.entry.source not in NOT_FOR_FACTS and not (each.entry.label == "spam" and each.entry.source in UNSORTED) for each in own]
        )
        part = part[use]
        own = [each for each, good in zip(own, use, strict=True) if good]
        rows.append(facts.matrix(own, wordings.scores(left_out | {fold})[part]))
        examples += own
        wanted.append(np.array([each.wanted for each in own]))
    data = np.vstack(rows)
    point, bias = facts.fit(data, examples)
    ham = np.concatenate(wanted)
    medium = calibrated((data @ point + bias)[ham], [each.entry.source for each, good in zip(examples, ham, strict=True) if good])
    return Layer(facts, point, bias + MEDIUM - medium)


# Measuring


def shares(scores: Floats) -> dict[str, Any]:
    """At or above the levels: count, of how many, share, 95 % interval."""
    result = {}
    for level, limit in LEVELS.items():
        count = int((scores >= limit).sum())
        result[level] = {
            "count": count,
            "of": int(scores.size),
            "share": count / max(1, scores.size),
            "interval": wilson(count, int(scores.size)),
        }
    return result


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def measure(examples: Sequence[Example], labels: dict[str, str], say: Say) -> dict[str, Any]:
    """Recall on the newer positives by a model of the older ones, and each fold of negatives by a model of the other folds."""
    older, newer = split(examples)
    train = [each for each in examples if not each.phishing] + older
    wordings = Wordings(train, say)
    whole = layer(wordings, frozenset())
    found = whole.scores(newer, said(wordings.fit(frozenset()), matrix(newer)))
    result: dict[str, Any] = {"older": len(older), "newer": shares(found)}
    if labels:
        names = [labels.get(digest(each.entry.path), "") for each in newer]
        result["labelled"] = {kind: shares(found[[name == kind for name in names]]) for kind in sorted(set(names) - {""})}
    result["sources"] = {}
    for fold in range(FOLDS):
        part = np.flatnonzero(wordings.folds == fold)
        scores = layer(wordings, frozenset({fold})).scores(
            [train[index] for index in part.tolist()], wordings.scores(frozenset({fold}))[part]
        )
        for source in sorted({train[index].entry.source for index in part.tolist()}):
            for label in ("ham", "bounce", "spam", "phish"):
                own = np.array([train[i].entry.source == source and train[i].entry.label == label for i in part.tolist()])
                if own.any():
                    result["sources"][f"{source} {label}"] = shares(scores[own])
    wanted = [(name, values) for name, values in result["sources"].items() if name.endswith((" ham", " bounce"))]
    for level in LEVELS:
        count, of = (sum(values[level][key] for name, values in wanted if not name.startswith("synthetic")) for key in ("count", "of"))
        result[f"wanted {level}"] = {"count": count, "of": of, "share": count / of, "interval": wilson(count, of)}
    return result


def table(result: dict[str, Any]) -> str:
    """The figures as lines of text."""
    rows = [("newer phishing_pot", result["newer"])]
    rows += [(f"of these labelled {kind}", values) for kind, values in result.get("labelled", {}).items()]
    rows += list(result["sources"].items())
    lines = [f"{'':34}{'messages':>9}   high   medium (95 %)              low"]
    for name, values in rows:
        low, high = values["medium"]["interval"]
        medium = f"{values['medium']['share']:.2%} ({values['medium']['count']}; {low:.2%} to {high:.2%})"
        lines.append(f"{name:34}{values['medium']['of']:9,}   {values['high']['share']:.2%}  {medium:32}  {values['low']['share']:.2%}")
    for level in LEVELS:
        all_of = result[f"wanted {level}"]
        low, high = all_of["interval"]
        told = f"{all_of['count']} of {all_of['of']:,} ({all_of['share']:.3%}, 95 %: {low:.3%} to {high:.3%})"
        lines.append(f"wanted mail but synthetic_ham at {level}: {told}")
    return "\n".join(lines)


def knowledge(examples: Sequence[Example]) -> tuple[dict[str, Any], dict[str, Any]]:
    """With every phishing message left out: the priors alone, no wording, only the scale set on wanted mail. All phishing, and all wanted mail."""
    facts = Facts()
    point = np.concatenate((facts.start[: len(facts.names)], np.zeros(WORDING_PRIORS.size)))
    raw = facts.matrix(examples, np.zeros(len(examples))) @ point
    wanted = np.array([each.wanted for each in examples])
    sources = [each.entry.source for each in examples if each.wanted]
    scores = raw + MEDIUM - calibrated(raw[wanted], sources)
    return shares(scores[[each.phishing for each in examples]]), shares(scores[wanted])


# Making


def train(examples: Sequence[Example], say: Say) -> Model:
    """The model of all examples."""
    wordings = Wordings(examples, say)
    made = layer(wordings, frozenset())
    wording = wordings.fit(frozenset())
    width = len(made.facts.names)
    trust = [round(float(value), 4) for value in made.point[width:]]
    weights = Weights(
        name=NAME,
        start=round(made.start, 4),
        facts={
            name: round(float(value) * int(sign), 4)
            for name, value, sign in zip(made.facts.names, made.point, made.facts.signs, strict=False)
        },
        wording_bias=round(wording.bias, 4),
        wording_for=tuple(trust[: len(Form) * STANDINGS]),
        wording_against=tuple(trust[len(Form) * STANDINGS :]),
    )
    return Model(weights, wording.buckets.astype(np.float16))


def read_labels(path: Path) -> dict[str, str]:
    """What a person calls messages: lines of the first 16 hex digits of their SHA-256, a tab, the label."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines if line and not line.startswith("#"))


def _card(examples: Sequence[Example], seconds: float) -> str:
    sizes = Counter((each.entry.source, each.entry.label) for each in examples)
    rows = [f"| {source} | {label} | {count:,} |" for (source, label), count in sorted(sizes.items())]
    return "\n".join(
        [
            f"# Model {NAME}",
            "",
            "A linear model: named facts with signed, bounded weights, and hashed wording (2^20 buckets, half precision).",
            f"Made {time.strftime('%Y-%m-%d')} in {seconds:.0f} s by `python -m mailward.learning.phishing CORPORA` (seed {SEED}).",
            "",
            "It was trained on the mail below, through the normaliser of `mailward.learning.normalise`. No message can be read from it; no mail is part",
            "of this project. phishing_pot is CC BY-NC 4.0; the others state research use or nothing; synthetic_ham is generated from mail texts of",
            "free-software projects.",
            "",
            "| source | label | messages |",
            "| --- | --- | --- |",
            *rows,
            "",
            "Positives are the messages labelled phish. Ordinary spam is a negative of little weight; that of linux_nvdimm and foff_milter, which holds",
            "phishing without saying so, is none. Set from knowledge, not from data: sign, prior and bounds of every fact (`facts.toml`), brands, lures.",
            "`synthetic_ham` taught wording only, never facts.",
            "",
            "Limits: phishing_pot holds much that is no phishing (prizes, dating, pharmacies, advance fees), so the wording learns these, too. There is little",
            "modern wanted mail at hand (174 messages of one inbox), so what speaks for a sender rests on knowledge. Figures: docs/phishing.md.",
            "",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m mailward.learning.phishing", description="Make or measure the phishing model.")
    parser.add_argument("corpora", nargs="+", type=Path, help="corpora, or a folder of them")
    parser.add_argument("--out", type=Path, help="where to write the model; by default nowhere")
    parser.add_argument("--measure", action="store_true", help="print figures: newest positives, and every source of wanted mail left out")
    parser.add_argument("--labels", type=Path, help="what a person calls messages of the newest positives")
    given = parser.parse_args(arguments)
    started = time.time()

    def say(text: str) -> None:
        print(f"{time.time() - started:5.0f} s  {text}", flush=True)

    examples = read_all(given.corpora)
    say(f"{len(examples):,} messages read")
    if given.measure:
        print(table(measure(examples, read_labels(given.labels) if given.labels else {}, say)))
        caught, lost = knowledge(examples)
        for name, of in (("phishing", caught["medium"]), ("wanted mail", lost["medium"])):
            print(f"knowledge alone, no phishing seen: {of['count']} of {of['of']:,} {name} at medium ({of['share']:.2%})")
    if given.out:
        save(train(examples, say), given.out)
        (given.out / "card.md").write_text(_card(examples, time.time() - started), encoding="utf-8")
        say(f"written to {given.out}")


if __name__ == "__main__":
    main()
