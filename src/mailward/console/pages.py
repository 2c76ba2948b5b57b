"""Pages: templates with everything escaped, texts ready for translation, and errors in the same style."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from mailward import __version__
from mailward.console.gate import HEADERS

API = "/api/"
MAX_SHOWN = 200  # characters of what somebody typed that a page repeats
MAX_PROBLEMS = 20
TITLES = {
    400: "This request cannot be understood",
    401: "Sign in",
    403: "Not allowed",
    404: "There is no such page",
    405: "This is not possible here",
    413: "Too large",
    422: "Something is not right",
    429: "Too many requests",
    500: "Something went wrong here",
    503: "Not possible at the moment",
}


def shown_time(seconds: float) -> Markup:
    """A time for people, in UTC, with one for programs inside."""
    when = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{when:%Y-%m-%dT%H:%M:%SZ}", f"{when:%Y-%m-%d %H:%M} UTC")


def shown_age(seconds: float) -> str:
    """A duration in the largest unit that gives at least two of it."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds" if seconds >= 2 else "a moment"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    made.globals["version"] = __version__
    made.filters.update(time=shown_time, age=shown_age)
    return made


_templates = _environment()


def page(template: str, status: int = 200, headers: Mapping[str, str] | None = None, **shown: Any) -> Response:
    """Render a template."""
    return HTMLResponse(_templates.get_template(template).render(**shown), status, headers)


def cut(text: str) -> str:
    """What somebody typed, short and printable enough to repeat it."""
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:MAX_SHOWN])
    return plain + ("..." if len(text) > MAX_SHOWN else "")


def trouble(request: Request, status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error, for a program below /api/, else for a person."""
    if request.url.path.startswith(API):
        return JSONResponse({"error": words}, status, headers)
    return page("error.html", status, headers, title=TITLES.get(status, "This did not work"), words=words)


# Handlers for FastAPI


async def http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {
        404: "The address may be mistyped.",
        405: f"{cut(request.method)} does not work at this address.",
    }
    default = error.detail in ("Not Found", "Method Not Allowed")
    return trouble(request, error.status_code, words[error.status_code] if default else error.detail, error.headers)


async def invalid(request: Request, error: Exception) -> Response:
    """What does not fit is named, what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    problems = [
        {"where": ".".join(str(step) for step in problem["loc"])[:MAX_SHOWN], "what": problem["msg"]}
        for problem in error.errors()[:MAX_PROBLEMS]
    ]
    if request.url.path.startswith(API):
        return JSONResponse({"error": "the request does not fit; see problems", "problems": problems}, 422)
    return trouble(request, 422, "; ".join(f"{problem['where']}: {problem['what']}" for problem in problems))


async def broken(request: Request, _: Exception) -> Response:
    """An error of ours. It is in the log; the answer says nothing about it. Written outside the gate, so it needs its headers."""
    return trouble(request, 500, "The log of the gateway says more.", {**HEADERS, "Cache-Control": "no-store"})


async def unreadable(request: Request, _: Exception) -> Response:
    """A file of the gateway cannot be read or written."""
    return trouble(request, 503, "The databases cannot be reached at the moment. Try again; the log of the gateway says more.")
