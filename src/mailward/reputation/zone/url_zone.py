"""What is rated bad here as a DNS zone of names (RFC 5782, section 2.2): people's ratings and evidence; never what feeds say.

A host is listed by itself, a domain with all below it, an IPv4 address by its reversed octets. Codes are bits: 2 dangerous, 4 highly suspicious,
8 suspicious; 16 more where evidence says so. What a person rated safe is not listed, whatever evidence says.
"""

from __future__ import annotations

import copy
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from mailward.reputation.listing import Database
from mailward.reputation.url.entry import Entry, EntryKind
from mailward.reputation.url.place import Keying, Scope, above, bare, far_above, text
from mailward.reputation.url.rating import Band, band_of
from mailward.reputation.url.table import UrlTable
from mailward.reputation.zone.apex import Apex, Found, Record
from mailward.reputation.zone.zone import TIMERS

TTL = 60  # seconds, of hits and misses
TEST, INVALID = "test", "invalid"  # always listed, never listed
TEXT_OCTETS = 255
_BITS = {Band.DANGEROUS: 2, Band.HIGHLY_SUSPICIOUS: 4, Band.SUSPICIOUS: 8}
_EVIDENCE = 16
_OWN, _OBSERVED, _TEST = 0, 1, -1
_TEST_CODES = tuple(socket.inet_aton(f"127.0.0.{bits}") for bits in (2, 4, 8, 2 | _EVIDENCE, 4 | _EVIDENCE))


class _Said(NamedTuple):
    """The entry that decides about a name, and the row of the table that holds it."""

    entry: Entry
    row: int
    table: int


class UrlZone:
    """`name` in canonical form. The tables may be empty."""

    def __init__(self, name: str, own: UrlTable, evidence: UrlTable, name_servers: tuple[str, ...] = ()) -> None:
        self.name, self.name_servers = name, name_servers
        self._tables = (own, evidence)
        self.ttl, self.timers = TTL, TIMERS[Database.DYNAMIC]
        self._take_up()

    def follow(self, *, force: bool = False) -> bool:
        """Take up newer tables; whether there was one. Raises SnapshotError, and the old one stays."""
        changed = [table.follow(force=force) for table in self._tables]
        if any(changed):
            self._take_up()
        return any(changed)

    def _take_up(self) -> None:
        self._keyings = tuple(Keying(table.salt) if len(table) else None for table in self._tables)
        self._nodes = frozenset(self._tree())
        self._apex = Apex(self.name_servers, self.ttl, self.timers, self.serial)

    @property
    def serial(self) -> int:
        """Grows when either table does."""
        return (self._tables[0].serial + self._tables[1].serial) & 0xFFFF_FFFF

    @property
    def primary(self) -> str:
        return self._apex.primary

    def soa(self, apex: bytes) -> bytes:
        return self._apex.soa(apex)

    def ns(self, apex: bytes) -> list[bytes]:
        return self._apex.ns(apex)

    def frozen(self) -> UrlZone:
        found = copy.copy(self)
        found._tables = (copy.copy(self._tables[0]), copy.copy(self._tables[1]))
        return found

    # Look-up

    def look(self, owner: bytes, now: float) -> Found | None:
        """What is listed of these labels now."""
        return self._found(_dotted(owner), now)

    def is_above(self, owner: bytes, now: float) -> bool:  # noqa: ARG002  (as every zone)
        """Whether these labels are above a name that an entry is about."""
        return _dotted(owner) in self._nodes

    def why(self, found: Found, owner: bytes, now: float) -> bytes:  # noqa: ARG002  (as every zone)
        """Which rating, why, since when, until when; in printable ASCII."""
        if found.row == _TEST:
            return b"Test entry of " + self.name.encode("ascii")
        entry = self._tables[found.table].entry(found.row, now)
        return _sentence(entry) if entry is not None else b""

    def _found(self, name: str, now: float) -> Found | None:
        if name == TEST:
            return Found(_TEST_CODES, TTL, _TEST, 0)
        if name == INVALID or not name:
            return None
        return self._listed(self._decisive(name, now), now)

    @staticmethod
    def _listed(said: _Said | None, now: float) -> Found | None:
        if said is None or band_of(said.entry.rating) not in _BITS:
            return None
        bits = _BITS[band_of(said.entry.rating)] | (_EVIDENCE if said.table == _OBSERVED else 0)
        left = min(TTL, int(said.entry.until - now)) if said.entry.until else TTL
        return Found((socket.inet_aton(f"127.0.0.{bits}"),), max(0, left), said.row, said.table)

    def _decisive(self, name: str, now: float) -> _Said | None:
        """What is said most exactly of a name as it is asked about: by people first, then by evidence."""
        address = _address(name)
        host = address or bare(name)
        for at, domains in ((_OWN, far_above), (_OBSERVED, above)):
            found = self._find(at, text(Scope.HOST, host), now)
            if found is None and not address:
                found = self._of_domains(at, domains(host), now)
            if found is not None:
                return found
        return None

    def _below(self, name: str, now: float) -> _Said | None:
        """What is said of all names below one."""
        if _address(name):
            return None
        return self._of_domains(_OWN, far_above(bare(name)), now) or self._of_domains(_OBSERVED, above(bare(name)), now)

    def _of_domains(self, table: int, domains: tuple[str, ...], now: float) -> _Said | None:
        return next((said for name in domains if (said := self._find(table, text(Scope.DOMAIN, name), now)) is not None), None)

    def _find(self, at: int, named: str, now: float) -> _Said | None:
        table, keying = self._tables[at], self._keyings[at]
        row = table.row(keying.key(named)) if keying is not None else -1
        entry = table.entry(row, now) if row >= 0 else None
        return _Said(entry, row, at) if entry is not None else None

    # Everything, for other servers

    def records(self, now: float) -> Iterator[Record]:
        """The test point, then every name that is listed, or that a wildcard would match and must not (RFC 4592 2.2.1)."""
        yield Record(TEST, _TEST_CODES, TTL, b"Test entry of " + self.name.encode("ascii"))
        for name in sorted(self._nodes):
            parent = name.partition(".")[2]
            inherited = self._listed(self._below(parent, now), now) if "." in parent else None
            yield from self._record(name, self._found(name, now), inherited, now)
            if not _address(name):
                yield from self._record(f"*.{name}", self._listed(self._below(name, now), now), inherited, now)

    def _record(self, labels: str, found: Found | None, inherited: Found | None, now: float) -> Iterator[Record]:
        if found is not None:
            yield Record(labels, found.codes, found.ttl, self.why(found, b"", now))
        elif inherited is not None:
            yield Record(labels, (), TTL, b"not listed")

    def _tree(self) -> Iterator[str]:
        """Every name that an entry is about, and every name above it."""
        for table in self._tables:
            for entry in table.entries(0.0):
                name = entry.name
                if entry.scope not in (Scope.HOST, Scope.DOMAIN) or not name.isascii():
                    continue
                owner = _reversed(name)
                for each in (
                    (owner, f"www.{name}") if entry.scope is Scope.HOST and owner == name and bare(f"www.{name}") == name else (owner,)
                ):
                    while each:
                        yield each
                        each = each.partition(".")[2]


def _dotted(owner: bytes) -> str:
    """Labels in wire form as text; "" for what is no host name."""
    labels, at = [], 0
    while at < len(owner):
        size = owner[at]
        label = owner[at + 1 : at + 1 + size]
        if b"." in label or not label.isascii():
            return ""
        labels.append(label.decode("ascii"))
        at += size + 1
    return ".".join(labels)


def _address(name: str) -> str:
    """The IPv4 address that four reversed octets name; "" for anything else."""
    octets = name.split(".")
    if len(octets) != 4 or not all(
        octet.isdecimal() and len(octet) < 4 and int(octet) < 256 and str(int(octet)) == octet for octet in octets
    ):
        return ""
    return ".".join(reversed(octets))


def _reversed(name: str) -> str:
    """The owner of an entry: an IPv4 address by its reversed octets; "" for an IPv6 address, which URI lists do not hold."""
    if ":" in name:
        return ""
    return _address(name) or name


def _sentence(entry: Entry) -> bytes:
    if entry.kind is EntryKind.EVIDENCE:
        why = f"seen in bad mail from new or listed sources, or reported, {'once' if entry.pieces == 1 else f'{entry.pieces} times'}"
    else:
        why = f"rated by hand{': ' if entry.text else ''}{entry.text}"
    until = f" until {_utc(entry.until)}" if entry.until else ""
    fixed = f", since {_utc(entry.since)}{until}"
    start = f"{band_of(entry.rating)} ({entry.rating}): {''.join(c if ' ' <= c <= '~' else '?' for c in why)}"
    return f"{start[: TEXT_OCTETS - len(fixed)]}{fixed}".encode("ascii")


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
