"""The operator's page of the reputation service: databases, lists, what was listed lately, and who asks to be taken off."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mailward.console import delisting, service
from mailward.console.pages import cut, page
from mailward.console.site import client_of, is_operator, site_of
from mailward.console.views.forms import fields, from_our_page

PURPOSE = "decide"
SIGN_IN = {"WWW-Authenticate": 'Basic realm="mailward: any name, and the token in the file api_token of the state folder", charset="UTF-8"'}


async def inside(request: Request) -> None:
    """Let in who has the operator's token, and people on this machine."""
    if is_operator(request) or site_of(request).access.is_local(request):
        return
    raise HTTPException(401, "This page is for the operator. The password is the token in the file api_token of the state folder.", SIGN_IN)


router = APIRouter(include_in_schema=False, dependencies=[Depends(inside)])


@router.get("/reputation")
def status(request: Request) -> Response:
    site = site_of(request)
    now = time.time()
    return page(
        "reputation.html",
        now=now,
        databases=service.databases(site.settings),
        imported=service.imported(site.settings),
        lists=service.foreign_lists(site.settings, now),
        recent=service.recent(site.settings, now),
        requests=site.requests.open(),
        token=site.access.form_token(PURPOSE, client_of(request)),
    )


@router.post("/reputation/requests")
async def decide(request: Request, sent: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Grant or refuse a request, and show the page again."""
    if not from_our_page(request, sent.get("token", ""), PURPOSE):
        raise HTTPException(403, "This form is too old. Go back, load the page again, and repeat what you did.")
    if sent.get("decision") not in ("grant", "refuse"):
        raise HTTPException(422, "The decision is grant or refuse.")
    site = site_of(request)
    grant = sent["decision"] == "grant"
    decided = await run_in_threadpool(delisting.decide, site.settings, site.requests, cut(sent.get("id", "")), grant, "operator")
    if decided is None:
        raise HTTPException(404, "This request is not open any more; somebody else may have decided it.")
    return RedirectResponse("/reputation", 303)
