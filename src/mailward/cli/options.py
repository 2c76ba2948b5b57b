"""Options that several commands share, and what they open: settings, storage, gateway."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.gateway.settings import Settings
    from mailward.policy import Policy
    from mailward.storage import Storage

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


@contextmanager
def opened_storage(settings: Settings, *, must_exist: bool = True) -> Iterator[Storage | None]:
    """Open the storage; None where there is none yet and `must_exist` is False, so that looking makes no files."""
    from mailward import storage

    if not must_exist and not Path(settings.database).is_file():
        yield None
        return
    Path(settings.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        opened = storage.open(settings.storage_url)
        try:
            yield opened
        finally:
            opened.close()
    except storage.StorageError as error:
        raise Trouble(str(error)) from None


def policy_in_force(settings: Settings) -> Policy:
    """The stored policy, or the defaults. Raises Trouble."""
    from mailward.gateway.gateway import stored_policy
    from mailward.policy import PolicyError
    from mailward.storage import StorageError

    try:
        return stored_policy(settings)
    except (StorageError, PolicyError) as error:
        raise Trouble(str(error)) from None


def who() -> str:
    """The person's name for the history."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
