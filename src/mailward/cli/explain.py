"""`mailward explain`: one verdict in words."""

from __future__ import annotations

import typer


def explain() -> None:
    raise typer.Exit(2)
