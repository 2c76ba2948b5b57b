"""What the commands about lists of addresses and those about feeds of URLs have in common."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from mailward.cli import words
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.reputation.ip.imports import Refusal
    from mailward.reputation.ip.refresh import Lists, Source
    from mailward.reputation.lists import About

    class Database(Lists[Any], Protocol):
        def publish_if_due(self, now: float) -> bool: ...
        def remove_list(self, name: str) -> bool: ...


def name_of(file: str) -> str:
    """What a list is called that was given no name: as its file, in the letters that names have."""
    return re.sub(r"[^a-z0-9_-]+", "-", file.lower()).strip("-")


@contextmanager
def told(file: Path) -> Iterator[None]:
    """What goes wrong with a file, in words: refused lines one by one. Raises Trouble."""
    from mailward.reputation.ip.imports import ListRefused

    try:
        yield
    except ListRefused as error:
        report(file, error.refusals, len(error.refusals))
        raise Trouble(f"{file} is refused: {error}", "Name the format with --format if that is wrong.") from None
    except ValueError as error:
        raise Trouble(str(error)) from None
    except OSError as error:
        raise Trouble(f"{error.filename or file} cannot be used: {error.strerror or error}") from None


def report(file: Path, refusals: Sequence[Refusal], count: int, what: str = "refused") -> None:
    """Say which lines of a file were not taken, and how many more."""
    for refusal in refusals:
        print(words.one_line(f"{file}:{refusal.line}: {refusal.what}"), file=sys.stderr)
    if count > len(refusals):
        print(f"{file}: {count - len(refusals):,} more lines are {what}", file=sys.stderr)


def imported(about: About, refused: str, effect: str, as_json: bool) -> None:
    """Say what was imported: `refused` is what is said of lines that were not taken, `effect` what the entries do until the list ends."""
    end = about.expires
    if as_json:
        found = {"name": about.name, "entries": about.entries, "refused": about.refused, "format": about.format, "expires": end}
        print(json.dumps(found))
        return
    until = f"until {words.when(end)}" if end else "until it is removed"
    print(f"{about.name}: {about.entries:,} entries imported (read as {about.format}), {refused}; {effect} {until}")


def fetch(database: Database, sources: Sequence[Source], name: str, what: str, remedy: str) -> None:
    """Fetch the lists (`what` they are called) that the settings name now, or one of them, and publish them. Raises Trouble, and Exit(1)."""
    from mailward.reputation.ip.refresh import Refresh, read_states, refresh, write_states

    chosen = [source for source in sources if name in ("", source.name)]
    if not chosen:
        named = f"no {what} called {name!r}" if name else f"no {what}"
        raise Trouble(f"the settings name {named} to be fetched", remedy)
    failed = 0
    for source in chosen:
        found = refresh(database, source, read_states(database).get(source.name, Refresh()), time.time())
        write_states(database, {**read_states(database), source.name: found})
        about = database.find_list(source.name)
        failed += bool(found.failure)
        print(words.one_line(f"{source.name}: {found.failure or 'fetched'}; entries kept: {about.entries if about else 0:,}"))
    database.publish_if_due(time.time())
    if failed:
        raise typer.Exit(1)


def remove(database: Database, name: str, what: str, command: str) -> None:
    """Remove a list, or say that there is none and which `command` shows them. Raises Trouble."""
    if not database.remove_list(name):
        raise Trouble(f"there is no {what} called {name!r}", f"`{command}` shows what there is.")
    database.publish_if_due(time.time())
    print(f"{name}: removed")


def state_of(kept: About | None, defect: str, now: float) -> str:
    """How a list stands, in two or three words."""
    return defect or ("not fetched yet" if kept is None else "in force" if kept.holds(now) else "expired")
