"""Immutable files of columns, memory-mapped and replaced as a whole: what the snapshots of addresses and of URLs share.

Layout: one line of JSON (what follows, where, of what type), then the columns, each aligned to 64 octets.
"""

from __future__ import annotations

import mmap
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

FOLLOW_SECONDS = 0.5  # how often `follow` looks for a newer file
MAX_HEADER = 64 << 20  # octets
_ALIGN = 64
_UNREADABLE = (-1, -1)  # the stamp of a file we may not look at; told once


class SnapshotError(Exception):
    """A snapshot file that cannot be used; the text says which and what to do."""


class Column(msgspec.Struct):
    offset: int  # from the end of the header
    count: int
    dtype: str


def place(offset: int, count: int, dtype: str) -> tuple[Column, int]:
    """A column that begins at `offset`, and where the next one may begin."""
    return Column(offset, count, dtype), offset + -(-count * np.dtype(dtype).itemsize // _ALIGN) * _ALIGN


def write(path: Path, header: msgspec.Struct, columns: Iterable[tuple[Column, Any]], size: int) -> None:
    """Replace a file as a whole. Columns are asked for one after the other; `size` is that of all. Raises OSError."""
    line = msgspec.json.encode(header) + b"\n"
    line = line[:-1] + b" " * (-len(line) % _ALIGN) + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with draft.open("wb") as file:
        file.write(line)
        for place, values in columns:
            file.seek(len(line) + place.offset)
            file.write(np.ascontiguousarray(values, dtype=place.dtype).tobytes())
        file.truncate(len(line) + size)
    draft.replace(path)


class Mapped(ABC):
    """A mapped file. Looking up is safe from several threads; `follow` belongs to one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked = float("-inf")
        self._stamp: tuple[int, int] | None = None
        self._empty()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a file; a table without entries where there is none (yet). Raises SnapshotError for a damaged one."""
        table = cls(path)
        table.follow(force=True)
        return table

    def follow(self, *, force: bool = False) -> bool:
        """Take up a newer file, at most every FOLLOW_SECONDS unless forced. Whether there was one.

        Raises SnapshotError for a file that is damaged or cannot be read; the table keeps what it had, and each is told once.
        """
        now = time.monotonic()
        if not force and now < self._looked + FOLLOW_SECONDS:
            return False
        self._looked = now
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            known, self._stamp = self._stamp, _UNREADABLE
            if known == _UNREADABLE:
                return False
            raise SnapshotError(f"{self._path} cannot be read: {error.strerror}. Check the permissions of the state folder.") from error
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as probe:
                end = probe.find(b"\n", 0, MAX_HEADER) + 1
                header = probe[:end]
                file.seek(0)
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._take(header, data, end)
        except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
            raise SnapshotError(f"{self._path} cannot be used: {error}. It is written anew with the next change.") from error
        return True

    @abstractmethod
    def _empty(self) -> None:
        """Be a table without entries."""

    @abstractmethod
    def _take(self, header: bytes, data: mmap.mmap, base: int) -> None:
        """Take up a mapped file whose columns begin at `base`. Raises ValueError, KeyError or MsgspecError, and changes nothing then."""


def mapped(data: mmap.mmap, base: int, column: Column) -> npt.NDArray[Any]:
    return np.frombuffer(data, dtype=column.dtype, count=column.count, offset=base + column.offset)
