"""mailward asked by milter: by a library nobody here wrote, and by what no mail server would ever say."""

from __future__ import annotations

import pytest
from miltertest import constants
from tests.e2e.running import BLOCKED, Served, blocking
from tests.milter.conftest import MailServer, milter, port

CLEAN = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: lunch\r\nMessage-ID: <lunch@example.com>\r\n\r\nAt noon?\r\n"


def test_clean(served: Served) -> None:
    with MailServer(port(served)) as server:
        server.client()
        print(server.message(CLEAN))
        print(server.message(CLEAN, f"x@{BLOCKED}"))
    print(served.events("message"))
    print(served.log.read_text()[-3000:])
    assert 0
