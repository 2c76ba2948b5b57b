"""Random talk: commands, fragments and octets in any order."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

from tests.e2e.running import Talk, blocking, serving

PIECES = [
    b"EHLO x\r\n", b"HELO x\r\n", b"MAIL FROM:<a@example.com>\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n",
    b"RCPT TO:<no550@example.org>\r\n", b"RCPT TO:<gone@example.org>\r\n", b"RCPT TO:<dotlost@example.org>\r\n", b"RSET\r\n", b"NOOP\r\n",
    b"QUIT\r\n", b"STARTTLS\r\n", b"XCLIENT ADDR=192.0.2.1 HELO=h\r\n", b"XFORWARD NAME=[UNAVAILABLE]\r\n", b"XCLIENT\r\n", b"AUTH PLAIN\r\n",
    b"MAIL FROM:<x@blocked.example> SIZE=10\r\n", b"MAIL FROM:<\"a>b\"@example.com> BODY=8BITMIME\r\n", b"BDAT 10 LAST\r\n", b"\r\n", b"\n", b"\r",
    b".\r\n", b"..\r\n", b"Subject: x\r\n\r\n.\r\n", b"\r\n.\r\n", b"\0", b"\xff\xfe\r\n", b"A" * 5000, b" \t\r\n", b"VRFY \xc3\xa4\r\n",
    b"MAIL FROM:<\xc3\xa4@example.com> SMTPUTF8\r\n", b"RCPT TO:<" + b"x" * 3000 + b"@example.org>\r\n", b"MAIL FROM:<a b>\r\n",
]  # fmt: skip


def test_no_talk_brings_a_worker_down(tmp_path: Path) -> None:
    """300 clients say random things and leave at random moments: no error of ours in the log, the same worker, and it still takes mail."""
    chance = random.Random(8)
    smtp = {"timeout": 5, "trusted_proxies": ["127.0.0.0/8"], "max_size": 65_536}
    with serving(tmp_path, workers=1, smtp=smtp, policy=blocking("disconnect")) as (served, _):
        workers = served.worker_pids()
        for _ in range(300):
            with contextlib.suppress(ConnectionError), Talk(served.port) as talk:
                talk.socket.settimeout(0.02)
                for piece in chance.choices(PIECES, k=chance.randrange(1, 25)):
                    talk.send(piece)
                    if chance.random() < 0.3:
                        with contextlib.suppress(TimeoutError):
                            talk.hear()
        with Talk(served.port) as talk:
            talk.say("EHLO client.example")
            assert talk.mail().startswith("250")
        assert served.worker_pids() == workers
        bad = [event for event in served.events() if event.get("level") in ("error", "critical") or "exception" in event]
        assert bad == []
        assert {event["event"] for event in served.events()} <= {"ready", "message", "bare_newline_refused"}
