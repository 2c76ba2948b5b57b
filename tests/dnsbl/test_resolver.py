"""Questions to the DNS: bounded, asked once, remembered."""

from __future__ import annotations

import asyncio
import contextlib
import time

import dns.flags
import dns.rrset
from tests.dnsbl.nameserver import Answer, NameServer, listing, reply

from mailward.gateway import resolver as resolving
from mailward.gateway.dnscache import DnsCache
from mailward.gateway.resolver import DnsResolver
from mailward.reputation.dnsbl.reading import NOTHING, Failure


async def test_the_same_question_is_asked_once(nameserver: NameServer) -> None:
    """However many ask at once, and again while the answer lasts; another process with the same memory does not ask either."""
    nameserver.zones["list.test"] = lambda query, tcp: (0.1, reply(query, "127.0.0.2", ttl=60).to_wire())
    cache = DnsCache(slots=64)
    asking, other = (DnsResolver([nameserver.place], 1.0, 10, cache) for _ in range(2))
    found = await asyncio.gather(*(asking.ask("1.2.0.192.list.test") for _ in range(50)))
    found += await asyncio.gather(*(other.ask("1.2.0.192.list.test") for _ in range(50)))
    assert {response.addresses for response in found} == {((127, 0, 0, 2),)}
    assert len(nameserver.asked) == 1
    await asking.close()
    await other.close()


async def test_no_more_questions_are_under_way_than_allowed(nameserver: NameServer) -> None:
    """The others wait for a place; all are answered."""
    under_way: list[int] = []
    held = 0

    def slow(query, tcp: bool) -> Answer:
        nonlocal held
        held += 1
        under_way.append(held)
        asyncio.get_running_loop().call_later(0.05, done)
        return 0.05, reply(query, "127.0.0.2").to_wire()

    def done() -> None:
        nonlocal held
        held -= 1

    nameserver.zones["list.test"] = slow
    asking = DnsResolver([nameserver.place], 2.0, 7)
    found = await asyncio.gather(*(asking.ask(f"{n}.list.test") for n in range(60)))
    assert all(response.addresses for response in found)
    assert 2 <= max(under_way) <= 8  # the server may see the next question before it has let go of the last answer
    await asking.close()


async def test_a_question_given_up_by_its_asker_keeps_its_place_until_it_is_over(nameserver: NameServer) -> None:
    """Impatient askers cannot push more questions out than are allowed."""
    nameserver.zones["list.test"] = lambda query, tcp: (0, None)
    asking = DnsResolver([nameserver.place], 0.6, 3)

    async def impatient(n: int) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asking.ask(f"{n}.list.test"), 0.05)

    await asyncio.gather(*map(impatient, range(20)))
    assert len(set(nameserver.asked)) == 3
    await asking.close()


async def test_a_truncated_answer_is_asked_again_by_tcp(nameserver: NameServer) -> None:
    """RFC 1035, 4.2.1."""

    def behave(query, tcp: bool) -> Answer:
        made = reply(query, "127.0.0.2") if tcp else reply(query)
        if not tcp:
            made.flags |= dns.flags.TC
        return 0, made.to_wire()

    nameserver.zones["list.test"] = behave
    asking = DnsResolver([nameserver.place], 2.0, 5)
    assert (await asking.ask("1.list.test")).addresses == ((127, 0, 0, 2),)
    await asking.close()


async def test_an_alias_is_followed_within_the_answer(nameserver: NameServer) -> None:
    """A list may keep its records elsewhere."""

    def behave(query, tcp: bool) -> Answer:
        made = reply(query)
        made.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "CNAME", "records.list.test."))
        made.answer.append(dns.rrset.from_text("records.list.test.", 20, "IN", "A", "127.0.0.2"))
        return 0, made.to_wire()

    nameserver.zones["list.test"] = behave
    asking = DnsResolver([nameserver.place], 1.0, 5)
    found = await asking.ask("1.list.test")
    assert (found.addresses, found.ttl) == (((127, 0, 0, 2),), 20)
    await asking.close()


async def test_the_second_resolver_answers_when_the_first_is_dead(nameserver: NameServer, free_port: int) -> None:
    """Within the time-out."""
    nameserver.zones["list.test"] = listing()
    asking = DnsResolver([f"127.0.0.1:{free_port}", nameserver.place], 2.0, 5)
    started = time.monotonic()
    assert (await asking.ask("2.0.0.127.list.test")).addresses == ((127, 0, 0, 2),)
    assert time.monotonic() - started < 2.0
    await asking.close()


async def test_nobody_there_is_a_failure_and_no_exception(free_port: int) -> None:
    """Nor is a name that is too long for the DNS, or a server that is no address."""
    dead = DnsResolver([f"127.0.0.1:{free_port}"], 0.3, 5)
    assert (await dead.ask("1.list.test")).failure in (Failure.NO_SERVER, Failure.TIME_OUT)
    assert (await dead.ask(".".join(["long"] * 80) + ".test")).failure is not None
    nonsense = DnsResolver(["no address:53"], 0.3, 5)
    assert (await nonsense.ask("1.list.test")).failure is Failure.OTHER
    await dead.close()


async def test_channels_are_replaced_while_questions_are_under_way(nameserver: NameServer, monkeypatch) -> None:
    """No answer is lost, and c-ares does not keep answers for longer than a channel lives."""
    monkeypatch.setattr(resolving, "CHANNEL_QUESTIONS", 5)
    nameserver.zones["list.test"] = lambda query, tcp: (0.02, reply(query, "127.0.0.2", ttl=3600).to_wire())
    asking = DnsResolver([nameserver.place], 2.0, 50)
    found = await asyncio.gather(*(asking.ask(f"{n}.list.test") for n in range(200)))
    assert all(response.addresses for response in found)
    await asyncio.gather(*(asking.ask(f"{n}.list.test") for n in range(200)))
    assert len(nameserver.asked) > 300
    await asking.close()


async def test_an_answer_with_addresses_can_be_held(nameserver: NameServer) -> None:
    """It is not remembered before the asker believes it; the absence of a name is."""
    nameserver.zones["list.test"] = listing("1.2.0.192")
    asking = DnsResolver([nameserver.place], 1.0, 5, DnsCache(slots=64))
    response = await asking.ask("1.2.0.192.list.test", hold=True)
    assert asking.cached("1.2.0.192.list.test") is None
    asking.remember("1.2.0.192.list.test", response)
    assert asking.cached("1.2.0.192.list.test") is not None
    await asking.ask("9.2.0.192.list.test", hold=True)
    assert asking.cached("9.2.0.192.list.test") is NOTHING
    await asking.close()


def test_it_serves_one_loop_after_the_other(nameserver: NameServer) -> None:
    """The command line runs a loop for each message."""
    nameserver.zones["list.test"] = listing()
    asking = DnsResolver([nameserver.place], 1.0, 5)
    for _ in range(3):
        assert asyncio.run(asking.ask("2.0.0.127.list.test")).addresses
