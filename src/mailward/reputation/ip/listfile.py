"""An imported list of addresses as it is kept (see `reputation/lists.py`): the texts, and the columns of v4 and v6.

Exclusions have been cut out; what is left is disjoint and sorted, and every piece knows how exact its entry was.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.reputation.ip.formats import EXCLUDED, UNSAID
from mailward.reputation.ip.imports import Imported, Rows
from mailward.reputation.ip.ranges import Numbers, exactness, flatten, taken
from mailward.reputation.listing import BY_LABEL, ListingKind
from mailward.reputation.lists import SUFFIX, About, ListDamaged, octets, opened, store

_OUT = 1000  # more exact than any entry


@dataclass(frozen=True, slots=True)
class Pieces:
    """Disjoint, sorted ranges of one family. `exact` as `ranges.exactness` counts, of the entry a piece belongs to."""

    first: Numbers
    last: Numbers
    kind: npt.NDArray[np.uint8]
    exact: npt.NDArray[np.uint8]
    text: npt.NDArray[np.uint32]
    since: npt.NDArray[np.uint32]  # when a list of that name first had it

    def __len__(self) -> int:
        return len(self.kind)


def write(folder: Path, about: About, imported: Imported) -> None:
    """Keep a list under its name, in place of the one that had it. What that one had too is listed since then. Raises OSError."""
    path, default = folder / (about.name + SUFFIX), BY_LABEL[about.kind]
    arrays = {"about": octets(about), "texts": octets(imported.texts)}
    for family, rows in (("v4", imported.v4), ("v6", imported.v6)):
        pieces = _pieces(rows, default, about.imported)
        with suppress(ListDamaged), opened(path) as archive:
            _keep_since(pieces, _family(archive, family))
        arrays |= _columns(family, pieces)
    store(path, arrays)


def read(path: Path) -> tuple[tuple[str, ...], Pieces, Pieces]:
    """Texts, v4 and v6. Raises ListDamaged."""
    with opened(path) as archive:
        texts = msgspec.json.decode(archive["texts"].tobytes(), type=tuple[str, ...])
        return texts, _family(archive, "v4"), _family(archive, "v6")


def _keep_since(pieces: Pieces, before: Pieces) -> None:
    """Ranges that were there before keep the time they have had."""
    if not len(before):
        return
    at = np.minimum(np.searchsorted(_key(before.first), _key(pieces.first)), len(before) - 1)
    ends = zip((*pieces.first, *pieces.last), (*before.first, *before.last), strict=True)
    same = np.logical_and.reduce([new == old[at] for new, old in ends])
    pieces.since[same] = before.since[at[same]]


def _key(of: Numbers) -> npt.NDArray[Any]:
    """One column to search in; the two of v6 as 16 octets."""
    return of[0] if len(of) == 1 else np.stack(of, 1).astype(">u8").view("S16").ravel()


def _pieces(rows: Rows, default: ListingKind, now: int) -> Pieces:
    """What is excluded is out; of the entries that hold an address the most exact counts, of two as exact the one that comes first."""
    exact = exactness(rows.first, rows.last)
    first, last, owner = flatten(rows.first, rows.last, exact + _OUT * (rows.kind == EXCLUDED))
    kept = rows.kind[owner] != EXCLUDED
    owner = owner[kept]
    kind = np.where(rows.kind == UNSAID, default.number, rows.kind)[owner].astype(np.uint8)
    since = np.full(len(owner), now, np.uint32)
    return Pieces(taken(first, kept), taken(last, kept), kind, exact[owner].astype(np.uint8), rows.text[owner], since)


def _columns(family: str, pieces: Pieces) -> dict[str, npt.NDArray[Any]]:
    return {
        f"{family}_first": np.stack(pieces.first),
        f"{family}_last": np.stack(pieces.last),
        f"{family}_kind": pieces.kind,
        f"{family}_exact": pieces.exact,
        f"{family}_text": pieces.text,
        f"{family}_since": pieces.since,
    }


def _family(archive: Mapping[str, npt.NDArray[Any]], family: str) -> Pieces:
    first, last, *rest = (archive[f"{family}_{name}"] for name in ("first", "last", "kind", "exact", "text", "since"))
    return Pieces(tuple(first), tuple(last), *rest)
