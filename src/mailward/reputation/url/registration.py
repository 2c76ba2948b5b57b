"""Since when domains are registered, as registries say it (RDAP, RFC 9082 and 9083), and the table in which that is remembered.

Nobody is asked unless the operator names a service. Answers are kept under keyed digests, so that the table does not tell names.
"""

from __future__ import annotations

import io
import time
from collections import OrderedDict
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from threading import Lock

import msgspec
import numpy as np
from publicsuffixlist import PublicSuffixList

from mailward.reputation.ip.download import Bounds, DownloadFailed, Version, download
from mailward.reputation.mapped import SnapshotError
from mailward.reputation.url.entry import EntryKind
from mailward.reputation.url.place import Keying, Scope, text
from mailward.reputation.url.store import FOLDER, next_serial, salt_in
from mailward.reputation.url.table import REGISTERED_FILE, SCOPES, UrlTable, write

DAY = 86_400
KEPT_DAYS = 90  # names are given up and registered again; later than that it is asked anew
UNKNOWN_DAYS = 3  # a registry that knows nothing of a name may know it later
MAX_KEPT = 100_000  # domains, 3 MB
MAX_WAITING = 10_000  # names that are still to be asked about; more arrive again with the next mail
_BOUNDS = Bounds(octets=1 << 20, seconds=30.0, accept="application/rdap+json")
_EVENTS = ("registration", "reregistration")
_LATEST = (1 << 32) - 1


class Unanswered(Exception):  # noqa: N818
    """The service does not answer now, or wants fewer questions; the text says why."""


class _Event(msgspec.Struct, rename="camel"):
    event_action: str = ""
    event_date: str = ""


class _Domain(msgspec.Struct, rename="camel"):
    ldh_name: str = ""
    events: list[_Event] = []


def ask(service: str, domain: str) -> int:
    """When a domain was registered, in seconds since 1970; 0 when that is not to be learned.

    `service` is the base of the addresses, `https://.../domain/`. Takes at most half a minute. Raises Unanswered.
    """
    answer = io.BytesIO()
    try:
        download(service + domain, answer, Version(), bounds=_BOUNDS)
    except DownloadFailed as error:
        if error.status == HTTPStatus.TOO_MANY_REQUESTS or not 400 <= error.status < 500:
            raise Unanswered(str(error)) from None
        return 0
    try:
        return read(answer.getvalue(), domain)
    except ValueError:
        return 0


def read(answer: bytes, domain: str) -> int:
    """The time of the last registration in an answer, in seconds since 1970. Raises ValueError where it does not tell of that domain."""
    found = msgspec.json.decode(answer, type=_Domain)
    if found.ldh_name.lower().rstrip(".") != domain:
        raise ValueError("the answer is about another name")
    times = [datetime.fromisoformat(event.event_date) for event in found.events if event.event_action in _EVENTS]
    if not times:
        raise ValueError("the answer names no registration")
    last = max(each if each.tzinfo else each.replace(tzinfo=UTC) for each in times).timestamp()
    return min(_LATEST, max(1, int(last)))


@cache
def _registries() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


def is_registered_name(domain: str) -> bool:
    """Whether it is a registry that gives such names away, and not a customer of one, as for `someone.pages.dev`."""
    return _registries().privatesuffix(domain) == domain


class Wanted:
    """Names to be asked about, each once, the oldest first. For several threads."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def add(self, domain: str) -> None:
        with self._lock:
            if len(self._names) < MAX_WAITING:
                self._names[domain] = None

    def take(self) -> str | None:
        with self._lock:
            return self._names.popitem(last=False)[0] if self._names else None


class Registrations:
    """What is known, by key, and its table in `snapshots`. Belongs to one process. Raises OSError where the folder cannot be used."""

    def __init__(self, folder: Path, snapshots: Path) -> None:
        self._keying = Keying(salt_in(folder / FOLDER))
        self._path = snapshots / REGISTERED_FILE
        self._known: dict[int, tuple[int, int]] = {}  # registered, 0: unknown; and until when that is believed
        try:
            table = UrlTable.open(self._path)
        except SnapshotError:  # there is none, or it is damaged: asked anew
            return
        if table.salt == self._keying.salt:
            self._known = {key: (entry.since, entry.until) for key, entry in table.keyed(time.time())}

    def knows(self, domain: str, now: float) -> bool:
        """Whether there is an answer about a domain that is still believed."""
        return self._known.get(self._key(domain), (0, 0))[1] > now

    def remember(self, domain: str, registered: int, now: float) -> None:
        """Keep an answer, 0 for none."""
        self._known[self._key(domain)] = (registered, int(now) + (KEPT_DAYS if registered else UNKNOWN_DAYS) * DAY)

    def publish(self, now: float) -> None:
        """Write what is believed, for every process. Raises OSError."""
        believed = sorted(((until, key, since) for key, (since, until) in self._known.items() if until > now), reverse=True)[:MAX_KEPT]
        self._known = {key: (since, until) for until, key, since in believed}
        count = len(believed)
        columns = {
            "key": np.array([key for _, key, _ in believed], "<u8"),
            "scope": np.full(count, SCOPES[Scope.DOMAIN], "<u1"),
            "rating": np.zeros(count, "<u1"),
            "kind": np.full(count, EntryKind.EVIDENCE.number, "<u1"),
            "origin": np.zeros(count, "<u2"),
            "since": np.array([since for _, _, since in believed], "<u4"),
            "until": np.array([until for until, _, _ in believed], "<u4"),
            "count": np.zeros(count, "<u4"),
            "text": np.zeros(count, "<u4"),
        }
        write(self._path, columns, self._keying.salt, ["registry"], [""], next_serial(self._path, now), now)

    def _key(self, domain: str) -> int:
        return self._keying.key(text(Scope.DOMAIN, domain))
