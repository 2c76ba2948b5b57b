"""Mail and folders for tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from mailward.gateway import Gateway, Settings
from mailward.message import Envelope

BLOCKED = b"From: Someone <someone@blocked.example.com>\r\nTo: tom@example.org\r\nSubject: Offer\r\n\r\nA text.\r\n"
WANTED = (
    b"From: Nina <nina@example.net>\r\nTo: tom@example.org\r\nSubject: Thursday\r\nMessage-ID: <1@example.net>\r\n"
    b"Date: Tue, 17 Nov 2026 09:14:27 +0100\r\n\r\nHi Tom, see you on Thursday at ten.\r\n"
)


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    """A policy by which BLOCKED is always caught, whatever the model says."""
    file = tmp_path / "policy.toml"
    file.write_text('# ours\n[content_scanning.target]\nblocked_senders = ["*.example.com"]\n')
    return file


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """A folder with one caught and one wanted message under `policy_file`."""
    folder = tmp_path / "mail"
    folder.mkdir()
    (folder / "1-blocked.eml").write_bytes(BLOCKED)
    (folder / "2-wanted.eml").write_bytes(WANTED)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder in which the gateway has judged and recorded two messages, delivered both."""
    folder = tmp_path / "state"
    gateway = Gateway.open(Settings.load(None, folder))
    for raw in (BLOCKED, WANTED):
        gateway.record(gateway.judge(raw, Envelope(client_ip="192.0.2.7", mail_from="", rcpt_to=("tom@example.org",))), "delivered")
    gateway.close()
    return folder


class Sink:
    """A real mail server that keeps what it takes."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 Taken"


@pytest.fixture
def sink(free_port: int) -> Iterator[tuple[Sink, int]]:
    """A running next hop and its port."""
    handler = Sink()
    controller = Controller(handler, "127.0.0.1", free_port)
    controller.start()
    yield handler, free_port
    controller.stop()
