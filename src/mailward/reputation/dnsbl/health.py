"""Whether a DNS list works at all: probed by its test points (RFC 5782, 5), remembered in a file that every process follows.

A list that was not probed, or failed its probe, is not asked: no answer of a broken list can ever count.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import msgspec

from mailward.policy.dnsbl import ListEntry, catalogue
from mailward.reputation.dnsbl import question
from mailward.reputation.dnsbl.question import TestPoints
from mailward.reputation.dnsbl.reading import Resolver, misread, shown

HEALTH_FILE = "lists.json"
FRESH_SECONDS = 900  # an older result is none: the process that probes is gone
FOLLOW_SECONDS = 0.5  # how often `HealthFile` looks for a newer file
MAX_FILE = 1 << 20
STREAK = 2  # probes in a row that change a state
LONG_STREAK = 120  # after wrong listings: an hour of probes every 30 s, by then resolvers have forgotten them


class Fault(StrEnum):
    """What is wrong with a list."""

    SILENT = "silent"  # no answer: time-out, SERVFAIL, REFUSED
    REFUSES = "refuses"  # it answers that it does not want to answer us
    EVERYTHING = "everything"  # it lists what no list may list
    CODES = "codes"  # it answers with what does not count
    GONE = "gone"  # its test point is not listed
    NO_ACCESS_CODE = "no access code"


_REMEDIES = {
    Fault.SILENT: "See whether the resolvers in [dns] servers work and the list still exists{site}; else write {off} in the policy.",
    Fault.REFUSES: "Ask through a resolver of your own ([dns] servers), not a public one, and keep to the terms of the list{site}.",
    Fault.EVERYTHING: "The list is closed, or somebody answers in its name: write {off} in the policy{site}.",
    Fault.CODES: "See which codes the list has{site} and name them in the policy ({zone}=127.0.0.2), or write {off}.",
    Fault.GONE: "See whether the list still exists{site}; else write {off} in the policy.",
    Fault.NO_ACCESS_CODE: 'Get an access code{site} and put it into mailward.toml: [dns] access_codes = ["{zone}=CODE"].',
}


class Finding(msgspec.Struct, frozen=True):
    """What one probe saw; `fault` is None for a list that works. `v6`: its v6 test points are right; else it is asked about v4 only."""

    zone: str
    fault: Fault | None = None
    why: str = ""
    v6: bool = False


class Health(msgspec.Struct, frozen=True):
    """The state of one list. Times in seconds since 1970."""

    zone: str
    fault: Fault | None = None
    why: str = ""  # the fault in words
    v6: bool = False
    since: int = 0
    checked: int = 0
    against: int = 0  # probes in a row that spoke against the state

    @property
    def works(self) -> bool:
        return self.fault is None

    @property
    def remedy(self) -> str:
        """What the administrator can do, "" for a list that works."""
        if self.fault is None:
            return ""
        known = catalogue().get(self.zone)
        return _REMEDIES[self.fault].format(zone=self.zone, off=f'"off {self.zone}"', site=f" ({known.site})" if known else "")


async def probe(resolver: Resolver, entry: ListEntry, code: str = "") -> Finding:
    """Ask a list about its test points, all at once, with its access code. The resolver must not answer from a cache. Never raises."""
    known = catalogue().get(entry.zone)
    if known is not None and known.access_code and not code:
        return Finding(entry.zone, Fault.NO_ACCESS_CODE, "it answers only with an access code")
    if entry.domains:
        return await _examine(resolver, entry, code, question.domain_points(known.test if known is not None else "test"))
    v4, v6 = await asyncio.gather(*(_examine(resolver, entry, code, points) for points in (question.v4_points(), question.v6_points())))
    return msgspec.structs.replace(v4, v6=v6.fault is None)


async def _examine(resolver: Resolver, entry: ListEntry, code: str, points: TestPoints) -> Finding:
    """Look at the test points of one kind."""
    asked = (points.listed, *points.clear)
    responses = await asyncio.gather(*(resolver.ask(question.name(subject, entry.zone, code)) for subject in asked))
    for subject, response in zip(points.clear, responses[1:], strict=True):
        if response.addresses:
            return _not_clear(entry, str(subject), response.addresses[0])
    failure = next((response.failure for response in responses if response.failure is not None), None)
    if failure is not None:
        return Finding(entry.zone, Fault.SILENT, failure)
    listed = responses[0].addresses
    if not listed:
        return Finding(entry.zone, Fault.GONE, f"its test point {points.listed} is not listed: the zone is empty, or gone")
    if not any(entry.counts(address) for address in listed):
        return Finding(entry.zone, Fault.CODES, f"asked about its test point {points.listed}: {misread(listed[0])}")
    return Finding(entry.zone)


def _not_clear(entry: ListEntry, subject: str, address: tuple[int, ...]) -> Finding:
    if entry.counts(address):
        return Finding(entry.zone, Fault.EVERYTHING, f"it lists {subject}, which no list may list ({shown(address)})")
    fault = Fault.REFUSES if address[:3] == (127, 255, 255) else Fault.CODES
    return Finding(entry.zone, fault, f"asked about {subject}: {misread(address)}")


def judged(before: Health | None, found: Finding, now: float) -> Health:
    """The state after a probe. Silence, and the end of a fault, count after STREAK probes in a row; everything else at once."""
    unsure = found.fault in (None, Fault.SILENT)
    needed = LONG_STREAK if before is not None and before.fault is Fault.EVERYTHING else STREAK
    if before is not None and unsure and before.works != (found.fault is None) and before.against + 1 < needed:
        return msgspec.structs.replace(before, checked=int(now), against=before.against + 1)
    since = before.since if before is not None and before.fault == found.fault else int(now)
    return Health(found.zone, found.fault, found.why, found.v6, since, int(now))


class _File(msgspec.Struct):
    made: float
    lists: list[Health]


def write_health(path: Path, lists: Iterable[Health], now: float) -> None:
    """Publish the states. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(_File(now, list(lists)))))
    draft.replace(path)


def read_health(path: Path, now: float | None = None) -> dict[str, Health]:
    """The states by zone; empty where there is no file, an unreadable one, or one older than FRESH_SECONDS."""
    now = time.time() if now is None else now
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read(MAX_FILE), type=_File)
    except (OSError, msgspec.MsgspecError):
        return {}
    return {health.zone: health for health in found.lists} if abs(now - found.made) < FRESH_SECONDS else {}


class HealthFile:
    """The states as the probing process last wrote them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked = float("-inf")
        self._stamp: tuple[int, int] | None = None
        self._stale = float("inf")
        self._states: dict[str, Health] = {}

    def states(self) -> dict[str, Health]:
        """By zone; looks for a newer file at most every FOLLOW_SECONDS."""
        now = time.monotonic()
        if now >= self._looked + FOLLOW_SECONDS:
            self._looked = now
            self._follow(now)
        return self._states

    def _follow(self, now: float) -> None:
        try:
            found = os.stat(self._path)
        except OSError:
            self._states, self._stamp = {}, None
            return
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            self._stamp, self._stale = stamp, now + FRESH_SECONDS
            self._states = read_health(self._path)
        elif now > self._stale:
            self._states = {}
