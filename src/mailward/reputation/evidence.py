"""Evidence: what somebody observed of an address, and the file in which it travels to the process that learns.

Every process may append; one process (the keeper, `ip/keeper.py`) reads. A line is one piece of evidence, fields separated
by tabs: seconds since 1970, kind, weight, address, who observed it, detail. Appending needs no lock (O_APPEND) and
survives the death of the writer; what cannot be written costs evidence, never mail.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mailward.reputation import spool
from mailward.reputation.address import Source, source

SPOOL = "evidence.tsv"
MAX_TEXT = 120  # characters kept of `by` and `detail`
MAX_WEIGHT = 100.0


class EvidenceKind(StrEnum):
    """What was observed. Ham kinds speak for the source; a delisting is an act of the operator or of the source's owner."""

    SPAM = "spam"  # a message judged as spam
    HAM = "ham"  # a message judged as clean
    TRAP = "trap"  # mail to a spam trap
    REPORT_SPAM = "report-spam"  # a person says so
    REPORT_HAM = "report-ham"
    URL = "url"  # New Spam Sources: bad URLs from an unknown source
    REFUSED = "refused"  # refused for another reason than a list of our own
    DELIST = "delist"  # forget the evidence against it


WEIGHTS = {  # of one piece; the unit is one message judged as spam
    EvidenceKind.SPAM: 1.0,
    EvidenceKind.HAM: 1.0,
    EvidenceKind.TRAP: 3.0,
    EvidenceKind.REPORT_SPAM: 2.0,
    EvidenceKind.REPORT_HAM: 3.0,
    EvidenceKind.URL: 2.0,
    EvidenceKind.REFUSED: 0.5,
    EvidenceKind.DELIST: 1.0,
}
AGAINST = frozenset({EvidenceKind.SPAM, EvidenceKind.TRAP, EvidenceKind.REPORT_SPAM, EvidenceKind.URL, EvidenceKind.REFUSED})


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece. `time` in seconds since 1970, `weight` from 0 to MAX_WEIGHT, `by` who observed it ("gateway", "api:node2")."""

    time: float
    kind: EvidenceKind
    source: Source
    weight: float = -1.0  # negative: the usual weight of its kind
    by: str = ""
    detail: str = ""

    def line(self) -> str:
        weight = WEIGHTS[self.kind] if self.weight < 0 else min(self.weight, MAX_WEIGHT)
        return f"{self.time:.3f}\t{self.kind}\t{weight:g}\t{self.source}\t{spool.plain(self.by, MAX_TEXT)}\t{spool.plain(self.detail, MAX_TEXT)}\n"


def parse(line: str) -> Evidence | None:
    """Read one line; None for what is no evidence (a line cut short by a full disk, say)."""
    fields = line.rstrip("\n").split("\t")
    if len(fields) != 6:
        return None
    try:
        time, kind, weight = float(fields[0]), _KINDS[fields[1]], float(fields[2])
    except (ValueError, KeyError):
        return None
    found = source(fields[3])
    if found is None or not math.isfinite(time) or not 0 <= weight <= MAX_WEIGHT:
        return None
    return Evidence(time, kind, found, weight, fields[4], fields[5])


_KINDS = {kind.value: kind for kind in EvidenceKind}


def append(folder: Path, pieces: Iterable[Evidence]) -> None:
    """Add evidence to the spool in `folder` (see `Settings.reputation_folder`); returns when the system has it. Raises OSError."""
    lines = "".join([piece.line() for piece in pieces])
    if lines:
        spool.append(folder / SPOOL, lines)
