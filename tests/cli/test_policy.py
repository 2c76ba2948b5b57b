"""`mailward policy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_a_good_policy_checks(mailward: Any, policy_file: Path) -> None:
    """`check` says so, and changes nothing."""
    done = mailward("policy", "check", policy_file)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{policy_file}: good, sha256:")


def test_every_mistake_is_named_with_its_line(mailward: Any, tmp_path: Path) -> None:
    """All at once, each with file and line; `import` refuses the same document."""
    file = tmp_path / "wrong.toml"
    file.write_text('[content_scanning.target]\nlevel = "lowest"\nblocked_senders = [\n  "good.example.com",\n  "*@*",\n]\nlevle = 1\n')
    for command in ("check", "import"):
        done = mailward("policy", command, file)
        assert done.returncode == 2
        assert [f"{file}:{line}:" in done.stderr for line in (2, 5, 7)] == [True, True, True]
        assert "Traceback" not in done.stderr
    assert mailward("policy", "history").stdout == "No policy was ever saved: the defaults are in force.\n"


def test_import_export_history_and_rollback(mailward: Any, policy_file: Path, tmp_path: Path) -> None:
    """What was imported comes out as it was; going back makes a new entry; scan uses what is in force."""
    state = ["--state", tmp_path / "state"]
    other = tmp_path / "other.toml"
    other.write_text("[content_scanning]\nenabled = false\n")
    assert mailward("policy", "import", policy_file, "--note", "first try", *state).returncode == 0
    assert mailward("policy", "export", *state).stdout == policy_file.read_text()
    assert mailward("policy", "import", other, *state).returncode == 0
    assert "enabled = false" in mailward("policy", "show", *state).stdout
    assert "number 3" in mailward("policy", "rollback", 1, *state).stdout
    assert mailward("policy", "export", *state).stdout == policy_file.read_text()
    history = [json.loads(line) for line in mailward("policy", "history", "--json", *state).stdout.splitlines()]
    assert [version["n"] for version in history] == [3, 2, 1]
    assert history[-1]["note"] == "first try"
    assert mailward("policy", "history", *state).stdout.count("first try") >= 1


def test_the_policy_in_force_decides(mailward: Any, policy_file: Path, mail: Path, tmp_path: Path) -> None:
    """`scan --state` judges by the stored policy, and without it by the defaults."""
    state = tmp_path / "state"
    mailward("policy", "import", policy_file, "--state", state)
    assert mailward("scan", mail / "1-blocked.eml", "--state", state).stdout.startswith("blocked_sender")
    assert mailward("scan", mail / "1-blocked.eml").stdout.startswith("clean")


def test_rollback_to_what_never_was_is_refused(mailward: Any, tmp_path: Path) -> None:
    """The person hears where to look."""
    done = mailward("policy", "rollback", 7, "--state", tmp_path / "state")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no policy 7" in done.stderr


def test_looking_makes_no_files(mailward: Any, tmp_path: Path) -> None:
    """show, export and history leave the disk as it was."""
    for command in ("show", "export", "history"):
        assert mailward("policy", command, "--state", tmp_path / "state").returncode == 0
    assert not (tmp_path / "state").exists()


def test_replay_tells_what_a_policy_would_have_done(mailward: Any, policy_file: Path, state: Path) -> None:
    """Stored facts are decided again: one of two messages would be caught, and it is listed."""
    done = mailward("policy", "replay", policy_file, "--state", state)
    assert done.returncode == 0
    assert done.stdout.startswith("2 messages judged again: 1 would fare otherwise, 1 newly caught")
    assert "someone@blocked.example.com" in done.stdout
    assert mailward("policy", "replay", policy_file, "--state", state, "--days", 0).stdout.startswith("0 messages")
