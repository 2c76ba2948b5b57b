"""What a person or a program is told of an address. Never who reported it or which trap was hit: that would tell a spammer
what to avoid.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailward.gateway.databases import protected
from mailward.gateway.settings import Settings
from mailward.reputation.address import Source
from mailward.reputation.answer import Standing
from mailward.reputation.evidence import AGAINST, EvidenceKind
from mailward.reputation.ip.keeper import About, about
from mailward.reputation.listing import Database, Listing, ListingKind

_TOLD = (*(kind for kind in EvidenceKind if kind in AGAINST), EvidenceKind.HAM, EvidenceKind.REPORT_HAM)


class Remedy(StrEnum):
    """What becomes of a request to delist."""

    NOTHING = "nothing"  # there is nothing to take off
    AUTOMATIC = "automatic"  # taken off at once
    OPERATOR = "operator"  # a person decides


@dataclass(frozen=True, slots=True)
class Listed:
    """One listing, with what its zone says of it."""

    database: Database
    zone: str
    listing: Listing
    in_zone: bool  # False: at a higher level than that at which the zone is answered to others


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is told of an address. `counts` are what the evidence at hand still holds; times in seconds since 1970, 0 unknown."""

    address: str
    standing: Standing
    listed: tuple[Listed, ...]
    counts: dict[str, int]
    first: int  # evidence against it
    last: int
    remedy: Remedy


def look_up(settings: Settings, source: Source, now: float) -> Findings:
    """Look an address up. Reads files: not on the event loop. Raises OSError and SnapshotError."""
    return told(
        settings, about(settings.reputation_folder, settings.snapshots_folder, source, now, protected(settings), settings.reputation.level)
    )


def told(settings: Settings, known: About) -> Findings:
    service = settings.reputation
    listed = [
        Listed(database, zone, listing, listing.level <= service.level)
        for database, zone, listing in (
            (Database.STANDARD, service.standard_zone, known.standard),
            (Database.DYNAMIC, service.dynamic_zone, known.dynamic),
        )
        if listing is not None
    ]
    return Findings(
        address=str(known.source),
        standing=_standing(known),
        listed=tuple(listed),
        counts={kind.value: known.counts[kind] for kind in _TOLD if known.counts.get(kind)},
        first=int(known.first),
        last=int(known.last),
        remedy=_remedy(known),
    )


def _standing(known: About) -> Standing:
    if known.standard is not None:
        return Standing.STANDARD
    if known.dynamic is not None:
        return Standing.DYNAMIC
    return Standing.GOOD if known.good is not None else Standing.UNKNOWN


def _remedy(known: About) -> Remedy:
    """Only a dynamic listing without trap hits ends by itself; whether this address had that favour before is not looked at here."""
    if known.standard is None and known.dynamic is None:
        return Remedy.NOTHING
    trapped = known.counts.get(EvidenceKind.TRAP) or (known.dynamic is not None and known.dynamic.kind is ListingKind.TRAP)
    return Remedy.OPERATOR if trapped or known.standard is not None else Remedy.AUTOMATIC
