"""`mailward rate`: what is known of web addresses, and what people here say of them. Nothing is fetched."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mailward.cli import words
from mailward.cli.options import AsJson, ConfigFile, StateFolder, settings_of, who
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.gateway.settings import Settings
    from mailward.reputation.url.rating import Rating

MAX_LENGTH = 8192  # characters of a URL


def rate(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Web addresses; - reads them from standard input, one a line.")],
    set_: Annotated[int | None, typer.Option("--set", metavar="N", min=0, max=100, help="Rate them yourself, on top of all else.")] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Take back what was set.")] = False,
    scope: Annotated[
        str,
        typer.Option(
            "--scope", help="url, path, host or domain (with all below it); without it the URL, or the host where there is no path."
        ),
    ] = "",
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, for the history and for reasons.")] = "",
    days: Annotated[int, typer.Option("--days", min=0, max=3650, help="How long it holds; 0: until it is taken back.")] = 0,
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Rate web addresses: 0 to 100, low is bad, or untested. The addresses are printed so that nobody can open them by accident."""
    from mailward.gateway.databases import url_rater

    settings = settings_of(config, state)
    if set_ is not None or unset:
        urls = list(_each(urls))
        _say(settings, urls, -1 if set_ is None else set_, unset, scope, why, days)
    elif scope or why or days:
        raise Trouble("--scope, --why and --days belong to --set and --unset", "Add --set N to rate the address.")
    rater = url_rater(settings)
    for url in _each(urls):
        found = rater.rate(_with_scheme(url[:MAX_LENGTH]))
        print(json.dumps(_object(url, found)) if as_json else _line(found), flush=True)


def _say(settings: Settings, urls: list[str], rating: int, unset: bool, scope: str, why: str, days: int) -> None:
    """Put ratings on top, or take them off, and publish that."""
    from mailward.gateway.databases import url_database
    from mailward.reputation.url.ratings import OwnRating, named, plain, usual_scope
    from mailward.reputation.url.store import scope_of

    if unset and rating >= 0:
        raise Trouble("--set and --unset contradict each other", "Name one of them.")
    now, database = time.time(), url_database(settings)
    try:
        made = []
        for url in urls:
            chosen = scope_of(scope) if scope else usual_scope(url)
            until = int(now) + days * 86400 if days else 0
            made.append(
                OwnRating(scope=chosen, name=named(url, chosen), rating=rating, time=int(now), who=who(), why=plain(why), until=until)
            )
        known = {each.place for each in database.ratings(now)}
        for each in made if unset else ():
            if each.place not in known:
                raise Trouble(
                    f"{each.name} is not rated by us as {each.scope}", "`mailward urls ratings` shows what is, and at which scope."
                )
        database.rate(made, now)
    except ValueError as error:
        raise Trouble(str(error)) from None
    database.publish_if_due(now)


def _each(urls: list[str]) -> Iterator[str]:
    for url in urls:
        if url == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield url


def _with_scheme(url: str) -> str:
    """A host, or a host and a path, as an address."""
    return url if ":" in url.partition("/")[0] or "." not in url else f"http://{url}"


def _object(url: str, rating: Rating) -> dict[str, object]:
    return {
        "url": url,
        "rating": rating.rating,
        "band": rating.band.value,
        "why": rating.why,
        "source": rating.source,
        "since": rating.since,
        "until": rating.until,
        "read_as": rating.url,
    }


def _line(rating: Rating) -> str:
    from mailward.reputation.url.rating import defanged

    number = "-" if rating.rating is None else str(rating.rating)
    return f"{number:>3}  {rating.band:<17}  {words.one_line(defanged(rating.url), 200)}  {words.one_line(rating.why)}"
