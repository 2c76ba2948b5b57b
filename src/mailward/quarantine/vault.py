"""Messages on disk: durable before `hold` returns, moved between states by rename.

The folder of a message is its state, so no index can disagree with it, and `rename` decides who was first when two
people press at the same time. A file is one line of JSON (the envelope and why the message was held) followed by the
message, byte for byte as it arrived.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec

from mailward.message.model import Envelope

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")  # no dot, no slash: an id can never leave its folder
SUFFIX = ".msg"
HEADER_BYTES = 4 << 20  # longest header line read; 1,000 recipients of 320 octets are 320 KB
STALE_TMP_SECONDS = 3600  # a file in tmp/ older than this belongs to no living writer
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class State(StrEnum):
    """Where a message stands; the name of its folder."""

    HELD = "held"
    RELEASING = "releasing"  # being sent now, or a release that was interrupted
    RELEASED = "released"
    DELETED = "deleted"  # only the header line is left
    EXPIRED = "expired"  # only the header line is left


class NotHeld(LookupError):  # noqa: N818
    """There is no message of that id."""


class AlreadyDecided(RuntimeError):  # noqa: N818
    """Somebody else was first; `state` says what the message is now."""

    def __init__(self, message: str, state: State) -> None:
        super().__init__(message)
        self.state = state


class InterruptedRelease(AlreadyDecided):
    """An earlier release did not finish: the message may or may not have been delivered."""


class NotSent(Exception):  # noqa: N818
    """Raised by a `send` callable when the message has surely not been accepted by the next hop."""


class VaultFull(OSError):  # noqa: N818
    """The message could not be written: the disk or quota is full."""


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The header line of a file."""

    id: str
    time: float  # seconds since 1970 when it was held
    size: int  # octets of the message
    mail_from: str | None = None
    rcpt_to: tuple[str, ...] = ()
    client_ip: str | None = None
    client_name: str | None = None
    helo: str | None = None
    subject: str = ""
    verdict: str = ""
    filter: str = ""
    reason: str = ""
    body_8bit: bool = False  # the client said BODY=8BITMIME
    smtputf8: bool = False  # the client said SMTPUTF8
    format: int = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the vault. `defect` is not empty when the file cannot be used and says why; `since` is when the state began."""

    id: str
    state: State
    since: float
    held: Held | None
    defect: str = ""


Send = Callable[[Held, bytes], None]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Held).decode


class Vault:
    """The quarantine under one folder. Safe with any number of processes; opens nothing until it is used."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._made = False

    def prepare(self) -> None:
        """Make the folders (0700) and remove what dead writers left in `tmp/`."""
        for name in ("tmp", *State):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        before = time.time() - STALE_TMP_SECONDS
        for left in (self.folder / "tmp").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if left.stat().st_mtime < before:
                    left.unlink()
        self._made = True

    def hold(
        self,
        raw: bytes,
        envelope: Envelope,
        record_id: str,
        *,
        subject: str = "",
        verdict: str = "",
        filter: str = "",
        reason: str = "",
        body_8bit: bool = False,
        smtputf8: bool = False,
    ) -> str:
        """Write the message under `record_id` and return the id once file and folder are on disk.

        Raises `VaultFull` when the disk is full, `OSError` for anything else; then nothing is held.
        """
        held = Held(
            id=_checked(record_id),
            time=time.time(),
            size=len(raw),
            mail_from=envelope.mail_from,
            rcpt_to=envelope.rcpt_to,
            client_ip=envelope.client_ip,
            client_name=envelope.client_name,
            helo=envelope.helo,
            subject=subject[:500],
            verdict=verdict,
            filter=filter,
            reason=reason[:500],
            body_8bit=body_8bit,
            smtputf8=smtputf8,
        )
        if not self._made:
            self.prepare()
        try:
            self._write(State.HELD, held, raw, new=True)
        except OSError as error:
            if error.errno in _FULL:
                raise VaultFull(error.errno, f"the quarantine cannot be written: {error.strerror}", str(self.folder)) from error
            raise
        return held.id

    def list(self, *states: State) -> tuple[Entry, ...]:
        """Every message in these states, oldest first; held and releasing if none are named. A file that cannot be read is listed too."""
        wanted = states or (State.HELD, State.RELEASING)
        found = [self._entry(path, state) for state in wanted for path in self._files(state)]
        entries = (entry for entry in found if entry is not None)
        return tuple(sorted(entries, key=lambda e: (e.held.time if e.held else e.since, e.id)))

    def show(self, id: str) -> Entry:
        """The entry of that id, whatever its state. Raises `NotHeld`."""
        state = self._state(id)
        entry = self._entry(self._path(state, id), state)
        if entry is None:  # moved on between the two looks
            state = self._state(id)
            entry = self._entry(self._path(state, id), state)
        if entry is None:
            raise NotHeld(f"{id}: no such message in the quarantine")
        return entry

    def raw(self, id: str) -> bytes:
        """The message as it arrived. Raises `NotHeld` for an unknown id and for one whose body is gone."""
        state = self._state(id)
        if state in (State.DELETED, State.EXPIRED):
            raise NotHeld(f"{id}: the message was {state}, its body is gone")
        with self._path(state, id).open("rb") as file:
            held = _read_header(file)
            body = file.read()
        if len(body) != held.size:
            raise NotHeld(f"{id}: the file is damaged, {len(body)} of {held.size} octets are left")
        return body

    def release(self, id: str, send: Send, *, again: bool = False) -> Held:
        """Send the message and mark it released; of any number of callers at the same time exactly one sends.

        `send` raises `NotSent` when the next hop surely did not take it: the message is held again. When `send` fails in
        any other way, or the process dies, the message stays `releasing`, and only `again=True` sends it once more.
        Raises `NotHeld`, `AlreadyDecided`, `InterruptedRelease`, and what `send` raised.
        """
        with self._claimed(id, again) as file:
            held = _read_header(file)
            body = file.read()
            if len(body) != held.size:
                raise NotHeld(f"{id}: the file is damaged, {len(body)} of {held.size} octets are left; nothing was sent")
            if not again:
                self._move(id, State.HELD, State.RELEASING)
            try:
                send(held, body)
            except NotSent:
                self._move(id, State.RELEASING, State.HELD)
                raise
            self._move(id, State.RELEASING, State.RELEASED)
        return held

    def delete(self, id: str) -> None:
        """Delete a held message; its header line stays so that the list can say so. Raises `NotHeld`, `AlreadyDecided`."""
        self._discard(_checked(id), State.DELETED)

    def expire(self, days: float) -> tuple[int, int]:
        """Expire what was held longer than `days`, and forget what was decided longer ago than that: (expired, forgotten).

        An interrupted release never expires: somebody has to decide.
        """
        before = time.time() - days * 86400
        expired = forgotten = 0
        for entry in self.list(State.HELD):
            if entry.since < before and not entry.defect:
                with contextlib.suppress(NotHeld, AlreadyDecided):
                    self._discard(entry.id, State.EXPIRED)
                    expired += 1
        for entry in self.list(State.RELEASED, State.DELETED, State.EXPIRED):
            if entry.since < before and not entry.defect:
                self._path(entry.state, entry.id).unlink(missing_ok=True)
                forgotten += 1
        return expired, forgotten

    @contextlib.contextmanager
    def _claimed(self, id: str, again: bool) -> Iterator[BinaryIO]:
        """Lock a message that is to be released, held or (`again`) left behind by an interrupted release."""
        state = self._state(id)
        if state is State.RELEASING and not again:
            with self._locked(id, state):
                raise InterruptedRelease(
                    f"{id}: an earlier release was interrupted, the message may have been delivered; "
                    "look at the next hop's log, then release it with --again or delete it",
                    state,
                )
        wanted = State.RELEASING if again else State.HELD
        if state is not wanted:
            raise AlreadyDecided(f"{id}: the message is {state}, not {wanted}", state)
        with self._locked(id, state) as file:
            yield file

    @contextlib.contextmanager
    def _locked(self, id: str, state: State) -> Iterator[BinaryIO]:
        """Open and lock a message in that state. The lock moves with the file and dies with the process, so one that is
        `releasing` and not locked is an interrupted release.
        """
        path = self._path(state, id)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise self._too_late(id) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyDecided(f"{id}: somebody else is releasing or deleting the message right now", state) from None
            if not path.exists():  # the one who held the lock finished while we opened the file
                raise self._too_late(id)
            yield file

    def _too_late(self, id: str) -> AlreadyDecided:
        state = self._state(id)
        return AlreadyDecided(f"{id}: the message is already {state}", state)

    def _discard(self, id: str, to: State) -> None:
        """Move to a state that keeps the header line only. The move decides, the body goes after it."""
        state = self._state(id)
        if state not in (State.HELD, State.RELEASING):
            raise AlreadyDecided(f"{id}: the message is already {state}", state)
        with self._locked(id, state):
            self._move(id, state, to)
            entry = self._entry(self._path(to, id), to)
            if entry is not None and entry.held is not None:
                self._write(to, entry.held, b"", new=False)
            else:
                os.truncate(self._path(to, id), 0)

    def _move(self, id: str, old: State, new: State) -> None:
        """Rename between folders, durably. Raises FileNotFoundError when the message is not in `old`."""
        target = self._path(new, id)
        self._path(old, id).rename(target)
        with contextlib.suppress(FileNotFoundError):
            os.utime(target)
        for state in (new, old):
            _sync_folder(self.folder / state)

    def _write(self, state: State, held: Held, raw: bytes, *, new: bool) -> None:
        tmp = self.folder / "tmp" / f"{held.id}.{os.getpid()}"
        descriptor = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                for piece in (_encode(held) + b"\n", raw):
                    _write_all(descriptor, piece)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            target = self._path(state, held.id)
            if new:
                os.link(tmp, target)  # unlike rename, fails when the id is taken
                tmp.unlink()
            else:
                tmp.rename(target)
        except BaseException:
            tmp.unlink(missing_ok=True)
            raise
        _sync_folder(self.folder / state)

    def _state(self, id: str) -> State:
        _checked(id)
        for _ in range(2):  # a message on its way from one folder to a later one is met on the second look at worst
            for state in State:
                if self._path(state, id).exists():
                    return state
        raise NotHeld(f"{id}: no such message in the quarantine")

    def _path(self, state: State, id: str) -> Path:
        return self.folder / state / (id + SUFFIX)

    def _files(self, state: State) -> tuple[Path, ...]:
        try:
            return tuple(sorted((self.folder / state).iterdir()))
        except FileNotFoundError:
            return ()

    def _entry(self, path: Path, state: State) -> Entry | None:
        """Read one file; None when it has gone. Whatever lies in the folder gives an entry, never an error."""
        try:
            stat = path.lstat()
        except FileNotFoundError:
            return None
        id = path.name.removesuffix(SUFFIX)
        if path.suffix != SUFFIX or not ID.match(id) or not path.is_file() or path.is_symlink():
            return Entry(path.name, state, stat.st_mtime, None, "not a quarantined message: move it out of the folder")
        try:
            with path.open("rb") as file:
                held = _read_header(file)
                left = stat.st_size - file.tell()
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            return Entry(id, state, stat.st_mtime, None, f"the file cannot be read: {error}")
        if held.id != id:
            return Entry(id, state, stat.st_mtime, None, f"the file says it is {held.id}")
        kept = state not in (State.DELETED, State.EXPIRED)
        defect = f"the file is damaged, {left} of {held.size} octets are left" if kept and left != held.size else ""
        return Entry(id, state, stat.st_mtime, held, defect)


def _checked(id: str) -> str:
    if not ID.match(id):
        raise NotHeld(f"{id[:100]!r}: not the id of a quarantined message")
    return id


def _read_header(file: BinaryIO) -> Held:
    """Raises ValueError when the file does not begin with a header line of ours."""
    line = file.readline(HEADER_BYTES)
    if not line.endswith(b"\n"):
        raise ValueError("it does not begin with a complete header line")
    try:
        return _decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(f"its header line is not ours: {error}") from error


def _write_all(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
