"""A progress bar for whoever looks, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Thing = TypeVar("Thing")


@contextmanager
def progress(things: Iterable[Thing], what: str = "messages") -> Iterator[tuple[Iterable[Thing], Callable[[], None]]]:
    """Give the things back with a function to call after each. Draws nothing when nobody looks or there is only one."""
    if not sys.stderr.isatty():
        yield things, lambda: None
        return
    counted = list(things)
    if len(counted) < 2:
        yield counted, lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty(), redirect_stderr=True) as bar:
        task = bar.add_task(what, total=len(counted))
        yield counted, lambda: bar.advance(task)
