"""The published book: sorted 64-bit digests, memory-mapped by every process that judges (`mapped.py`). A million of each are 17 MB."""

from __future__ import annotations

import mmap
from bisect import bisect_left
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mailward.reputation import mapped
from mailward.reputation.acquaintance.book import NAME_TIMES, Book
from mailward.reputation.mapped import Column, Mapped

FILE = "acquaintance.digests"
_FORMAT = "mailward-acquaintance-1"
_COLUMNS = {"senders": "<u8", "messages": "<u8", "names": "<u8", "how": "<u1"}


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
        none = np.empty(0, "<u8").data
        self._senders, self._messages, self._names, self._how = none, none, none, memoryview(b"")

    def _take(self, header: bytes, data: mmap.mmap, base: int) -> None:
        read = msgspec.json.decode(header, type=_Header)
        if read.format != _FORMAT:
            raise ValueError(f"its format is {read.format[:40]!r}")
        senders, messages, names, how = (mapped.mapped(data, base, read.columns[name]) for name in _COLUMNS)
        if len(how) != len(senders):
            raise ValueError("its columns do not belong together")
        self._senders, self._messages, self._names, self._how = senders.data, messages.data, names.data, how.data
        self.made, self.salt = read.made, bytes.fromhex(read.salt)
        self.incoming_since, self.threads_since, self.outgoing_last = read.incoming_since, read.threads_since, read.outgoing_last

    def how(self, key: int) -> int:
        """The bits of a sender (`book.WROTE`, `book.WRITTEN_TO`), 0 for one that is not known."""
        row = _row(self._senders, key)
        return int(self._how[row]) if row >= 0 else 0

    def has_message(self, key: int) -> bool:
        return _row(self._messages, key) >= 0

    def has_name(self, key: int) -> bool:
        return _row(self._names, key) >= 0

    @property
    def has_names(self) -> bool:
        return len(self._names) > 0


def _row(keys: memoryview, key: int) -> int:
    row = bisect_left(keys, key)
    return row if row < len(keys) and keys[row] == key else -1
