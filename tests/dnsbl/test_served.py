"""The whole gateway with broken lists: nobody is refused, nobody waits, and it is told."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest
from tests.dnsbl.nameserver import BAD, listing, running
from tests.e2e.running import Talk, free_port, serving, wait_until

pytestmark = pytest.mark.xdist_group("servers")
TIMEOUT = 1.0
SENDERS = [*(f"198.51.100.{n}" for n in range(1, 16)), "2001:db8::25"]


def deliver(port: int, client: str) -> tuple[str, float]:
    """The last reply to a message of a client that a proxy names, and the longest wait before it was told yes or no."""
    with Talk(port) as talk:
        talk.say("EHLO proxy.example.org")
        started = time.monotonic()
        tag = "IPV6:" if ":" in client else ""
        talk.say(f"XCLIENT ADDR={tag}{client} NAME=[UNAVAILABLE]")
        talk.say("EHLO bot.example.net")
        for line in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>"):
            answer = talk.say(line)
            if answer[0] != "2":
                return answer, time.monotonic() - started
        waited = time.monotonic() - started
        talk.say("DATA")
        talk.send(b"From: a@example.com\r\nTo: b@example.org\r\nSubject: hello\r\n\r\nhello\r\n.\r\n")
        return talk.hear(), waited


def test_a_gateway_with_every_broken_list_refuses_only_what_the_good_list_lists(tmp_path: Path) -> None:
    """0 refusals by 27 broken lists, at the start and after they broke in service; the banner and the log name them."""
    with running() as nameserver:
        nameserver.zones = {f"{kind}.test": behaviour for kind, behaviour in BAD.items()} | {"good.test": listing("7.113.0.203")}
        entries = ", ".join(f'"{zone}=127.0.0.[2..11]"' for zone in nameserver.zones)
        policy = f"[email_reputation.target]\nstandard_lists = [{entries}]\n"
        console = free_port()
        with serving(
            tmp_path,
            workers=2,
            policy=policy,
            smtp={"trusted_proxies": ["127.0.0.1"]},
            dns={"listen": "", "servers": [nameserver.place], "timeout": TIMEOUT},
            console={"listen": f"127.0.0.1:{console}"},
        ) as (served, sink):
            for client in SENDERS:
                answer, waited = deliver(served.port, client)
                assert answer.startswith("250"), f"{client}: {answer}"
                assert waited < TIMEOUT + 0.7
            wait_until(lambda: served.settings.snapshots_folder.joinpath("lists.json").exists(), 20, "the probes")
            wait_until(lambda: deliver(served.port, "203.0.113.7")[0].startswith("550"), 10, "the good list to be heard")
            assert "good.test" in deliver(served.port, "203.0.113.7")[0]
            nameserver.zones["good.test"] = BAD["lists-everything"]
            for client in SENDERS:
                answer, waited = deliver(served.port, client.replace("198.51.100", "192.0.2"))
                assert answer.startswith("250"), f"{client}: {answer}"
                assert waited < TIMEOUT + 0.7
            assert len(sink.files) == 2 * len(SENDERS)
            told = [event for event in served.events() if "is switched off" in event["event"]]
            assert len({event["event"].split()[3] for event in told}) == len(BAD)
            page = urllib.request.urlopen(f"http://127.0.0.1:{console}/reputation", timeout=10).read().decode()
            assert "lists-everything.test" in page
            assert "servfail.test" in page
