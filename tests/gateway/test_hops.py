"""Our own mail servers, as a real name server tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset
import pytest
from tests.dnsbl.nameserver import Answer, NameServer, running

from mailward.gateway import Gateway
from mailward.gateway.hops import published, resolve_forever, suggested_hops
from mailward.gateway.settings import Settings
from mailward.message import Envelope
from mailward.policy import DomainList, Policy

RECORDS = {
    ("example.com.", "MX"): ["10 mx1.example.com.", "20 mx2.example.com."],
    ("mx1.example.com.", "A"): ["203.0.113.5"],
    ("mx1.example.com.", "AAAA"): ["2001:db8::5"],
    ("mx2.example.com.", "A"): ["203.0.113.6"],
    ("bare.example.", "A"): ["203.0.113.9"],
    ("null.example.", "MX"): ["0 ."],
    ("null.example.", "A"): ["203.0.113.10"],
}
POLICY = Policy.from_toml('[organisation]\nmx_domains = ["example.com"]\n')
RAW = b"Received: from mta.example.net (mta.example.net [198.51.100.7]) by mx1.example.com; Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@example.org\r\n\r\nx\r\n"


def answering(query: dns.message.Message, tcp: bool) -> Answer:
    question = query.question[0]
    made = dns.message.make_response(query)
    found = RECORDS.get((question.name.to_text().lower(), question.rdtype.name))
    if found:
        made.answer.append(dns.rrset.from_text(question.name, 300, "IN", question.rdtype, *found))
    return 0, made.to_wire()


@pytest.fixture
def nameserver() -> Iterator[NameServer]:
    with running() as server:
        server.zones = dict.fromkeys(("example.com", "bare.example", "null.example"), answering)
        yield server


@pytest.fixture
def settings(nameserver: NameServer, tmp_path: Path) -> Settings:
    return Settings.model_validate({"dns": {"servers": [nameserver.place], "timeout": 0.5}, "state": {"folder": str(tmp_path)}})


async def looked_up(settings: Settings, *domains: str) -> None:
    """Let the process that looks up do so once."""
    stop = asyncio.Event()
    task = asyncio.create_task(resolve_forever(settings, lambda: DomainList(domains), stop))
    path = settings.snapshots_folder / "own_hops.json"
    before = path.stat().st_mtime_ns if path.exists() else 0
    for _ in range(200):
        await asyncio.sleep(0.02)
        if path.exists() and path.stat().st_mtime_ns != before:
            break
    stop.set()
    await task


def shown(settings: Settings, *domains: str) -> list[str]:
    return sorted(str(network.network_address) for network in published(settings, DomainList(domains)))


async def test_mx_records_lead_to_addresses(settings: Settings) -> None:
    """Of both families; a domain without MX records takes its mail itself, one with a null MX takes none."""
    await looked_up(settings, "example.com", "bare.example", "null.example")
    assert shown(settings, "example.com") == ["2001:db8::5", "203.0.113.5", "203.0.113.6"]
    assert shown(settings, "bare.example") == ["203.0.113.9"]
    assert shown(settings, "null.example") == []
    assert shown(settings) == []


async def test_the_last_good_answer_is_kept(settings: Settings, nameserver: NameServer) -> None:
    """While the name server is silent, our hops stay ours."""
    await looked_up(settings, "example.com")
    nameserver.zones["example.com"] = lambda query, tcp: (9, None)
    await looked_up(settings, "example.com")
    assert "203.0.113.5" in shown(settings, "example.com")


async def test_a_gateway_looks_behind_them(settings: Settings) -> None:
    """And takes up a newer answer without a restart."""
    gateway = Gateway.open(settings, POLICY)
    through = Envelope("203.0.113.5", way_in="smtp")
    assert gateway.judge(RAW, through).assessment.sender_ip.address == "203.0.113.5"
    await looked_up(settings, "example.com")
    gateway._hops_looked = float("-inf")
    assert gateway.judge(RAW, through).assessment.sender_ip.address == "198.51.100.7"
    gateway.close()


def test_a_hop_nobody_named_is_suggested_after_twenty_messages(settings: Settings) -> None:
    """By what tracking has; once it is named, no more."""
    policy = Policy.from_toml('[organisation]\ninternal_domains = ["example.com"]\n')
    gateway = Gateway.open(settings, policy)
    for _ in range(20):
        judgement = gateway.judge(RAW, Envelope("203.0.113.5", helo="mx1.example.com", way_in="smtp"))
        gateway.record(judgement, "delivered")
    gateway.close()
    (found,) = suggested_hops(settings, policy)
    assert (found.address, found.messages) == ("203.0.113.5", 20)
    assert suggested_hops(settings, Policy.from_toml('[organisation]\ngateway_networks = ["203.0.113.0/24"]\n')) == ()
