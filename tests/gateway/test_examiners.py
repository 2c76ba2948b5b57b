"""Helper processes that look into attachments: real ones, also such as hang and die."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import time
import zipfile
from collections.abc import Iterator

import pytest
from tests.message.attachments import made

from mailward.gateway.examiners import Examiners
from mailward.message import parse
from mailward.message.attachments import Attachment, Examined
from mailward.policy import Policy

_TEXT = Attachment("a.txt", "text/plain", "", b"see https://bad.example.com/ now")


def _python(body: str) -> tuple[str, ...]:
    """A helper whose look into files is replaced."""
    return (
        sys.executable, "-c",
        "import mailward.message.attachments.__main__ as m\n"
        f"def look(files, text=''):\n    if files[0].name == 'a.html': return m.Examined()\n    {body}\n"
        "m.examine = look\nm.main()",
    )  # fmt: skip


def _names(examined: Examined) -> list[str]:
    return [finding.name for finding in examined.findings]


@pytest.fixture
def examiners() -> Iterator[Examiners]:
    pool = Examiners()
    yield pool
    pool.close()


def test_addresses_come_back(examiners: Examiners) -> None:
    """One process answers several messages."""
    for _ in range(3):
        assert [url.url for url in examiners.examine([_TEXT]).urls] == ["https://bad.example.com/"]
    assert len(examiners._idle) == 1


def test_what_is_loaded_late_can_be_loaded(examiners: Examiners) -> None:
    """Archives and rare charsets are read under the limits too."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", _TEXT.content)
    for each in (
        Attachment("a.zip", "", "", out.getvalue()),
        Attachment("b.txt", "text/plain", "koi8-t", b"\xd0\xd2\xc9 https://bad.example.com/ x"),
    ):
        examined = examiners.examine([each])
        assert [url.url for url in examined.urls] == ["https://bad.example.com/"]
        assert examined.findings == ()


def test_a_message_without_attachments_starts_nothing(examiners: Examiners) -> None:
    """Most mail needs no helper."""
    assert examiners.attachment_urls(parse(b"Subject: x\n\nhttps://bad.example.com/")) == Examined()
    assert examiners._idle == []


@pytest.mark.parametrize(
    ("body", "seconds", "finding"),
    [
        ("while True: pass", 1.5, "attachment:time"),
        ("import time; time.sleep(60)", 1.5, "attachment:time"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 8, "attachment:examiner-died"),
        ("import os; os._exit(3)", 8, "attachment:examiner-died"),
        ("return bytearray(1 << 30)", 8, "attachment:memory"),
    ],
)  # fmt: skip
def test_a_helper_in_trouble_is_a_finding(body: str, seconds: float, finding: str) -> None:
    """It hangs, sleeps, is killed, ends or eats memory: the time is kept, and the mail goes on."""
    pool = Examiners(seconds, command=_python(body))
    started = time.monotonic()
    assert _names(pool.examine([_TEXT])) == [finding]
    assert time.monotonic() - started < seconds + 1
    pool.close()


def test_a_killed_helper_is_replaced(examiners: Examiners) -> None:
    """The message it died with has the finding, the next one has its addresses."""
    examiners.examine([_TEXT])
    process = examiners._idle[0]._process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert _names(examiners.examine([_TEXT])) == ["attachment:examiner-died"]
    assert len(examiners.examine([_TEXT]).urls) == 1


def test_each_process_has_its_own_after_a_fork(examiners: Examiners) -> None:
    """A child starts a helper of its own, and the parent's goes on."""
    examiners.examine([_TEXT])
    helper = examiners._idle[0]._process.pid
    child = os.fork()
    if child == 0:
        found = examiners.examine([_TEXT]).urls
        own = [each._process.pid for each in examiners._idle]
        examiners.close()
        os._exit(0 if len(found) == 1 and helper not in own else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(examiners.examine([_TEXT]).urls) == 1
    assert examiners._idle[0]._process.pid == helper


@pytest.mark.parametrize("asking", [False, True])
def test_codes_drawn_in_a_body_are_read_without_attachments(make_gateway, envelope, asking: bool) -> None:
    """They belong to the message itself; its files are left alone, and nothing is looked for where the filter is off."""
    raw = (
        b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        + made.code_table("https://bad.example.com/code").encode()
        + b"\r\n--b\r\nContent-Disposition: attachment; filename=a.html\r\n\r\n<a href='http://file.example.com/'>open</a>\r\n--b--\r\n"
    )
    off = Policy.from_toml("[web_reputation]\nenabled = false\n", "test")
    for policy, wanted in (
        (Policy(), {"https://bad.example.com/code": "html:qr", "http://file.example.com/": "attachment:a.html"}),
        (Policy().changed("web_reputation.target.scan_attachments", False), {"https://bad.example.com/code": "html:qr"}),
        (off, {}),
    ):
        gateway = make_gateway(0.1, policy=policy)
        arrived = gateway.read(raw, envelope)
        judged = gateway.conclude(arrived, asyncio.run(gateway.answers(arrived))) if asking else gateway.judge(raw, envelope)
        assert {url.url: url.found_in for url in judged.assessment.urls} == wanted
