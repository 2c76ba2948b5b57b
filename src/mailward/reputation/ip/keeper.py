"""Keeps the dynamic database: reads evidence, learns, saves, publishes. One process at a time, whoever has the lock.

What was learned is saved now and then together with how far the evidence was read; after a restart, or a kill at any
moment, the evidence after that place is learned again, and the database is the same as if nothing had happened.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np

from mailward.reputation import evidence, lists, snapshot, spool
from mailward.reputation.address import Source
from mailward.reputation.evidence import AGAINST, Evidence, EvidenceKind
from mailward.reputation.ip.dynamic import DynamicDatabase, Promotion
from mailward.reputation.ip.protected import Protected
from mailward.reputation.ip.publishing import publish
from mailward.reputation.listing import Listing
from mailward.reputation.snapshot import SnapshotError, Table

STATE_FILE = "dynamic.npz"
OLD_SPOOL = "evidence.1.tsv"
LOCK_FILE = "keeper.lock"
ROTATE_BYTES = 64 << 20  # about a million pieces of evidence
SAVE_SECONDS = 120.0
PUBLISH_SECONDS = 1.0  # at least between two snapshots, and
PUBLISH_SHARE = 10.0  # so many times as long as publishing takes
REFRESH_SECONDS = 30.0  # published anew for listings that ended, and sources that came of age
MAX_AHEAD = 60.0  # evidence from the future is taken as from now; clocks differ a little
SEARCH_BYTES = 1 << 20
RECENT = 50  # pieces of evidence that `about` shows

log = logging.getLogger("mailward.reputation")


class Busy(Exception):  # noqa: N818
    """Another process keeps the database; it will take up the evidence within seconds."""


class Promoting(Protocol):
    """The standard database, as far as it is needed here. Who publishes it is up to its owner."""

    def promote(self, source: Source, reason: str, now: float, until: float, count: int) -> None: ...


class Keeper:
    """Raises `Busy` when another process has the lock, OSError when the folder cannot be used. Use as a context manager.

    `networks` as in `publish`: whether a level is in use at which neighbours alone list.
    """

    def __init__(
        self,
        folder: Path,
        snapshots: Path,
        standard: Promoting | None = None,
        protected: Protected | None = None,
        ours: Callable[[Source], bool] = lambda _: False,
        *,
        networks: bool = True,
    ) -> None:
        self._networks = networks
        self._folder, self._snapshots, self._standard = folder, snapshots, standard
        self._protected = protected or Protected()
        self.database = DynamicDatabase(self._protected.holds, ours)
        self._listed = Table(snapshots / snapshot.STANDARD_FILE)
        self._reader = spool.Reader(folder / evidence.SPOOL, folder / OLD_SPOOL, ROTATE_BYTES)
        self._saved = self._published = self._took = 0.0
        self._changed = self._unsaved = False
        self._serial = 0
        self._lock = locked(folder)
        self._load()

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def catch_up(self, now: float | None = None, *, force: bool = False) -> int:
        """Learn what is new, publish and save what is due (`force`: all of it now). Returns the pieces learned.

        Call it again at once when it returned something. Raises OSError.
        """
        now = time.time() if now is None else now
        learned = self._learn(now)
        while force and (more := self._learn(now)):
            learned += more
        self._promote()
        self._follow_standard()
        clock = time.monotonic()
        due = clock - self._published
        pause = max(PUBLISH_SECONDS, PUBLISH_SHARE * self._took)
        if force or (self._changed and due >= pause) or due >= max(REFRESH_SECONDS, pause):
            self._publish(now)
        if self._unsaved and (force or clock - self._saved >= SAVE_SECONDS):
            self.save(now)
        return learned

    def close(self) -> None:
        """Let go of the lock. What was not saved is learned again by the next keeper."""
        os.close(self._lock)

    # Reading

    def _learn(self, now: float) -> int:
        learned = 0
        for line in self._reader.lines():
            piece = evidence.parse(line)
            if piece is None:
                log.warning("a line of evidence cannot be read and is left out: %r", line[:100])
                continue
            if piece.time > now + MAX_AHEAD:
                piece = Evidence(now, piece.kind, piece.source, piece.weight, piece.by, piece.detail)
            self.database.learn(piece)
            learned += 1
        if learned:
            self._changed = self._unsaved = True
        return learned

    # Telling others

    def _promote(self) -> None:
        promotions, self.database.promotions = self.database.promotions, []
        if not promotions or self._standard is None:
            return
        latest = {each.source: each for each in promotions}
        for each in latest.values():
            self._standard.promote(each.source, words(each), each.time, each.until, each.count)

    def _follow_standard(self) -> None:
        """What came into the standard database leaves the dynamic snapshot."""
        try:
            self._changed |= self._listed.follow()
        except SnapshotError as error:
            log.error("%s", error)

    def _publish(self, now: float) -> None:
        started = time.monotonic()
        self._serial = max(self._serial + 1, int(now))
        publish(self._snapshots, self.database, self._protected, self._listed, self._serial, now, networks=self._networks)
        self._published = time.monotonic()
        self._took = self._published - started
        self._changed = False

    # Lasting

    def save(self, now: float) -> None:
        """Write the database and how far the evidence was read, as a whole or not at all. Raises OSError."""
        self.database.forget(now)
        arrays = {"place": np.array([*self._reader.place, self._serial], np.uint64), **self.database.state()}
        lists.store(self._folder / STATE_FILE, arrays, self._folder / f"{STATE_FILE}.tmp")
        self._saved, self._unsaved = time.monotonic(), False

    def _load(self) -> None:
        path = self._folder / STATE_FILE
        self._saved = time.monotonic()
        if not path.is_file():
            return
        try:
            with np.load(path, allow_pickle=False) as arrays:
                place = arrays["place"]
                self.database.restore({name: arrays[name] for name in arrays.files if name != "place"})
            self._reader.place, self._serial = (int(place[0]), int(place[1])), int(place[2])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            lists.put_aside(path, error, "the evidence at hand is learned anew")
            self.database = DynamicDatabase(self._protected.holds)


def words(promotion: Promotion) -> str:
    """Why a source was promoted."""
    return f"sent spam on {promotion.days} days, and hardly anything else"


def locked(folder: Path) -> int:
    """The lock of a folder, for as long as the file is open. Raises Busy and OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise Busy(f"{folder} is kept by another process") from error
    return lock


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an address. `evidence` is what the spool still holds, the newest last, at most RECENT pieces."""

    source: Source
    standard: Listing | None
    dynamic: Listing | None  # with the lowest level that lists it
    good: Listing | None  # in good standing
    protected: bool
    evidence: tuple[Evidence, ...]
    counts: dict[EvidenceKind, int]  # of all pieces the spool still holds
    first: float  # first and last evidence against it, seconds since 1970; 0 where there is none
    last: float


def about(folder: Path, snapshots: Path, source: Source, now: float, protected: Protected | None = None, level: int = 0) -> About:
    """Look an address up, and its evidence. Reads the spool: milliseconds for each 64 MB. Raises SnapshotError or OSError.

    A dynamic listing ends as `Table.find` says, `level` being the one shown.
    """
    tables = [Table.open(snapshots / name) for name in (snapshot.STANDARD_FILE, snapshot.DYNAMIC_FILE, snapshot.GOOD_FILE)]
    standard, dynamic, good = (table.find(source, now, shown=level) for table in tables)
    pieces = [piece for name in (OLD_SPOOL, evidence.SPOOL) for piece in _pieces(folder / name, source)]
    against = [piece.time for piece in pieces if piece.kind in AGAINST]
    return About(
        source=source,
        standard=standard,
        dynamic=dynamic,
        good=good,
        protected=(protected or Protected()).holds(source),
        evidence=tuple(pieces[-RECENT:]),
        counts=dict(Counter(piece.kind for piece in pieces)),
        first=min(against, default=0.0),
        last=max(against, default=0.0),
    )


def _pieces(path: Path, source: Source) -> Iterator[Evidence]:
    """The evidence of one address in a file."""
    with _mapped(path) as data:
        if data is None:
            return
        wanted, size, at = f"\t{source}\t".encode(), len(data), 0
        while at < size:
            found = data.find(wanted, at, at + SEARCH_BYTES)  # a little at a time: looking keeps other threads from running
            if found < 0:
                at += SEARCH_BYTES - len(wanted)
                continue
            start, end = data.rfind(b"\n", 0, found) + 1, data.find(b"\n", found)
            at = end if end >= 0 else size
            piece = evidence.parse(data[start:at].decode("utf-8", "replace"))
            if piece is not None and piece.source == source:
                yield piece


@contextmanager
def _mapped(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except (FileNotFoundError, ValueError):  # a file without content cannot be mapped
        yield None
