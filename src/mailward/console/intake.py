"""Evidence and lists from outside. What comes from another node is believed as far as one message may be, never more."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailward.console.access import Caller, Role
from mailward.gateway.databases import standard_database
from mailward.gateway.settings import Settings
from mailward.reputation import evidence
from mailward.reputation.address import source
from mailward.reputation.evidence import MAX_WEIGHT, WEIGHTS, Evidence, EvidenceKind
from mailward.reputation.ip import imports
from mailward.reputation.ip.formats import Format
from mailward.reputation.listing import BY_LABEL
from mailward.reputation.lists import About

MAX_PIECES = 10_000  # of one batch
MAX_AGE = 86_400.0  # seconds; what is older counts as this old
MAX_REFUSALS = 20  # shown; more are counted
FROM_NODE = "node:"  # how `by` begins for what another node observed: it is never sent on

Piece = tuple[float | None, str, str, float | None, str]  # time, kind, address, weight, detail


@dataclass(frozen=True, slots=True)
class Refusal:
    """A piece that was not taken, counted from 0."""

    at: int
    why: str


@dataclass(frozen=True, slots=True)
class Taken:
    taken: int
    refused: int
    refusals: tuple[Refusal, ...]


def take(settings: Settings, caller: Caller, pieces: Sequence[Piece], now: float) -> Taken:
    """Put a batch into the spool, good pieces only. Writes a file: not on the event loop. Raises OSError."""
    by = "api" if caller.role is Role.OPERATOR else FROM_NODE + caller.name
    good: list[Evidence] = []
    refusals: list[Refusal] = []
    for at, piece in enumerate(pieces):
        made = _evidence(piece, by, caller.role, now)
        if isinstance(made, Evidence):
            good.append(made)
        else:
            refusals.append(Refusal(at, made))
    evidence.append(settings.reputation_folder, good)
    return Taken(len(good), len(refusals), tuple(refusals[:MAX_REFUSALS]))


def _evidence(piece: Piece, by: str, role: Role, now: float) -> Evidence | str:
    """One piece as it is believed, or why it is not."""
    time, name, address, weight, detail = piece
    kind = _KINDS.get(name)
    if kind is None:
        return f"there is no such kind; the kinds are {', '.join(_KINDS)}"
    if kind is EvidenceKind.DELIST and role is Role.NODE:
        return "a node cannot delist"
    found = source(address)
    if found is None:
        return "this is no address"
    time = now if time is None or not math.isfinite(time) else min(now, max(now - MAX_AGE, time))
    usual = WEIGHTS[kind]
    most = usual if role is Role.NODE else MAX_WEIGHT
    weight = usual if weight is None or not math.isfinite(weight) else min(most, max(0.0, weight))
    return Evidence(time, kind, found, weight, by, detail)


_KINDS = {kind.value: kind for kind in EvidenceKind}


def import_list(
    settings: Settings, name: str, kind: str, body: bytes, format: str, origin: str, days: int, now: float
) -> tuple[About, Iterable[imports.Refusal]]:
    """Keep a list in the standard database and publish it. `format` "" is found out; `days` 0 is for ever.

    Raises ValueError with words, OSError.
    """
    if kind not in BY_LABEL:
        raise ValueError(f"there is no such kind of listing; take one of {', '.join(sorted(BY_LABEL))}")
    try:
        chosen = Format(format) if format else None
    except ValueError:
        raise ValueError(f"there is no such format; take one of {', '.join(Format)}") from None
    read = imports.read(io.BytesIO(body), chosen)
    standard = standard_database(settings)
    kept = standard.import_list(name, read, BY_LABEL[kind], origin or name, int(now) + days * 86_400 if days else 0, now)
    standard.publish_if_due(now)
    return kept, read.refusals
