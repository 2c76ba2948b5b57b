"""`mailward doctor`."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


def grades(output: str) -> dict[str, str]:
    return {symptom["what"]: symptom["grade"] for symptom in map(json.loads, output.splitlines())}


def settings(tmp_path: Path, listen: int, next_hop: int) -> Path:
    file = tmp_path / "mailward.toml"
    file.write_text(f'[state]\nfolder = "state"\n[smtp]\nlisten = "127.0.0.1:{listen}"\nnext_hop = "127.0.0.1:{next_hop}"\n')
    return file


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_healthy_site_has_nothing_broken(mailward: Any, tmp_path: Path, sink: tuple[Any, int]) -> None:
    """Everything is looked at, and the exit status is 0."""
    done = mailward("doctor", "--config", settings(tmp_path, unused_port(), sink[1]), "--json")
    assert done.returncode == 0
    assert grades(done.stdout) == dict.fromkeys(("settings", "state", "storage", "policy", "model", "quarantine", "smtp", "next hop"), "ok")


def test_a_taken_port_and_a_dead_next_hop_are_broken(mailward: Any, tmp_path: Path, sink: tuple[Any, int]) -> None:
    """Each comes with what to do."""
    done = mailward("doctor", "--config", settings(tmp_path, sink[1], unused_port()), "--json")
    symptoms = {symptom["what"]: symptom for symptom in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert symptoms["smtp"]["grade"] == symptoms["next hop"]["grade"] == "broken"
    assert "ss -ltnp" in symptoms["smtp"]["remedy"]
    assert "does not answer" in symptoms["next hop"]["found"]


def test_a_mistake_in_the_settings_is_named_with_its_line(mailward: Any, tmp_path: Path) -> None:
    """And nothing else is looked at."""
    file = tmp_path / "mailward.toml"
    file.write_text('[smtp]\nlisten = "here"\n')
    done = mailward("doctor", "--config", file)
    assert done.returncode == 1
    assert f"{file}:2" in done.stdout
    assert len(done.stdout.splitlines()) == 2


def test_a_broken_database_is_named(mailward: Any, tmp_path: Path) -> None:
    """A file that is no database is broken storage; the other looks go on."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "mailward.db").write_bytes(b"this is no database" * 100)
    done = mailward("doctor", "--state", state, "--json")
    assert done.returncode == 1
    assert grades(done.stdout)["storage"] == "broken"
    assert grades(done.stdout)["model"] == "ok"
