"""Everything that is published about URLs, asked in one place; and the keys of one URL made once for all tables."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from mailward.reputation.address import source
from mailward.reputation.listing import Listing
from mailward.reputation.mapped import SnapshotError
from mailward.reputation.snapshot import DYNAMIC_FILE, STANDARD_FILE, Table
from mailward.reputation.url.entry import Entry
from mailward.reputation.url.place import DOMAIN, HOST, PATH, URL, Keying, Place, above, far_above, steps
from mailward.reputation.url.table import EVIDENCE_FILE, FEEDS_FILE, LIFE_FILE, OWN_FILE, POPULAR_FILE, REGISTERED_FILE, UrlTable

DAY = 86_400
SETTLED_DAYS = 7  # so long domains have to be watched before "new here" says something
YOUNG_DAYS = 30  # a domain registered within so many days is young

_FILES = (OWN_FILE, EVIDENCE_FILE, FEEDS_FILE, POPULAR_FILE, LIFE_FILE, REGISTERED_FILE)

log = logging.getLogger("mailward.reputation")


class UrlKnowledge:
    """The tables in the snapshots folder. Opens what is there; what is not (yet) is empty."""

    def __init__(self, snapshots: Path) -> None:
        self._tables = tuple([UrlTable(snapshots / name) for name in _FILES])
        self.own, self.evidence, self.feeds, self.popular, self.life, self.registrations = self._tables
        self._addresses = (Table(snapshots / STANDARD_FILE), Table(snapshots / DYNAMIC_FILE))
        self._keyings: dict[bytes, Keying] = {}
        self.follow()

    def follow(self) -> bool:
        """Take up newer tables; whether there was one. A damaged file is logged and the table before stays."""
        changed = False
        for table in (*self._tables, *self._addresses):
            try:
                changed |= table.follow(force=True)
            except SnapshotError as error:
                log.error("%s", error)
        if changed:
            self._keyings = {table.salt: Keying(table.salt) for table in self._tables if len(table)}
        return changed

    def rated(self, place: Place, now: float) -> Entry | None:
        """What a person here said."""
        return self._most_exact(self.own, place, far_above, now)

    def observed(self, place: Place, now: float) -> Entry | None:
        """What evidence says."""
        return self._most_exact(self.evidence, place, above, now)

    def listed(self, place: Place, now: float) -> Entry | None:
        """What feeds say."""
        return self._most_exact(self.feeds, place, above, now)

    def standing(self, place: Place, now: float) -> Listing | None:
        """What our own address databases say of a host that is an address."""
        address = source(place.host) if place.is_address else None
        if address is None:
            return None
        return next((found for table in self._addresses if (found := table.find(address, now)) is not None), None)

    def rank(self, place: Place, now: float) -> tuple[int, str]:
        """The best rank of the host or a domain above it in popularity lists, and which list; 0 for none."""
        keying = self._keyings.get(self.popular.salt)
        if keying is None or place.is_address:
            return 0, ""
        found = [self.popular.find(keying.key(DOMAIN + name), now) for name in above(place.host)]
        ranks = [(entry.pieces, entry.origin) for entry in found if entry is not None]
        return min(ranks, default=(0, ""))

    def first_seen(self, place: Place, now: float) -> int | None:
        """Days since the domain was first seen in mail here; 0: never before today. None where nobody has watched long enough."""
        keying = self._keyings.get(self.life.salt)
        if keying is None or place.is_address:
            return None
        since = self.life.origins[0] if self.life.origins else ""
        if not since.isdecimal() or now < int(since) + SETTLED_DAYS * DAY:
            return None
        found = self.life.find(keying.key(DOMAIN + place.domain), now)
        return max(0, int(now) // DAY - found.since // DAY) if found is not None else 0

    def young(self, place: Place, now: float) -> int | None:
        """Days since the domain was registered, where a registry said so and they are fewer than YOUNG_DAYS."""
        keying = self._keyings.get(self.registrations.salt) if len(self.registrations) else None
        if keying is None or place.is_address:
            return None
        found = self.registrations.find(keying.key(DOMAIN + place.domain), now)
        days = max(0, int(now) - found.since) // DAY if found is not None and found.since else YOUNG_DAYS
        return days if days < YOUNG_DAYS else None

    def _most_exact(self, table: UrlTable, place: Place, domains: Callable[[str], tuple[str, ...]], now: float) -> Entry | None:
        keying = self._keyings.get(table.salt)
        if keying is None:
            return None
        key, find = keying.key, table.find
        if table.has_urls and (found := find(key(URL + place.exact), now)) is not None:
            return found
        if table.has_paths and not place.port:
            folders = steps(place.path)
            for count in range(len(folders), 0, -1):
                if (found := find(key(PATH + "/".join([place.host, *folders[:count]])), now)) is not None:
                    return found
        if table.has_hosts and (found := find(key(HOST + place.host), now)) is not None:
            return found
        if place.is_address or not table.has_domains:
            return None
        for name in domains(place.host):  # the last, because the suffix list costs more than all before
            if (found := find(key(DOMAIN + name), now)) is not None:
                return found
        return None
