"""The memory of DNS answers that all workers share."""

from __future__ import annotations

import os
import random
import time

from hypothesis import given
from hypothesis import strategies as st

from mailward.gateway import dnscache
from mailward.gateway.dnscache import DnsCache
from mailward.reputation.dnsbl.reading import MAX_ADDRESSES, NOTHING, Failure, Response

octets = st.tuples(*[st.integers(0, 255)] * 4)
responses = st.one_of(
    st.just(NOTHING),
    st.sampled_from(Failure).map(lambda failure: Response(failure=failure)),
    st.lists(octets, min_size=1, max_size=MAX_ADDRESSES).map(lambda addresses: Response(tuple(addresses), ttl=60)),
)


@given(st.text(max_size=80), responses)
def test_what_was_put_is_got(name: str, response: Response) -> None:
    """Addresses, failures and the absence of a name come back as they were."""
    cache = DnsCache(slots=4)
    cache.put(name, response)
    found = cache.get(name)
    assert found is not None
    assert (found.addresses, found.failure) == (response.addresses, response.failure)
    assert cache.get(name + "x") is None


def test_an_answer_lasts_as_long_as_it_says_within_limits(monkeypatch) -> None:
    """A TTL of 68 years is cut, a TTL of 0 and failures last for seconds."""
    now = time.monotonic()
    ends = {
        Response(((127, 0, 0, 2),), ttl=60): 60,
        Response(((127, 0, 0, 3),), ttl=0x7FFFFFFF): dnscache.MAX_TTL,
        Response(((127, 0, 0, 4),), ttl=0): dnscache.MIN_TTL,
        NOTHING: dnscache.NOTHING_TTL,
        Response(failure=Failure.SERVFAIL): dnscache.FAILURE_TTL,
    }
    for response, lasts in ends.items():
        cache = DnsCache(slots=4)
        monkeypatch.setattr(time, "monotonic", lambda: now)
        cache.put("name", response)
        monkeypatch.setattr(time, "monotonic", lambda after=lasts: now + after - 1.1)
        assert cache.get("name") is not None
        monkeypatch.setattr(time, "monotonic", lambda after=lasts: now + after)
        assert cache.get("name") is None


def test_processes_share_it_and_none_believes_half_an_answer() -> None:
    """Four processes write the same few slots as fast as they can; a reader meets whole answers or none."""
    cache = DnsCache(slots=2)
    names = [f"{n}.list.test" for n in range(8)]
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                n = random.randrange(8)
                cache.put(names[n], Response(((127, 0, n, 2),) * (n + 1), ttl=60))
            os._exit(0)
        children.append(child)
    end, hits = time.monotonic() + 1.0, 0
    while time.monotonic() < end:
        n = random.randrange(8)
        found = cache.get(names[n])
        if found is not None:
            assert found.addresses == ((127, 0, n, 2),) * (n + 1)
            hits += 1
    for child in children:
        os.waitpid(child, 0)
    assert hits > 100


def test_a_damaged_slot_is_a_miss() -> None:
    """Whatever octet of a slot is changed, its answer is not believed."""
    cache = DnsCache(slots=1)
    for at in range(64):
        cache.put("name", Response(((127, 0, 0, 2),), ttl=60))
        cache._memory[at] ^= 0x40
        assert cache.get("name") is None


def test_its_size_is_fixed() -> None:
    """A million names fit into the memory of a few: the newest answers win."""
    cache = DnsCache(slots=1024)
    for n in range(100_000):
        cache.put(f"{n}.list.test", NOTHING)
    assert len(cache._memory) == 65_536
    assert sum(cache.get(f"{n}.list.test") is not None for n in range(90_000, 100_000)) > 500
