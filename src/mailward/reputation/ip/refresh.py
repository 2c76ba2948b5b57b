"""Fetch the lists that the operator names again and again, and keep them as they were when what comes is worse than nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import msgspec

from mailward.reputation.ip.download import DownloadFailed, Version, download
from mailward.reputation.ip.imports import ListRefused
from mailward.reputation.lists import ListDamaged

STATE_FILE = "refresh.json"
AGAIN_SECONDS = 15 * 60.0  # after a failure
JITTER = 0.1  # of every pause: not all the world asks at the full hour
SHRINK = 0.5  # a list that has fewer entries than this share of what it had is not believed,
SMALL = 100  # unless it was as small as this

log = logging.getLogger("mailward.reputation")


class Refresh(msgspec.Struct, frozen=True):
    """How the refresh of a list stands. Times in seconds since 1970, 0 for never; `failure` is empty after a good one."""

    location: str = ""
    tried: int = 0
    succeeded: int = 0
    version: Version = Version()
    failure: str = ""


class Source(Protocol):
    """A list that the settings name. Times in seconds."""

    @property
    def name(self) -> str: ...
    @property
    def location(self) -> str: ...  # https://... or /path
    @property
    def place(self) -> str: ...  # the same without what may be secret
    @property
    def every(self) -> int: ...
    @property
    def expires(self) -> int: ...


class Note(Protocol):
    """What is known of a list that is kept."""

    @property
    def entries(self) -> int: ...

    def holds(self, now: float) -> bool: ...


Named = TypeVar("Named", bound=Source, contravariant=True)
Believed = Callable[[int], None]  # raises ListRefused for a number of entries that cannot be believed


class Lists(Protocol[Named]):
    """A database that keeps lists under their names."""

    @property
    def folder(self) -> Path: ...
    @property
    def remove_command(self) -> str: ...  # what an operator types before the name
    def find_list(self, name: str) -> Note | None: ...
    def renew_list(self, name: str, expires: int) -> None: ...
    def take_list(self, source: Named, file: BinaryIO, believed: Believed, now: float) -> None:
        """Read a list and keep it. Raises ListRefused, ListDamaged, ValueError and OSError."""


def read_states(database: Lists[Any]) -> dict[str, Refresh]:
    """By the name of the list; empty where nothing was ever fetched."""
    try:
        return msgspec.json.decode((database.folder / STATE_FILE).read_bytes(), type=dict[str, Refresh])
    except (OSError, msgspec.MsgspecError):
        return {}


def write_states(database: Lists[Any], states: dict[str, Refresh]) -> None:
    draft = database.folder / f"{STATE_FILE}.draft"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(states)))
    draft.chmod(0o600)  # an address may hold an access code
    draft.replace(database.folder / STATE_FILE)


def refresh(database: Lists[Named], source: Named, before: Refresh, now: float, stopping: Callable[[], bool] = lambda: False) -> Refresh:
    """Fetch a list and keep it, unless it is unchanged or cannot be believed. Never raises; the state says what went wrong."""
    known = before.version if before.location == source.location and database.find_list(source.name) else Version()
    try:
        with _fetched(source, known, stopping) as (file, version):
            if version is None:
                database.renew_list(source.name, int(now) + source.expires)
                return msgspec.structs.replace(before, tried=int(now), succeeded=int(now), failure="")
            database.take_list(source, file, partial(_check, database, source, now), now)
    except (DownloadFailed, ListRefused, ListDamaged, ValueError) as error:
        failure = str(error)
    except OSError as error:
        failure = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    else:
        return Refresh(source.location, int(now), int(now), version)
    log.warning("the list %s was not refreshed from %s: %s. %s", source.name, source.place, failure, "What there is of it is kept.")
    return msgspec.structs.replace(before, tried=int(now), failure=failure)


def _check(database: Lists[Named], source: Named, now: float, entries: int) -> None:
    """Raises ListRefused for a list that lost most of its entries; it is believed when the old one has expired."""
    old = database.find_list(source.name)
    if old is None or not old.holds(now) or old.entries <= SMALL or entries >= SHRINK * old.entries:
        return
    raise ListRefused(
        f"it shrank from {old.entries:,} entries to {entries:,}; if that is right, "
        f"`{database.remove_command} {source.name}` and the next refresh takes it"
    )


@contextmanager
def _fetched(source: Source, known: Version, stopping: Callable[[], bool]) -> Iterator[tuple[BinaryIO, Version | None]]:
    """The content of a list and its version, None for the known one. A file's version is when it was changed, and its size."""
    if source.location.startswith("/"):
        with Path(source.location).open("rb") as file:
            found = Path(source.location).stat()
            version = Version(f"{found.st_mtime_ns} {found.st_size}")
            yield file, None if version == known else version
        return
    with tempfile.TemporaryFile() as file:
        version_there = download(source.location, file, known, stopping)
        file.seek(0)
        yield file, version_there


async def refresh_forever(database: Lists[Named], sources: Sequence[Named], stop: asyncio.Event) -> None:
    """Fetch each list when it is due, one after the other, until `stop`. Who publishes the database sees the change."""
    states = await asyncio.to_thread(read_states, database)
    due = {source.name: _due(source, states.get(source.name, Refresh())) for source in sources}
    while not stop.is_set():
        for source in sources:
            if due[source.name] > time.time() or stop.is_set():
                continue
            before = states.get(source.name, Refresh())
            states[source.name] = await asyncio.to_thread(refresh, database, source, before, time.time(), stop.is_set)
            due[source.name] = _due(source, states[source.name])
            with contextlib.suppress(OSError):  # a full disk; the next round tells it anew
                await asyncio.to_thread(write_states, database, states)
        pause = min(due.values(), default=float("inf")) - time.time()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), min(max(pause, 1.0), 3600.0))


def _due(source: Source, state: Refresh) -> float:
    pause = min(source.every, AGAIN_SECONDS) if state.failure else source.every
    return state.tried + pause * random.uniform(1 - JITTER, 1 + JITTER)
