"""Take in lists of addresses line by line: what may be listed is kept, what may not is reported with its line."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from mailward.reputation.ip.formats import EXCLUDED, READERS, Entry, Format, Range, Refuse, Refused, detect, ipsum
from mailward.reputation.ip.ranges import Numbers

MAX_OCTETS = 512 << 20  # of one list; the largest public ones have 100 MB
MAX_LINE = 4096
MAX_ENTRIES = 5_000_000
MAX_TEXTS = 20_000  # different texts kept of one list; a list that says more says it about single addresses
MAX_REFUSALS = 20  # shown; more are counted
SAMPLE = 64 << 10  # octets looked at to tell the format
WIDEST = {4: 1 << 24, 6: 1 << 109}  # addresses of one entry: a /8 and a /19; a wider one has to be forced

# What no list may name: addresses that no mail comes from over the internet (IANA special-purpose registries), and all of v6
# but 2000::/3. Loopback addresses are the test points of DNS lists, and passed over in their formats.
_NEVER_V4 = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16 198.18.0.0/15 "
    "224.0.0.0/4 240.0.0.0/4"
)
_NEVER_V6 = "::/3 2001::/23 2002::/16 4000::/2 8000::/1"


class ListRefused(ValueError):  # noqa: N818
    """A list that is refused as a whole; the text says why."""

    def __init__(self, text: str, refusals: tuple[Refusal, ...] = ()) -> None:
        super().__init__(text)
        self.refusals = refusals


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that was not taken, counted from 1."""

    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Entries of one family in the order of their lines. `text` counts into the texts of the list; 0 is none."""

    first: Numbers
    last: Numbers
    kind: npt.NDArray[np.uint8]
    text: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True)
class Imported:
    """What a list holds, exclusions (kind EXCLUDED) among it. `refused` counts lines, `refusals` are the first of them."""

    format: Format
    v4: Rows
    v6: Rows
    texts: tuple[str, ...]
    refused: int
    refusals: tuple[Refusal, ...]

    def __len__(self) -> int:
        """Entries that list something."""
        return int(np.count_nonzero(self.v4.kind != EXCLUDED) + np.count_nonzero(self.v6.kind != EXCLUDED))


def read_file(path: Path, format: Format | None = None, *, force: bool = False, at_least: int = 1) -> Imported:
    """Read a list from a file; see `read`. Raises OSError and ListRefused."""
    with path.open("rb") as file:
        return read(file, format, force=force, at_least=at_least)


def read(file: BinaryIO, format: Format | None = None, *, force: bool = False, at_least: int = 1) -> Imported:
    """Read a list in the named format, or the one it looks like (then the file has to be seekable). `force` takes networks wider than WIDEST.

    Raises ListRefused for a list that is too large or empty, and for one of which most lines are refused: it is no list of
    addresses, or not in this format.
    """
    if format is None:
        format = detect(file.read(SAMPLE).decode("utf-8", "replace").removeprefix("\ufeff"))
        file.seek(0)
    intake = _Intake(format, force)
    reader = ipsum(at_least) if format is Format.IPSUM else READERS[format]
    for entry in reader(lines(file, intake.refuse), intake.refuse):
        intake.take(entry)
    return intake.done()


def lines(file: BinaryIO, refuse: Refuse) -> Iterator[tuple[int, str]]:
    """Numbered lines. One that is too long is refused and passed over. Raises ListRefused for a list that is too large."""
    octets, number, cut = 0, 0, False
    while piece := file.readline(MAX_LINE):
        octets += len(piece)
        if octets > MAX_OCTETS:
            raise ListRefused(f"the list is larger than {MAX_OCTETS >> 20} MB")
        whole = piece.endswith(b"\n") or len(piece) < MAX_LINE
        if not cut:
            number += 1
            if whole:
                yield number, piece.decode("utf-8", "replace").removeprefix("\ufeff")
            else:
                refuse(number, f"the line has more than {MAX_LINE} octets")
        cut = not whole


def _bounds(networks: str) -> tuple[list[int], list[int]]:
    found = [ip_network(text) for text in networks.split()]
    return [int(network[0]) for network in found], [int(network[-1]) for network in found]


_NEVER = {4: _bounds(_NEVER_V4), 6: _bounds(_NEVER_V6)}


class _Intake:
    """Entries as they come in."""

    def __init__(self, format: Format, force: bool) -> None:
        self._format = format
        self._force = force
        self._columns = {4: (array("Q"), array("Q")), 6: (array("Q"), array("Q"), array("Q"), array("Q"))}
        self._kinds = {4: array("B"), 6: array("B")}
        self._said = {4: array("I"), 6: array("I")}
        self._texts = {"": 0}
        self._refused = 0
        self._refusals: list[Refusal] = []

    def refuse(self, line: int, what: str) -> None:
        self._refused += 1
        if len(self._refusals) < MAX_REFUSALS:
            self._refusals.append(Refusal(line, what))

    def take(self, entry: Entry) -> None:
        line, found, kind, text = entry
        version, first, last = found
        if kind != EXCLUDED:
            try:
                if not self._listable(found):
                    return
            except Refused as error:
                self.refuse(line, str(error))
                return
        columns = self._columns[version]
        if version == 4:
            columns[0].append(first)
            columns[1].append(last)
        else:
            for column, number in zip(columns, (*divmod(first, 1 << 64), *divmod(last, 1 << 64)), strict=True):
                column.append(number)
        self._kinds[version].append(kind)
        self._said[version].append(self._text(text))
        if len(self._kinds[4]) + len(self._kinds[6]) > MAX_ENTRIES:
            raise ListRefused(f"the list has more than {MAX_ENTRIES:,} entries")

    def _listable(self, found: Range) -> bool:
        """False for a test point. Raises Refused."""
        version, first, last = found
        starts, ends = _NEVER[version]
        row = bisect_right(starts, last) - 1
        if row >= 0 and ends[row] >= first:
            if version == 4 and first >> 24 == last >> 24 == 127 and self._format in (Format.RBLDNSD, Format.ZONE):
                return False
            raise Refused("the entry holds addresses that are private, reserved or otherwise never seen on the internet")
        if last - first >= WIDEST[version] and not self._force:
            raise Refused(f"the entry is wider than a /{8 if version == 4 else 19}; it is taken only when that is forced")
        return True

    def _text(self, text: str) -> int:
        known = self._texts.get(text)
        if known is not None or len(self._texts) >= MAX_TEXTS:
            return known or 0
        printable = "".join(character if character.isprintable() else " " for character in text)
        return self._texts.setdefault(printable, len(self._texts))

    def done(self) -> Imported:
        refusals = tuple(self._refusals)
        imported = Imported(self._format, self._rows(4), self._rows(6), tuple(self._texts), self._refused, refusals)
        if self._refused > len(imported.v4) + len(imported.v6):
            raise ListRefused(f"most lines cannot be taken ({self._refused:,}) when it is read as {self._format}", refusals)
        if not len(imported):
            raise ListRefused(f"there is no entry in it when it is read as {self._format}", refusals)
        return imported

    def _rows(self, version: int) -> Rows:
        columns = [np.frombuffer(column, np.uint64) if column else np.empty(0, np.uint64) for column in self._columns[version]]
        half = len(columns) // 2
        kinds, said = np.array(self._kinds[version], np.uint8), np.array(self._said[version], np.uint32)
        return Rows(tuple(columns[:half]), tuple(columns[half:]), kinds, said)
