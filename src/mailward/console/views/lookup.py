"""The public page: is an address listed, why, until when, and how to be taken off."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mailward.console import delisting
from mailward.console.delisting import MAX_COMMENT, MAX_CONTACT, TooMany
from mailward.console.findings import look_up
from mailward.console.pages import cut, page
from mailward.console.site import client_of, look_up_wait, network_of, site_of
from mailward.console.views.forms import fields, from_our_page
from mailward.reputation.address import Source, source

router = APIRouter(include_in_schema=False)


@router.get("/lookup")
def lookup(request: Request, ip: Annotated[str, Query()] = "") -> Response:
    if not ip.strip():
        return page("lookup.html", typed="", mistake="", found=None)
    wait = look_up_wait(request)
    if wait:
        return _too_often(wait)
    found = source(ip.strip())
    if found is None:
        return page("lookup.html", HTTPStatus.UNPROCESSABLE_ENTITY, typed=cut(ip), mistake="address", found=None)
    return _found(request, found)


@router.post("/lookup")
async def delist(request: Request, sent: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Take a request to delist. All that is slow happens in a thread."""
    return await run_in_threadpool(_delist, request, sent)


def _delist(request: Request, sent: dict[str, str]) -> Response:
    typed = sent.get("ip", "").strip()
    found = source(typed)
    if found is None:
        return page("lookup.html", HTTPStatus.UNPROCESSABLE_ENTITY, typed=cut(typed), mistake="address", found=None)
    if not from_our_page(request, sent.get("token", ""), _purpose(found)):
        return _found(request, found, HTTPStatus.FORBIDDEN, "expired")
    contact, comment = _text(sent.get("contact", "")), _text(sent.get("comment", ""))
    if len(contact) > MAX_CONTACT or len(comment) > MAX_COMMENT:
        return _found(request, found, HTTPStatus.UNPROCESSABLE_ENTITY, "long")
    site = site_of(request)
    wait = site.rates.requests.take(network_of(request)) or site.rates.requests_by_address.take(str(found))
    if wait:
        return _too_often(wait)
    try:
        kept = delisting.ask(site.settings, site.requests, found, client_of(request), contact, comment)
    except TooMany as error:
        return page("error.html", HTTPStatus.SERVICE_UNAVAILABLE, title="Not possible at the moment", words=str(error))
    return page("asked.html", address=kept.address, state=kept.state.value)


def _found(request: Request, found: Source, status: int = HTTPStatus.OK, mistake: str = "") -> Response:
    site = site_of(request)
    findings = look_up(site.settings, found, time.time())
    return page(
        "lookup.html",
        status,
        typed=findings.address,
        mistake=mistake,
        found=findings,
        token=site.access.form_token(_purpose(found), client_of(request)),
        max_contact=MAX_CONTACT,
        max_comment=MAX_COMMENT,
    )


def _purpose(found: Source) -> str:
    return f"delist {found}"


def _text(text: str) -> str:
    """One line, without what a terminal or a log could take for orders."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _too_often(wait: float) -> Response:
    seconds = int(wait) + 1
    return page("busy.html", HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(seconds)}, seconds=seconds)
