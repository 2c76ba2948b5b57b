"""Email Reputation before the message is accepted: a real gateway, real clients, a real name server for the lists of others."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import pytest
from tests.dnsbl.nameserver import BAD, NameServer, listing, running
from tests.e2e.running import Served, Talk, serving, wait_until

from mailward import storage
from mailward.reputation import snapshot
from mailward.storage import Record

TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}
TIMEOUT = 1.0


@pytest.fixture
def nameserver() -> Iterator[NameServer]:
    with running() as server:
        yield server


def told(port: int, address: str, helo: str = "client.example") -> Talk:
    """A client of that address, brought by a trusted proxy."""
    talk = Talk(port)
    talk.say("EHLO proxy.example")
    assert talk.say(f"XCLIENT ADDR={'IPV6:' if ':' in address else ''}{address}").startswith("220")
    talk.say(f"EHLO {helo}")
    return talk


def refusals(served: Served) -> list[Record]:
    store = storage.open(served.settings.storage_url)
    try:
        return [record for record in store.records() if record.outcome == "refused"]
    finally:
        store.close()


def mailward(served: Served, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mailward", *words, "--config", str(served.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_refused_connection_is_found_and_explained(tmp_path: Path) -> None:
    """The record names client, HELO, sender, recipients and reply, the log has one event, and `explain` tells the list and the way out."""
    with serving(tmp_path, smtp=TRUSTED, reputation={"lookup_url": "https://rep.example/lookup"}, workers=1) as (served, sink):
        served.list_source("192.0.2.66")
        with told(served.port, "192.0.2.66", "spam.example") as talk:
            talk.say("MAIL FROM:<a@example.com>")
            said = talk.say("RCPT TO:<b@example.org>")
            talk.say("RCPT TO:<c@example.org>")
            talk.say("QUIT")
        assert said == "550 5.7.1 [192.0.2.66] listed in std.rep.internal: https://rep.example/lookup?ip=192.0.2.66"
        (record,) = wait_until(lambda: refusals(served), what="the record")
        facts = record.assessment
        assert (facts.sender_ip.address, facts.sender_ip.standing) == ("192.0.2.66", "standard")
        assert (facts.helo, facts.mail_from, facts.rcpt_to) == ("spam.example", "a@example.com", ("b@example.org", "c@example.org"))
        assert record.rcpt_outcomes == {"b@example.org": said, "c@example.org": said}
        (event,) = served.events("refused")
        assert (event["id"], event["client"], event["entry"]) == (
            record.id,
            "192.0.2.66",
            "email_reputation.own_standard: std.rep.internal",
        )
        text = mailward(served, "explain", record.id).stdout
        assert "mail from a listed source" in text
        assert "bad for days" in text
        assert "the client was refused before it sent the message" in text
        assert "if 192.0.2.66 were approved" in text
        assert sink.kept == []


def test_the_list_of_others_refuses_and_becomes_evidence(tmp_path: Path, nameserver: NameServer) -> None:
    """A foreign list's hit is refused by the policy's words; asked once for a client of two messages; then it is evidence for our own database."""
    nameserver.zones["list.example.test"] = listing("66.2.0.192")
    policy = '[email_reputation.target]\nstandard_lists = ["list.example.test=127.0.0.2"]\napproved_ips = ["192.0.2.68"]\n'
    dns_ = {"listen": "", "servers": [nameserver.place], "timeout": TIMEOUT}
    with serving(tmp_path, smtp=TRUSTED, policy=policy, dns=dns_, workers=1) as (served, sink):
        with told(served.port, "192.0.2.66") as talk:
            talk.say("MAIL FROM:<a@example.com>")
            assert talk.say("RCPT TO:<b@example.org>") == "550 5.7.1 [192.0.2.66] listed in list.example.test"
            talk.say("RSET")
            talk.say("MAIL FROM:<a@example.com>")
            assert talk.say("RCPT TO:<b@example.org>").startswith("550 5.7.1 ")
        with told(served.port, "192.0.2.67") as talk:
            assert talk.mail(subject="good").startswith("250")
        with told(served.port, "192.0.2.68") as talk:
            assert talk.mail(subject="approved").startswith("250")
        assert not [name for name in nameserver.asked if name.startswith("68.")]  # an approved address is nobody's business
        assert nameserver.asked.count("66.2.0.192.list.example.test") == 1
        assert nameserver.asked.count("67.2.0.192.list.example.test") == 1
        pieces = wait_until(lambda: [(p.kind.value, str(p.source)) for p in served.learned()], what="evidence")
        assert pieces[0] == ("refused", "192.0.2.66")
        assert len(sink.kept) == 2
        served.stop()
        assert "Traceback" not in served.log.read_text()


def _silent(query: dns.message.Message, tcp: bool) -> tuple[float, bytes | None]:
    return 0, None


@pytest.mark.parametrize("ask_at", ["connect", "recipient"])
def test_a_silent_list_refuses_nobody_and_delays_no_longer_than_the_time_out(tmp_path: Path, nameserver: NameServer, ask_at: str) -> None:
    """It worked when it was probed; then it says nothing any more. Mail goes through, each client waits for the time-out at most."""
    nameserver.zones["list.example.test"] = listing("66.2.0.192")
    policy = f'[email_reputation.target]\nask_at = "{ask_at}"\nstandard_lists = ["list.example.test=127.0.0.2"]\n'
    dns_ = {"listen": "", "servers": [nameserver.place], "timeout": TIMEOUT}
    smtp = TRUSTED | {"proxy_protocol": True}
    with serving(tmp_path, smtp=smtp, policy=policy, dns=dns_, workers=1) as (served, sink):
        with Talk(served.port, greet=False) as talk:
            talk.send(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n")
            assert talk.hear().startswith("220")
            talk.say("EHLO x")
            assert talk.mail().startswith("250")
        nameserver.zones["list.example.test"] = _silent
        with Talk(served.port, greet=False) as talk:
            started = time.monotonic()
            talk.send(b"PROXY TCP4 192.0.2.66 198.51.100.1 4711 25\r\n")
            assert talk.hear().startswith("220")
            talk.say("EHLO x")
            assert talk.mail(subject="through").startswith("250")
            assert time.monotonic() - started < TIMEOUT + 1.0  # a second for a busy machine
        assert len(sink.kept) == 2
        event = wait_until(lambda: [e for e in served.events("message") if e["client"] == "192.0.2.66"], what="the event")[0]
        record = json.loads(mailward(served, "explain", event["id"], "--json").stdout)
        (answer,) = [each for each in record["reputation"] if each["zone"] == "list.example.test"]
        assert answer["outcome"] == "unchecked"


def test_broken_lists_refuse_nobody(tmp_path: Path, nameserver: NameServer) -> None:
    """Lists that misbehave in every way we know, all in one policy: every client is let in, and waits for the time-out at most."""
    zones = {f"{name.replace('.', '-')}.test": behaviour for name, behaviour in BAD.items()}
    nameserver.zones.update(zones)
    entries = json.dumps([f"{zone}=127.0.0.[2..76]" for zone in zones])
    policy = f"[email_reputation.target]\nstandard_lists = {entries}\ndynamic_lists = {entries}\n"
    dns_ = {"listen": "", "servers": [nameserver.place], "timeout": TIMEOUT}
    with serving(tmp_path, smtp=TRUSTED, policy=policy, dns=dns_, workers=1) as (served, sink):
        for number in range(5):
            with told(served.port, f"192.0.2.{number}") as talk:
                started = time.monotonic()
                assert talk.mail().startswith("250")
                assert time.monotonic() - started < TIMEOUT + 1.0
        assert len(sink.kept) == 5
        assert refusals(served) == []


def test_a_damaged_database_refuses_nobody(tmp_path: Path) -> None:
    """A published file that is no such file, or whose rows make no sense, costs its answers; mail goes on."""
    with serving(tmp_path, smtp=TRUSTED, workers=1) as (served, sink):
        path = served.settings.snapshots_folder / "standard.ips"
        wait_until(path.exists, what="the first snapshot")
        number = int.from_bytes(b"\xc0\0\2\x01", "big")
        row = {"start": [number], "end": [number], "kind": [99], "since": [1], "until": [0], "count": [0], "reason": [7]}
        draft = tmp_path / "damaged.ips"
        for write in (lambda: draft.write_bytes(b"nonsense"), lambda: snapshot.write(draft, row, {}, [], 1, 1.0)):
            write()
            draft.replace(path)
            time.sleep(2 * snapshot.FOLLOW_SECONDS)
            with told(served.port, "192.0.2.1") as talk:
                assert talk.mail().startswith("250")
        assert len(sink.kept) == 2
        assert "standard.ips cannot be used" in served.log.read_text()
        assert "looking up 192.0.2.1 failed" in served.log.read_text()


def test_one_hit_of_a_trap_leads_to_a_listing_and_to_a_deferral(tmp_path: Path) -> None:
    """The whole way: a client names a trap that the next hop does not know, the service learns, and the client is put off. Bounces do not count."""
    policy = '[email_reputation.target]\ndynamic_level = 4\n[email_reputation.evidence]\ntrap_addresses = ["no550@trap.example"]\n'
    with serving(tmp_path, smtp=TRUSTED, policy=policy, workers=1) as (served, _):
        with told(served.port, "198.51.100.70") as talk:
            talk.say("MAIL FROM:<>")
            assert talk.say("RCPT TO:<no550@trap.example>").startswith("550 5.1.1")
        for number in range(3):
            with told(served.port, "192.0.2.71") as talk:
                talk.say("MAIL FROM:<a@example.com>")
                said = talk.say("RCPT TO:<no550@Trap.example>")
                assert number or said.startswith("550 5.1.1")  # after the first it may be listed already, and is counted all the same
                talk.say("RCPT TO:<no550@trap.example>")
        wait_until(lambda: len(served.events("trap")) == 3, what="three events")

        def put_off() -> bool:
            with told(served.port, "192.0.2.71") as talk:
                talk.say("MAIL FROM:<a@example.com>")
                return talk.say("RCPT TO:<b@example.org>").startswith("450 4.7.1 [192.0.2.71] listed in dyn.rep.internal")

        wait_until(put_off, 20, "the listing")
        with told(served.port, "198.51.100.70") as talk:
            assert talk.mail().startswith("250")
        learned = [(piece.kind.value, str(piece.source)) for piece in served.learned()]
        assert learned.count(("trap", "192.0.2.71")) == 3
        assert ("trap", "198.51.100.70") not in learned
        assert not [piece for piece in learned if piece[0] == "refused"]  # a listing never feeds itself


@pytest.mark.skipif(shutil.which("swaks") is None, reason="needs swaks: apt-get install swaks")
@pytest.mark.parametrize("extra", [[], ["--pipeline"]])
def test_swaks_is_told_what_it_can_understand(tmp_path: Path, extra: list[str]) -> None:
    """A client nobody here wrote gives up with the reply to RCPT, pipelined too."""
    with serving(tmp_path, smtp=TRUSTED, workers=1) as (served, _):
        served.list_source("192.0.2.66")
        command = ["swaks", "--server", f"127.0.0.1:{served.port}", "--from", "a@example.com", "--to", "b@example.org"]
        done = subprocess.run([*command, "--xclient", "ADDR=192.0.2.66", *extra], capture_output=True, text=True, timeout=60)
        assert done.returncode == 24, done.stdout  # no recipient was taken
        assert "550 5.7.1 [192.0.2.66] listed in std.rep.internal" in done.stdout


def test_scan_asks_foreign_lists_unless_it_is_told_not_to(tmp_path: Path, nameserver: NameServer) -> None:
    """The same message: listed when its sender's address is asked about, clean offline; one event loop for many messages."""
    nameserver.zones["list.example.test"] = listing("66.2.0.192")
    served = Served(tmp_path, None, dns={"listen": "", "servers": [nameserver.place], "timeout": TIMEOUT})
    served.configure()
    policy = tmp_path / "policy.toml"
    policy.write_text('[email_reputation.target]\nstandard_lists = ["list.example.test=127.0.0.2"]\n')
    paths = []
    for number in range(5):
        path = tmp_path / f"{number}.eml"
        path.write_bytes(
            b"Received: from x.example (unknown [192.0.2.%d]) by mx.example.com (Postfix) with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
            b"From: a@example.com\r\nSubject: Minutes\r\n\r\nSee you on Monday.\r\n" % (66 + number)
        )
        paths.append(str(path))
    done = mailward(served, "scan", *paths, "--json", "--policy", str(policy))
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["verdict"] for each in printed] == ["listed_source", *["clean"] * 4], done.stderr
    assert printed[0]["action"] == "reject"
    assert [each["sender_ip"]["standing"] for each in printed] == ["standard", *["unknown"] * 4]
    asked = len(nameserver.asked)
    offline = mailward(served, "scan", *paths, "--json", "--policy", str(policy), "--offline")
    assert {json.loads(line)["verdict"] for line in offline.stdout.splitlines()} == {"clean"}
    assert len(nameserver.asked) == asked


def test_reports_of_people_reach_the_databases(tmp_path: Path) -> None:
    """`learn spam` tells of the address behind our own hops, `learn undo` takes it back."""
    served = Served(tmp_path, None)
    served.configure()
    path = tmp_path / "spam.eml"
    path.write_bytes(
        b"Received: from relay (relay [10.0.0.1]) by mail.example.com with ESMTP id 2; Mon, 23 Nov 2026 10:00:01 +0000\r\n"
        b"Received: from x.example (unknown [192.0.2.66]) by relay with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        b"From: a@example.com\r\nSubject: Pills\r\n\r\nBuy.\r\n"
    )
    assert mailward(served, "learn", "spam", str(path)).returncode == 0
    assert mailward(served, "learn", "undo", "1").returncode == 0
    assert [(piece.kind.value, piece.weight, str(piece.source)) for piece in served.learned()] == [
        ("report-spam", 2.0, "192.0.2.66"),
        ("report-ham", 2.0, "192.0.2.66"),
    ]
