"""`mailward rate`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def test_ratings_are_printed_so_that_nothing_makes_a_link_of_them(mailward: Any) -> None:
    """One line an address: number, band, address, why."""
    done = mailward("rate", "https://www.debian.org/distrib/", "http://192.0.2.9/x", "https://unknown-name.example/")
    assert done.returncode == 0
    known, address, unknown = done.stdout.splitlines()
    assert known.split()[:3] == ["85", "safe", "hxxps://www[.]debian[.]org/distrib/"]
    assert address.split()[:3] == ["60", "highly", "suspicious"]
    assert unknown.split()[:2] == ["-", "untested"]
    assert "http://" not in done.stdout


def test_json_from_standard_input() -> None:
    """One object a line, addresses as they are; an untested one has no number."""
    command = [sys.executable, "-m", "mailward", "rate", "-", "--json"]
    done = subprocess.run(command, input="https://www.debian.org\n\nnot a url\n", capture_output=True, text=True, check=True)
    known, other = map(json.loads, done.stdout.splitlines())
    assert (known["url"], known["read_as"], known["rating"], known["band"]) == (
        "https://www.debian.org",
        "https://www.debian.org/",
        85,
        "safe",
    )
    assert (other["rating"], other["band"]) == (None, "untested")
