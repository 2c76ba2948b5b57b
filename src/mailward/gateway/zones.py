"""Our own zones, as the settings name them, over the snapshots that are published."""

from __future__ import annotations

from mailward.gateway.settings import Settings
from mailward.reputation.listing import Database
from mailward.reputation.snapshot import DYNAMIC_FILE, STANDARD_FILE, Table
from mailward.reputation.url.table import EVIDENCE_FILE, OWN_FILE, UrlTable
from mailward.reputation.zone.url_zone import UrlZone
from mailward.reputation.zone.zone import Zone


def own_zones(settings: Settings, *, mapped: bool = True) -> tuple[Zone, Zone]:
    """The standard zone and the dynamic one. Raises SnapshotError for a damaged snapshot, unless they are left empty (`mapped`)."""
    own = settings.reputation
    places = ((own.standard_zone, Database.STANDARD, STANDARD_FILE), (own.dynamic_zone, Database.DYNAMIC, DYNAMIC_FILE))
    opened = Table.open if mapped else Table
    standard, dynamic = (
        Zone(name, database, opened(settings.snapshots_folder / file), own.level, own.lookup_url, own.name_servers)
        for name, database, file in places
    )
    return standard, dynamic


def url_zone(settings: Settings, *, mapped: bool = True) -> UrlZone:
    """The zone of what is rated bad here. Raises SnapshotError, as `own_zones`."""
    own, evidence = ((UrlTable.open if mapped else UrlTable)(settings.snapshots_folder / file) for file in (OWN_FILE, EVIDENCE_FILE))
    return UrlZone(settings.urls.zone, own, evidence, settings.reputation.name_servers)
