"""Published knowledge of URLs: sorted 64-bit keys and one packed record for each, memory-mapped by every process.

Five million entries take 150 MB of a file that all processes share. A look-up bisects the sixty keys that begin with the same
16 bits. Tables of people's ratings and of evidence keep the names too, for the zone and for showing.
"""

from __future__ import annotations

import mmap
import struct
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
REGISTERED_FILE = "registered.urls"
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
_FIELDS = ("since", "until", "count", "text", "origin", "scope", "rating", "kind")  # of a record: what one look-up reads lies together
_PACKED = np.dtype([(name, COLUMNS[name]) for name in _FIELDS])
_RECORD = struct.Struct("<IIIIHBBB")
SCOPES = {scope: number for number, scope in enumerate(Scope)}
_BY_NUMBER = list(Scope)
_INDEX_BITS = 16
_SHIFT = 64 - _INDEX_BITS
_FORMAT = "mailward-urls-2"


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
    records = np.empty(len(order), _PACKED)
    for name in _FIELDS:
        records[name] = columns[name][order]
    contents = {"key": keys, "record": records.view(np.uint8), "index": index}
    placed: dict[str, Column] = {}
    offset = 0
    for name, dtype in (("key", "<u8"), ("record", "<u1"), ("index", "<u4")):
        placed[name], offset = mapped.place(offset, len(contents[name]), dtype)
    scopes = int(np.bitwise_or.reduce(1 << columns["scope"].astype(np.uint8))) if len(order) else 0
    ordered = [names[row] for row in order] if names else []
    header = _Header(_FORMAT, serial, made, salt.hex(), scopes, list(origins), list(texts), ordered, placed)
    mapped.write(path, header, ((placed[name], values) for name, values in contents.items()), offset)


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
        self._keys, self._records = np.empty(0, "<u8").data, memoryview(b"")
        self._index: memoryview | None = None

    def _take(self, header: bytes, data: mmap.mmap, base: int) -> None:
        read = msgspec.json.decode(header, type=_Header)
        if read.format != _FORMAT:
            raise ValueError(f"its format is {read.format[:40]!r}")
        keys, records, index = (mapped.mapped(data, base, read.columns[name]) for name in ("key", "record", "index"))
        if len(index) != (1 << _INDEX_BITS) + 1 or len(records) != len(keys) * _RECORD.size or index[-1] > len(keys):
            raise ValueError("its columns do not belong together")
        self.salt = bytes.fromhex(read.salt)
        self._keys, self._records, self._index = keys.data, records.data, index.data
        self.serial, self.made = read.serial, read.made
        self._scopes(read.scopes)
        self.origins, self.texts, self.names = read.origins, read.texts, read.names

    def _scopes(self, bits: int) -> None:
        """Which scopes occur: the others need not be asked about."""
        self.has_urls, self.has_paths, self.has_hosts, self.has_domains = (bool(bits >> SCOPES[scope] & 1) for scope in Scope)

    def __len__(self) -> int:
        return len(self._keys)

    def row(self, key: int) -> int:
        """The row of a key, -1 where there is none."""
        index = self._index
        if index is None:
            return -1
        keys, slot = self._keys, key >> _SHIFT
        end = index[slot + 1]
        row = bisect_left(keys, key, index[slot], end)
        return row if row < end and keys[row] == key else -1

    def find(self, key: int, now: float) -> Entry | None:
        """The entry of a key, where it holds now."""
        row = self.row(key)
        return self.entry(row, now) if row >= 0 else None

    def entry(self, row: int, now: float) -> Entry | None:
        """The entry of a row, None when its time is over."""
        since, until, count, text, origin, scope, rating, kind = _RECORD.unpack_from(self._records, row * _RECORD.size)
        if until and until <= now:
            return None
        return Entry(
            _BY_NUMBER[scope],
            rating,
            KINDS[kind],
            self.origins[origin] if origin < len(self.origins) else "",
            since,
            until,
            self.texts[text] if text < len(self.texts) else "",
            self.names[row] if row < len(self.names) else "",
            count,
        )

    def entries(self, now: float) -> Iterator[Entry]:
        """Every entry that holds now."""
        return (found for _, found in self.keyed(now))

    def keyed(self, now: float) -> Iterator[tuple[int, Entry]]:
        """Key and entry of every entry that holds now."""
        for row in range(len(self)):
            found = self.entry(row, now)
            if found is not None:
                yield self._keys[row], found
