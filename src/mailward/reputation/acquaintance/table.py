"""The published book: sorted 64-bit digests, memory-mapped by every process that judges (`mapped.py`). A million of each are 18 MB.

A look-up bisects the few keys that begin with the same 16 bits.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.reputation import mapped
from mailward.reputation.acquaintance.book import NAME_TIMES, Book
from mailward.reputation.mapped import Column, Mapped

FILE = "acquaintance.digests"
_FORMAT = "mailward-acquaintance-1"
_KEYS = ("senders", "messages", "names")
_COLUMNS = {"how": "<u1", **dict.fromkeys(_KEYS, "<u8"), **{f"{name}_index": "<u4" for name in _KEYS}}
_INDEX_BITS = 16
_SHIFT = 64 - _INDEX_BITS


class _Header(msgspec.Struct):
    format: str
    made: float
    salt: str
    incoming_since: int
    threads_since: int
    outgoing_last: int
    columns: dict[str, Column]


def write(path: Path, book: Book, salt: bytes, now: float) -> None:
    """Publish a book, in place of the one there. Raises OSError."""
    for rows in (book.senders, book.messages, book.names):
        rows.rebuild()
    contents: dict[str, Any] = {
        "senders": book.senders.array("keys"),
        "messages": book.messages.array("keys"),
        "names": book.names.array("keys")[book.names.array("times") >= NAME_TIMES],
        "how": book.senders.array("how"),
    }
    slots = np.arange((1 << _INDEX_BITS) + 1, dtype=np.uint64)
    contents |= {f"{name}_index": np.searchsorted(contents[name] >> np.uint64(_SHIFT), slots) for name in _KEYS}
    placed: dict[str, Column] = {}
    offset = 0
    for name, dtype in _COLUMNS.items():
        placed[name], offset = mapped.place(offset, len(contents[name]), dtype)
    header = _Header(_FORMAT, now, salt.hex(), book.incoming_since, book.threads_since, book.outgoing_last, placed)
    mapped.write(path, header, ((placed[name], values) for name, values in contents.items()), offset)


class AcquaintanceTable(Mapped):
    """A mapped book. Keys have to be made with its `salt`, which is empty where there is no file (yet)."""

    def _empty(self) -> None:
        self.made, self.salt = 0.0, b""
        self.incoming_since = self.threads_since = self.outgoing_last = 0
        self._senders, self._messages, self._names, self._how = _Keys(), _Keys(), _Keys(), memoryview(b"")

    def _take(self, header: bytes, data: mmap.mmap, base: int) -> None:
        read = msgspec.json.decode(header, type=_Header)
        if read.format != _FORMAT:
            raise ValueError(f"its format is {read.format[:40]!r}")
        columns = {name: mapped.mapped(data, base, read.columns[name]) for name in _COLUMNS}
        senders, messages, names = (_Keys(columns[name], columns[f"{name}_index"]) for name in _KEYS)
        if len(columns["how"]) != len(senders):
            raise ValueError("its columns do not belong together")
        self._senders, self._messages, self._names, self._how = senders, messages, names, columns["how"].data
        self.made, self.salt = read.made, bytes.fromhex(read.salt)
        self.incoming_since, self.threads_since, self.outgoing_last = read.incoming_since, read.threads_since, read.outgoing_last

    def how(self, key: int) -> int:
        """The bits of a sender (`book.WROTE`, `book.WRITTEN_TO`), 0 for one that is not known."""
        row = self._senders.row(key)
        return int(self._how[row]) if row >= 0 else 0

    def has_message(self, key: int) -> bool:
        return self._messages.row(key) >= 0

    def has_name(self, key: int) -> bool:
        return self._names.row(key) >= 0

    @property
    def has_names(self) -> bool:
        return len(self._names) > 0


class _Keys:
    """Sorted keys with where those of each beginning lie. Raises ValueError where these do not belong together."""

    __slots__ = ("_index", "_keys")

    def __init__(self, keys: npt.NDArray[Any] | None = None, index: npt.NDArray[Any] | None = None) -> None:
        self._keys = None if keys is None else keys.data
        self._index = memoryview(b"") if index is None else index.data
        if keys is not None and (len(self._index) != (1 << _INDEX_BITS) + 1 or self._index[-1] != len(keys)):
            raise ValueError("its columns do not belong together")

    def __len__(self) -> int:
        return 0 if self._keys is None else len(self._keys)

    def row(self, key: int) -> int:
        """The row of a key, -1 where there is none."""
        keys = self._keys
        if keys is None:
            return -1
        slot = key >> _SHIFT
        end = self._index[slot + 1]
        row = bisect_left(keys, key, self._index[slot], end)
        return row if row < end and keys[row] == key else -1
