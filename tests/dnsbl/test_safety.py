"""No broken list can refuse mail, and none can delay it longer than the time-out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from tests.dnsbl.nameserver import BAD, NameServer, listing

from mailward.gateway.lists import Reputation
from mailward.gateway.probes import probe_forever
from mailward.gateway.settings import Settings
from mailward.policy.dnsbl import read_entry
from mailward.reputation.answer import Outcome, Standing
from mailward.reputation.dnsbl.health import read_health
from mailward.reputation.dnsbl.plan import Plan

CODES = "127.0.0.[2..11]"
SENDERS = [*(f"198.51.100.{n}" for n in range(1, 20)), "203.0.113.7", "2001:db8::5", "2001:db8:1::99"]
SLACK = 0.4  # seconds a busy test machine may add


def plan(*zones: str) -> Plan:
    return Plan(standard=tuple(read_entry(f"{zone}={CODES}") for zone in zones))


async def ask_all(reputation: Reputation, asked: Plan, limit: float) -> None:
    """Nobody is listed, and nobody waits longer than the time-out."""

    async def one(address: str) -> None:
        started = time.monotonic()
        found = await reputation.ask(address, asked)
        assert time.monotonic() - started <= limit + SLACK
        assert found.standing not in (Standing.STANDARD, Standing.DYNAMIC)
        assert all(answer.outcome is not Outcome.LISTED for answer in found.answers)

    for address in SENDERS[:4]:
        await one(address)
    await asyncio.gather(*map(one, SENDERS))


# reading thousands of records takes its time: measured alone
ALONE = [pytest.param(kind, marks=pytest.mark.bench) if kind == "thousands-of-addresses" else kind for kind in BAD]


@pytest.mark.parametrize("kind", ALONE)
async def test_a_list_that_was_always_broken_is_never_believed(kind: str, nameserver: NameServer, reputation: Reputation) -> None:
    """It fails its probe: no sender is listed by it, and after the probe nobody is delayed."""
    zone = f"{kind}.test"
    nameserver.zones[zone] = BAD[kind]
    await ask_all(reputation, plan(zone), 0.5)
    started = time.monotonic()
    found = await reputation.ask("192.0.2.1", plan(zone))
    assert time.monotonic() - started < 0.1
    assert found.answers[-1].outcome is Outcome.UNCHECKED
    assert found.answers[-1].why.startswith("switched off: ")
    await reputation.close()


@pytest.mark.parametrize("kind", ALONE)
async def test_a_list_that_breaks_between_two_probes_is_not_believed(kind: str, nameserver: NameServer, reputation: Reputation) -> None:
    """It was in order at its probe and answers badly afterwards; even one that now lists everybody is seen through."""
    zone = f"{kind}.test"
    nameserver.zones[zone] = listing()
    found = await reputation.ask("192.0.2.250", plan(zone))
    assert found.answers[-1].outcome is Outcome.CLEAR
    nameserver.zones[zone] = BAD[kind]
    await ask_all(reputation, plan(zone), 0.5)
    await reputation.close()


@pytest.mark.bench
async def test_broken_lists_do_not_silence_a_good_one(nameserver: NameServer, reputation: Reputation) -> None:
    """Among all the broken lists, the good one is heard, within the time-out."""
    for kind, behaviour in BAD.items():
        nameserver.zones[f"{kind}.test"] = behaviour
    nameserver.zones["good.test"] = listing("9.100.51.198")
    asked = plan(*(f"{kind}.test" for kind in BAD), "good.test")
    await reputation.ask("192.0.2.1", asked)  # probes them
    started = time.monotonic()
    bad, good = await asyncio.gather(reputation.ask("198.51.100.9", asked), reputation.ask("198.51.100.10", asked))
    assert time.monotonic() - started <= 0.5 + SLACK
    assert bad.standing is Standing.STANDARD
    assert [answer.zone for answer in bad.answers if answer.outcome is Outcome.LISTED] == ["good.test"]
    assert good.standing is Standing.UNKNOWN
    await reputation.close()


@pytest.mark.parametrize("kind", BAD)
async def test_every_broken_list_is_published_with_its_remedy(
    kind: str, nameserver: NameServer, settings: Callable[..., Settings], tmp_path
) -> None:
    """The probing process says what is wrong and what to do: what the banner, doctor and the console show."""
    nameserver.zones["broken.test"] = BAD[kind]
    stop = asyncio.Event()
    probing = asyncio.create_task(probe_forever(settings(timeout=0.3), lambda: plan("broken.test").standard, stop))
    file = tmp_path / "snapshots" / "lists.json"
    for _ in range(100):
        if file.exists():
            break
        await asyncio.sleep(0.05)
    stop.set()
    await probing
    state = read_health(file)["broken.test"]
    assert not state.works
    assert state.why
    assert "broken.test" in state.remedy or "resolver" in state.remedy
