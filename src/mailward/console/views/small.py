"""The small things that every site has: where to begin, the icon, and what robots may read."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from mailward import console
from mailward.console.site import is_operator, site_of

router = APIRouter(include_in_schema=False)
ICON = Path(console.__file__).parent / "static" / "icon.svg"


@router.get("/")
async def start(request: Request) -> Response:
    inside = is_operator(request) or site_of(request).access.is_local(request)
    return RedirectResponse("/reputation" if inside else "/lookup", 303)


@router.get("/robots.txt")
async def robots() -> Response:
    """The look-up page may be found, what it says of addresses may not be collected."""
    return PlainTextResponse("User-agent: *\nAllow: /lookup$\nDisallow: /\n", headers={"Cache-Control": "public, max-age=86400"})


@router.get("/favicon.ico")
async def icon() -> Response:
    return FileResponse(ICON, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})
