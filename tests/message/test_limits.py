"""The page about messages names every limit."""

from __future__ import annotations

import re
from pathlib import Path

from mailward.message import limits
from mailward.message.parse import _DETAILS


def test_every_limit_is_documented(root: Path) -> None:
    """docs/message.md has a line for each limit and no line for a limit that is gone."""
    page = (root / "docs" / "message.md").read_text("utf-8")
    named = set(re.findall(r"^\| `([A-Z_]+)`", page, re.M))
    assert named == {name for name in dir(limits) if name.isupper()}


def test_every_finding_made_has_a_sentence(root: Path) -> None:
    """Every finding name in the code has its sentence, and no sentence is left without a finding."""
    source = "".join(path.read_text("utf-8") for path in (root / "src" / "mailward" / "message").glob("*.py"))
    made = set(re.findall(r'(?:append\(|else |\()"((?:limit|defect):[a-z0-9_]+)"', source)) - {"defect:parser"}
    assert made | {"limit:received"} == set(_DETAILS)
