"""The phishing score: shipped weights, applied to the evidence of one message, as named contributions.

Made as the spam score is (`content.model`), on the same scale: start + facts + wording. The wording is a linear model of its own over the tokens
that Content Scanning has hashed, pressed into +-CAP and weighted by how the message is made and how well its sender is proven.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.content.contribution import Contribution
from mailward.content.evidence import PLACES
from mailward.content.tokens import Tokens
from mailward.phishing.evidence import Evidence
from mailward.phishing.packaged import DATA

CAP = 6.0  # the wording alone never says more than this, before its weight
STANDINGS = 3  # unproven, proven, well known
TOLD_WORDS = 4  # words named in an explanation
TOLD_FROM = 0.7  # points from which the words are named
_PLACE_NAMES = {"subject": "subject", "body": "text", "names": "display and file names", "hosts": "link hosts"}


class Weights(msgspec.Struct, frozen=True):
    """What training decides, besides the wording itself (one half-precision number a bucket in a file of its own)."""

    name: str
    start: float
    facts: dict[str, float]
    wording_bias: float
    wording_for: tuple[float, ...]  # by form and standing: form * STANDINGS + standing
    wording_against: tuple[float, ...]  # by standing


@dataclass(frozen=True, slots=True)
class FactMeaning:
    sign: int
    prior: float
    text: str  # with "{}" where the words of the fact go


@cache
def meanings() -> dict[str, FactMeaning]:
    """The sentence, sign and prior weight of every fact that counts."""
    with Path(str(DATA / "facts.toml")).open("rb") as file:
        return {name: FactMeaning(int(row["sign"]), float(row["prior"]), str(row["text"])) for name, row in tomllib.load(file).items()}


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model. Read-only and shared by all workers of a machine."""

    weights: Weights
    buckets: npt.NDArray[np.float16]
    whole: dict[str, Contribution] = field(default_factory=dict, compare=False)  # of facts that are fully there, as most are: made once

    def __post_init__(self) -> None:
        told = meanings()
        self.whole.update(
            {name: Contribution(name, value, told[name].text) for name, value in self.weights.facts.items() if value and name in told}
        )

    @property
    def name(self) -> str:
        return self.weights.name

    def judge(self, evidence: Evidence) -> tuple[Contribution, ...]:
        """Return the contributions of gathered evidence; their sum is the phishing score."""
        told, weights = meanings(), self.weights.facts
        shares = [Contribution("start", self.weights.start, "Where every message starts before anything is known of it.")]
        whole = self.whole
        for name, strength in evidence.shared.items():
            if strength == 1.0 and name in whole:
                shares.append(whole[name])
            elif weight := weights.get(name):
                shares.append(Contribution(name, weight * strength, told[name].text))
        for name, (value, words) in evidence.facts.items():
            if weight := weights.get(name):
                text = told[name].text
                shares.append(Contribution(name, weight * value, text.replace("{}", words) if words else text))
        shares += self._wording(evidence)
        return tuple(shares)

    def _wording(self, evidence: Evidence) -> list[Contribution]:
        tokens = evidence.wording
        if not tokens.keys.size:
            return []
        said = self.buckets[tokens.features]
        root = math.sqrt(said.size)
        sums = [float(said[low:high].sum(dtype=np.float32)) / root for low, high in pairwise(tokens.bounds)]
        total = math.fsum(sums) + self.weights.wording_bias
        pressed = CAP * math.tanh(total / CAP)
        if pressed > 0:
            trust = self.weights.wording_for[evidence.form * STANDINGS + evidence.standing]
        else:
            trust = self.weights.wording_against[evidence.standing]
        factor = trust * (pressed / total if total else 1.0)
        shares = [Contribution("words:habit", factor * self.weights.wording_bias, "How often mail of any wording is phishing.")]
        for place, (name, value) in enumerate(zip(PLACES, sums, strict=True)):
            if value:
                shares.append(Contribution(f"words:{name}", factor * value, self._sentence(name, tokens, place, factor * value)))
        return shares

    def _sentence(self, name: str, tokens: Tokens, place: int, value: float) -> str:
        side = "phishing" if value > 0 else "other mail"
        sentence = f"The wording of the {_PLACE_NAMES[name]} is that of {side}"
        first, last = tokens.word_bounds[place : place + 2]
        if first == last or value < TOLD_FROM:
            return sentence + "."
        strength = self.buckets[tokens.words[first:last]]
        most = min(6 * TOLD_WORDS, strength.size)  # short words are passed over: they say nothing to a reader
        strongest = np.argpartition(strength, -most)[-most:]
        strongest = strongest[np.argsort(-strength[strongest])]
        starts, ends = tokens.starts[first:last], tokens.ends[first:last]
        words = dict.fromkeys(
            tokens.text[starts[i] : ends[i]][:20]
            for i in strongest.tolist()
            if strength[i] > 0 and (ends[i] - starts[i] > 3 or tokens.text[starts[i]] > "\u2e7f")
        )
        told = ", ".join(list(words)[:TOLD_WORDS])
        return f"{sentence}: {told}." if told else sentence + "."


@cache
def load(folder: Path | None = None) -> Model:
    """Load a model from a folder, the shipped one by default. The wording is memory-mapped."""
    folder = folder or Path(str(DATA / "model"))
    weights = msgspec.json.decode((folder / "weights.json").read_bytes(), type=Weights)
    return Model(weights, np.asarray(np.load(folder / "wording.npy", mmap_mode="r")))


def save(model: Model, folder: Path) -> None:
    """Write a model so that `load` finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.json").write_bytes(msgspec.json.format(msgspec.json.encode(model.weights), indent=1))
    np.save(folder / "wording.npy", model.buckets)
