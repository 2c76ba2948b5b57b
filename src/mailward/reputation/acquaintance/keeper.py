"""Learns who writes with whom, saves and publishes it. One process at a time, whoever has the lock; as `ip/keeper.py` does."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from mailward.reputation import lists, spool
from mailward.reputation.acquaintance import observation, table
from mailward.reputation.acquaintance.book import Book
from mailward.reputation.ip.keeper import LOCK_FILE, locked
from mailward.reputation.ip.keeper import Busy as Busy
from mailward.reputation.url.store import salt_in

STATE_FILE, DRAFT_FILE, SALT_FILE = "book.npz", "book.npz.draft", "salt"
ROTATE_BYTES = 32 << 20
SAVE_SECONDS = 120.0
PUBLISH_SECONDS = 1.0  # at least between two tables
ROWS_A_SECOND = 50_000  # and a second more for so many digests: two million are 17 MB, written every 40 seconds
MAX_AHEAD = 60.0  # what is told from the future is taken as from now

log = logging.getLogger("mailward.reputation")


class AcquaintanceKeeper:
    """Raises `Busy` when another process has the lock, OSError when the folder cannot be used. Use as a context manager."""

    def __init__(self, folder: Path, snapshots: Path) -> None:
        self._folder, self._path = folder, snapshots / table.FILE
        self._lock = locked(folder)
        self._salt = salt_in(folder)
        self.book = Book()
        self._reader = spool.Reader(folder / observation.SPOOL, folder / observation.OLD_SPOOL, ROTATE_BYTES)
        self._changed, self._unsaved = True, False
        self._published, self._saved = float("-inf"), time.monotonic()
        self._load()

    def __enter__(self) -> AcquaintanceKeeper:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def catch_up(self, now: float | None = None, *, force: bool = False) -> int:
        """Learn what is new, publish and save what is due (`force`: all of it now). Returns the messages learned. Raises OSError."""
        now = time.time() if now is None else now
        learned = self._learn(now)
        while force and (more := self._learn(now)):
            learned += more
        clock = time.monotonic()
        if self._changed and (force or clock - self._published >= self._pause):
            table.write(self._path, self.book, self._salt, now)
            self._published, self._changed = clock, False
        if self._unsaved and (force or clock - self._saved >= SAVE_SECONDS):
            self.save(now)
        return learned

    @property
    def _pause(self) -> float:
        return PUBLISH_SECONDS + (len(self.book.senders) + len(self.book.messages)) / ROWS_A_SECOND

    def _learn(self, now: float) -> int:
        learned = 0
        for line in self._reader.lines():
            piece = observation.parse(line)
            if piece is None:
                log.warning("a line about who writes with whom cannot be read and is left out: %r", line[:100])
                continue
            if piece.time > now + MAX_AHEAD:
                piece = observation.Observation(now, piece.outgoing, piece.wrote, piece.written_to, piece.messages, piece.names)
            self.book.learn(piece)
            learned += 1
        self._changed |= learned > 0
        self._unsaved |= learned > 0
        return learned

    def save(self, now: float) -> None:
        """Write what was learned and how far the spool was read, as a whole or not at all. Raises OSError."""
        self.book.forget(now)
        arrays = {"place": np.array(self._reader.place, np.uint64), **self.book.state()}
        lists.store(self._folder / STATE_FILE, arrays, self._folder / DRAFT_FILE)
        self._saved, self._unsaved = time.monotonic(), False

    def _load(self) -> None:
        path = self._folder / STATE_FILE
        if not path.is_file():
            return
        try:
            with np.load(path, allow_pickle=False) as arrays:
                place = arrays["place"]
                self.book.restore(arrays)
            self._reader.place = (int(place[0]), int(place[1]))
        except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile) as error:
            lists.put_aside(path, error, "who writes with whom is learned anew")
            self.book = Book()


def erase(folder: Path, snapshots: Path) -> bool:
    """Delete everything that was learned; whether there was anything. Raises OSError."""
    files = [snapshots / table.FILE]
    files += [folder / name for name in (STATE_FILE, DRAFT_FILE, observation.SPOOL, observation.OLD_SPOOL, SALT_FILE, LOCK_FILE)]
    files.append((folder / STATE_FILE).with_suffix(".damaged"))
    there = [path for path in files if path.exists()]
    for path in there:
        path.unlink(missing_ok=True)
    return bool(there)
