"""The program as a whole: help, version, and how it ends when something goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailward import __version__


def test_version(mailward: Any) -> None:
    """--version prints name and version."""
    assert mailward("--version").stdout == f"mailward {__version__}\n"


def test_help_names_every_command(mailward: Any) -> None:
    """The commands of interfaces.md stand in the help."""
    done = mailward("--help")
    assert done.returncode == 0
    for command in ("scan", "serve", "explain", "train", "evaluate", "learn", "policy", "quarantine", "doctor"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("arguments", [["scan", "x"], ["serve"], ["policy", "show"], ["quarantine", "list"], ["explain", "x"]])
def test_wrong_settings_are_named_by_every_command(mailward: Any, tmp_path: Path, arguments: list[str]) -> None:
    """File, line and reason; never a traceback."""
    file = tmp_path / "wrong.toml"
    file.write_text("[smtp]\n\nmax_size = 12\n")
    done = mailward(*arguments, "--config", file)
    assert done.returncode == 2
    assert f"{file}:3: smtp.max_size:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_settings_file_is_named(mailward: Any, tmp_path: Path) -> None:
    """A file that was asked for has to be there."""
    done = mailward("serve", "--config", tmp_path / "none.toml")
    assert done.returncode == 2
    assert "none.toml" in done.stderr
    assert "cannot be read" in done.stderr


def test_a_state_folder_that_cannot_be_made_is_an_answer(mailward: Any, tmp_path: Path, policy_file: Path) -> None:
    """A file where a folder should be: words, no traceback."""
    (tmp_path / "file").write_text("x")
    done = mailward("policy", "import", policy_file, "--state", tmp_path / "file" / "state")
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr
