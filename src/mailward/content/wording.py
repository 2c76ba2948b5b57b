"""What the wording of a message adds to a score: a linear model over hashed tokens, of which there is one for spam and one for phishing.

The tokens of all places together give one number, divided by the root of their count and pressed into +-CAP; it is weighted by how far wording can be
trusted, and shared out to the places in proportion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mailward.content.contribution import Contribution
from mailward.content.evidence import PLACES
from mailward.content.tokens import Tokens

CAP = 6.0  # the wording alone never says more than this, before its weight
TOLD_WORDS = 4  # words named in an explanation
_PLACE_NAMES = {"subject": "subject", "body": "text", "names": "display and file names", "hosts": "link hosts"}


@dataclass(frozen=True, slots=True)
class Telling:
    """How the shares are put into words."""

    habit: str  # of the share that every wording has
    speaks_for: str  # whose wording it is when its share is above 0
    speaks_against: str
    words_from: float  # points from which the words themselves are named
    words_against: bool  # also where they speak against


def shares(
    buckets: npt.NDArray[np.float16], tokens: Tokens, bias: float, trust_for: float, trust_against: float, telling: Telling
) -> list[Contribution]:
    """The contributions of all places; none for a message without words. `trust_for` weighs what speaks for the score, `trust_against` the rest."""
    if not tokens.keys.size:
        return []
    said = buckets.take(tokens.features)
    root = math.sqrt(said.size)
    sums = [float(np.add.reduce(said[low:high], dtype=np.float32)) / root for low, high in pairwise(tokens.bounds)]
    total = math.fsum(sums) + bias
    pressed = CAP * math.tanh(total / CAP)
    factor = (trust_for if pressed > 0 else trust_against) * (pressed / total if total else 1.0)
    found = [Contribution("words:habit", factor * bias, telling.habit)]
    for place, (name, value) in enumerate(zip(PLACES, sums, strict=True)):
        if value:
            share = factor * value
            found.append(Contribution(f"words:{name}", share, _sentence(buckets, tokens, place, share, telling)))
    return found


def _sentence(buckets: npt.NDArray[np.float16], tokens: Tokens, place: int, share: float, telling: Telling) -> str:
    side = telling.speaks_for if share > 0 else telling.speaks_against
    sentence = f"The wording of the {_PLACE_NAMES[PLACES[place]]} is that of {side}"
    first, last = tokens.word_bounds[place : place + 2]
    if first == last or (abs(share) if telling.words_against else share) < telling.words_from:
        return sentence + "."
    strength = buckets.take(tokens.words[first:last])
    if share < 0:
        np.negative(strength, out=strength)
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
