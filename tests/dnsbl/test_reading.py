"""Questions and answers of DNS lists."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from mailward.policy.dnsbl import ListEntry, never_listed, read_codes, read_entry
from mailward.reputation.address import source
from mailward.reputation.answer import Outcome
from mailward.reputation.dnsbl import question
from mailward.reputation.dnsbl.reading import NOTHING, Failure, Response, read
from mailward.reputation.listing import Database

octets = st.tuples(*[st.integers(0, 255)] * 4)


def test_a_v4_question_has_reversed_octets() -> None:
    """RFC 5782, 2.1; an access code stands before the zone."""
    asked = source("192.0.2.99")
    assert question.name(asked, "bad.example.com") == "99.2.0.192.bad.example.com"
    assert question.name(asked, "bad.example.com", "key") == "99.2.0.192.key.bad.example.com"


def test_a_v6_question_has_reversed_nibbles() -> None:
    """The example of RFC 5782, 2.4."""
    expected = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com"
    assert question.name(source("2001:db8:1:2:3:4:567:89ab"), "ugly.example.com") == expected


@given(st.ip_addresses())
def test_a_question_is_the_reverse_name_of_the_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """As Python's own reverse pointers; a v4-mapped address is asked as v4."""
    address = getattr(address, "ipv4_mapped", None) or address
    reverse = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    assert question.name(source(str(address)), "z.example") == f"{reverse}.z.example"


def test_the_test_points_are_those_of_the_rfc() -> None:
    """127.0.0.2 and ::FFFF:7F00:2 are listed, 127.0.0.1 and ::FFFF:7F00:1 are not (RFC 5782, 5); a made-up one is always another."""
    v6 = question.v6_points()
    assert question.name(v6.listed, "z.example") == "2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".z.example"
    assert question.name(v6.clear[0], "z.example").startswith("1.0.0.0.0.0.f.7.f.f.f.f.0")
    v4 = question.v4_points()
    assert (str(v4.listed), str(v4.clear[0])) == ("127.0.0.2", "127.0.0.1")
    assert len({question.v4_points().clear[1] for _ in range(50)}) > 45


@given(st.lists(octets, max_size=12), st.sampled_from(["127.0.0.2", "127.0.[0..255].[2..255]", "127.[1..254].[0..255].[0..255]"]))
def test_only_documented_codes_mean_listed(addresses: list[tuple[int, ...]], codes: str) -> None:
    """Whatever a list answers: listed only by a code that counts, and never by one that no list may use."""
    entry = ListEntry("z.example", read_codes(codes))
    answer = read(entry, Database.STANDARD, Response(tuple(addresses)))
    believed = [address for address in addresses if entry.counts(address)]
    assert (answer.outcome is Outcome.LISTED) == bool(believed)
    assert not any(never_listed(tuple(map(int, code.split(".")))) for code in answer.codes)
    assert (answer.outcome is Outcome.UNCHECKED) == bool(addresses and not believed) == bool(answer.why)


def test_every_failure_is_unchecked_with_its_name() -> None:
    """And the absence of the name is clear."""
    entry = read_entry("z.example=127.0.0.2")
    for failure in Failure:
        answer = read(entry, Database.DYNAMIC, Response(failure=failure))
        assert (answer.outcome, answer.why) == (Outcome.UNCHECKED, str(failure))
    assert read(entry, Database.DYNAMIC, NOTHING).outcome is Outcome.CLEAR
    refused = read(entry, Database.DYNAMIC, Response(((127, 255, 255, 254),)))
    assert refused.why == "the list refuses our questions (127.255.255.254)"
