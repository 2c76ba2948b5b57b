"""How facts are shown to a person: one-line texts, times, sizes, colours. Nothing a message says can move the cursor."""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

UNBOUNDED = 400  # columns of a table nobody sees on a terminal
_COLOURS = {"clean": typer.colors.GREEN, "unscannable": typer.colors.YELLOW}


def one_line(text: str, width: int = 0) -> str:
    """Printable text on one line: control, bidirectional and zero-width characters and lone surrogates are shown as U+FFFD; cut at `width`."""
    line = "".join(_shown(character) for character in text)
    return line if not width or len(line) <= width else line[: width - 1] + "…"


def _shown(character: str) -> str:
    if character.isprintable() or character == " ":
        return character
    return " " if character in "\t\r\n" or unicodedata.category(character) == "Zs" else "\ufffd"


def when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def size(octets: int) -> str:
    amount = float(octets)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"


def coloured(word: str, width: int = 0, verdict: str = "") -> str:
    """The word in the colour of its verdict (its own, if none is named) on a terminal, padded to `width` columns."""
    padded = word.ljust(width)
    return typer.style(padded, fg=_COLOURS.get(verdict or word, typer.colors.RED), bold=True) if sys.stdout.isatty() else padded


def width() -> int:
    """Columns of the terminal, or of what is written elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED


def show(table: Table) -> None:
    """Print a table: fitted to a terminal, unabridged into a file or a pipe."""
    from rich.console import Console

    Console(highlight=False, width=width()).print(table)
