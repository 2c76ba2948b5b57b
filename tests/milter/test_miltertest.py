"""mailward asked by OpenDKIM's miltertest, which speaks as Sendmail's own library does; its scripts are Lua."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running import BLOCKED, Served, blocking
from tests.milter.conftest import milter, port

MILTERTEST = shutil.which("miltertest")
pytestmark = pytest.mark.skipif(MILTERTEST is None, reason="needs miltertest: apt-get install miltertest")

START = """
conn = mt.connect("inet:%d@127.0.0.1")
assert(conn, "no connection")
local function told(failure, what) assert(failure == nil, what) end
local function goes_on(what) assert(mt.getreply(conn) == SMFIR_CONTINUE, what .. " is answered " .. tostring(mt.getreply(conn))) end
local function message(sender, subject)
  told(mt.mailfrom(conn, "<" .. sender .. ">"), "MAIL")
  goes_on("MAIL")
  mt.macro(conn, SMFIC_RCPT, "i", "4Lua")
  told(mt.rcptto(conn, "<b@example.org>"), "RCPT")
  goes_on("RCPT")
  mt.header(conn, "From", "a@example.com")
  mt.header(conn, "X-Spam-Flag", "NO")
  mt.header(conn, "Subject", subject)
  goes_on("a header field")
  told(mt.eoh(conn), "EOH")
  goes_on("EOH")
  mt.bodystring(conn, "At noon?\\r\\n")
  goes_on("the body")
  told(mt.eom(conn), "EOM")
end
told(mt.conninfo(conn, "mail.example.com", "192.0.2.1"), "connect")
goes_on("connect")
told(mt.helo(conn, "mail.example.com"), "HELO")
goes_on("HELO")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with milter(tmp_path_factory.mktemp("lua"), blocking("reject")) as served:
        yield served


def run(served: Served, folder: Path, script: str) -> None:
    file = folder / "script.lua"
    file.write_text(START % port(served) + script)
    assert MILTERTEST is not None
    done = subprocess.run([MILTERTEST, "-s", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_clean_mail_gets_our_header(served: Served, tmp_path: Path) -> None:
    """Inserted on top, the forged field taken out, body and recipients left alone, and the next message on the same connection too."""
    run(
        served,
        tmp_path,
        """
        for n = 1, 2 do
          message("a@example.com", "lunch " .. n)
          goes_on("EOM")
          assert(mt.eom_check(conn, MT_HDRINSERT, "X-Mailward-Verdict"), "no verdict")
          assert(mt.eom_check(conn, MT_HDRINSERT, "Authentication-Results"), "no results")
          assert(mt.eom_check(conn, MT_HDRDELETE, "X-Spam-Flag"), "a forged field stays")
          assert(not mt.eom_check(conn, MT_HDRCHANGE, "Subject"), "the subject is changed")
          assert(not mt.eom_check(conn, MT_BODYCHANGE), "the body is changed")
          assert(not mt.eom_check(conn, MT_RCPTDELETE, "<b@example.org>"), "a recipient is taken off")
        end
        mt.disconnect(conn)
        """,
    )
    assert [event["queue_id"] for event in served.events("message")][-2:] == ["4Lua", "4Lua"]


def test_refused_mail_has_code_and_text(served: Served, tmp_path: Path) -> None:
    """And an aborted message leaves nothing behind."""
    run(
        served,
        tmp_path,
        f"""
        told(mt.mailfrom(conn, "<x@{BLOCKED}>"), "MAIL")
        told(mt.abort(conn), "ABORT")
        message("x@{BLOCKED}", "bad")
        assert(mt.getreply(conn) == SMFIR_REPLYCODE, "not refused")
        message("a@example.com", "good")
        goes_on("EOM")
        mt.disconnect(conn)
        """,
    )
    assert [event["outcome"] for event in served.events("message")][-2:] == ["rejected", "delivered"]
