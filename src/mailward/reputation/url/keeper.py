"""Learns what is observed of domains, saves and publishes it. One process at a time, whoever has the lock; as `ip/keeper.py` does."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import msgspec
import numpy as np

from mailward.reputation import lists, spool
from mailward.reputation.ip.keeper import Busy as Busy
from mailward.reputation.ip.keeper import locked
from mailward.reputation.url import evidence
from mailward.reputation.url.domains import Domains, Held
from mailward.reputation.url.entry import EntryKind
from mailward.reputation.url.evidence import UrlEvidence, UrlEvidenceKind
from mailward.reputation.url.place import Keying, Scope, text
from mailward.reputation.url.store import FOLDER, next_serial, salt_in
from mailward.reputation.url.table import EVIDENCE_FILE, LIFE_FILE, POPULAR_FILE, SCOPES, UrlTable, write

STATE_FILE = "domains.npz"
ROTATE_BYTES = 32 << 20
SAVE_SECONDS = 120.0
PUBLISH_SECONDS = 1.0  # at least between two tables of evidence
LIFE_SECONDS = 600.0  # and of lives: a million are 30 MB
MAX_AHEAD = 60.0  # evidence from the future is taken as from now
POPULAR_RANK = 100_000  # so popular in an imported list: a domain is not listed as a whole
ORIGIN = "evidence"

log = logging.getLogger("mailward.reputation")


class UrlKeeper:
    """Raises `Busy` when another process has the lock, OSError when the folder cannot be used. Use as a context manager.

    `seen` is told of each domain that was in mail, again and again.
    """

    def __init__(self, folder: Path, snapshots: Path, seen: Callable[[str], None] | None = None) -> None:
        self._folder, self._snapshots = folder / FOLDER, snapshots
        self._seen = seen
        self._lock = locked(self._folder)
        self._keying = Keying(salt_in(self._folder))
        self.domains = Domains(self._keying)
        self._popular = UrlTable(snapshots / POPULAR_FILE)
        self._reader = spool.Reader(self._folder / evidence.SPOOL, self._folder / evidence.OLD_SPOOL, ROTATE_BYTES)
        self._changed = self._lived = self._unsaved = False
        self._published = self._life_published = float("-inf")
        self._next_end = 0.0
        self._saved = time.monotonic()
        self._load()

    def __enter__(self) -> UrlKeeper:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def catch_up(self, now: float | None = None, *, force: bool = False) -> int:
        """Learn what is new, publish and save what is due (`force`: all of it now). Returns the pieces learned. Raises OSError."""
        now = time.time() if now is None else now
        learned = self._learn(now)
        while force and (more := self._learn(now)):
            learned += more
        clock = time.monotonic()
        ended = 0 < self._next_end <= now
        if force or ((self._changed or ended) and clock - self._published >= PUBLISH_SECONDS):
            self._publish(now)
        if self._lived and (force or clock - self._life_published >= LIFE_SECONDS):
            self._publish_life(now)
        if self._unsaved and (force or clock - self._saved >= SAVE_SECONDS):
            self.save(now)
        return learned

    def _learn(self, now: float) -> int:
        learned = 0
        for line in self._reader.lines():
            piece = evidence.parse(line)
            if piece is None:
                log.warning("a line of evidence about URLs cannot be read and is left out: %r", line[:100])
                continue
            if piece.time > now + MAX_AHEAD:
                piece = UrlEvidence(now, piece.kind, piece.scope, piece.name, piece.weight, piece.by, piece.detail)
            about = self.domains.learn(piece)
            self._changed |= about
            self._lived |= not about
            if self._seen is not None and piece.kind in (UrlEvidenceKind.SEEN, UrlEvidenceKind.SEEN_CLEAN):
                self._seen(piece.name)
            learned += 1
        self._unsaved |= learned > 0
        return learned

    def _publish(self, now: float) -> None:
        self._popular.follow(force=True)
        listed = [held for held in self.domains.listed(now) if not self._is_popular(held, now)]
        columns = {
            "key": np.array([self._keying.key(text(held.scope, held.name)) for held in listed], "<u8"),
            "scope": np.array([SCOPES[held.scope] for held in listed], "<u1"),
            "rating": np.array([held.rating for held in listed], "<u1"),
            "kind": np.full(len(listed), EntryKind.EVIDENCE.number, "<u1"),
            "origin": np.zeros(len(listed), "<u2"),
            "since": np.array([int(held.since) for held in listed], "<u4"),
            "until": np.array([int(held.until) for held in listed], "<u4"),
            "count": np.array([held.pieces for held in listed], "<u4"),
            "text": np.zeros(len(listed), "<u4"),
        }
        path, names = self._snapshots / EVIDENCE_FILE, [held.name for held in listed]
        write(path, columns, self._keying.salt, [ORIGIN], [""], next_serial(path, now), now, names)
        self._next_end = min((held.until for held in listed), default=0.0)
        self._published, self._changed = time.monotonic(), False

    def _is_popular(self, held: Held, now: float) -> bool:
        """Whether an imported list knows the domain well: then it is not listed as a whole."""
        if held.scope is not Scope.DOMAIN or self._popular.salt != self._keying.salt:
            return False
        found = self._popular.find(self._keying.key(text(Scope.DOMAIN, held.name)), now)
        return found is not None and found.pieces <= POPULAR_RANK

    def _publish_life(self, now: float) -> None:
        life = self.domains.life
        count = len(life)
        columns = {
            "key": life.array("keys").astype("<u8"),
            "scope": np.full(count, SCOPES[Scope.DOMAIN], "<u1"),
            "rating": np.zeros(count, "<u1"),
            "kind": np.full(count, EntryKind.EVIDENCE.number, "<u1"),
            "origin": np.zeros(count, "<u2"),
            "since": life.array("first").astype("<u4"),
            "until": np.zeros(count, "<u4"),
            "count": life.array("count").astype("<u4"),
            "text": np.zeros(count, "<u4"),
        }
        path = self._snapshots / LIFE_FILE
        write(path, columns, self._keying.salt, [str(self.domains.began)], [""], next_serial(path, now), now)
        self._life_published, self._lived = time.monotonic(), False

    # Lasting

    def save(self, now: float) -> None:
        """Write what was learned and how far the evidence was read, as a whole or not at all. Raises OSError."""
        self.domains.forget(now)
        arrays = {"place": np.array(self._reader.place, np.uint64), **self.domains.state()}
        lists.store(self._folder / STATE_FILE, arrays, self._folder / f"{STATE_FILE}.draft")
        self._saved, self._unsaved = time.monotonic(), False

    def _load(self) -> None:
        path = self._folder / STATE_FILE
        self._changed = True
        if not path.is_file():
            return
        try:
            with np.load(path, allow_pickle=False) as arrays:
                place = arrays["place"]
                self.domains.restore({name: arrays[name] for name in arrays.files})
            self._reader.place = (int(place[0]), int(place[1]))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, msgspec.MsgspecError) as error:
            lists.put_aside(path, error, "the evidence at hand is learned anew")
            self.domains = Domains(self._keying)
        self._lived = len(self.domains.life) > 0
