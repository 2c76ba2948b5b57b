"""/api/v1/reputation: what the pages show, and evidence, lists and decisions from programs."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mailward.console import delisting, intake, service
from mailward.console.access import Caller, Role
from mailward.console.api.shapes import (
    AddressShape,
    DecisionShape,
    DelistedShape,
    EvidenceShape,
    KeptShape,
    ListsShape,
    LookupShape,
    RequestShape,
    RequestsShape,
    TakenShape,
    Trouble,
    ZoneShape,
)
from mailward.console.delisting import State
from mailward.console.findings import look_up
from mailward.console.site import caller_of, look_up_wait, site_of
from mailward.reputation.address import Source, source

LISTED_REQUESTS = 500  # given at once

REFUSALS: dict[int | str, dict[str, Any]] = {status: {"model": Trouble} for status in (401, 403, 413, 429, 503)}
router = APIRouter(prefix="/api/v1/reputation", tags=["reputation"], responses=REFUSALS)


def _known(request: Request) -> Caller:
    caller = caller_of(request)
    if caller is None:
        raise HTTPException(401, "send a token: Authorization: Bearer TOKEN", {"WWW-Authenticate": 'Bearer realm="mailward"'})
    return caller


def _operator(request: Request) -> Caller:
    caller = _known(request)
    if caller.role is not Role.OPERATOR:
        raise HTTPException(403, "only the operator's token may do this")
    return caller


Known = Annotated[Caller, Depends(_known)]
Operator = Annotated[Caller, Depends(_operator)]


@router.get("/lookup")
def lookup(request: Request, ip: Annotated[str, Query(max_length=64, description="An IPv4 or IPv6 address.")]) -> LookupShape:
    """What is known of an address. Public."""
    _wait(look_up_wait(request))
    return LookupShape.of(look_up(site_of(request).settings, _address(ip), time.time()))


@router.get("/zones")
def zones(request: Request) -> list[ZoneShape]:
    """Our two databases as DNS zones, first the standard one. Public."""
    return [ZoneShape.of(each) for each in service.databases(site_of(request).settings)]


@router.get("/lists")
def lists(request: Request, _: Operator) -> ListsShape:
    """Imported lists, the DNS lists of others and whether they work. Operator."""
    settings = site_of(request).settings
    return ListsShape.of(service.imported(settings), service.foreign_lists(settings, time.time()))


@router.post("/evidence")
def evidence(request: Request, caller: Known, batch: EvidenceShape) -> TakenShape:
    """Tell what was observed. Nodes and operator."""
    site = site_of(request)
    if caller.role is Role.NODE:
        _wait(site.rates.pieces.take(caller.name, len(batch.evidence)))
    pieces = [(piece.time, piece.kind, piece.address, piece.weight, piece.detail) for piece in batch.evidence]
    return TakenShape.of(intake.take(site.settings, caller, pieces, time.time()))


@router.post("/import", responses={422: {"model": Trouble}})
def import_(
    request: Request,
    _: Operator,
    body: Annotated[bytes, Body(media_type="text/plain", description="The list, as a file would hold it.")],
    name: Annotated[str, Query(max_length=60, description="Under which it is kept; replaces the list of that name.")],
    kind: Annotated[str, Query(max_length=32, description="Of entries that do not say theirs.")] = "known-source",
    format: Annotated[str, Query(max_length=16, description="text, ipsum, rbldnsd or zone; found out where left out.")] = "",
    origin: Annotated[str, Query(max_length=200, description="Where it comes from, as reasons name it.")] = "",
    days: Annotated[int, Query(ge=0, le=3650, description="How long it counts; 0: for ever.")] = 30,
) -> KeptShape:
    """Put a list into the standard database. Operator."""
    try:
        about, refusals = intake.import_list(site_of(request).settings, name, kind, body, format, origin, days, time.time())
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return KeptShape.of(about, tuple(refusals))


@router.post("/delist", responses={422: {"model": Trouble}})
def delist(request: Request, _: Operator, body: AddressShape) -> DelistedShape:
    """Take an address off both databases. Operator."""
    found = _address(body.address)
    delisting.delist(site_of(request).settings, found, "operator", time.time())
    return DelistedShape(address=str(found), delisted=True)


@router.get("/requests")
def requests(
    request: Request, _: Operator, state: Annotated[State | None, Query(description="Only those; all where left out.")] = None
) -> RequestsShape:
    """Delisting requests, the newest first. Operator."""
    found = [each for each in site_of(request).requests.all() if state in (None, each.state)]
    return RequestsShape(requests=[RequestShape.of(each) for each in found[:LISTED_REQUESTS]])


@router.post("/requests/{id}", responses={404: {"model": Trouble}})
def decide(request: Request, _: Operator, id: Annotated[str, Path(max_length=40)], body: DecisionShape) -> RequestShape:
    """Grant or refuse an open request. Operator."""
    site = site_of(request)
    decided = delisting.decide(site.settings, site.requests, id, body.decision == "grant", "operator")
    if decided is None:
        raise HTTPException(404, "there is no open request with this id")
    return RequestShape.of(decided)


def _address(text: str) -> Source:
    found = source(text.strip())
    if found is None:
        raise HTTPException(422, "this is no IPv4 or IPv6 address")
    return found


def _wait(wait: float) -> None:
    if wait:
        raise HTTPException(429, f"too much at once; try again in {int(wait) + 1} s", {"Retry-After": str(int(wait) + 1)})
