"""/api/v1/urls: ratings of URLs, and what people here say of them."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Body, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mailward.console.api.reputation import REFUSALS, Known, Operator
from mailward.console.api.shapes import Trouble
from mailward.console.site import site_of
from mailward.gateway.databases import url_database
from mailward.reputation.url.place import MAX_URL, Scope
from mailward.reputation.url.rating import Rating
from mailward.reputation.url.ratings import REMOVED, OwnRating, from_text, named, plain, to_text, usual_scope

MAX_URLS = 1000  # rated at once
SHOWN_REFUSALS = 20

_Url = Annotated[str, Field(min_length=1, max_length=MAX_URL)]
router = APIRouter(prefix="/api/v1/urls", tags=["urls"], responses=REFUSALS)


class UrlRatingShape(BaseModel):
    url: str = Field(description="As it was asked.")
    read_as: str = Field(description="As a browser reads it.")
    rating: int | None = Field(description="0 to 100, low is bad; null: untested.")
    band: str
    why: str
    source: str = Field(
        description='What knew it: "own", "evidence", "feed:NAME", "list:...", "model:...", "registration", "" for nothing.'
    )
    since: int = Field(description="Known to it since then; 0: it does not say.")
    until: int = Field(description="When that ends; 0: never, or nobody knows.")

    @classmethod
    def of(cls, url: str, found: Rating) -> UrlRatingShape:
        return cls(
            url=url,
            read_as=found.url,
            rating=found.rating,
            band=found.band.value,
            why=found.why,
            source=found.source,
            since=found.since,
            until=found.until,
        )


class UrlsShape(BaseModel):
    urls: list[_Url] = Field(min_length=1, max_length=MAX_URLS)


class OwnRatingShape(BaseModel):
    scope: Scope
    name: str
    rating: int = Field(description="-1 in the history: taken back.")
    time: int
    who: str
    why: str = ""
    until: int = Field(default=0, description="0: until it is taken back.")

    @classmethod
    def of(cls, each: OwnRating) -> OwnRatingShape:
        return cls(scope=each.scope, name=each.name, rating=each.rating, time=each.time, who=each.who, why=each.why, until=each.until)


class SetShape(BaseModel):
    url: _Url
    rating: int = Field(ge=0, le=100)
    scope: Scope | None = Field(default=None, description="Left out: the URL, or the host where there is no path.")
    why: str = Field(default="", max_length=200)
    days: int = Field(default=0, ge=0, le=3650, description="How long it holds; 0: until it is taken back.")


class TakenShape(BaseModel):
    taken: int


@router.get("/rate")
def rate(request: Request, _: Known, url: Annotated[str, Query(min_length=1, max_length=MAX_URL)]) -> UrlRatingShape:
    """What is known of a URL. Nodes and operator: reasons tell what is seen in mail here."""
    return _rated(request, [url])[0]


@router.post("/rate")
def rate_many(request: Request, _: Known, body: UrlsShape) -> list[UrlRatingShape]:
    """The same of many. Nodes and operator."""
    return _rated(request, body.urls)


def _rated(request: Request, urls: list[str]) -> list[UrlRatingShape]:
    site = site_of(request)
    with site.rating:
        return [UrlRatingShape.of(url, site.rater.rate(url)) for url in urls]


@router.get("/ratings")
def ratings(
    request: Request, _: Operator, history: Annotated[bool, Query(description="Everything that was ever set or taken back.")] = False
) -> list[OwnRatingShape]:
    """What people here say of URLs. Operator."""
    database = url_database(site_of(request).settings)
    return [OwnRatingShape.of(each) for each in (database.history() if history else database.ratings(time.time()))]


@router.post("/ratings", responses={422: {"model": Trouble}})
def set_rating(request: Request, _: Operator, body: SetShape) -> OwnRatingShape:
    """Rate a URL, its folder, host or domain, on top of everything else. Operator."""
    now = time.time()
    scope = body.scope or usual_scope(body.url)
    try:
        made = OwnRating(
            scope=scope,
            name=named(body.url, scope),
            rating=body.rating,
            time=int(now),
            who="operator",
            why=plain(body.why),
            until=int(now) + body.days * 86_400 if body.days else 0,
        )
        _say(request, [made], now)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return OwnRatingShape.of(made)


@router.delete("/ratings", responses={404: {"model": Trouble}, 422: {"model": Trouble}})
def delete_rating(
    request: Request,
    _: Operator,
    url: Annotated[str, Query(min_length=1, max_length=MAX_URL)],
    scope: Annotated[Scope | None, Query(description="Left out: the URL, or the host where there is no path.")] = None,
) -> TakenShape:
    """Take a rating back. Operator."""
    now, chosen = time.time(), scope or usual_scope(url)
    try:
        name = named(url, chosen)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    if (chosen, name) not in {each.place for each in url_database(site_of(request).settings).ratings(now)}:
        raise HTTPException(404, f"{name[:200]} is not rated here as {chosen}")
    _say(request, [OwnRating(scope=chosen, name=name, rating=REMOVED, time=int(now), who="operator")], now)
    return TakenShape(taken=1)


@router.get("/ratings.txt", response_class=PlainTextResponse)
def export_ratings(request: Request, _: Operator) -> str:
    """The same as text, one a line: RATING SCOPE NAME # WHY. Operator."""
    return to_text(url_database(site_of(request).settings).ratings(time.time()))


@router.post("/ratings.txt", responses={422: {"model": Trouble}})
def import_ratings(
    request: Request, _: Operator, body: Annotated[bytes, Body(media_type="text/plain", description="One rating a line.")]
) -> TakenShape:
    """Set many ratings; all lines or none. Operator."""
    now = time.time()
    made, refused = from_text(body.decode("utf-8", "replace"), "operator", now)
    if refused:
        told = "; ".join(f"line {line}: {what}" for line, what in refused[:SHOWN_REFUSALS])
        raise HTTPException(422, f"{len(refused):,} lines cannot be taken, nothing was changed: {told}")
    try:
        return TakenShape(taken=_say(request, made, now))
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def _say(request: Request, made: list[OwnRating], now: float) -> int:
    database = url_database(site_of(request).settings)
    taken = database.rate(made, now)
    database.publish_if_due(now)
    return taken
