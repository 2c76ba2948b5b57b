"""Published listings: one immutable file for each table, memory-mapped by every process that looks up.

A table holds disjoint ranges of addresses, v4 and v6 apart, sorted by their first address. A listing ends when its time
is over, whether or not a newer file was published meanwhile. Files are replaced as a whole by rename; `Table.follow`
takes up a newer one (`mapped.py`).
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.reputation import mapped
from mailward.reputation.address import Source
from mailward.reputation.listing import KINDS, LEVELS, Listing
from mailward.reputation.mapped import FOLLOW_SECONDS as FOLLOW_SECONDS
from mailward.reputation.mapped import Column, Mapped
from mailward.reputation.mapped import SnapshotError as SnapshotError

STANDARD_FILE = "standard.ips"
DYNAMIC_FILE = "dynamic.ips"
GOOD_FILE = "good.ips"
FOREVER = 0
_LOW = (1 << 64) - 1

# Columns of one family. v6 numbers are split in two: `start`/`end` hold the upper 64 bits, `start_low`/`end_low` the lower.
V4_COLUMNS = {"start": "<u4", "end": "<u4"}
V6_COLUMNS = {"start": "<u8", "start_low": "<u8", "end": "<u8", "end_low": "<u8"}
ROW_COLUMNS = {"kind": "<u1", "since": "<u4", "until": "<u4", "count": "<u4", "reason": "<u4"}
LEVEL_COLUMNS = {f"until_{level}": "<u4" for level in range(1, LEVELS + 1)}  # in the dynamic table, instead of `until`

Columns = Mapping[str, npt.NDArray[Any]]


class _Header(msgspec.Struct):
    format: str
    serial: int
    made: float
    levelled: bool
    texts: list[str]
    v4: dict[str, Column]
    v6: dict[str, Column]


_FORMAT = "mailward-listings-1"


def write(path: Path, v4: Columns, v6: Columns, texts: Sequence[str], serial: int, made: float) -> None:
    """Publish a table: columns as named above (dynamic: LEVEL_COLUMNS instead of `until`; 0 in it means not listed at that level).

    Ranges have to be disjoint and sorted; `reason` counts into `texts`. Columns are asked for one after the other. Raises OSError.
    """
    levelled = "until_1" in v4 or "until_1" in v6
    families = ((v4, {**V4_COLUMNS, **_row_columns(levelled)}), (v6, {**V6_COLUMNS, **_row_columns(levelled)}))
    placed: list[dict[str, Column]] = []
    offset = 0
    for columns, types in families:
        count = len(columns["start"]) if columns else 0
        placed.append({})
        for name, dtype in types.items():
            placed[-1][name], offset = mapped.place(offset, count, dtype)
    header = _Header(_FORMAT, serial, made, levelled, list(texts), placed[0], placed[1])
    filled = (
        (places[name], columns[name]) for (columns, _), places in zip(families, placed, strict=True) for name in (places if columns else ())
    )
    mapped.write(path, header, filled, offset)


def _row_columns(levelled: bool) -> dict[str, str]:
    if not levelled:
        return ROW_COLUMNS
    return {**{name: dtype for name, dtype in ROW_COLUMNS.items() if name != "until"}, **LEVEL_COLUMNS}


@dataclass(slots=True)
class _Family:
    """The columns of v4 or v6 as memory views (for one look-up) and arrays (for many)."""

    version: int
    views: dict[str, memoryview]
    arrays: dict[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.arrays["start"])

    def find(self, number: int) -> int:
        """The row of the range that holds the address, -1 if none does."""
        views = self.views
        if self.version == 4:
            row = bisect_right(views["start"], number) - 1
            return row if row >= 0 and views["end"][row] >= number else -1
        high, low = number >> 64, number & _LOW
        starts, lows = views["start"], views["start_low"]
        row = bisect_right(range(len(self)), (high, low), key=lambda at: (starts[at], lows[at])) - 1
        if row < 0:
            return -1
        return row if (views["end"][row], views["end_low"][row]) >= (high, low) else -1

    def ends(self, row: int) -> tuple[int, int]:
        """First and last address of a range."""
        start, end = int(self.views["start"][row]), int(self.views["end"][row])
        if self.version == 4:
            return start, end
        return start << 64 | int(self.views["start_low"][row]), end << 64 | int(self.views["end_low"][row])


class Table(Mapped):
    """A mapped snapshot. Looking up is safe from several threads; `follow` belongs to one."""

    def _empty(self) -> None:
        self.serial = 0
        self.made = 0.0
        self.levelled = False
        self.texts: list[str] = []
        empty = {**V4_COLUMNS, **V6_COLUMNS, **ROW_COLUMNS, **LEVEL_COLUMNS}
        arrays = {name: np.empty(0, dtype) for name, dtype in empty.items()}
        self.v4 = _family(4, {**arrays, "start": np.empty(0, "<u4"), "end": np.empty(0, "<u4")})
        self.v6 = _family(6, arrays)

    def _take(self, header: bytes, data: mmap.mmap, base: int) -> None:
        read = msgspec.json.decode(header, type=_Header)
        if read.format != _FORMAT:
            raise ValueError(f"its format is {read.format[:40]!r}")
        self.v4, self.v6 = (
            _family(version, {name: mapped.mapped(data, base, column) for name, column in columns.items()})
            for version, columns in ((4, read.v4), (6, read.v6))
        )
        self.serial, self.made, self.levelled, self.texts = read.serial, read.made, read.levelled, read.texts

    def __len__(self) -> int:
        return len(self.v4) + len(self.v6)

    def find(self, source: Source, now: float, level: int = LEVELS, shown: int = 0) -> Listing | None:
        """The listing that holds the address now; in the dynamic table, one that counts at `level` (1 to 4).

        Its end is that of the lowest level that lists it, or of level `shown` where that is higher.
        """
        family = self.v4 if source.version == 4 else self.v6
        row = family.find(source.number)
        if row < 0:
            return None
        found = self.row(family, row, now, shown)
        return found if found is not None and found.level <= level else None

    def row(self, family: _Family, row: int, now: float, shown: int = 0) -> Listing | None:
        """The listing of one row, None when its time is over. `shown` as in `find`."""
        views = family.views
        level, until = 0, 0
        if self.levelled:
            for level in range(1, LEVELS + 1):
                until = views[f"until_{level}"][row]
                if until > now:
                    until = views[f"until_{max(level, shown)}"][row]
                    break
            else:
                return None
        else:
            until = views["until"][row]
            if until != FOREVER and until <= now:
                return None
        reason = views["reason"][row]
        return Listing(
            network=_shown(family.version, *family.ends(row)),
            kind=KINDS[views["kind"][row]],
            since=views["since"][row],
            until=until,
            count=views["count"][row],
            reason=self.texts[reason] if reason < len(self.texts) else "",
            level=level,
        )

    def listings(self, now: float) -> Iterator[Listing]:
        """Every listing that holds now, v4 first, in the order of addresses."""
        for family in (self.v4, self.v6):
            for row in range(len(family)):
                found = self.row(family, row, now)
                if found is not None:
                    yield found

    def holds_v4(self, numbers: npt.NDArray[np.uint32], now: float) -> npt.NDArray[np.bool_]:
        """Which of many v4 addresses are in a range that is listed now (at any level)."""
        arrays = self.v4.arrays
        if not len(self.v4):
            return np.zeros(len(numbers), bool)
        rows = np.searchsorted(arrays["start"], numbers, "right").astype(np.int64) - 1
        inside = (rows >= 0) & (arrays["end"][rows] >= numbers)
        until = np.maximum.reduce([arrays[name][rows] for name in LEVEL_COLUMNS]) if self.levelled else arrays["until"][rows]
        return np.asarray(inside & ((until > now) | ((until == FOREVER) & (not self.levelled))))


def _family(version: int, arrays: dict[str, npt.NDArray[Any]]) -> _Family:
    return _Family(version, {name: array.data for name, array in arrays.items()}, arrays)


def _shown(version: int, start: int, end: int) -> str:
    """One address, a network where the range is one, else first-last."""
    first, last = (IPv4Address(start), IPv4Address(end)) if version == 4 else (IPv6Address(start), IPv6Address(end))
    if start == end:
        return str(first)
    networks = list(summarize_address_range(first, last))
    return str(networks[0]) if len(networks) == 1 else f"{first}-{last}"
