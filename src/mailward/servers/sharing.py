"""Tell other nodes what was observed here.

Our own spool of evidence is followed, as the keeper follows it, and sent on in batches to each peer. What other nodes told
us is never sent on, so nothing circles; decisions to delist are each node's own. How far a peer was told is kept in the
state folder; a peer that cannot be reached is told later, as long as the spool holds what it missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import structlog

from mailward.console.intake import FROM_NODE, MAX_AGE
from mailward.gateway import Settings
from mailward.reputation import evidence
from mailward.reputation.evidence import EvidenceKind
from mailward.reputation.ip.keeper import OLD_SPOOL

IDLE_SECONDS = 2.0  # between two looks for new evidence
READ_BYTES = 256 << 10  # of the spool at once; a line has at least 30 octets, so that one batch (10,000 pieces) takes them all
SETTLE_SECONDS = 2.0  # a writer may still have the old spool open after it was renamed
TIMEOUT = 20.0
FIRST_DELAY, LAST_DELAY = 2.0, 300.0  # after a failure
MAX_ANSWER = 64 << 10
FOLDER = "sharing"  # below `Settings.reputation_folder`
PATH = "/api/v1/reputation/evidence"

log = structlog.get_logger("mailward.sharing")


class CannotShare(Exception):  # noqa: N818
    """A peer that did not take a batch; the text says why. `for_ever`: it never will."""

    def __init__(self, text: str, *, for_ever: bool = False) -> None:
        super().__init__(text)
        self.for_ever = for_ever


@dataclass(frozen=True, slots=True)
class Peer:
    """A node we tell. Its token is shown nowhere."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def read(cls, entry: str) -> Peer:
        """Read an entry of `[reputation] peers`."""
        url, _, token = entry.partition(" ")
        return cls(url.rstrip("/"), token)


class _Place(msgspec.Struct):
    """How far a peer was told: the file, by its inode, and the offset in it."""

    inode: int = 0
    offset: int = 0


async def share_forever(settings: Settings, stop: asyncio.Event) -> None:
    """Tell every peer, until we are told to stop. Raises nothing that a peer or a full disk could cause."""
    peers = [Peer.read(entry) for entry in settings.reputation.peers]
    await asyncio.gather(stop.wait(), *[_share(settings.reputation_folder, peer, stop) for peer in peers])


async def _share(folder: Path, peer: Peer, stop: asyncio.Event) -> None:
    follower = Follower(folder, peer.url)
    delay = 0.0
    while not stop.is_set():
        try:
            told = await asyncio.to_thread(tell, follower, peer)
            if delay:
                log.info("sharing_works_again", peer=peer.url)
            delay = 0.0
            pause = 0.0 if told else IDLE_SECONDS
        except (CannotShare, OSError) as error:
            delay = min(LAST_DELAY, max(FIRST_DELAY, 2 * delay))
            pause = delay * random.uniform(0.8, 1.2)
            log.warning("sharing_failed", peer=peer.url, error=str(error), again_in_seconds=round(pause, 1))
        if pause:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)


def tell(follower: Follower, peer: Peer) -> bool:
    """Send the next batch; False when there was nothing to read. Raises CannotShare and OSError; nothing is lost then."""
    lines = follower.read()
    if not lines:
        return False
    pieces = list(_ours(lines, time.time()))
    try:
        if pieces:
            _post(peer, pieces)
    except CannotShare as error:
        if not error.for_ever:
            raise
        log.error("sharing_left_out", peer=peer.url, pieces=len(pieces), error=str(error))
    follower.advance()
    return True


def _ours(lines: list[str], now: float) -> Iterator[dict[str, object]]:
    for line in lines:
        piece = evidence.parse(line)
        if piece is None or piece.kind is EvidenceKind.DELIST or piece.by.startswith(FROM_NODE) or piece.time < now - MAX_AGE:
            continue
        yield {"time": piece.time, "kind": piece.kind.value, "address": str(piece.source), "weight": piece.weight}


def _post(peer: Peer, pieces: list[dict[str, object]]) -> None:
    """One batch. Redirections are not followed: they would carry the token elsewhere."""
    where = urlsplit(peer.url)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.hostname or "", where.port, timeout=TIMEOUT)
    headers = {"Authorization": f"Bearer {peer.token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", where.path + PATH, msgspec.json.encode({"evidence": pieces}), headers)
        answer = connection.getresponse()
        said = answer.read(MAX_ANSWER)
    except (http.client.HTTPException, ValueError) as error:
        raise CannotShare(f"its answer cannot be read: {error!r}"[:200]) from error
    finally:
        connection.close()
    if answer.status != 200:
        words = said[:200].decode("utf-8", "replace")
        raise CannotShare(f"it answers {answer.status}: {words}", for_ever=answer.status in (400, 413, 422))


class Follower:
    """Reads the spool once, in order, across restarts and the beginning of a new spool. Methods raise OSError."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        host = urlsplit(url).hostname or "peer"
        self._note = folder / FOLDER / f"{host.replace(':', '-')}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.json"
        self._place = self._next = self._load()

    def read(self) -> list[str]:
        """The next whole lines; the same again until `advance`."""
        spool, old = self._folder / evidence.SPOOL, self._folder / OLD_SPOOL
        for path in (old, spool):
            if self._place.inode and _inode(path) == self._place.inode:
                lines = self._read(path, self._place)
                if lines or path == spool or time.time() - path.stat().st_mtime < SETTLE_SECONDS:
                    return lines
                break
        first = old if not self._place.inode and _inode(old) else spool  # a new peer hears of the last day
        return self._read(first, _Place(_inode(first), 0)) if _inode(first) else []

    def advance(self) -> None:
        """What was read last is done with."""
        self._place = self._next
        self._note.parent.mkdir(parents=True, exist_ok=True)
        draft = self._note.with_suffix(".tmp")
        draft.write_bytes(msgspec.json.encode(self._place))
        draft.replace(self._note)

    def _read(self, path: Path, place: _Place) -> list[str]:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_ino != place.inode:
                return []  # it was renamed under our hands: next time
            offset = place.offset if place.offset <= os.fstat(file.fileno()).st_size else 0
            file.seek(offset)
            data = file.read(READ_BYTES)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == READ_BYTES:
            end = len(data)  # no evidence is that long
        self._next = _Place(place.inode, offset + end)
        return data[:end].decode("utf-8", "replace").splitlines()

    def _load(self) -> _Place:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=_Place)
        except (OSError, msgspec.MsgspecError):
            return _Place()


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
