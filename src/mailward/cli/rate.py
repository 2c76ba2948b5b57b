"""`mailward rate`: what is known of web addresses. Nothing is fetched."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mailward.cli import words
from mailward.cli.options import AsJson

if TYPE_CHECKING:
    from mailward.reputation.url.rating import Rating

MAX_LENGTH = 8192  # characters of a URL


def rate(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Web addresses; - reads them from standard input, one a line.")],
    as_json: AsJson = False,
) -> None:
    """Rate web addresses: 0 to 100, low is bad, or untested. The addresses are printed so that nobody can open them by accident."""
    from mailward.reputation.url.rater import load

    rater = load()
    for url in _each(urls):
        found = rater.rate(url[:MAX_LENGTH])
        print(json.dumps(_object(url, found)) if as_json else _line(found), flush=True)


def _each(urls: list[str]) -> Iterator[str]:
    for url in urls:
        if url == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield url


def _object(url: str, rating: Rating) -> dict[str, object]:
    return {
        "url": url,
        "rating": rating.rating,
        "band": rating.band.value,
        "why": rating.why,
        "source": rating.source,
        "read_as": rating.url,
    }


def _line(rating: Rating) -> str:
    from mailward.reputation.url.rating import defanged

    number = "-" if rating.rating is None else str(rating.rating)
    return f"{number:>3}  {rating.band:<17}  {words.one_line(defanged(rating.url), 200)}  {rating.why}"
