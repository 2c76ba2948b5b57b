"""Lists as they are kept, of addresses or of URLs: a folder with one immutable archive each, replaced as a whole; and a lock.

An archive is an uncompressed numpy archive (.npz): a JSON note about the list under `about`, and columns.
The keepers store what was learned as such an archive too, without the note.
"""

from __future__ import annotations

import fcntl
import logging
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.reputation.ip.sources import NAME

SUFFIX = ".npz"

log = logging.getLogger("mailward.reputation")


class ListDamaged(Exception):  # noqa: N818
    """A list file that cannot be used; the text says which."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The note in a list file. Times in seconds since 1970; `kind` is the label of entries that do not say theirs."""

    name: str
    kind: str
    source: str  # where it comes from, as it stands in reasons: "ipsum 2026-08-22"
    imported: int
    expires: int  # 0: never
    entries: int
    refused: int
    format: str

    def holds(self, now: float) -> bool:
        return not self.expires or self.expires > now


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list in the folder; without `about` where its file is damaged, and `defect` says how."""

    name: str
    about: About | None
    defect: str = ""


class ListFolder:
    """The archives, at most `most`; `called` is what one is called in words. Who changes them holds a lock. Raises OSError."""

    def __init__(self, folder: Path, called: str, most: int) -> None:
        self.folder, self._called, self._most = folder, called, most

    def path(self, name: str) -> Path:
        return self.folder / (name + SUFFIX)

    def files(self) -> list[Path]:
        """By name."""
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    def check_name(self, name: str) -> None:
        """Raises ValueError with words for a name that cannot be a file's."""
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a {self._called}; take up to 60 small letters, digits, - and _")

    def check_room(self, name: str) -> None:
        """Raises ValueError with words where there are too many for another one."""
        if not self.path(name).exists() and len(self.files()) >= self._most:
            raise ValueError(f"there are {self._most} {self._called}s already; remove one first")

    def find(self, name: str) -> About | None:
        """The note of a list that can be used; None where there is none."""
        try:
            return about(self.path(name)) if self.path(name).exists() else None
        except ListDamaged:
            return None

    def renew(self, name: str, expires: int) -> None:
        """Keep a list as it is, with another end. Raises ListDamaged."""
        path = self.path(name)
        with opened(path) as archive:
            found = msgspec.json.decode(archive["about"].tobytes(), type=About)
            arrays = {each: archive[each] for each in archive}
        store(path, {**arrays, "about": octets(msgspec.structs.replace(found, expires=expires))})

    def remove(self, name: str) -> bool:
        """Whether there was one."""
        if not NAME.fullmatch(name) or not self.path(name).exists():
            return False
        self.path(name).unlink()
        return True

    def kept(self) -> tuple[KeptList, ...]:
        """Every list, expired ones too, by name."""
        found = []
        for path in self.files():
            try:
                found.append(KeptList(path.stem, about(path)))
            except ListDamaged as error:
                found.append(KeptList(path.stem, None, str(error)))
        return tuple(found)


def about(path: Path) -> About:
    """The note of a list, without the list. Raises ListDamaged."""
    with opened(path) as archive:
        return msgspec.json.decode(archive["about"].tobytes(), type=About)


@contextmanager
def opened(path: Path) -> Iterator[Mapping[str, npt.NDArray[Any]]]:
    """The columns of an archive. Raises ListDamaged, also for what is missing in it."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            yield archive
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, msgspec.MsgspecError) as error:
        raise ListDamaged(f"{path} cannot be used: {error}. Import the list again, or delete the file.") from error


def store(path: Path, arrays: Mapping[str, npt.NDArray[Any]], draft: Path | None = None) -> None:
    """Replace an archive as a whole; returns when it is on disk. Raises OSError.

    `draft`: where it is written first; whoever is alone names one, so that what a killed process left is written over.
    """
    draft = draft or path.with_suffix(f".{os.getpid()}.tmp")
    with draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def put_aside(path: Path, error: Exception, lost: str) -> None:
    """Move an archive that cannot be read out of the way, and say so; `lost`: what becomes of what it held. Raises OSError."""
    aside = path.with_suffix(".damaged")
    path.replace(aside)
    log.error("%s cannot be read (%s). It was put aside as %s; %s.", path, error, aside.name, lost)


def octets(note: Any) -> npt.NDArray[np.uint8]:
    """A note as a column of an archive."""
    return np.frombuffer(msgspec.json.encode(note), np.uint8)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of that name, which is waited for; it dies with the process. Raises OSError."""
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def state_of(paths: list[Path]) -> bytes:
    """Stands for the content of files, those that are there: it changes whenever one of them is replaced or added to."""
    found = [(path.name, path.stat()) for path in paths if path.exists()]
    return b"".join(f"{name} {state.st_ino} {state.st_size} {state.st_mtime_ns}\n".encode() for name, state in found)
