"""`mailward serve`: the gateway, until it is told to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from mailward.cli.options import ConfigFile, StateFolder, settings_of


def serve(
    config: ConfigFile = None,
    state: StateFolder = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, max=256, metavar="N", help="Worker processes; 0: one for each core.")
    ] = None,
) -> None:
    """Run the gateway. SIGTERM lets what is under way finish and ends it; SIGHUP takes up a changed policy."""
    settings = settings_of(config, state)
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    from mailward.servers import supervisor

    raise typer.Exit(supervisor.serve(settings))
