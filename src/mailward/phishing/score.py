"""The phishing score: shipped weights, applied to the evidence of one message, as named contributions.

Made as the spam score is (`content.model`), on the same scale: start + facts + wording. The wording is a linear model of its own over the tokens
that Content Scanning has hashed, pressed into +-CAP and weighted by how the message is made and how well its sender is proven.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.content import wording
from mailward.content.contribution import Contribution
from mailward.content.model import FactMeaning, read_meanings
from mailward.content.wording import Telling
from mailward.phishing.evidence import Evidence
from mailward.phishing.packaged import DATA

STANDINGS = 3  # unproven, proven, well known
_TELLING = Telling("How often mail of any wording is phishing.", "phishing", "other mail", words_from=0.7, words_against=False)


class Weights(msgspec.Struct, frozen=True):
    """What training decides, besides the wording itself (one half-precision number a bucket in a file of its own)."""

    name: str
    start: float
    facts: dict[str, float]
    wording_bias: float
    wording_for: tuple[float, ...]  # by form and standing: form * STANDINGS + standing
    wording_against: tuple[float, ...]  # by standing


@cache
def meanings() -> dict[str, FactMeaning]:
    """The sentence, sign and prior weight of every fact that counts; "{}" in a sentence is where the words of the fact go."""
    return read_meanings(Path(str(DATA / "facts.toml")))


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
        told, own = meanings(), self.weights
        weights = own.facts
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
        standing = evidence.standing
        trust_for, trust_against = own.wording_for[evidence.form * STANDINGS + standing], own.wording_against[standing]
        shares += wording.shares(self.buckets, evidence.wording, own.wording_bias, trust_for, trust_against, _TELLING)
        return tuple(shares)


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
