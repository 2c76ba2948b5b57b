"""Options that several commands share, and what they open: settings, storage, gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.gateway.settings import Settings
    from mailward.policy import Policy

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Host settings. Without it ./mailward.toml, if there is one.")
]
StateFolder = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="The state folder, instead of the one in the settings (./.state by default).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def settings_of(config: Path | None = None, state: Path | None = None) -> Settings:
    """Read the host settings. Raises Trouble that names file, line and reason."""
    from mailward.gateway.settings import Settings, SettingsError

    try:
        return Settings.load(config, state)
    except SettingsError as error:
        raise Trouble(str(error)) from None


def policy_of(file: Path) -> Policy:
    """Read a policy document. Raises Trouble with every mistake and its line."""
    from mailward.policy import Policy, PolicyError

    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise Trouble(
            f"the policy {file} cannot be read: {error.strerror}", "Name a TOML file, as written by `mailward policy export`."
        ) from None
    except UnicodeDecodeError:
        raise Trouble(f"the policy {file} is not UTF-8 text", "Save it as UTF-8.") from None
    try:
        return Policy.from_toml(text, str(file))
    except PolicyError as error:
        raise Trouble(str(error)) from None
