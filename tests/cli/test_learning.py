"""`mailward learn`, `train` and `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def score(mailward: Any, message: Path, state: Path) -> float:
    return float(json.loads(mailward("scan", message, "--json", "--state", state).stdout)["scores"]["spam"])


def test_a_report_moves_the_score_at_once_and_undo_moves_it_back_exactly(mailward: Any, samples: Path, tmp_path: Path) -> None:
    """The first report counts, and taking it back leaves no trace in the score."""
    state, message = tmp_path / "state", samples / "03-newsletter.eml"
    before = score(mailward, message, state)
    done = mailward("learn", "spam", message, "--state", state)
    assert (done.returncode, done.stdout) == (0, f"1\tspam\t{message}\n")
    assert score(mailward, message, state) > before
    assert mailward("learn", "undo", 1, "--state", state).stdout == "report 1 is undone\n"
    assert score(mailward, message, state) == before


def test_a_folder_of_reports_is_learned_and_what_cannot_be_read_is_named(mailward: Any, samples: Path, tmp_path: Path) -> None:
    """Each message gets a number of its own; the rest goes on."""
    state = tmp_path / "state"
    done = mailward("learn", "ham", samples / "01-personal.eml", tmp_path / "none", samples / "02-invoice.eml", "--state", state)
    assert done.returncode == 0
    assert [line.split("\t")[:2] for line in done.stdout.splitlines()] == [["1", "ham"], ["2", "ham"]]
    assert "none: no such file" in done.stderr
    assert score(mailward, samples / "01-personal.eml", state) < score(mailward, samples / "01-personal.eml", tmp_path / "other")


def test_nothing_to_learn_is_an_error(mailward: Any, tmp_path: Path) -> None:
    """Status 2, and the reason."""
    done = mailward("learn", "spam", tmp_path / "none", "--state", tmp_path / "state")
    assert done.returncode == 2
    assert "no such file" in done.stderr


@pytest.mark.parametrize("twice", [False, True])
def test_undoing_what_does_not_count_is_refused(mailward: Any, samples: Path, tmp_path: Path, twice: bool) -> None:
    """A number that never was, and one that is undone already."""
    state = tmp_path / "state"
    if twice:
        mailward("learn", "spam", samples / "01-personal.eml", "--state", state)
        assert mailward("learn", "undo", 1, "--state", state).returncode == 0
    done = mailward("learn", "undo", 1, "--state", state)
    assert done.returncode == 2
    assert "there is no report 1 that counts" in done.stderr


@pytest.mark.parametrize("command", [["evaluate"], ["train", "--out", "model"]])
def test_a_corpus_that_is_none_is_named(mailward: Any, tmp_path: Path, command: list[str]) -> None:
    """The person hears what a corpus looks like."""
    pytest.importorskip("sklearn", reason="needs the extra train")
    done = mailward(command[0], tmp_path / "none", *command[1:])
    assert done.returncode == 2
    assert "none" in done.stderr
    assert "A corpus is a folder with ham/ and spam/" in done.stderr
