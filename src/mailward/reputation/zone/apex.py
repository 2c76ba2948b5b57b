"""What every zone of ours has at its top, and what those who answer, transfer and export need of a zone."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol, Self

from mailward.reputation.zone import wire


class Found(NamedTuple):
    """What is listed of a name: its A records, how long they may be kept (seconds), and where the zone finds why."""

    codes: tuple[bytes, ...]
    ttl: int
    row: int
    table: int


class Record(NamedTuple):
    """A name as other servers get it; without codes where it only keeps a wildcard from matching. `words` are printable ASCII."""

    labels: str
    codes: tuple[bytes, ...]
    ttl: int
    words: bytes


class Served(Protocol):
    """A zone. The snapshots below it may be followed meanwhile."""

    name: str

    @property
    def serial(self) -> int: ...
    def follow(self, *, force: bool = False) -> bool:
        """Take up newer snapshots; whether there was one. Raises SnapshotError, and the old one stays."""

    def look(self, owner: bytes, now: float) -> Found | None:
        """What is listed of these labels (in wire form, lower case)."""

    def is_above(self, owner: bytes, now: float) -> bool:
        """Whether something is listed below them: the name exists then, though it has no records (RFC 8020)."""

    def why(self, found: Found, owner: bytes, now: float) -> bytes:
        """What the TXT record says."""

    def soa(self, apex: bytes) -> bytes: ...
    def ns(self, apex: bytes) -> list[bytes]: ...
    def records(self, now: float) -> Iterator[Record]:
        """Everything below the apex, for other servers."""

    def frozen(self) -> Self:
        """The zone of this moment, whatever is published meanwhile."""


class Apex:
    """SOA and NS of a zone. `timers`: refresh, retry and expiry in seconds."""

    __slots__ = ("_fixed", "_name_servers", "_numbers", "_ttl", "primary")

    def __init__(self, name_servers: tuple[str, ...], ttl: int, timers: tuple[int, int, int], serial: int) -> None:
        self._name_servers, self._ttl = name_servers or ("localhost",), ttl
        self.primary = self._name_servers[0]
        people = wire.name(self.primary) + b"\x0ahostmaster"
        self._numbers = struct.pack("!IIIII", serial, *timers, ttl)
        fixed = wire.record(b"", wire.SOA, ttl, bytes(len(people) + len(wire.QUESTION) + len(self._numbers)))
        self._fixed = fixed[:10] + people

    def soa(self, apex: bytes) -> bytes:
        """The SOA record; `apex` is a pointer to the zone's name."""
        return apex + self._fixed + apex + self._numbers

    def ns(self, apex: bytes) -> list[bytes]:
        return [wire.record(apex, wire.NS, self._ttl, wire.name(server)) for server in self._name_servers]
