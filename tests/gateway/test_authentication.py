"""When the gateway asks for SPF, DKIM and DMARC, and when it leaves that alone. A real name server answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset
import pytest
from tests.dnsbl.nameserver import Answer, NameServer, reply, running

from mailward.auth import Authentication, Outcome
from mailward.gateway import Gateway, Settings
from mailward.message import Envelope
from mailward.policy import Policy

TXT = {"example.com": "v=spf1 ip4:192.0.2.1 -all", "_dmarc.example.com": "v=DMARC1; p=reject"}
RAW = b"From: ann@example.com\r\nSubject: x\r\n\r\nhello\r\n"
ENVELOPE = Envelope(client_ip="192.0.2.1", helo="mail.example.com", mail_from="ann@example.com", way_in="smtp")


def texts(query: dns.message.Message, tcp: bool) -> Answer:
    name = query.question[0].name.to_text().rstrip(".")
    made = reply(query) if name in TXT else reply(query, rcode=dns.rcode.NXDOMAIN)
    if name in TXT:
        made.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "TXT", f'"{TXT[name]}"'))
    return 0, made.to_wire()


@pytest.fixture
def nameserver() -> Iterator[NameServer]:
    with running() as server:
        server.zones["com"] = texts
        yield server


@pytest.fixture
def check(tmp_path: Path, nameserver: NameServer) -> Callable[..., Authentication]:
    def judge(raw: bytes = RAW, envelope: Envelope = ENVELOPE, policy: str = "", times: int = 1) -> Authentication:
        settings = Settings.model_validate({"dns": {"servers": [nameserver.place], "timeout": 1.0}, "state": {"folder": str(tmp_path)}})
        gateway = Gateway.open(settings, Policy.from_toml(policy))

        async def run() -> Authentication:
            for _ in range(times):
                found = (await gateway.judge_asking(raw, envelope)).assessment.auth
            await gateway.reputation.close()
            return found

        try:
            return asyncio.run(run())
        finally:
            gateway.close()

    return judge


def test_mail_from_outside_is_checked_and_answers_are_remembered(check, nameserver: NameServer) -> None:
    """Three messages cost the questions of one."""
    found = check(times=3)
    assert (found.spf, found.dkim, found.dmarc, found.here) == (Outcome.PASS, Outcome.NONE, Outcome.PASS, True)
    assert sorted(nameserver.asked) == ["_dmarc.com", "_dmarc.example.com", "example.com"]


@pytest.mark.parametrize(
    ("envelope", "policy"),
    [
        (ENVELOPE, "[authentication]\nenabled = false\n"),
        (Envelope(client_ip="10.0.0.1", mail_from="ann@example.com", way_in="smtp"), ""),
        (Envelope(client_ip=None, mail_from="ann@example.com"), ""),
        (Envelope(client_ip="192.0.2.1", mail_from="ann@example.com", authenticated=True, way_in="smtp"), ""),
        (ENVELOPE, '[organisation]\ngateway_networks = ["192.0.2.0/24"]\n'),
    ],
)
def test_who_is_not_checked(check, nameserver: NameServer, envelope: Envelope, policy: str) -> None:
    """Nobody where it is switched off; not our own users and hops, nor mail of which nobody knows where it came from."""
    assert check(envelope=envelope, policy=policy).spf is Outcome.UNCHECKED
    assert nameserver.asked == []


def test_the_results_of_a_trusted_server_are_used_instead(check, nameserver: NameServer) -> None:
    """No question is asked; what names SPF only does not say enough, so it is checked."""
    trusting = '[organisation]\ntrusted_authserv_ids = ["mx.example.org"]\n'
    line = b"Authentication-Results: mx.example.org; spf=fail; dkim=fail; dmarc=fail\r\n"
    found = check(line + RAW, policy=trusting)
    assert (found.source, found.dmarc) == ("mx.example.org", Outcome.FAIL)
    assert nameserver.asked == []
    assert check(b"Authentication-Results: mx.example.org; spf=fail\r\n" + RAW, policy=trusting).here


@pytest.mark.parametrize(("days", "here"), [(1, True), (30, False)])
def test_of_old_stored_mail_the_dns_of_today_says_nothing(check, nameserver: NameServer, days: int, here: bool) -> None:
    """Keys are changed and servers move: a file that came a month ago is left unchecked."""
    when = format_datetime(datetime.fromtimestamp(time.time() - days * 86_400, UTC))
    line = f"Received: from mail.example.com (mail.example.com [192.0.2.1]) by mx.example.org with ESMTPS id 1; {when}\r\n"
    stored = Envelope(client_ip="192.0.2.1", helo="mail.example.com", mail_from="ann@example.com", way_in="file")
    assert check(line.encode() + RAW, stored).here is here
    assert bool(nameserver.asked) is here


def test_an_unknown_envelope_sender_leaves_spf_unchecked(check) -> None:
    """And DMARC with it, unless DKIM proves the sender."""
    stored = Envelope(client_ip="192.0.2.1", helo="mail.example.com", mail_from=None, way_in="smtp")
    found = check(envelope=stored)
    assert (found.spf, found.dmarc) == (Outcome.UNCHECKED, Outcome.UNCHECKED)
