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
    file.write_text(
        f'[state]\nfolder = "state"\n[smtp]\nlisten = "127.0.0.1:{listen}"\nnext_hop = "127.0.0.1:{next_hop}"\n'
        f'[console]\nlisten = "127.0.0.1:{unused_port()}"\n[spamd]\nlisten = "127.0.0.1:{unused_port()}"\n'
        f'[milter]\nlisten = "127.0.0.1:{unused_port()}"\n[http]\nlisten = "127.0.0.1:{unused_port()}"\n[dns]\nlisten = "127.0.0.1:{unused_port()}"\n'
    )
    return file


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_healthy_site_has_nothing_broken(mailward: Any, tmp_path: Path, sink: tuple[Any, int]) -> None:
    """Everything is looked at, and the exit status is 0."""
    done = mailward("doctor", "--config", settings(tmp_path, unused_port(), sink[1]), "--json")
    assert done.returncode == 0
    assert grades(done.stdout) == dict.fromkeys(
        (
            "settings",
            "state",
            "storage",
            "policy",
            "model",
            "quarantine",
            "smtp",
            "next hop",
            "DNS lists",
            "databases",
            "own hops",
            "milter",
            "http",
            "spamd",
            "dns",
            "console",
            "attachments",
        ),
        "ok",
    )


def test_a_taken_port_and_a_dead_next_hop_are_broken(mailward: Any, tmp_path: Path, sink: tuple[Any, int]) -> None:
    """Each comes with what to do."""
    done = mailward("doctor", "--config", settings(tmp_path, sink[1], unused_port()), "--json")
    symptoms = {symptom["what"]: symptom for symptom in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert symptoms["smtp"]["grade"] == symptoms["next hop"]["grade"] == "broken"
    assert "ss -ltnp" in symptoms["smtp"]["remedy"]
    assert "does not answer" in symptoms["next hop"]["found"]


def test_ports_of_others_and_damaged_databases_are_named(mailward: Any, tmp_path: Path, sink: tuple[Any, int]) -> None:
    """A DNS or console port that somebody else has is broken; a damaged table and list are warnings with what to do."""
    (tmp_path / "state" / "snapshots").mkdir(parents=True)
    (tmp_path / "state" / "snapshots" / "dynamic.ips").write_bytes(b"no table\n")
    (tmp_path / "state" / "reputation" / "standard" / "lists").mkdir(parents=True)
    (tmp_path / "state" / "reputation" / "standard" / "lists" / "mine.npz").write_bytes(b"no list")
    file = tmp_path / "mailward.toml"
    taken = f'listen = "127.0.0.1:{sink[1]}"\n'
    file.write_text(f'[state]\nfolder = "state"\n[smtp]\nlisten = "127.0.0.1:{unused_port()}"\n[dns]\n{taken}[console]\n{taken}')
    done = mailward("doctor", "--config", file, "--json")
    assert done.returncode == 1
    symptoms = [json.loads(line) for line in done.stdout.splitlines()]
    assert [symptom["grade"] for symptom in symptoms if symptom["what"] in ("dns", "console")] == ["broken", "broken"]
    warnings = " ".join(f"{symptom['found']} {symptom['remedy']}" for symptom in symptoms if symptom["what"] == "databases")
    assert "dynamic.ips cannot be used" in warnings
    assert "mailward reputation remove mine" in warnings


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


def test_broken_dns_lists_are_named_with_their_remedy(mailward: Any, tmp_path: Path) -> None:
    """The lists of the policy are probed where no service runs; those that are off are left alone."""
    from tests.dnsbl.nameserver import BAD, listing, running

    with running() as nameserver:
        nameserver.zones = {"good.test": listing(), "closed.test": BAD["lists-everything"]}
        file = settings(tmp_path, unused_port(), unused_port())
        file.write_text(file.read_text() + f'servers = ["{nameserver.place}"]\n')
        policy = tmp_path / "policy.toml"
        policy.write_text(
            '[email_reputation.target]\nstandard_lists = ["good.test=127.0.0.2", "closed.test=127.0.0.2", "off other.test=127.0.0.2"]\n'
        )
        assert mailward("policy", "import", policy, "--config", file).returncode == 0
        done = mailward("doctor", "--config", file, "--json")
        lists = [symptom for symptom in map(json.loads, done.stdout.splitlines()) if symptom["what"] == "DNS lists"]
        assert [(symptom["grade"], symptom["found"].split()[0]) for symptom in lists] == [("ok", "good.test"), ("warning", "closed.test")]
        assert "which no list may list" in lists[1]["found"]
        assert '"off closed.test"' in lists[1]["remedy"]
        assert not any("other.test" in name for name in nameserver.asked)


def test_without_libarchive_there_is_a_warning(mailward: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Archives that cannot be opened are no reason to stand still, but to be told."""
    monkeypatch.setenv("LIBARCHIVE", str(tmp_path / "libarchive.so.13"))  # libarchive-c looks there
    done = mailward("doctor", "--config", settings(tmp_path, unused_port(), unused_port()), "--json")
    symptoms = {symptom["what"]: symptom for symptom in map(json.loads, done.stdout.splitlines())}
    assert symptoms["attachments"]["grade"] == "warning"
    assert "libarchive13" in symptoms["attachments"]["remedy"]
