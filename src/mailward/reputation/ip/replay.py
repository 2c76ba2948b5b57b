"""Run the dynamic database over a recorded stream: every row is judged first and learned then, at all levels in one pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from mailward.reputation.address import Source, source
from mailward.reputation.evidence import WEIGHTS, Evidence, EvidenceKind
from mailward.reputation.ip.dynamic import DynamicDatabase
from mailward.reputation.ip.levels import LEVELS

FORGET_EVERY = 200_000  # rows
LABELS = {"spam": EvidenceKind.SPAM, "ham": EvidenceKind.HAM, "trap": EvidenceKind.TRAP}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a stream."""

    time: float
    source: Source
    kind: EvidenceKind


class RowError(ValueError):
    """A row that cannot be read."""


def read(lines: Iterable[str]) -> Iterator[Row | RowError]:
    """Read rows of seconds since 1970, address and `spam`, `ham` or `trap`, separated by tabs; the first line may name the columns.

    A row that cannot be read is an error with its line number, and the rest goes on.
    """
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\r\n").split("\t")
        if not line.strip() or line.startswith("#") or (number == 1 and not _number(fields[0])):
            continue
        time, found = _number(fields[0]), source(fields[1].strip()) if len(fields) > 1 else None
        if len(fields) < 3 or time is None:
            yield RowError(f"line {number}: not seconds, address and label, separated by tabs")
        elif found is None:
            yield RowError(f"line {number}: {fields[1][:60]!r} is no address")
        elif fields[2].strip() not in LABELS:
            yield RowError(f"line {number}: {fields[2][:20]!r} is none of spam, ham, trap")
        else:
            yield Row(time, found, LABELS[fields[2].strip()])


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


@dataclass(slots=True)
class _Seen:
    """What is known of one source at the end."""

    ham: int = 0
    bad: int = 0
    first: float = 0.0  # first and last evidence against it
    last: float = 0.0
    listed: dict[int, float] = field(default_factory=dict)  # level -> when it was listed first
    end: dict[int, float] = field(default_factory=dict)  # level -> when its last listing ends

    @property
    def kind(self) -> str:
        return "mixed" if self.ham and self.bad else "good" if self.ham else "bad"


@dataclass(frozen=True, slots=True)
class Share:
    """`listed` of `rows`."""

    rows: int
    listed: int

    @property
    def share(self) -> float:
        return self.listed / self.rows if self.rows else 0.0

    def interval(self) -> tuple[float, float]:
        """Wilson, 95 %."""
        if not self.rows:
            return 0.0, 1.0
        z, n, p = 1.96, self.rows, self.share
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one level did. Times in seconds: median and 95th percentile.

    Sources are `bad` (only spam), `good` (only ham) or `mixed`, or of the kind the caller knows.
    """

    level: int
    spam: Share
    ham: Share
    spam_promoted: int  # rows of `spam.listed` that the standard database caught, of promoted sources
    sources: dict[str, Share]
    time_to_listing: tuple[float, float] | None
    time_to_delisting: tuple[float, float] | None


def replay(
    rows: Iterable[Row],
    database: DynamicDatabase | None = None,
    progress: Callable[[], object] = lambda: None,
    kinds: Mapping[Source, str] | None = None,
) -> list[Outcome]:
    """Judge and learn every row. A trap row counts as spam. Rows have to be in the order of time. `kinds` names what sources truly are."""
    database = database or DynamicDatabase()
    counts = {level: dict.fromkeys(("spam", "ham", "promoted"), 0) for level in LEVELS}
    seen: dict[Source, _Seen] = {}
    spam = ham = 0
    for number, row in enumerate(rows, 1):
        good = row.kind is EvidenceKind.HAM
        spam, ham = spam + (not good), ham + good
        _judge(database, row, "ham" if good else "spam", counts)
        known = seen.setdefault(row.source, _Seen())
        if good:
            known.ham += 1
        else:
            known.bad, known.first, known.last = known.bad + 1, known.first or row.time, row.time
        database.learn(Evidence(row.time, row.kind, row.source, WEIGHTS[row.kind]))
        _after(database, row, known)
        if not number % FORGET_EVERY:
            database.forget(row.time)
        progress()
    return [_outcome(level, spam, ham, counts[level], seen, kinds or {}) for level in LEVELS]


def _judge(database: DynamicDatabase, row: Row, label: str, counts: dict[int, dict[str, int]]) -> None:
    promoted = database.promoted(row.source, row.time)
    listing = None if promoted else database.listing(row.source, row.time)
    if not promoted and listing is None:
        return
    for level, count in counts.items():
        if promoted or (listing is not None and listing.level <= level):
            count[label] += 1
            count["promoted"] += promoted and label == "spam"


def _after(database: DynamicDatabase, row: Row, known: _Seen) -> None:
    if database.promoted(row.source, row.time):
        for level in LEVELS:
            known.listed.setdefault(level, row.time)
        return
    ends = database.ends(row.source)
    for level, end in zip(LEVELS, ends, strict=True):
        if end > row.time:
            known.listed.setdefault(level, row.time)
            known.end[level] = end


def _outcome(level: int, spam: int, ham: int, count: dict[str, int], seen: dict[Source, _Seen], kinds: Mapping[Source, str]) -> Outcome:
    rows, listed = Counter[str](), Counter[str]()
    for sender, known in seen.items():
        kind = kinds.get(sender) or known.kind
        rows[kind] += 1
        listed[kind] += level in known.listed
    against = [known for known in seen.values() if known.bad and level in known.listed]
    return Outcome(
        level,
        Share(spam, count["spam"]),
        Share(ham, count["ham"]),
        count["promoted"],
        {kind: Share(rows[kind], listed[kind]) for kind in sorted(rows)},
        _quantiles([max(0.0, known.listed[level] - known.first) for known in against]),
        _quantiles([max(0.0, known.end[level] - known.last) for known in against if level in known.end]),
    )


def _quantiles(values: list[float]) -> tuple[float, float] | None:
    return (float(np.median(values)), float(np.percentile(values, 95))) if values else None
