"""What contrib/ holds fits the program: example settings are read, and units name what they name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mailward.gateway import Settings


def test_example_settings_are_read_and_the_socket_unit_names_their_address(root: Path) -> None:
    settings = Settings.load(root / "contrib" / "examples" / "mailward.toml")
    held = re.findall(r"^ListenStream=(\S+)$", (root / "contrib" / "systemd" / "mailward.socket").read_text(), re.M)
    assert held == [settings.smtp.listen]
    assert str(settings.state_folder) == "/var/lib/mailward"


def test_units_and_package_run_a_command_that_exists(root: Path, mailward: Any) -> None:
    """The same command everywhere: a new name of an option would be missed otherwise."""
    unit = (root / "contrib" / "systemd" / "mailward.service").read_text()
    assert "ExecStart=/usr/bin/mailward serve --config /etc/mailward/mailward.toml --state /var/lib/mailward\n" in unit
    container = (root / "contrib" / "container" / "Containerfile").read_text()
    assert '["serve", "--config", "/etc/mailward/mailward.toml", "--state", "/var/lib/mailward"]' in container
    told = mailward("serve", "--help").stdout
    assert all(option in told for option in ("--config", "--state"))
