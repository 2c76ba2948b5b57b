"""`mailward serve`: the gateway, until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailward.cli.options import ConfigFile, StateFolder, settings_of
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.gateway import Settings


def serve(
    config: ConfigFile = None,
    state: StateFolder = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, max=256, metavar="N", help="Worker processes; 0: one for each core.")
    ] = None,
) -> None:
    """Run the gateway. SIGTERM lets what is under way finish and ends it; SIGHUP takes up a changed policy."""

    def settings() -> Settings:
        read = settings_of(config, state)
        return read if workers is None else read.model_copy(update={"workers": workers})

    def again() -> Settings:
        try:
            return settings()
        except Trouble as trouble:
            raise ValueError(trouble.message) from None  # the supervisor logs it and stays as it is

    first = settings()
    from mailward.servers.supervisor import serve

    raise typer.Exit(serve(first, again))
