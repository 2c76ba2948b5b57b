"""`mailward reputation replay`: what the dynamic database would have done to a recorded stream."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from mailward.cli.options import AsJson
from mailward.cli.progress import progress
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.reputation.ip.replay import Outcome, Row, Share

SHOWN_ERRORS = 20


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows of seconds since 1970, address, and spam, ham or trap; tabs between.")],
    level: Annotated[int | None, typer.Option("--level", min=0, max=4, help="One level only, 0 to 4. Without it all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the dynamic database over a recorded stream, judging each row before learning it."""
    from mailward.reputation.ip.dynamic import DynamicDatabase
    from mailward.reputation.ip.protected import Protected
    from mailward.reputation.ip.replay import replay as run

    started = time.perf_counter()
    errors: list[str] = []
    with progress(_rows(file, errors), "rows") as (rows, step):
        outcomes = run(rows, DynamicDatabase(Protected().holds), step)
    for error in errors[:SHOWN_ERRORS]:
        typer.echo(f"{file}: {error}", err=True)
    if len(errors) > SHOWN_ERRORS:
        typer.echo(f"{file}: {len(errors) - SHOWN_ERRORS} more rows are left out", err=True)
    if not outcomes[0].spam.rows + outcomes[0].ham.rows:
        raise Trouble(f"{file} has no row that can be used", "Write seconds since 1970, address, and spam, ham or trap, with tabs between.")
    wanted = [outcome for outcome in [silent(outcomes[0]), *outcomes] if outcome.level == level or (level is None and outcome.level)]
    if as_json:
        for outcome in wanted:
            print(json.dumps(_object(outcome, len(errors))))
        return
    _table(wanted, time.perf_counter() - started)


def _rows(file: Path, errors: list[str]) -> Iterator[Row]:
    """The rows of a file, `-` for standard input. Rows that cannot be read go to `errors`."""
    from mailward.reputation.ip.replay import RowError, read

    try:
        with click.open_file(str(file), "r", encoding="utf-8", errors="replace") as lines:
            for row in read(lines):
                if isinstance(row, RowError):
                    errors.append(str(row))
                else:
                    yield row
    except OSError as error:
        raise Trouble(f"{file} cannot be read: {error.strerror}", "Name a file of rows, or - for standard input.") from None


def silent(outcome: Outcome) -> Outcome:
    """Level 0: asks and never acts, so nothing is listed."""
    sources = {kind: replace(share, listed=0) for kind, share in outcome.sources.items()}
    spam, ham = replace(outcome.spam, listed=0), replace(outcome.ham, listed=0)
    return replace(outcome, level=0, spam=spam, ham=ham, spam_promoted=0, sources=sources, time_to_listing=None, time_to_delisting=None)


def _object(outcome: Outcome, left_out: int) -> dict[str, Any]:
    return {
        "level": outcome.level,
        "rows_left_out": left_out,
        "spam": _share(outcome.spam),
        "ham": _share(outcome.ham),
        "spam_by_promoted_sources": outcome.spam_promoted,
        "sources": {kind: _share(share) for kind, share in outcome.sources.items()},
        "time_to_listing": _seconds(outcome.time_to_listing),
        "time_to_delisting": _seconds(outcome.time_to_delisting),
    }


def _share(share: Share) -> dict[str, Any]:
    return {"rows": share.rows, "listed": share.listed, "share": share.share}


def _seconds(times: tuple[float, float] | None) -> dict[str, float | None]:
    return {"median": times[0] if times else None, "p95": times[1] if times else None}


def _table(wanted: list[Outcome], seconds: float) -> None:
    print(
        f"{wanted[0].spam.rows:,} rows of spam, {wanted[0].ham.rows:,} of ham, {seconds:.1f} s. From sources that were listed when they came:\n"
    )
    for outcome in wanted:
        print(
            f"level {outcome.level}   spam {_percent(outcome.spam)}   ham {_percent(outcome.ham)}   ({outcome.spam_promoted:,} of the spam by promoted sources)"
        )
        for kind, share in outcome.sources.items():
            print(f"          {kind} sources ever listed {share.listed:,} of {share.rows:,} ({_percent(share)})")
        print(
            f"          first evidence to listing {_times(outcome.time_to_listing)}, last evidence to delisting {_times(outcome.time_to_delisting)}"
        )


def _percent(share: Share) -> str:
    low, high = share.interval()
    return f"{share.share:.2%} [{low:.2%}, {high:.2%}]"


def _times(times: tuple[float, float] | None) -> str:
    return f"median {times[0]:,.0f} s, p95 {times[1]:,.0f} s" if times else "-"
