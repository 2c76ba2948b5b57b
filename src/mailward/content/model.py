"""The spam score: shipped weights, applied to the evidence of one message, as named contributions.

Score = start + facts + wording. A fact contributes weight times value. The wording of all places together gives one number
(a linear model over hashed tokens, divided by the root of their count), pressed into +-CAP, then weighted by how far wording can be
trusted for a message of this form and sender, and shared out to the places in proportion. `local` (learned from this site's own reports)
comes on top. The contributions sum to the score exactly, because the score is defined as their sum.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.auth import Authentication
from mailward.content import wording
from mailward.content.contribution import Contribution
from mailward.content.evidence import Evidence, gather
from mailward.content.local import LocalModel, features
from mailward.content.packaged import DATA
from mailward.content.wording import Telling
from mailward.message import Envelope, Message
from mailward.message.origin import Origin

_TELLING = Telling("How often mail of any wording is wanted.", "unwanted mail", "wanted mail", words_from=1.0, words_against=True)


class Weights(msgspec.Struct, frozen=True):
    """What training decides, besides the wording itself (which lies in a file of its own, one half-precision number a bucket)."""

    name: str
    start: float
    facts: dict[str, float]
    wording_bias: float
    wording_for_spam: tuple[float, ...]  # by form, then the same for a proven sender
    wording_against: float


@dataclass(frozen=True, slots=True)
class FactMeaning:
    sign: int
    prior: float
    text: str


@cache
def meanings() -> dict[str, FactMeaning]:
    """The sentence, sign and prior weight of every fact."""
    return read_meanings(Path(str(DATA / "facts.toml")))


def read_meanings(path: Path) -> dict[str, FactMeaning]:
    """The same, of a file with a table for each fact."""
    with path.open("rb") as file:
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

    def score(
        self,
        message: Message,
        origin: Origin,
        envelope: Envelope,
        auth: Authentication,
        local: LocalModel | None = None,
        evidence: Evidence | None = None,
    ) -> tuple[Contribution, ...]:
        """Return the contributions of a message; their sum is its spam score. `evidence`: what `gather` says, where that is known already."""
        evidence = evidence or gather(message, origin, envelope, auth)
        contributions = self.judge(evidence)
        if local is None or not local.reports:
            return contributions
        return (*contributions, local.contribution(features(message, origin.hop, evidence)))

    def judge(self, evidence: Evidence) -> tuple[Contribution, ...]:
        """Return the contributions of gathered evidence."""
        told, weights_of = meanings(), self.weights
        weights = weights_of.facts
        shares = [Contribution("start", self.weights.start, "Where every message starts before anything is known of it.")]
        whole = self.whole
        for name, value in evidence.facts.items():
            if value == 1.0 and name in whole:
                shares.append(whole[name])
            elif weights.get(name):
                shares.append(Contribution(name, weights[name] * value, told[name].text))
        by_form = weights_of.wording_for_spam[evidence.form + (3 if evidence.proven else 0)]
        shares += wording.shares(self.buckets, evidence.wording, weights_of.wording_bias, by_form, weights_of.wording_against, _TELLING)
        return tuple(shares)


@cache
def load(folder: Path | None = None) -> Model:
    """Load a model from a folder, the shipped one by default. The wording is memory-mapped."""
    folder = folder or Path(str(DATA / "model"))
    weights = msgspec.json.decode((folder / "weights.json").read_bytes(), type=Weights)
    return Model(weights, np.asarray(np.load(folder / "wording.npy", mmap_mode="r")))  # a plain view of the map costs less a look-up


def save(model: Model, folder: Path) -> None:
    """Write a model so that `load` finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.json").write_bytes(msgspec.json.format(msgspec.json.encode(model.weights), indent=1))
    np.save(folder / "wording.npy", model.buckets)


def total(contributions: tuple[Any, ...]) -> float:
    """The score: the sum of its contributions."""
    return math.fsum(share.value for share in contributions)
