"""What the API takes and gives. Times are seconds since 1970, 0 where unknown."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from mailward.console.delisting import Request, State
from mailward.console.findings import Findings, Listed, Remedy
from mailward.console.intake import MAX_PIECES, Taken
from mailward.console.service import Published, banner
from mailward.reputation.answer import Standing
from mailward.reputation.dnsbl.health import Health
from mailward.reputation.evidence import MAX_TEXT
from mailward.reputation.ip.imports import Refusal
from mailward.reputation.listing import Database, Listing
from mailward.reputation.lists import About, KeptList

Address = Annotated[str, Field(min_length=2, max_length=64, description="An IPv4 or IPv6 address.", examples=["192.0.2.1"])]


class Trouble(BaseModel):
    error: str = Field(description="What is wrong, in words.")


class ListingShape(BaseModel):
    database: Database
    zone: str
    network: str
    kind: str
    code: str = Field(description="The A record in the zone.")
    words: str
    reason: str
    since: int
    until: int = Field(description="0: until it is taken off.")
    evidence: int = Field(description="Pieces of evidence; 0 for an imported entry.")
    level: int = Field(description="Dynamic: the lowest level that lists it, 1 to 4. Standard: 0.")
    in_zone: bool = Field(description="Whether our zone answers it at the level it has.")

    @classmethod
    def of(cls, database: Database, zone: str, listing: Listing, in_zone: bool) -> ListingShape:
        return cls(
            database=database,
            zone=zone,
            network=listing.network,
            kind=listing.kind.label,
            code=listing.kind.code,
            words=listing.kind.words,
            reason=listing.reason,
            since=listing.since,
            until=listing.until,
            evidence=listing.count,
            level=listing.level,
            in_zone=in_zone,
        )


class LookupShape(BaseModel):
    address: str
    listed: bool
    standing: Standing
    listings: list[ListingShape]
    evidence: dict[str, int] = Field(description="Counts by kind, of what the evidence at hand still holds.")
    first: int = Field(description="First evidence against it.")
    last: int
    delisting: Remedy = Field(description="What a request would lead to: nothing, automatic (at once), operator (a person decides).")

    @classmethod
    def of(cls, found: Findings) -> LookupShape:
        return cls(
            address=found.address,
            listed=bool(found.listed),
            standing=found.standing,
            listings=[_listed(each) for each in found.listed],
            evidence=found.counts,
            first=found.first,
            last=found.last,
            delisting=found.remedy,
        )


def _listed(each: Listed) -> ListingShape:
    return ListingShape.of(each.database, each.zone, each.listing, each.in_zone)


class ZoneShape(BaseModel):
    zone: str
    database: Database
    entries: int
    serial: int
    made: int
    defect: str = Field(description='Why the database cannot be used, "" if it can.')

    @classmethod
    def of(cls, each: Published) -> ZoneShape:
        return cls(zone=each.zone, database=each.database, entries=each.entries, serial=each.serial, made=each.made, defect=each.defect)


class ImportedShape(BaseModel):
    name: str
    kind: str = ""
    source: str = ""
    entries: int = 0
    refused: int = 0
    imported: int = 0
    expires: int = Field(default=0, description="0: never.")
    defect: str = Field(default="", description='Why the list cannot be used, "" if it can.')

    @classmethod
    def of(cls, name: str, about: About | None, defect: str = "") -> ImportedShape:
        if about is None:
            return cls(name=name, defect=defect)
        return cls(
            name=name,
            kind=about.kind,
            source=about.source,
            entries=about.entries,
            refused=about.refused,
            imported=about.imported,
            expires=about.expires,
        )


class ForeignShape(BaseModel):
    zone: str
    works: bool
    why: str
    since: int
    checked: int

    @classmethod
    def of(cls, health: Health) -> ForeignShape:
        return cls(zone=health.zone, works=health.works, why=health.why, since=health.since, checked=health.checked)


class ListsShape(BaseModel):
    imported: list[ImportedShape]
    foreign: list[ForeignShape]
    banners: list[str] = Field(description="One sentence for each list of others that is switched off.")

    @classmethod
    def of(cls, imported: tuple[KeptList, ...], foreign: tuple[Health, ...]) -> ListsShape:
        return cls(
            imported=[ImportedShape.of(kept.name, kept.about, kept.defect) for kept in imported],
            foreign=[ForeignShape.of(health) for health in foreign],
            banners=[banner(health) for health in foreign if not health.works],
        )


class PieceShape(BaseModel):
    """One observation. Kind and address are looked at piece by piece: a bad one is refused, the others are taken."""

    address: str = Field(max_length=64, examples=["192.0.2.1"])
    kind: str = Field(max_length=32, examples=["spam"], description="spam, ham, trap, report-spam, report-ham, url, refused or delist.")
    time: float | None = Field(
        default=None, description="When it was observed; now, where left out. At most a day ago, never in the future."
    )
    weight: float | None = Field(default=None, description="The usual weight of its kind, where left out; a node cannot give more.")
    detail: str = Field(default="", max_length=MAX_TEXT)


class EvidenceShape(BaseModel):
    evidence: list[PieceShape] = Field(max_length=MAX_PIECES)


class PieceRefusalShape(BaseModel):
    at: int = Field(description="Which piece, counted from 0.")
    why: str


class TakenShape(BaseModel):
    taken: int
    refused: int
    refusals: list[PieceRefusalShape] = Field(description="The first of them.")

    @classmethod
    def of(cls, taken: Taken) -> TakenShape:
        return cls(
            taken=taken.taken,
            refused=taken.refused,
            refusals=[PieceRefusalShape(at=each.at, why=each.why) for each in taken.refusals],
        )


class LineRefusalShape(BaseModel):
    line: int
    what: str


class KeptShape(BaseModel):
    list: ImportedShape
    refusals: tuple[LineRefusalShape, ...] = Field(description="The first lines that were not taken.")

    @classmethod
    def of(cls, about: About, refusals: tuple[Refusal, ...]) -> KeptShape:
        return cls(
            list=ImportedShape.of(about.name, about),
            refusals=tuple(LineRefusalShape(line=each.line, what=each.what) for each in refusals),
        )


class AddressShape(BaseModel):
    address: Address


class DelistedShape(BaseModel):
    address: str
    delisted: bool


class RequestShape(BaseModel):
    id: str
    time: int
    address: str
    client: str = Field(description="Who asked.")
    state: State
    contact: str
    comment: str
    decided: int
    by: str

    @classmethod
    def of(cls, each: Request) -> RequestShape:
        return cls(
            id=each.id,
            time=each.time,
            address=each.address,
            client=each.client,
            state=each.state,
            contact=each.contact,
            comment=each.comment,
            decided=each.decided,
            by=each.by,
        )


class RequestsShape(BaseModel):
    requests: list[RequestShape]


class DecisionShape(BaseModel):
    decision: Literal["grant", "refuse"]
