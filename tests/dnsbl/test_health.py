"""The states of DNS lists: probes, judgement, file."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.dnsbl.nameserver import BAD, NameServer, listing, reply

from mailward.gateway import probes
from mailward.gateway.lists import Reputation
from mailward.gateway.probes import probe_forever
from mailward.gateway.settings import Settings
from mailward.policy.dnsbl import read_entry
from mailward.reputation.answer import Outcome
from mailward.reputation.dnsbl.health import FRESH_SECONDS, Fault, Finding, Health, HealthFile, judged, read_health, write_health
from mailward.reputation.dnsbl.plan import Plan

ZONE = "list.test"


def test_a_wrong_answer_switches_off_at_once_and_silence_after_two_probes() -> None:
    """A lost packet switches nothing off; a list that lists everything does not get a second chance."""
    well = judged(None, Finding(ZONE, v6=True), 100)
    assert (well.works, well.since) == (True, 100)
    once = judged(well, Finding(ZONE, Fault.SILENT, "time-out"), 200)
    assert once.works
    assert judged(once, Finding(ZONE, v6=True), 300) == Health(ZONE, v6=True, since=100, checked=300)
    twice = judged(once, Finding(ZONE, Fault.SILENT, "time-out"), 300)
    assert (twice.works, twice.why, twice.since) == (False, "time-out", 300)
    assert not judged(well, Finding(ZONE, Fault.EVERYTHING, "it lists 127.0.0.1"), 200).works


def test_a_broken_list_comes_back_after_two_good_probes() -> None:
    """One good answer among bad ones is not enough."""
    broken = judged(None, Finding(ZONE, Fault.SILENT, "SERVFAIL"), 100)
    once = judged(broken, Finding(ZONE), 130)
    assert not once.works
    assert not judged(once, Finding(ZONE, Fault.GONE, "gone"), 160).works
    assert judged(once, Finding(ZONE), 160).works


def test_a_list_that_listed_everything_stays_off_for_an_hour() -> None:
    """Its answers are still in the memory of resolvers."""
    state = judged(None, Finding(ZONE, Fault.EVERYTHING, "it lists 127.0.0.1"), 0)
    for probe in range(1, 120):
        state = judged(state, Finding(ZONE), 30 * probe)
        assert not state.works
    assert judged(state, Finding(ZONE), 3600).works


def test_a_state_file_is_followed_and_ages(tmp_path: Path) -> None:
    """A newer file is taken up; one of a probing process that is gone, a damaged one and none at all say nothing."""
    path = tmp_path / "lists.json"
    follower = HealthFile(path)
    assert follower.states() == {}
    write_health(path, [Health(ZONE, v6=True)], time.time())
    os.utime(path, ns=(1, 1))
    follower._looked = 0.0
    assert follower.states() == {ZONE: Health(ZONE, v6=True)}
    write_health(path, [Health(ZONE, Fault.GONE, "gone")], time.time())
    follower._looked = 0.0
    assert not follower.states()[ZONE].works
    assert read_health(path, time.time() + FRESH_SECONDS + 1) == {}
    path.write_bytes(b'{"made": 1e99, "lists": [')
    assert read_health(path) == {}
    follower._looked = 0.0
    assert follower.states() == {}


async def test_the_probing_process_tells_once_and_heals(
    nameserver: NameServer,
    settings: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A list breaks and is mended: one warning each, with what to do; other processes follow."""
    monkeypatch.setattr(probes, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(probes, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(probes, "LOOK_SECONDS", 0.02)
    caplog.set_level(logging.INFO)
    file = tmp_path / "snapshots" / "lists.json"
    entry = read_entry(f"{ZONE}=127.0.0.2")
    nameserver.zones[ZONE] = listing("1.2.0.192")
    other = Reputation(settings())
    stop = asyncio.Event()
    probing = asyncio.create_task(probe_forever(settings(), lambda: (entry, read_entry("off other.test=127.0.0.2")), stop))

    async def until(works: bool) -> None:
        deadline = time.monotonic() + 10
        while (state := read_health(file).get(ZONE)) is None or state.works is not works:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        other.foreign._health._looked = 0.0

    await until(works=True)
    assert (await other.ask("192.0.2.1", Plan(standard=(entry,)))).answers[-1].outcome is Outcome.LISTED
    nameserver.zones[ZONE] = BAD["undocumented-code"]
    await until(works=False)
    answer = (await other.ask("192.0.2.1", Plan(standard=(entry,)))).answers[-1]
    assert answer.outcome is Outcome.UNCHECKED
    assert answer.why.startswith("switched off: asked about 127.")
    nameserver.zones[ZONE] = listing("1.2.0.192")
    await until(works=True)
    assert (await other.ask("192.0.2.1", Plan(standard=(entry,)))).answers[-1].outcome is Outcome.LISTED
    stop.set()
    await probing
    await other.close()
    told = [record.getMessage() for record in caplog.records if ZONE in record.getMessage()]
    assert len(told) == 2
    assert "is switched off" in told[0]
    assert f'or write "off {ZONE}"' in told[0]
    assert "works again" in told[1]
    assert not any("other.test" in name for name in nameserver.asked)


async def test_a_list_that_needs_a_code_is_not_asked_without_one(nameserver: NameServer, settings: Callable[..., Settings]) -> None:
    """And says what to do; with the code, it is asked with it, and the code shows nowhere."""
    zone, code = "zen.dq.spamhaus.net", "verysecretcode"
    nameserver.zones[zone] = lambda query, tcp: (0, reply(query, "127.255.255.250").to_wire())
    nameserver.zones = {f"{code}.{zone}": listing("1.2.0.192"), **nameserver.zones}
    plan = Plan(standard=(read_entry(zone),))
    without = Reputation(settings())
    answer = (await without.ask("192.0.2.1", plan)).answers[-1]
    assert "access code" in answer.why
    assert nameserver.asked == []
    host = settings(access_codes=[f"{zone}={code}"])
    having = Reputation(host)
    found = await having.ask("192.0.2.1", plan)
    assert found.answers[-1].outcome is Outcome.LISTED
    assert f"1.2.0.192.{code}.{zone}" in nameserver.asked
    assert code not in repr(found) + repr(host) + repr(having.foreign.__dict__["_health"])
    await having.close()


async def test_codes_that_are_not_those_of_the_list_are_noticed(nameserver: NameServer, reputation: Reputation) -> None:
    """A policy that names other codes than the list has would never match; the list is switched off, with the code it gave."""
    nameserver.zones[ZONE] = listing(code="127.0.0.9")
    answer = (await reputation.ask("192.0.2.1", Plan(standard=(read_entry(f"{ZONE}=127.0.0.2"),)))).answers[-1]
    assert answer.why == "switched off: asked about its test point 127.0.0.2: the code 127.0.0.9 is not among those that count"
    await reputation.close()
