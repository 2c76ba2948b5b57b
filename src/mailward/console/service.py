"""The state of the reputation service, as the operator's page and the API show it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from mailward.gateway.databases import standard_database
from mailward.gateway.settings import Settings
from mailward.reputation import snapshot
from mailward.reputation.dnsbl.health import HEALTH_FILE, Health, read_health
from mailward.reputation.listing import Database, Listing
from mailward.reputation.lists import KeptList
from mailward.reputation.snapshot import SnapshotError, Table

RECENT = 50  # listings shown
MAX_SEARCHED = 2_000  # rows looked at for them


@dataclass(frozen=True, slots=True)
class Published:
    """One of our databases as it is published. `made` in seconds since 1970, 0 where it never was."""

    database: Database
    zone: str
    entries: int
    serial: int
    made: int
    defect: str = ""  # why its file cannot be used


def databases(settings: Settings) -> tuple[Published, ...]:
    """First the standard one."""
    service = settings.reputation
    return (
        _published(settings, Database.STANDARD, service.standard_zone, snapshot.STANDARD_FILE),
        _published(settings, Database.DYNAMIC, service.dynamic_zone, snapshot.DYNAMIC_FILE),
    )


def _published(settings: Settings, database: Database, zone: str, file: str) -> Published:
    try:
        table = Table.open(settings.snapshots_folder / file)
    except SnapshotError as error:
        return Published(database, zone, 0, 0, 0, str(error))
    return Published(database, zone, len(table), table.serial, int(table.made))


def imported(settings: Settings) -> tuple[KeptList, ...]:
    """The lists in the standard database. Raises OSError."""
    return standard_database(settings).lists()


def foreign_lists(settings: Settings, now: float) -> tuple[Health, ...]:
    """The DNS lists of others as they were last probed, broken ones first; none where nothing was probed lately."""
    found = read_health(settings.snapshots_folder / HEALTH_FILE, now).values()
    return tuple(sorted(found, key=lambda health: (health.works, health.zone)))


def banner(health: Health) -> str:
    """One sentence about a list that is switched off."""
    return f"{health.zone} is switched off and refuses no mail: {health.why}. {health.remedy}".strip()


def recent(settings: Settings, now: float) -> tuple[Listing, ...]:
    """The newest dynamic listings that hold; none where the file cannot be used (`databases` says so)."""
    try:
        table = Table.open(settings.snapshots_folder / snapshot.DYNAMIC_FILE)
    except SnapshotError:
        return ()
    found: list[Listing] = []
    for family in (table.v4, table.v6):
        newest = heapq.nlargest(MAX_SEARCHED, range(len(family)), key=family.views["since"].__getitem__)
        rows = (table.row(family, row, now, settings.reputation.level) for row in newest)
        found.extend(heapq.nlargest(RECENT, (row for row in rows if row is not None), key=lambda listing: listing.since))
    return tuple(heapq.nlargest(RECENT, found, key=lambda listing: listing.since))
