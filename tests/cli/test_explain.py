"""`mailward explain`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mailward import storage
from mailward.gateway import Settings


def test_a_file_is_explained_and_the_contributions_add_up(mailward: Any, samples: Path) -> None:
    """Every share stands on a line of its own, and the sum is the score."""
    done = mailward("explain", samples / "08-pharmacy.eml")
    assert done.returncode == 0
    told = done.stdout.partition("What would have")[0]
    for title in ("What counted\n", "What counted as phishing\n"):
        counted = told.partition(title)[2].partition("\n\n")[0]
        *shares, total = (float(number) for number in re.findall(r"^\s+([+-]\d+\.\d+)  ", counted, re.MULTILINE))
        assert abs(sum(shares) - total) < 0.001 * (len(shares) + 1)


def test_a_recorded_message_is_explained_by_its_id(mailward: Any, state: Path) -> None:
    """The id from the log leads to the same facts, and to what became of the message."""
    opened = storage.open(Settings.load(None, state).storage_url)
    record = next(iter(opened.records()))
    opened.close()
    done = mailward("explain", record.id, "--state", state)
    assert done.returncode == 0
    assert record.assessment.header_from[0] in done.stdout
    assert "What became of it: delivered" in done.stdout
    assert json.loads(mailward("explain", record.id, "--json", "--state", state).stdout)["id"] == record.id


def test_an_old_message_is_explained_by_the_policy_of_its_time(mailward: Any, state: Path, policy_file: Path) -> None:
    """A policy imported later does not change what is told about earlier mail."""
    opened = storage.open(Settings.load(None, state).storage_url)
    record = next(r for r in opened.records() if "blocked" in r.assessment.header_from[0])
    opened.close()
    mailward("policy", "import", policy_file, "--state", state)
    assert mailward("explain", record.id, "--state", state).stdout.startswith("Clean:")


def test_an_unknown_id_is_refused_in_words(mailward: Any, tmp_path: Path) -> None:
    """Neither a file nor an id: the person hears where was looked."""
    done = mailward("explain", "01nothing", "--state", tmp_path / "state")
    assert done.returncode == 2
    assert "01nothing: neither a file nor the id" in done.stderr
    assert str(tmp_path / "state") in done.stderr
