"""What is found out about an address: order, standing, and what is never asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.dnsbl.nameserver import Answer, NameServer, listing

from mailward.gateway.lists import Reputation
from mailward.gateway.settings import Settings
from mailward.policy.dnsbl import read_entry
from mailward.reputation.address import source
from mailward.reputation.answer import Outcome, Standing
from mailward.reputation.dnsbl.plan import Plan
from mailward.reputation.listing import LEVELS, Database, ListingKind
from mailward.reputation.snapshot import DYNAMIC_FILE, GOOD_FILE, STANDARD_FILE, write

STD = read_entry("std.test=127.0.0.2")
DYN = read_entry("dyn.test=127.0.0.2")


def publish(folder: Path, name: str, kind: ListingKind, **levels: int) -> None:
    """A snapshot that lists addresses, each from a level on: a192_0_2_1=2."""
    rows = sorted((source(address[1:].replace("_", ".")).number, level) for address, level in levels.items())
    until = int(time.time()) + 3600
    columns = {
        "start": np.array([number for number, _ in rows]),
        "end": np.array([number for number, _ in rows]),
        "kind": np.full(len(rows), kind.number),
        "since": np.full(len(rows), 1_000),
        "count": np.full(len(rows), 3),
        "reason": np.zeros(len(rows)),
    }
    if name == DYNAMIC_FILE:
        for at in range(1, LEVELS + 1):
            columns[f"until_{at}"] = np.array([until if at >= level else 0 for _, level in rows])
    else:
        columns["until"] = np.full(len(rows), until)
    write(folder / "snapshots" / name, columns, {}, ["the reason"], 1, time.time())


@pytest.fixture
def own(tmp_path: Path, settings: Callable[..., Settings], nameserver: NameServer) -> Reputation:
    """Our own databases list .1 (standard), .2 (dynamic from level 2), .4 (dynamic at level 4 only); .8 is good. Two foreign lists work."""
    publish(tmp_path, STANDARD_FILE, ListingKind.KNOWN_SOURCE, a192_0_2_1=0)
    publish(tmp_path, DYNAMIC_FILE, ListingKind.BURST, a192_0_2_2=2, a192_0_2_4=4)
    publish(tmp_path, GOOD_FILE, ListingKind.GOOD, a192_0_2_8=0, a192_0_2_1=0)
    nameserver.zones = {"std.test": listing("50.2.0.192", "8.2.0.192"), "dyn.test": listing("60.2.0.192", "50.2.0.192")}
    return Reputation(settings())


def zones(nameserver: NameServer, address: str) -> list[str]:
    """The lists that were asked about an address, test points left out."""
    reverse = source(address)
    turned = ".".join(reversed(str(reverse).split(".")))
    return sorted(name.removeprefix(f"{turned}.") for name in nameserver.asked if name.startswith(f"{turned}."))


def test_own_databases_need_no_question(own: Reputation, nameserver: NameServer) -> None:
    """Standing and listing come from the snapshots; standard decides before dynamic; what only level 4 lists makes no standing."""
    found = own.known("192.0.2.1")
    assert found.standing is Standing.STANDARD
    assert [(answer.zone, answer.outcome, answer.codes, answer.reason) for answer in found.answers] == [
        ("std.rep.internal", Outcome.LISTED, ("127.0.0.2",), "the reason")
    ]
    dynamic = own.known("192.0.2.2")
    assert (dynamic.standing, dynamic.answers[-1].level, dynamic.answers[-1].codes) == (Standing.DYNAMIC, 2, ("127.0.0.4",))
    assert own.known("192.0.2.4").standing is Standing.UNKNOWN
    assert own.known("192.0.2.4").answers[-1].outcome is Outcome.LISTED
    assert own.known("192.0.2.8").standing is Standing.GOOD
    assert own.known("::ffff:192.0.2.8").standing is Standing.GOOD
    assert own.known("192.0.2.9").standing is Standing.UNKNOWN
    assert nameserver.asked == []


def test_without_any_database_nothing_was_checked(tmp_path: Path) -> None:
    """A database that is not there yet is not an empty one."""
    found = Reputation(Settings.model_validate({"state": {"folder": str(tmp_path)}})).known("192.0.2.1")
    assert found.standing is Standing.UNCHECKED
    assert {answer.outcome for answer in found.answers} == {Outcome.UNCHECKED}


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "::1", "fe80::1", "fd00::1", "224.0.0.1", "0.0.0.0", "nonsense", ""]
)
async def test_addresses_that_are_not_of_the_internet_are_never_asked(address: str, own: Reputation, nameserver: NameServer) -> None:
    """Nobody outside knows them, and nobody outside should learn of them."""
    found = await own.ask(address, Plan(standard=(STD,), dynamic=(DYN,)))
    assert (found.standing, found.answers) == (Standing.UNCHECKED, ())
    assert nameserver.asked == []


@pytest.mark.parametrize(
    ("address", "standing", "asked"),
    [
        ("192.0.2.1", Standing.STANDARD, []),  # our own standard database decides
        ("192.0.2.2", Standing.DYNAMIC, ["std.test"]),  # a standard list might still decide; our own dynamic database then does
        ("192.0.2.4", Standing.UNKNOWN, ["dyn.test", "std.test"]),  # listed at level 4, which the plan does not act on
        ("192.0.2.50", Standing.STANDARD, ["std.test"]),  # on both; no second question when the first decides
        ("192.0.2.60", Standing.DYNAMIC, ["dyn.test", "std.test"]),
        ("192.0.2.70", Standing.UNKNOWN, ["dyn.test", "std.test"]),
        ("192.0.2.8", Standing.STANDARD, ["std.test"]),  # our own good opinion does not outweigh a listing
    ],
)
async def test_standard_comes_before_dynamic_and_the_first_listing_ends_the_asking(
    address: str, standing: Standing, asked: list[str], own: Reputation, nameserver: NameServer
) -> None:
    """Only the lists that are needed are asked."""
    found = await own.ask(address, Plan(standard=(STD,), dynamic=(DYN,), dynamic_level=2))
    assert found.standing is standing
    assert zones(nameserver, address) == asked
    await own.close()


async def test_lists_that_are_off_are_not_asked(own: Reputation, nameserver: NameServer) -> None:
    """Nor probed, nor mentioned."""
    found = await own.ask("192.0.2.50", Plan(standard=(read_entry("off std.test=127.0.0.2"),)))
    assert [answer.zone for answer in found.answers] == ["std.rep.internal", "dyn.rep.internal"]
    assert nameserver.asked == []


async def test_standard_lists_are_asked_side_by_side(nameserver: NameServer, reputation: Reputation) -> None:
    """Four lists that take 0.2 seconds each take 0.2 seconds together."""

    def slow(behave) -> Callable[..., Answer]:
        return lambda query, tcp: (0.0 if query.question[0].name.to_text().split(".")[3] == "127" else 0.2, behave(query, tcp)[1])

    entries = tuple(read_entry(f"l{n}.test=127.0.0.2") for n in range(4))
    nameserver.zones = {entry.zone: slow(listing()) for entry in entries}
    await reputation.ask("192.0.2.1", Plan(standard=entries))
    started = time.monotonic()
    found = await reputation.ask("192.0.2.2", Plan(standard=entries))
    assert 0.15 < time.monotonic() - started < 0.45
    assert [answer.outcome for answer in found.answers[2:]] == [Outcome.CLEAR] * 4
    await reputation.close()


async def test_a_list_without_v6_is_not_asked_about_v6(nameserver: NameServer, reputation: Reputation) -> None:
    """Its v6 test point is missing, so its silence about v6 addresses says nothing."""
    nameserver.zones = {"both.test": listing(), "four.test": listing(v6=False)}
    plan = Plan(standard=(read_entry("both.test=127.0.0.2"), read_entry("four.test=127.0.0.2")))
    found = await reputation.ask("2001:db8::9", plan)
    assert {answer.zone: answer.outcome for answer in found.answers[2:]} == {"both.test": Outcome.CLEAR, "four.test": Outcome.UNCHECKED}
    four = await reputation.ask("192.0.2.9", plan)
    assert {answer.outcome for answer in four.answers[2:]} == {Outcome.CLEAR}
    await reputation.close()


async def test_a_list_that_falls_silent_delays_few(nameserver: NameServer, settings: Callable[..., Settings]) -> None:
    """After some time-outs in a row it is left alone for a while; nobody waits longer than the time-out, and soon nobody waits."""
    reputation = Reputation(settings(timeout=0.2))
    plan = Plan(standard=(STD,))
    nameserver.zones["std.test"] = listing()
    await reputation.ask("192.0.2.1", plan)
    nameserver.zones["std.test"] = lambda query, tcp: (0, None)
    waits = []
    for n in range(2, 12):
        started = time.monotonic()
        await reputation.ask(f"192.0.2.{n}", plan)
        waits.append(time.monotonic() - started)
    assert max(waits) < 0.5
    assert max(waits[5:]) < 0.05
    await reputation.close()


async def test_a_listing_is_remembered_only_once_confirmed(nameserver: NameServer, reputation: Reputation) -> None:
    """A list that began to list everything leaves nothing behind that could be believed later."""
    nameserver.zones["std.test"] = honest = listing("50.2.0.192")
    plan = Plan(standard=(STD,))
    assert (await reputation.ask("192.0.2.1", plan)).answers[-1].outcome is Outcome.CLEAR
    nameserver.zones["std.test"] = lambda query, tcp: listing(".".join(query.question[0].name.to_text().split(".")[:4]))(query, tcp)
    lied = (await reputation.ask("192.0.2.77", plan)).answers[-1]
    assert lied.outcome is Outcome.UNCHECKED
    assert "which no list may list" in lied.why
    assert reputation.foreign.resolver.cached("77.2.0.192.std.test") is None
    assert (await reputation.ask("192.0.2.77", plan)).answers[-1].why == lied.why
    nameserver.zones["std.test"] = honest
    reputation.foreign._pauses.clear()
    assert (await reputation.ask("192.0.2.50", plan)).answers[-1].outcome is Outcome.LISTED
    questions = len(nameserver.asked)
    assert (await reputation.ask("192.0.2.50", plan)).answers[-1].outcome is Outcome.LISTED
    assert len(nameserver.asked) == questions
    await reputation.close()


async def test_a_damaged_snapshot_costs_its_answers_only(tmp_path: Path, own: Reputation) -> None:
    """It is told, and the look-up goes on."""
    (tmp_path / "snapshots" / STANDARD_FILE).write_bytes(b"damaged\n")
    found = await own.ask("192.0.2.2", Plan())
    assert found.standing is Standing.DYNAMIC
    assert {answer.database: answer.outcome for answer in found.answers}[Database.STANDARD] is Outcome.UNCHECKED


async def test_many_at_once_share_one_probe(nameserver: NameServer, reputation: Reputation) -> None:
    """A hundred first connections probe a list once."""
    nameserver.zones["std.test"] = listing()
    await asyncio.gather(*(reputation.ask(f"192.0.2.{n}", Plan(standard=(STD,))) for n in range(100)))
    assert sum(name.startswith("2.0.0.127.") for name in nameserver.asked) == 1
    await reputation.close()
