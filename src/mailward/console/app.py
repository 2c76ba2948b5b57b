"""Puts the web side together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
import uvicorn
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from mailward import __version__, console
from mailward.console import pages
from mailward.console.access import Access
from mailward.console.api import reputation as api
from mailward.console.api import urls
from mailward.console.delisting import Requests
from mailward.console.gate import Gate
from mailward.console.site import Site
from mailward.console.views import lookup, reputation, small
from mailward.gateway.databases import url_rater
from mailward.gateway.settings import Settings
from mailward.reputation.snapshot import SnapshotError

STATIC_SECONDS = 86_400
MAX_HEADERS = 16 << 10  # octets of a request line with its headers
MAX_CONNECTIONS = 200  # at the same time; more are answered 503
IDLE_SECONDS = 10

log = structlog.get_logger("mailward.console")


def create(settings: Settings) -> FastAPI:
    """The application. Makes the operator's token at the first start. Raises OSError."""
    access = Access(settings)
    app = FastAPI(
        title="mailward",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(_admit)],
    )
    app.state.site = Site(settings, access, Requests(settings.reputation_folder), url_rater(settings))
    app.add_middleware(Gate, access=access)
    for error, handler in (
        (HTTPException, pages.http_error),
        (RequestValidationError, pages.invalid),
        (OSError, _logged(pages.unreadable)),
        (SnapshotError, _logged(pages.unreadable)),
        (Exception, pages.broken),
    ):
        app.add_exception_handler(error, handler)
    for router in (small.router, lookup.router, reputation.router, api.router, urls.router):
        app.include_router(router)
    app.mount("/static", _Static(directory=Path(console.__file__).parent / "static"))
    return app


def config(settings: Settings) -> uvicorn.Config:
    """How uvicorn runs it: little is believed of a client, and nothing is told about us."""
    proxies = list(settings.console.trusted_proxies)
    return uvicorn.Config(
        create(settings),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=MAX_HEADERS,
    )


async def _admit(request: Request) -> None:
    """Refuse what the gate found wrong, where errors are turned into pages."""
    refusal = request.scope.get("refusal")
    if refusal is not None:
        raise refusal


def _logged(handler: Callable[[Request, Exception], Awaitable[Response]]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def logged(request: Request, error: Exception) -> Response:
        log.error("console_failed", path=request.url.path[:200], error=str(error))
        return await handler(request, error)

    return logged


class _Static(StaticFiles):
    """Files that browsers may keep for a day."""

    def file_response(self, *arguments: object, **named: object) -> Response:
        response = super().file_response(*arguments, **named)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = f"public, max-age={STATIC_SECONDS}"
        return response
