"""An imported list as it is kept: one immutable file, replaced as a whole.

The file is an uncompressed numpy archive (.npz): a JSON note about the list, the texts, and the columns of v4 and v6.
Exclusions have been cut out; what is left is disjoint and sorted, and every piece knows how exact its entry was.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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

SUFFIX = ".npz"

_OUT = 1000  # more exact than any entry


class ListDamaged(Exception):  # noqa: N818
    """A list file that cannot be used; the text says which."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The note in a list file. Times in seconds since 1970; `kind` is the label of entries that do not say theirs."""

    name: str
    kind: str
    source: str  # where it comes from, as it stands in reasons: "ipsum 2026-08-22"
    imported: int
    expires: int  # 0: never
    entries: int
    refused: int
    format: str

    def holds(self, now: float) -> bool:
        return not self.expires or self.expires > now


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


def renew(path: Path, expires: int) -> None:
    """Keep a list as it is, with another end. Raises ListDamaged and OSError."""
    with opened(path) as archive:
        found = msgspec.json.decode(archive["about"].tobytes(), type=About)
        arrays = {name: archive[name] for name in archive}
    store(path, {**arrays, "about": octets(msgspec.structs.replace(found, expires=expires))})


def about(path: Path) -> About:
    """The note of a list, without the list. Raises ListDamaged."""
    with opened(path) as archive:
        return msgspec.json.decode(archive["about"].tobytes(), type=About)


def read(path: Path) -> tuple[tuple[str, ...], Pieces, Pieces]:
    """Texts, v4 and v6. Raises ListDamaged."""
    with opened(path) as archive:
        texts = msgspec.json.decode(archive["texts"].tobytes(), type=tuple[str, ...])
        return texts, _family(archive, "v4"), _family(archive, "v6")


@contextmanager
def opened(path: Path) -> Iterator[Mapping[str, npt.NDArray[Any]]]:
    """The columns of an archive. Raises ListDamaged, also for what is missing in it."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            yield archive
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, msgspec.MsgspecError) as error:
        raise ListDamaged(f"{path} cannot be used: {error}. Import the list again, or delete the file.") from error


def store(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Replace an archive as a whole; returns when it is on disk. Raises OSError."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


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


def octets(note: Any) -> npt.NDArray[np.uint8]:
    """A note as a column of an archive."""
    return np.frombuffer(msgspec.json.encode(note), np.uint8)
