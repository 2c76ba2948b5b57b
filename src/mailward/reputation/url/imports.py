"""Take in feeds of URLs: unpack, read, and turn each entry into the keys under which it is kept.

A URL of a feed stands for itself. Where its host belongs to nobody well known and is no place where anybody can put pages, the host
is kept too: with the same rating when its front page was listed, else rated HOST_RATING, because pages come back under other paths.
"""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.message.domains import registrable
from mailward.policy.addresses import canonical_domain
from mailward.reputation.address import is_public, source
from mailward.reputation.ip.imports import MAX_REFUSALS, ListRefused, Refusal, lines
from mailward.reputation.knowledge import known_host
from mailward.reputation.url.entry import EntryKind
from mailward.reputation.url.formats import JSON, JSON_READERS, READERS, FeedFormat, Found, detect
from mailward.reputation.url.place import MAX_URL, Keying, Place, Scope, bare, place_of, text
from mailward.reputation.url.table import SCOPES

MAX_ENTRIES = 5_000_000
MAX_TEXTS = 20_000  # different texts kept of one feed
MAX_JSON = 256 << 20  # octets of a JSON feed, which is read as a whole
HOST_RATING = 60  # of a host of which a page was listed
SAMPLE = 64 << 10
_FILES = ("csv", "txt", "json")  # what is looked for in a zip archive
_BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True)
class Imported:
    """What a feed holds. `entries` counts what it names, `columns` has a row for each key; `text` counts into `texts`, 0 is none."""

    format: FeedFormat
    entries: int
    columns: dict[str, npt.NDArray[Any]]
    texts: tuple[str, ...]
    refused: int
    refusals: tuple[Refusal, ...]

    def __len__(self) -> int:
        return self.entries


def read(file: BinaryIO, keying: Keying, kind: EntryKind, rating: int, now: float, format: FeedFormat | None = None) -> Imported:
    """Read a feed, packed with gzip, bzip2 or zip or not, in the named format or the one it looks like. The file has to be seekable.

    Raises ListRefused for a feed that is too large, damaged or empty, and for one of which most lines are refused.
    """
    with unpacked(file) as plain:
        sample = _read(plain, SAMPLE)
        format = format or detect(sample.decode("utf-8", "replace"))
        if (kind is EntryKind.POPULAR and format is not FeedFormat.POPULARITY) or (
            kind is not EntryKind.POPULAR and format is FeedFormat.POPULARITY
        ):
            raise ListRefused(f"a list of the kind {kind.label} cannot be in the format {format}")
        rest = io.BufferedReader(_Joined(sample, plain))
        intake = _Intake(keying, kind, rating, int(now))
        if format in JSON:
            data = _read(rest, MAX_JSON + 1)
            if len(data) > MAX_JSON:
                raise ListRefused(f"a JSON feed may have {MAX_JSON >> 20} MB; take the CSV form of it")
            try:
                for found in JSON_READERS[format](data, intake.refuse):
                    intake.take(found)
            except (msgspec.MsgspecError, ValueError) as error:
                raise ListRefused(f"it is no JSON of {format}: {error}") from None
        else:
            try:
                for found in READERS[format](lines(rest, intake.refuse), intake.refuse):
                    intake.take(found)
            except ListRefused:
                raise
            except _BROKEN as error:
                raise ListRefused(f"it cannot be unpacked: {str(error) or type(error).__name__}") from None
        return intake.done(format)


@contextmanager
def unpacked(file: BinaryIO) -> Iterator[BinaryIO]:
    """The content of a file, whatever it is packed with; told by its first octets. Nothing is unpacked but what is read."""
    magic = file.read(4)
    file.seek(0)
    try:
        if magic[:2] == b"\x1f\x8b":
            yield gzip.GzipFile(fileobj=file)  # type: ignore[misc]
        elif magic[:3] == b"BZh":
            yield bz2.BZ2File(file)  # type: ignore[misc]
        elif magic == b"PK\3\4":
            with zipfile.ZipFile(file) as archive:
                inside = [each for each in archive.infolist() if each.filename.rpartition(".")[2].lower() in _FILES]
                if len(inside) != 1:
                    raise ListRefused(f"the archive holds {len(inside)} lists (csv, txt, json); it has to hold one")
                with archive.open(inside[0]) as content:
                    yield content  # type: ignore[misc]
        else:
            yield file
    except zipfile.BadZipFile as error:
        raise ListRefused(f"it cannot be unpacked: {error}") from None


def _read(file: Any, most: int) -> bytes:
    try:
        return bytes(file.read(most))
    except _BROKEN as error:
        raise ListRefused(f"it cannot be unpacked: {str(error) or type(error).__name__}") from None


class _Joined(io.RawIOBase):
    """What was read already, and the rest."""

    def __init__(self, start: bytes, rest: Any) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._start[: len(buffer)] if self._start else self._rest.read(len(buffer))
        self._start = self._start[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _Intake:
    """Entries as they come in."""

    def __init__(self, keying: Keying, kind: EntryKind, rating: int, now: int) -> None:
        self._keying, self._kind, self._rating, self._now = keying, kind, rating, now
        self._columns = {
            name: array(code)
            for name, code in (("key", "Q"), ("scope", "B"), ("rating", "B"), ("since", "I"), ("count", "I"), ("text", "I"))
        }
        self._texts = {"": 0}
        self._entries = self._refused = self._passed = 0
        self._refusals: list[Refusal] = []

    def refuse(self, line: int, what: str) -> None:
        self._refused += 1
        if len(self._refusals) < MAX_REFUSALS:
            self._refusals.append(Refusal(line, what))

    def _pass_over(self, line: int, what: str) -> None:
        """Not taken, though nothing is wrong with the line."""
        self._passed += 1
        self.refuse(line, what)

    def take(self, found: Found) -> None:
        if self._entries >= MAX_ENTRIES:
            raise ListRefused(f"the list has more than {MAX_ENTRIES:,} entries")
        if found.rank:
            self._popular(found)
        elif found.is_url:
            self._url(found)
        else:
            self._name(found)

    def _url(self, found: Found) -> None:
        place = place_of(found.what) if len(found.what) <= MAX_URL else None
        if place is None or not _is_public(place.host, place.is_address):
            self.refuse(found.line, f"{found.what[:60]!r} is nothing a browser would open on the internet")
            return
        self._entries += 1
        self._add(Scope.URL, place.exact, self._rating, found)
        if self._kind is EntryKind.SAFE or not (place.is_address or belongs_to_nobody_known(place.host)):
            return
        front = place.path == "/"
        if front or self._rating < HOST_RATING:
            self._add(Scope.HOST, place.host, self._rating if front else HOST_RATING, found)

    def _name(self, found: Found) -> None:
        place = _named(found.what)
        if place is None:
            self.refuse(found.line, f"{found.what[:60]!r} is no host name or address of the internet")
            return
        if self._kind is not EntryKind.SAFE and not (place.is_address or belongs_to_nobody_known(place.host)):
            self._pass_over(
                found.line, f"{place.host} is well known, or anybody can put pages there; a list names URLs of it, never the whole"
            )
            return
        self._entries += 1
        below = not (place.is_address or found.alone) and bool(registrable(place.host))
        self._add(Scope.DOMAIN if below else Scope.HOST, place.host, self._rating, found)

    def _popular(self, found: Found) -> None:
        if "." not in found.what:
            return  # Umbrella counts top-level domains too
        place = place_of(found.what) if found.is_url else _named(found.what)
        if place is None or place.is_address:
            self.refuse(found.line, f"{found.what[:60]!r} is no host name of the internet")
            return
        if not registrable(place.host):
            return  # and suffixes
        self._entries += 1
        self._add(Scope.DOMAIN, place.host, 0, found)

    def _add(self, scope: Scope, name: str, rating: int, found: Found) -> None:
        columns = self._columns
        columns["key"].append(self._keying.key(text(scope, name)))
        columns["scope"].append(SCOPES[scope])
        columns["rating"].append(rating)
        columns["since"].append(min(found.since or self._now, self._now))
        columns["count"].append(found.rank)
        columns["text"].append(self._text(found.said))

    def _text(self, said: str) -> int:
        known = self._texts.get(said)
        if known is not None or len(self._texts) >= MAX_TEXTS:
            return known or 0
        printable = "".join(character if character.isprintable() else " " for character in said)
        return self._texts.setdefault(printable, len(self._texts))

    def done(self, format: FeedFormat) -> Imported:
        refusals = tuple(self._refusals)
        if self._refused - self._passed > self._entries:
            raise ListRefused(f"most lines cannot be taken ({self._refused - self._passed:,}) when it is read as {format}", refusals)
        if not self._entries:
            raise ListRefused(f"there is no entry in it when it is read as {format}", refusals)
        columns: dict[str, npt.NDArray[Any]] = {name: np.frombuffer(column, column.typecode) for name, column in self._columns.items()}
        return Imported(format, self._entries, columns, tuple(self._texts), self._refused, refusals)


@lru_cache(1 << 12)
def belongs_to_nobody_known(host: str) -> bool:
    """Whether a host is not on any packaged list: not well known, no bank or university, no place for everybody."""
    return known_host(host) == 0


def _named(name: str) -> Place | None:
    """A name of a list as a place; None for what is none."""
    host = canonical_domain(name.strip("[]").rstrip("."))
    if not host or len(host) > 253 or "/" in host or "@" in host:
        return None
    place = place_of(f"http://[{host}]/" if ":" in host else f"http://{host}/")
    return place if place is not None and _is_public(place.host, place.is_address) and place.path == "/" else None


def _is_public(host: str, is_address: bool) -> bool:
    if is_address:
        return _public_address(host)
    return "." in bare(host)


@lru_cache(1 << 12)
def _public_address(host: str) -> bool:
    found = source(host)
    return found is not None and is_public(found)
