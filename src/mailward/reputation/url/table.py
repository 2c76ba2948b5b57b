"""Published knowledge of URLs: sorted 64-bit keys and one packed record for each, memory-mapped by every process.

Five million entries take 150 MB of a file that all processes share. A look-up bisects the sixty keys that begin with the same
16 bits. Tables of people's ratings and of evidence keep the names too, for the zone and for showing.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.reputation import mapped
from mailward.reputation.mapped import Column, Mapped
from mailward.reputation.url.entry import KINDS, Entry
from mailward.reputation.url.place import Scope

OWN_FILE, EVIDENCE_FILE, FEEDS_FILE, POPULAR_FILE, LIFE_FILE = "own.urls", "evidence.urls", "feeds.urls", "popular.urls", "life.urls"
COLUMNS = {
    "key": "<u8",
    "scope": "<u1",
    "rating": "<u1",
    "kind": "<u1",
    "origin": "<u2",  # counts into `origins`
    "since": "<u4",
    "until": "<u4",  # 0: for ever
    "count": "<u4",
    "text": "<u4",  # counts into `texts`, 0 is ""
}
SCOPES = {scope: number for number, scope in enumerate(Scope)}
_BY_NUMBER = list(Scope)
_INDEX_BITS = 16
_SHIFT = 64 - _INDEX_BITS
_FORMAT = "mailward-urls-1"


class _Header(msgspec.Struct):
    format: str
    serial: int
    made: float
    salt: str
    scopes: int  # bits of the scopes that occur
    origins: list[str]
    texts: list[str]
    names: list[str]  # by row; empty where they are not kept
    columns: dict[str, Column]


def write(
    path: Path,
    columns: Mapping[str, npt.NDArray[Any]],
    salt: bytes,
    origins: Sequence[str],
    texts: Sequence[str],
    serial: int,
    made: float,
    names: Sequence[str] = (),
) -> None:
    """Publish a table, in place of the one there. Rows may come in any order; of two with one key the one rated lower counts.

    Raises OSError.
    """
    key = columns["key"]
    order = np.lexsort((columns["rating"], key))
    if len(order) > 1:
        keys = key[order]
        order = order[np.concatenate([[True], keys[1:] != keys[:-1]])]
    keys = key[order]
    index = np.searchsorted(keys >> np.uint64(_SHIFT), np.arange((1 << _INDEX_BITS) + 1, dtype=np.uint64)).astype("<u4")
    placed: dict[str, Column] = {}
    offset = 0
    for name, dtype in COLUMNS.items():
        placed[name], offset = mapped.place(offset, len(order), dtype)
    placed["index"], offset = mapped.place(offset, len(index), "<u4")
    scopes = int(np.bitwise_or.reduce(1 << columns["scope"].astype(np.uint8))) if len(order) else 0
    ordered = [names[row] for row in order] if names else []
    header = _Header(_FORMAT, serial, made, salt.hex(), scopes, list(origins), list(texts), ordered, placed)
    filled = ((placed[name], columns[name][order]) for name in COLUMNS)
    mapped.write(path, header, (*filled, (placed["index"], index)), offset)


def empty_columns() -> dict[str, npt.NDArray[Any]]:
    return {name: np.empty(0, dtype) for name, dtype in COLUMNS.items()}


class UrlTable(Mapped):
    """A mapped table. Keys have to be made with its `salt`."""

    def _empty(self) -> None:
        self.serial, self.made, self.salt = 0, 0.0, b""
        self._scopes(0)
        self.origins: list[str] = []
        self.texts: list[str] = []
        self.names: list[str] = []
        self.arrays = empty_columns()
        self._views = {name: array.data for name, array in self.arrays.items()}
        self._index: memoryview | None = None

    def _take(self, header: bytes, data: mmap.mmap, base: int) -> None:
        read = msgspec.json.decode(header, type=_Header)
        if read.format != _FORMAT:
            raise ValueError(f"its format is {read.format[:40]!r}")
        arrays = {name: mapped.mapped(data, base, read.columns[name]) for name in COLUMNS}
        index = mapped.mapped(data, base, read.columns["index"])
        if len(index) != (1 << _INDEX_BITS) + 1 or len({len(array) for array in arrays.values()}) != 1 or index[-1] > len(arrays["key"]):
            raise ValueError("its columns do not belong together")
        self.salt = bytes.fromhex(read.salt)
        self.arrays, self._index = arrays, index.data
        self._views = {name: array.data for name, array in arrays.items()}
        self.serial, self.made = read.serial, read.made
        self._scopes(read.scopes)
        self.origins, self.texts, self.names = read.origins, read.texts, read.names

    def _scopes(self, bits: int) -> None:
        """Which scopes occur: the others need not be asked about."""
        self.has_urls, self.has_paths, self.has_hosts, self.has_domains = (bool(bits >> SCOPES[scope] & 1) for scope in Scope)

    def __len__(self) -> int:
        return len(self.arrays["key"])

    def row(self, key: int) -> int:
        """The row of a key, -1 where there is none."""
        index = self._index
        if index is None:
            return -1
        keys, slot = self._views["key"], key >> _SHIFT
        end = index[slot + 1]
        row = bisect_left(keys, key, index[slot], end)
        return row if row < end and keys[row] == key else -1

    def find(self, key: int, now: float) -> Entry | None:
        """The entry of a key, where it holds now."""
        row = self.row(key)
        return self.entry(row, now) if row >= 0 else None

    def entry(self, row: int, now: float) -> Entry | None:
        """The entry of a row, None when its time is over."""
        views = self._views
        until = views["until"][row]
        if until and until <= now:
            return None
        text, origin = views["text"][row], views["origin"][row]
        return Entry(
            _BY_NUMBER[views["scope"][row]],
            views["rating"][row],
            KINDS[views["kind"][row]],
            self.origins[origin] if origin < len(self.origins) else "",
            views["since"][row],
            until,
            self.texts[text] if text < len(self.texts) else "",
            self.names[row] if row < len(self.names) else "",
            views["count"][row],
        )

    def value(self, row: int, column: str) -> int:
        """One number of a row."""
        return int(self._views[column][row])

    def entries(self, now: float) -> Iterator[Entry]:
        """Every entry that holds now."""
        for row in range(len(self)):
            found = self.entry(row, now)
            if found is not None:
                yield found
