"""Listings: which database, of what kind, since when, until when, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

LEVELS = 4  # the dynamic database is asked at level 1 to 4; 0 asks and never acts


class Database(StrEnum):
    STANDARD = "standard"  # known sources, for long
    DYNAMIC = "dynamic"  # made of evidence, for minutes to hours
    DOMAINS = "domains"  # domains that stand in URLs


class ListingKind(Enum):
    """What a source is listed for: its number in a snapshot, its database and its DNS code (filters.md, section 1)."""

    KNOWN_SOURCE = (1, Database.STANDARD, "127.0.0.2", "known spam source")
    EMERGING_THREAT = (2, Database.STANDARD, "127.0.0.3", "emerging threat")
    DYNAMIC_SPACE = (3, Database.STANDARD, "127.0.0.10", "dynamic or residential address space")
    BURST = (4, Database.DYNAMIC, "127.0.0.4", "burst of spam")
    TRAP = (5, Database.DYNAMIC, "127.0.0.5", "mail to spam traps")
    NEW_SOURCE = (6, Database.DYNAMIC, "127.0.0.6", "new source of mail with bad links")
    GOOD = (7, Database.DYNAMIC, "", "good standing")  # no listing: the table of well-known good senders

    def __init__(self, number: int, database: Database, code: str, words: str) -> None:
        self.number = number
        self.database = database
        self.code = code
        self.words = words

    @property
    def label(self) -> str:
        """As it is written on the command line and in JSON: "known-source"."""
        return self.name.lower().replace("_", "-")


KINDS = {kind.number: kind for kind in ListingKind}
BY_LABEL = {kind.label: kind for kind in ListingKind}


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing as a look-up finds it. Times in seconds since 1970."""

    network: str  # "192.0.2.1", or the network or range that holds the address: "192.0.2.0/24"
    kind: ListingKind
    since: int
    until: int  # 0: until it is taken off
    count: int  # pieces of evidence; 0 for an imported entry
    reason: str  # a sentence about the source, or where the entry comes from
    level: int = 0  # dynamic: the lowest level that lists it now (1 to 4); 0 for the standard database
