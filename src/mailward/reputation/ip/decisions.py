"""What was decided about single addresses and networks: promoted into the standard database, or taken off it.

A file of JSON lines; the last line about an address counts. Whoever writes holds the lock of the database.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path

import msgspec

from mailward.policy.lists import Network
from mailward.reputation.spool import append_lasting

MAX_TEXT = 200  # characters kept of a reason
_SPARE = 1000  # lines that no longer count before the file is written anew


class Act(StrEnum):
    PROMOTE = "promote"
    DELIST = "delist"


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. Times in seconds since 1970; `count` is the evidence behind a promotion."""

    act: Act
    network: str  # "192.0.2.1/32"
    time: int
    until: int
    by: str = ""
    reason: str = ""
    count: int = 0

    @property
    def addresses(self) -> Network:
        return ip_network(self.network)


class Decisions:
    """The file. `append` and `compact` belong to who holds the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, made: Iterable[Decision]) -> None:
        """Returns when they are on disk. Raises OSError."""
        append_lasting(self.path, b"".join(_encode(each) + b"\n" for each in made))

    def in_force(self, now: float) -> tuple[Decision, ...]:
        """The last decision about each network, of those whose time is not over. A line that cannot be read does not count."""
        return tuple(self._last(self._lines(), now).values())

    def compact(self, now: float) -> None:
        """Write the file anew when most of it no longer counts. Raises OSError."""
        lines = self._lines()
        kept = self._last(lines, now)
        if len(lines) <= 2 * len(kept) + _SPARE:
            return
        draft = self.path.with_suffix(".tmp")
        with draft.open("wb") as file:
            file.writelines(_encode(each) + b"\n" for each in kept.values())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []

    @staticmethod
    def _last(lines: list[bytes], now: float) -> dict[str, Decision]:
        found: dict[str, Decision] = {}
        for line in lines:
            try:
                each = _decode(line)
                each.addresses  # noqa: B018  (whether it is one)
            except (msgspec.MsgspecError, ValueError):
                continue
            found[each.network] = each
        return {network: each for network, each in found.items() if each.until > now}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Decision).decode
