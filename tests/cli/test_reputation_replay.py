"""`mailward reputation replay`: a recorded stream, judged row by row before it is learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

T = 1_700_000_000
STREAM = f"""time\taddress\tlabel
{T}\t192.0.2.1\tspam
{T + 60}\t192.0.2.1\tspam
{T + 120}\t192.0.2.1\tspam
{T + 130}\t198.51.100.7\tham
{T + 140}\t2001:db8::5\ttrap
{T + 150}\t2001:db8::5\tspam
"""


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    file = tmp_path / "stream.tsv"
    file.write_text(STREAM)
    return file


def test_each_row_is_judged_before_it_is_learned(mailward: Any, stream: Path) -> None:
    """The first message of a source is never from a listed one; later ones are. Every level is a line of JSON."""
    done = mailward("reputation", "replay", stream, "--json")
    assert done.returncode == 0
    levels = [json.loads(line) for line in done.stdout.splitlines()]
    assert [level["level"] for level in levels] == [1, 2, 3, 4]
    for level in levels:
        assert level["spam"] == {"rows": 5, "listed": 3, "share": 0.6}
        assert level["ham"] == {"rows": 1, "listed": 0, "share": 0.0}
        assert level["sources"] == {"bad": {"rows": 2, "listed": 2, "share": 1.0}, "good": {"rows": 1, "listed": 0, "share": 0.0}}
        assert level["time_to_listing"] == {"median": 0.0, "p95": 0.0}
    delisting = [level["time_to_delisting"]["median"] for level in levels]
    assert delisting == sorted(delisting)
    assert delisting[0] >= 300
    assert delisting[-1] <= 12 * 3600 + 1


@pytest.mark.parametrize(("level", "listed"), [(0, 0), (2, 3)])
def test_one_level_alone(mailward: Any, stream: Path, level: int, listed: int) -> None:
    """--level prints one; level 0 asks and never acts."""
    done = mailward("reputation", "replay", stream, "--level", level, "--json")
    (only,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (only["level"], only["spam"]["listed"]) == (level, listed)


def test_rows_that_cannot_be_read_are_named_and_left_out(mailward: Any, stream: Path) -> None:
    """Line, reason, and how many; the rest counts."""
    with stream.open("a") as file:
        file.write(f"{T + 200}\tnot-an-address\tspam\n{T + 200}\t192.0.2.1\tmaybe\nsoon\t192.0.2.1\tspam\n\n# a comment\n")
    done = mailward("reputation", "replay", stream)
    assert done.returncode == 0
    assert "line 8: 'not-an-address' is no address" in done.stderr
    assert "line 9: 'maybe' is none of spam, ham, trap" in done.stderr
    assert "line 10: not seconds" in done.stderr
    assert "level 2   spam 60.00%" in done.stdout


def test_a_stream_that_is_none_says_what_one_looks_like(mailward: Any, tmp_path: Path) -> None:
    """Exit 2 with words, for a file that is not there and for one without a row."""
    done = mailward("reputation", "replay", tmp_path / "nothing.tsv")
    assert (done.returncode, "cannot be read" in done.stderr) == (2, True)
    (tmp_path / "empty.tsv").write_text("hello\n")
    done = mailward("reputation", "replay", tmp_path / "empty.tsv")
    assert done.returncode == 2
    assert "tabs between" in done.stderr
