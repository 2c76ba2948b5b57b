"""One of our databases as a DNS zone: its listings by address, its SOA and NS, its test points (RFC 5782, section 5)."""

from __future__ import annotations

import copy
import socket
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from mailward.reputation.address import Source
from mailward.reputation.listing import KINDS, Database, Listing, ListingKind
from mailward.reputation.snapshot import FOREVER, LEVEL_COLUMNS, Table
from mailward.reputation.zone import names
from mailward.reputation.zone.apex import Apex, Found, Record

TTL = {Database.STANDARD: 900, Database.DYNAMIC: 60}  # seconds, of hits and misses: how late a listing or a delisting is noticed
TEST_TTL = 900
# Refresh, retry and expiry: a secondary that hears nothing from us stops answering rather than refuse mail on stale grounds
TIMERS = {Database.STANDARD: (3600, 600, 604_800), Database.DYNAMIC: (60, 30, 7200)}
LOOPBACK = 0x7F << 24  # 127.0.0.0/8 holds test points and nothing else
MAPPED = 0xFFFF << 32  # so does ::ffff:0:0/96
ENDED_ROWS = 64  # rows looked at for one that still holds, to tell an empty name from none; beyond, the name is taken to exist
TEXT_OCTETS = 255  # of a TXT record: one string, unless the look-up link alone is longer
LONGEST_ADDRESS = 39  # characters that are kept free for it, so that the reason is the same for every address of a range

CODES = {kind.number: socket.inet_aton(kind.code) for kind in KINDS.values() if kind.code}


class Entry(NamedTuple):
    """A range of addresses with its listing, as it is handed to other servers. The test points are entries without one."""

    version: int
    first: int
    last: int
    codes: tuple[bytes, ...]
    ttl: int
    listing: Listing | None


TEST_POINT = -1  # in place of a row


@dataclass(slots=True)
class Zone:
    """`name` in canonical form; `level`: the lowest level at which a dynamic listing is answered; `lookup_url` may be ""."""

    name: str
    database: Database
    table: Table
    level: int
    lookup_url: str = ""
    name_servers: tuple[str, ...] = ()
    ttl: int = field(init=False)
    tests: dict[int, tuple[bytes, ...]] = field(init=False)
    _untils: dict[int, list[memoryview]] = field(init=False)
    _apex: Apex = field(init=False)

    def __post_init__(self) -> None:
        self.ttl = TTL[self.database]
        codes = tuple(socket.inet_aton(kind.code) for kind in ListingKind if kind.database is self.database and kind.code)
        self.tests = {int.from_bytes(code, "big"): (code,) for code in codes} | {LOOPBACK + 2: codes}
        self._take_up()

    def follow(self, *, force: bool = False) -> bool:
        """Take up a newer snapshot; whether there was one. Raises SnapshotError, and the old one stays."""
        if not self.table.follow(force=force):
            return False
        self._take_up()
        return True

    def _take_up(self) -> None:
        names = list(LEVEL_COLUMNS)[: self.level] if self.table.levelled else ["until"]
        self._untils = {family.version: [family.views[name] for name in names] for family in (self.table.v4, self.table.v6)}
        self._apex = Apex(self.name_servers, self.ttl, TIMERS[self.database], self.serial)

    @property
    def serial(self) -> int:
        return self.table.serial & 0xFFFFFFFF

    # Look-up

    def look(self, owner: bytes, now: float) -> Found | None:
        """What is listed of the address that these labels name."""
        address = names.address(owner)
        return None if address is None else self.find(*address, now)

    def is_above(self, owner: bytes, now: float) -> bool:
        """Whether a listed address is below these labels."""
        return any(self.holds_any(*held, now) for held in names.below(owner))

    def why(self, found: Found, owner: bytes, now: float) -> bytes:
        """What the TXT record of the address says that these labels name."""
        address = names.address(owner)
        return self.words(found, shown(*address) if address else "", now)

    def find(self, version: int, number: int, now: float) -> Found | None:
        """What is listed of an address now."""
        if (number >> 24 == 127) if version == 4 else (number >> 32 == 0xFFFF):
            codes = self.tests.get(number & 0xFFFFFFFF)
            return Found(codes, TEST_TTL, TEST_POINT, version) if codes else None
        family = self.table.v4 if version == 4 else self.table.v6
        row = family.find(number)
        if row < 0:
            return None
        left = self._left(version, row, now)
        if left < 0:
            return None
        return Found((CODES[family.views["kind"][row]],), left, row, version)

    def _left(self, version: int, row: int, now: float) -> int:
        """Seconds for which a row may be kept; -1 when its listing is over."""
        until = self._until(version, row)
        if until > now + self.ttl or (until == FOREVER and not self.table.levelled):
            return self.ttl
        return int(until - now) if until > now else -1

    def _until(self, version: int, row: int) -> int:
        """The end of a listing at our level."""
        views = self._untils[version]
        return int(views[0][row]) if len(views) == 1 else max([int(view[row]) for view in views])

    def holds_any(self, version: int, first: int, last: int, now: float) -> bool:
        """Whether a range holds a listed address: the name above it exists then, though it has no records (RFC 8020)."""
        base = LOOPBACK if version == 4 else MAPPED | LOOPBACK
        if any(first <= (base & ~LOOPBACK | number) <= last for number in self.tests):
            return True
        family = self.table.v4 if version == 4 else self.table.v6
        row = bisect_left(range(len(family)), first, key=lambda row: family.ends(row)[1])
        for at in range(row, min(row + ENDED_ROWS, len(family))):
            if family.ends(at)[0] > last:
                return False
            if self._left(version, at, now) >= 0:
                return True
        return row + ENDED_ROWS < len(family) and family.ends(row + ENDED_ROWS)[0] <= last

    # Records

    def words(self, found: Found, address: str, now: float) -> bytes:
        """What the TXT record of a listed address says."""
        if found.row == TEST_POINT:
            return self.sentence(None, address)
        return self.sentence(self._listing(found.table, found.row, now), address)

    def _listing(self, version: int, row: int, now: float) -> Listing | None:
        return self.table.row(self.table.v4 if version == 4 else self.table.v6, row, now, self.level if self.table.levelled else 0)

    def sentence(self, listing: Listing | None, address: str) -> bytes:
        """Why, how often seen, since when, until when, and where to ask, in printable ASCII. The reason gives way to what is fixed."""
        if listing is None:
            return b"Test entry of " + self.name.encode("ascii")
        link = f". {self.lookup_url}?ip={address}" if self.lookup_url else ""
        count = f", {listing.count} pieces of evidence" if listing.count > 1 else ", 1 piece of evidence" if listing.count else ""
        until = f" until {_utc(listing.until)}" if listing.until else ""
        fixed = f"{count}, since {_utc(listing.since)}{until}{link}"
        reason = _plain(listing.reason)
        left = TEXT_OCTETS - len(listing.kind.words) - len(fixed) - 2 + min(0, len(address) - LONGEST_ADDRESS)
        if len(reason) > left:
            reason = f"{reason[: left - 3]}..." if left > 10 else ""
        return f"{listing.kind.words}{': ' if reason else ''}{reason}{fixed}".encode("ascii")

    @property
    def timers(self) -> tuple[int, int, int]:
        return TIMERS[self.database]

    @property
    def primary(self) -> str:
        return self._apex.primary

    def soa(self, apex: bytes) -> bytes:
        """The SOA record; `apex` is a pointer to the zone's name."""
        return self._apex.soa(apex)

    def ns(self, apex: bytes) -> list[bytes]:
        return self._apex.ns(apex)

    # Everything, for other servers

    def frozen(self) -> Zone:
        return replace(self, table=copy.copy(self.table))

    def records(self, now: float) -> Iterator[Record]:
        """Names, wildcards among them for ranges."""
        for entry in self.entries(now):
            for labels, address in named(entry):
                yield Record(labels, entry.codes, entry.ttl, self.sentence(entry.listing, address))

    def entries(self, now: float) -> Iterator[Entry]:
        """Test points, then every listing that holds now, v4 first, in the order of addresses."""
        for version, base in ((4, 0), (6, MAPPED)):
            for number, codes in sorted(self.tests.items()):
                yield Entry(version, base | number, base | number, codes, TEST_TTL, None)
        for family, reserved in ((self.table.v4, (LOOPBACK, LOOPBACK + (1 << 24) - 1)), (self.table.v6, (MAPPED, MAPPED + (1 << 32) - 1))):
            for row in self._holding(family.version, now):
                listing = self._listing(family.version, row, now)
                if listing is None:
                    continue
                codes, ttl = (socket.inet_aton(listing.kind.code),), self._left(family.version, row, now)
                for first, last in _without(*family.ends(row), *reserved):
                    yield Entry(family.version, first, last, codes, ttl, listing)

    def _holding(self, version: int, now: float) -> Iterator[int]:
        """The rows whose listing is not over, found by the block so that a table of ended ones costs little."""
        for start in range(0, len(self._untils[version][0]), 1 << 16):
            until = np.maximum.reduce([np.asarray(views[start : start + (1 << 16)]) for views in self._untils[version]])
            holds = until > now if self.table.levelled else (until > now) | (until == FOREVER)
            yield from (start + int(row) for row in np.flatnonzero(holds))


def named(entry: Entry) -> Iterator[tuple[str, str]]:
    """The names that stand for a range, wildcards among them, each with the address its look-up link names: the first."""
    number = entry.first
    for labels in names.owners(entry.version, entry.first, entry.last):
        yield labels, shown(entry.version, number)
        number += names.size(entry.version, labels)


def _without(first: int, last: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A range without the part from `start` to `end`."""
    if last < start or first > end:
        yield first, last
        return
    if first < start:
        yield first, start - 1
    if last > end:
        yield end + 1, last


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" if c > "~" else " " for c in text).strip()


def code_text(code: bytes) -> str:
    return socket.inet_ntoa(code)


def shown(version: int, number: int) -> str:
    return str(Source(version, number))
