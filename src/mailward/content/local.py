"""What one site has learned from its own reports: a correction on top of the shipped score.

An on-line logistic regression over hashed tokens of subject, text and identifying headers. It learns only what the score so far got wrong or was
unsure of. The correction is bounded by how many reports stand behind it: a message that is like one report only moves by at most
`STEP` points, like four by at most twice that, and so on with the root of their number. So one mistaken or hostile report turns
nothing, and many that agree turn everything. All functions are pure; `learned` replays a log of reports, so that a report left out
was never there.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mailward.content.contribution import Contribution
from mailward.content.evidence import Evidence
from mailward.content.tokens import BUCKETS, Hashes, tokenise
from mailward.message import Message

STEP = 1.5  # points one report can move a score
RATE = 10.0  # learning rate; measured on the spamassassin corpus (docs/performance.md)
UNSURE = 0.05  # what is already known this well is not learned again
STEEPNESS = 0.5  # log odds of one point of the score
MIDDLE = 5.0  # the score at which spam and wanted mail are equally likely, for learning
HEADER_SALT = 9
HEADER_CHARS = 4_000  # of all identifying headers together
FIELD_CHARS = 300
RECEIVED = 3  # trace lines looked at, from the sender's hop down

_IDENTIFYING = frozenset(
    "from to cc reply-to sender message-id x-mailer user-agent content-type list-id return-path organization mime-version in-reply-to".split()
)
_ROW = np.dtype([("weight", np.float32), ("spam", np.uint16), ("ham", np.uint16)])
Table = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Lesson:
    """One report, as far as the model needs it: features, class, and the score the message had without local learning."""

    spam: bool
    score: float
    features: Hashes

    def packed(self) -> bytes:
        return struct.pack("<?d", self.spam, self.score) + zlib.compress(self.features.tobytes())

    @classmethod
    def unpacked(cls, data: bytes) -> Lesson:
        spam, score = struct.unpack_from("<?d", data)
        return cls(bool(spam), float(score), np.frombuffer(zlib.decompress(data[9:]), np.uint32))


def features(message: Message, hop: int, evidence: Evidence) -> Hashes:
    """The hashed features of a message for local learning. `hop`: the line of the sender's host, as in `Origin`."""
    lines: list[str] = []
    received = 0
    for header in message.headers:
        if header.key == "received":
            received += 1
            if not hop < received <= hop + RECEIVED:
                continue
        elif header.key not in _IDENTIFYING:
            continue
        lines.append(f"{header.key} {header.raw[:FIELD_CHARS]}")
    headers = tokenise(["\n".join(lines)[:HEADER_CHARS]], HEADER_SALT)
    return np.concatenate((evidence.wording.of(0, 1), headers.features))


@dataclass(frozen=True, slots=True)
class LocalModel:
    """The state after some reports. Immutable; the table may be memory-mapped."""

    table: Table
    reports: int

    def correction(self, found: Hashes) -> float:
        """Points to add to the score of a message with these features."""
        rows = self.table[found]
        raw = _margin(rows["weight"])
        return math.copysign(min(abs(raw) / STEEPNESS, STEP * math.sqrt(_support(rows, raw))), raw)

    def contribution(self, found: Hashes) -> Contribution:
        value = self.correction(found)
        side = "spam" if value > 0 else "wanted"
        return Contribution("local:reports", value, f"Like what was reported here as {side} ({self.reports} reports so far).")


def _margin(weights: npt.NDArray[np.float32]) -> float:
    return float(weights.sum(dtype=np.float64)) / math.sqrt(max(weights.size, 1))


def _support(rows: Table, raw: float) -> float:
    """How many reports stand behind a correction: their number for each feature, weighted by what the feature adds to it."""
    strength = np.maximum(rows["weight"] if raw > 0 else -rows["weight"], 0)
    counts = rows["spam" if raw > 0 else "ham"]
    whole = float(strength.sum(dtype=np.float64))
    return float((strength * counts).sum(dtype=np.float64)) / whole if whole else 0.0


def empty() -> LocalModel:
    return LocalModel(np.zeros(BUCKETS, _ROW), 0)


def learn(table: Table, lesson: Lesson) -> None:
    """Take one lesson into a table, in place. The only place where a table changes."""
    found = lesson.features
    rows = table[found]
    margin = STEEPNESS * (lesson.score - MIDDLE) + _margin(rows["weight"])
    error = float(lesson.spam) - 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, margin))))
    if abs(error) >= UNSURE:
        rows["weight"] += np.float32(RATE * error / math.sqrt(max(found.size, 1)))
    side = "spam" if lesson.spam else "ham"  # a report that agrees teaches no weight, but stands behind what was taught
    rows[side] += rows[side] < np.iinfo(np.uint16).max
    table[found] = rows


def learned(lessons: Iterable[Lesson]) -> LocalModel:
    """Replay lessons in order. The same lessons give the same model, bit for bit."""
    model = empty()
    count = 0
    for lesson in lessons:
        learn(model.table, lesson)
        count += 1
    return LocalModel(model.table, count)
