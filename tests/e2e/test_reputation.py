"""The reputation service from end to end: what happens on one port is answered on the other."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running import Served, Talk, free_port, serving, wait_until

from mailward.reputation import evidence
from mailward.reputation.address import source
from mailward.reputation.evidence import Evidence, EvidenceKind
from mailward.reputation.ip.levels import LEVELS

pytestmark = [
    pytest.mark.xdist_group("servers"),
    pytest.mark.skipif(not shutil.which("dig"), reason="needs dig (Debian package bind9-dnsutils)"),
]

POLICY = """\
[email_reputation.evidence]
trap_addresses = ["trap@example.org"]
"""
LIMIT_SECONDS = 60.0  # from the first sign of spam to an answer
ZONE = "dyn.rep.internal"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    smtp = {"trusted_proxies": ["127.0.0.1"]}
    with serving(tmp_path, workers=1, policy=POLICY, smtp=smtp, dns={"listen": f"127.0.0.1:{free_port()}"}) as (served, _):
        yield served


def dig(served: Served, name: str, kind: str = "A") -> str:
    port = served.dns["listen"].rpartition(":")[2]
    command = ["dig", "+short", "+tries=1", "+time=2", "-p", port, "@127.0.0.1", name, kind]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def talking(served: Served, client: str) -> Talk:
    """A client that comes through a proxy, which tells who it is."""
    talk = Talk(served.port)
    for line in ("EHLO proxy.example.org", f"XCLIENT ADDR={client} NAME=[UNAVAILABLE]", "EHLO bot.example.net"):
        assert talk.say(line).startswith("2")
    return talk


def spam_trap(served: Served, client: str) -> None:
    with talking(served, client) as talk:
        for line in ("MAIL FROM:<a@example.net>", "RCPT TO:<trap@example.org>", "QUIT"):
            talk.say(line)


def test_from_a_trap_to_an_answer_and_through_restarts(served: Served) -> None:
    """Mail to a trap is answered on the DNS port within a minute; a kill of the control process, and a restart, change nothing."""
    started = time.monotonic()
    spam_trap(served, "192.0.2.77")
    wait_until(lambda: dig(served, f"77.2.0.192.{ZONE}") == "127.0.0.5", LIMIT_SECONDS, "the listing")
    assert time.monotonic() - started < LIMIT_SECONDS
    words = dig(served, f"77.2.0.192.{ZONE}", "TXT")
    assert "trap" in words
    for pid in served.pids("ctrl"):
        os.kill(pid, signal.SIGKILL)
    spam_trap(served, "192.0.2.78")
    wait_until(lambda: dig(served, f"78.2.0.192.{ZONE}") == "127.0.0.5", LIMIT_SECONDS, "the listing after a kill")
    assert dig(served, f"77.2.0.192.{ZONE}", "TXT") == words
    served.stop()
    served.run()
    wait_until(lambda: dig(served, f"77.2.0.192.{ZONE}", "TXT") == words, 10, "the same answer after a restart")


def test_listed_clients_are_refused_and_let_in_when_their_time_is_over(served: Served) -> None:
    """The gateway defers a listed client with its words; the listing ends on schedule, on both ports, while nobody publishes anything."""
    folder, now = served.settings.reputation_folder, time.time()
    bad = source("192.0.2.99")
    assert bad is not None
    lasting = LEVELS[2].first + LEVELS[2].doubling * 0.1520  # log2(1 / 0.9): one message judged as spam
    evidence.append(folder, [Evidence(now - lasting + 12, EvidenceKind.SPAM, bad)])
    wait_until(lambda: dig(served, f"99.2.0.192.{ZONE}") == "127.0.0.4", 10, "the listing")
    with talking(served, "192.0.2.99") as talk:
        talk.say("MAIL FROM:<a@example.net>")
        answer = talk.say("RCPT TO:<b@example.org>")
    assert answer.startswith("450 4.7.1 ")
    assert "[192.0.2.99]" in answer
    assert ZONE in answer
    wait_until(lambda: dig(served, f"99.2.0.192.{ZONE}") == "", 30, "the end of the listing")
    assert now + 5 < time.time() < now + 25
    with talking(served, "192.0.2.99") as talk:
        assert talk.mail().startswith("250")
