"""`mailward quarantine`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailward.message import Envelope
from mailward.quarantine import State, Vault

RAW = b"From: a@example.com\r\nSubject: held\r\n\r\nheld text\r\n.leading dot\r\n"
ID = "01abc"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A quarantine with one message."""
    vault = Vault(tmp_path / "state" / "quarantine")
    envelope = Envelope(client_ip="192.0.2.7", mail_from="a@example.com", rcpt_to=("tom@example.org", "ann@example.org"))
    vault.hold(RAW, envelope, ID, subject="held", verdict="spam", filter="content_scanning", reason="Too many \x1b[31mpromises")
    return vault


@pytest.fixture
def config(tmp_path: Path, sink: tuple[Any, int]) -> Path:
    """Settings whose next hop is the sink."""
    file = tmp_path / "mailward.toml"
    file.write_text(f'[state]\nfolder = "state"\n[smtp]\nnext_hop = "127.0.0.1:{sink[1]}"\n')
    return file


def test_an_empty_quarantine_says_so(mailward: Any, tmp_path: Path) -> None:
    """Looking at what is not there makes nothing."""
    assert mailward("quarantine", "list", "--state", tmp_path / "state").stdout == "The quarantine is empty.\n"
    assert not (tmp_path / "state").exists()


def test_held_messages_are_listed_and_shown(mailward: Any, vault: Vault, tmp_path: Path) -> None:
    """Id, sender and reason stand on the list; `show` prints the text; nothing a sender wrote moves the cursor."""
    state = ["--state", tmp_path / "state"]
    listed = mailward("quarantine", "list", *state).stdout
    assert ID in listed
    assert "tom@example.org and 1 more" in listed
    shown = mailward("quarantine", "show", ID, *state).stdout
    assert "held text" in shown
    assert "spam by content_scanning" in shown
    assert "\x1b" not in listed + shown
    assert json.loads(mailward("quarantine", "list", "--json", *state).stdout)["rcpt_to"] == ["tom@example.org", "ann@example.org"]
    assert mailward("quarantine", "show", ID, "--raw", *state).stdout.encode() == RAW


def test_a_message_is_released_once(mailward: Any, vault: Vault, config: Path, sink: tuple[Any, int]) -> None:
    """The next hop gets every byte for every recipient; the second who presses is told."""
    done = mailward("quarantine", "release", ID, "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    [(mail_from, rcpt_to, content)] = sink[0].taken
    assert (mail_from, rcpt_to) == ("a@example.com", ["tom@example.org", "ann@example.org"])
    assert content.endswith(RAW)
    again = mailward("quarantine", "release", ID, "--config", config)
    assert again.returncode == 2
    assert "released" in again.stderr
    assert len(sink[0].taken) == 1


def test_a_message_stays_held_when_the_next_hop_is_down(mailward: Any, vault: Vault, tmp_path: Path, free_port: int) -> None:
    """Nothing is lost, and the person hears what to do."""
    config = tmp_path / "down.toml"
    config.write_text(f'[state]\nfolder = "state"\n[smtp]\nnext_hop = "127.0.0.1:{free_port}"\n')
    done = mailward("quarantine", "release", ID, "--config", config)
    assert done.returncode == 2
    assert "not sent, and still held" in done.stderr
    assert vault.show(ID).state is State.HELD


def test_a_deleted_message_is_gone(mailward: Any, vault: Vault, tmp_path: Path) -> None:
    """It is on the list of what was decided only, and cannot be released."""
    state = ["--state", tmp_path / "state"]
    assert mailward("quarantine", "delete", ID, *state).stdout == f"{ID}: deleted\n"
    assert mailward("quarantine", "list", *state).stdout == "The quarantine is empty.\n"
    assert ID in mailward("quarantine", "list", "--all", *state).stdout
    assert mailward("quarantine", "release", ID, *state).returncode == 2


@pytest.mark.parametrize("command", ["show", "release", "delete"])
@pytest.mark.parametrize("id", ["01nothing", "../../etc/passwd"])
def test_an_unknown_id_is_refused_in_words(mailward: Any, vault: Vault, tmp_path: Path, command: str, id: str) -> None:
    """No traceback, and no way out of the folder."""
    done = mailward("quarantine", command, id, "--state", tmp_path / "state")
    assert done.returncode == 2
    assert "quarantine" in done.stderr
    assert "Traceback" not in done.stderr
