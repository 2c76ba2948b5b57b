"""Requests to be taken off the lists, and what becomes of them.

A request is granted at once only for a dynamic listing without trap hits, and once in AGAIN_SECONDS for an address. All
others wait for the operator. Requests are kept in a file of JSON lines; the last line with an id counts.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from mailward.console.findings import Remedy, look_up
from mailward.gateway.databases import standard_database
from mailward.gateway.settings import Settings
from mailward.reputation import evidence
from mailward.reputation.address import Source, source
from mailward.reputation.evidence import Evidence, EvidenceKind

REQUESTS_FILE = "requests.jsonl"
AGAIN_SECONDS = 7 * 86400  # an address is taken off automatically once in this time
KEPT_SECONDS = 90 * 86400  # decided requests are forgotten after it, open ones too
MAX_OPEN = 1000  # open requests; more are refused with words
MAX_DECIDED = 1000  # kept when the file is written anew
MAX_FILE = 16 << 20
MAX_COMMENT = 500
MAX_CONTACT = 120

log = structlog.get_logger("mailward.console")


class State(StrEnum):
    OPEN = "open"
    AUTOMATIC = "automatic"  # granted at once
    GRANTED = "granted"
    REFUSED = "refused"
    NOTHING = "nothing"  # never kept: the address is not listed


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request. Times in seconds since 1970. `contact` and `comment` are as the person wrote them: hostile."""

    id: str
    time: int
    address: str
    client: str  # who asked
    state: State = State.OPEN
    contact: str = ""
    comment: str = ""
    decided: int = 0
    by: str = ""


class TooMany(Exception):  # noqa: N818
    """No more requests are kept; the text says what to do."""


class Requests:
    """The file below `folder` (`Settings.reputation_folder`). Any number of processes may use it. Methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / REQUESTS_FILE
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, Request] = {}

    def all(self) -> list[Request]:
        """The newest first."""
        self._follow()
        return sorted(self._known.values(), key=lambda request: (request.time, request.id), reverse=True)

    def open(self) -> list[Request]:
        """Those that wait for the operator, the one that waits longest first."""
        return [request for request in reversed(self.all()) if request.state is State.OPEN]

    def waiting(self, id: str) -> Request | None:
        """The open request with that id."""
        self._follow()
        known = self._known.get(id)
        return known if known is not None and known.state is State.OPEN else None

    def add(self, made: Request, now: float) -> Request:
        """Keep a request. An open one for the same address stands for it. Raises TooMany.

        One that asks to be AUTOMATIC becomes open where the address was taken off that way not long ago.
        """
        with self._locked(now):
            same = [known for known in self._known.values() if known.address == made.address]
            waiting = next((known for known in same if known.state is State.OPEN), None)
            if waiting is not None:
                return waiting
            if sum(known.state is State.OPEN for known in self._known.values()) >= MAX_OPEN:
                raise TooMany("too many requests wait for an answer; try again in some days, or write to the postmaster")
            if made.state is State.AUTOMATIC and any(_lately(known, now) for known in same):
                made = msgspec.structs.replace(made, state=State.OPEN, decided=0)
            self._append(made)
            return made

    def decide(self, id: str, state: State, by: str, now: float) -> Request | None:
        """Grant or refuse an open request; None when it is not (or no longer) open."""
        with self._locked(now):
            known = self._known.get(id)
            if known is None or known.state is not State.OPEN:
                return None
            decided = msgspec.structs.replace(known, state=state, decided=int(now), by=by)
            self._append(decided)
            return decided

    # The file

    def _follow(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._known, self._stamp = {}, None
            return
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        if stamp != self._stamp:
            self._known = {request.id: request for request in _read(self._path)}
            self._stamp = stamp

    def _append(self, request: Request) -> None:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(file).st_size
            torn = b"\n" if size and os.pread(file, 1, size - 1) != b"\n" else b""  # what a dead writer left
            os.write(file, torn + _encode(request) + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        self._known = {**self._known, request.id: request}

    @contextmanager
    def _locked(self, now: float) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._follow()
            if self._stamp is not None and self._stamp[1] > MAX_FILE // 2:
                self._compact(now)
            yield
        finally:
            os.close(lock)

    def _compact(self, now: float) -> None:
        young = [request for request in self._known.values() if max(request.time, request.decided) > now - KEPT_SECONDS]
        decided = [request for request in young if request.state is not State.OPEN]
        kept = decided[-MAX_DECIDED:] + [request for request in young if request.state is State.OPEN]
        draft = self._path.with_suffix(".tmp")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(_encode(request) + b"\n" for request in kept)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        self._stamp = None
        self._follow()


def _read(path: Path) -> Iterator[Request]:
    """Lines that cannot be read do not count."""
    with path.open("rb") as file:
        for line in file.read(MAX_FILE).splitlines():
            try:
                yield _decode(line)
            except msgspec.MsgspecError:
                continue


def _lately(known: Request, now: float) -> bool:
    return known.state is State.AUTOMATIC and known.decided > now - AGAIN_SECONDS


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Request).decode


# What is done


def ask(settings: Settings, requests: Requests, found: Source, client: str, contact: str = "", comment: str = "") -> Request:
    """Take a request, and do at once what may be done at once. Raises TooMany, OSError, SnapshotError."""
    now = time.time()
    remedy = look_up(settings, found, now).remedy
    made = Request(id=secrets.token_hex(8), time=int(now), address=str(found), client=client, contact=contact, comment=comment)
    if remedy is Remedy.NOTHING:
        return msgspec.structs.replace(made, state=State.NOTHING)
    if remedy is Remedy.AUTOMATIC:
        made = msgspec.structs.replace(made, state=State.AUTOMATIC, decided=int(now), by="automatic")
    kept = requests.add(made, now)
    if kept.state is State.AUTOMATIC:
        forget(settings, found, "request", now)
    log.info("delisting_requested", address=kept.address, client=client, request=kept.id, state=kept.state.value)
    return kept


def decide(settings: Settings, requests: Requests, id: str, grant: bool, by: str) -> Request | None:
    """The operator's decision, carried out; None when the request is not open. Raises OSError."""
    now = time.time()
    waiting = requests.waiting(id)
    found = source(waiting.address) if waiting is not None else None
    if grant and found is not None:
        delist(settings, found, by, now)  # before it is called granted; doing it twice does no harm
    decided = requests.decide(id, State.GRANTED if grant else State.REFUSED, by, now)
    if decided is not None:
        log.info("delisting_decided", address=decided.address, request=decided.id, state=decided.state.value, by=by)
    return decided


def delist(settings: Settings, found: Source, by: str, now: float) -> None:
    """Take an address off both databases. The standard one says so at once, the dynamic one within seconds. Raises OSError."""
    standard = standard_database(settings)
    standard.delist(found, by, now)
    standard.publish_if_due(now)
    forget(settings, found, by, now)


def forget(settings: Settings, found: Source, by: str, now: float) -> None:
    """Have the evidence against an address forgotten. Raises OSError."""
    evidence.append(settings.reputation_folder, [Evidence(now, EvidenceKind.DELIST, found, by=by)])
