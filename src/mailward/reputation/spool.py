"""A file of lines that every process may append to and that one process reads on, across restarts (decision 0065).

Appending needs no lock (O_APPEND) and survives the death of the writer. The reader keeps its place, begins a new file when
the old one is long, and reads what late writers put into the old one first.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

SETTLE_SECONDS = 2.0  # a writer may still have the old file open after it was renamed
READ_BYTES = 2 << 20  # at once, so that the process can do something else in between

log = logging.getLogger("mailward.reputation")


def append(path: Path, lines: str) -> None:
    """Add whole lines; returns when the system has them. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        os.write(file, lines.encode())
    finally:
        os.close(file)


def append_lasting(path: Path, lines: bytes, most: int = 1 << 62) -> None:
    """The same; returns when they are on disk. A line that a dead writer left unfinished is ended first.

    Raises OSError, and ValueError where the file would be larger than `most`.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        size = os.fstat(file).st_size
        if size + len(lines) > most:
            raise ValueError(f"{path} has {size >> 20} MB")
        if size and os.pread(file, 1, size - 1) != b"\n":
            lines = b"\n" + lines
        os.write(file, lines)
        os.fsync(file)
    finally:
        os.close(file)


def plain(text: str, length: int) -> str:
    """Text as it may stand in a field of a line."""
    return "".join(c if c.isprintable() else " " for c in text[:length])


class Reader:
    """Belongs to the one process that reads. `place` (inode and offset) is kept by the caller together with what was learned."""

    def __init__(self, path: Path, old: Path, rotate_bytes: int) -> None:
        self._path, self._old, self._most = path, old, rotate_bytes
        self._rotated = 0.0
        self.place: tuple[int, int] = (0, 0)

    def lines(self) -> list[str]:
        """The next whole lines. A file that was renamed is read to its end first."""
        inode, place = self.place
        if inode and inode_of(self._path) != inode:
            if inode_of(self._old) == inode:
                lines = self._read(self._old)
                if lines or time.monotonic() < self._rotated + SETTLE_SECONDS:
                    return lines
            self.place = (0, 0)
        if not self.place[0]:
            self.place = (inode_of(self._path), 0)
        if not self.place[0]:
            return []
        lines = self._read(self._path)
        if not lines and place >= self._most:
            self._rotate()
        return lines

    def _read(self, path: Path) -> list[str]:
        inode, place = self.place
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < place:
                log.error("%s is shorter than what was read of it; it is read anew", path)
                place = 0
            file.seek(place)
            data = file.read(READ_BYTES)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == READ_BYTES:
            end = len(data)  # no line is that long: leave it out
        self.place = (inode, place + end)
        return data[:end].decode("utf-8", "replace").splitlines()

    def _rotate(self) -> None:
        """Begin a new file. The old one is kept until the next time, for those who ask what was said."""
        self._path.replace(self._old)
        self._rotated = time.monotonic()


def inode_of(path: Path) -> int:
    """0 where there is no such file."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
