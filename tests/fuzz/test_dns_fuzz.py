"""Random and half-broken DNS messages through the answerer: short with the other tests, long with MAILWARD_FUZZ_SECONDS."""

from __future__ import annotations

import os
import time
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.zones.serving import DYNAMIC, STANDARD, Row, publish

from mailward.reputation.listing import Database, ListingKind
from mailward.reputation.snapshot import STANDARD_FILE, Table
from mailward.reputation.zone import transfer, wire
from mailward.reputation.zone.answerer import Answerer
from mailward.reputation.zone.keys import Keys, Refused
from mailward.reputation.zone.zone import Zone

NOW = 1_800_000_000.0
_SECONDS = float(os.environ.get("MAILWARD_FUZZ_SECONDS", "0"))
KEYS = Keys(["transfer.example:hmac-sha256:c2VjcmV0LXNlY3JldC1zZWNyZXQ="])
ROWS = [Row("192.0.2.0/24", reason="r" * 400), Row("10.0.0.0/8", ListingKind.DYNAMIC_SPACE), Row("2001:db8::/32"), Row("2.0.0.1")]

labels = st.one_of(
    st.sampled_from([b"0", b"1", b"2", b"192", b"255", b"256", b"01", b"a", b"f", b"*", b"code1234", b"std", b"rep", b"internal", b"DYN"]),
    st.binary(max_size=63),
)
zones = st.sampled_from(
    [wire.name(STANDARD), wire.name(DYNAMIC).upper(), wire.name(f"code1234.{STANDARD}"), b"\0", b"", b"\xc0\x0c", b"\xff"]
)
addresses = st.sampled_from(
    [wire.name(name)[:-1] for name in ("1.2.0.192", "2.0.0.127", "1.0.0.10", "0." * 24 + "8.b.d.0.1.0.0.2", "0." * 31 + "2")]
)
owners = st.one_of(addresses, st.lists(labels, max_size=40).map(lambda all: b"".join(bytes((len(one),)) + one for one in all)))
words = st.sampled_from([b"\0\0", b"\0\1", b"\0\2", b"\0\6", b"\0\x10", b"\0\xff", b"\0\xfc", b"\0\xfb", b"\0\x1c", b"\xff\xff"])
counts = st.sampled_from([b"\0\0", b"\0\0", b"\0\1", b"\0\2", b"\xff\xff"])
flags = st.sampled_from([b"\0\0", b"\1\0", b"\1\x20", b"\x80\0", b"\x28\0", b"\x20\0", b"\2\0", b"\xff\xff"])
records = st.tuples(
    st.sampled_from([b"\0", b"\xc0\x0c", b"\xc0\xff", b"\x01a\0", b"\x3f"]),
    st.sampled_from([b"\0\x29", b"\0\xfa", b"\0\6", b"\0\1"]),
    st.sampled_from([b"\0\0", b"\x02\0", b"\x10\0", b"\xff\xff"]),
    st.sampled_from([b"\0\0\0\0", b"\0\0\x80\0", b"\0\1\0\0", b"\xff\xff\xff\xff"]),
    st.sampled_from([b"\0\0", b"\0\4abcd", b"\0\x16" + bytes(22), b"\xff\xff", b"\0"]),
).map(b"".join)


@st.composite
def _message(draw: st.DrawFn) -> bytes:
    head = (
        b"\x12\x34" + draw(flags) + draw(st.sampled_from([b"\0\1"] * 6 + [b"\0\0", b"\0\2"])) + draw(counts) + draw(counts) + draw(counts)
    )
    body = draw(owners) + draw(zones) + draw(words) + draw(st.sampled_from([b"\0\1", b"\0\1", b"\0\3", b"\0\xff"]))
    return head + body + b"".join(draw(st.lists(records, max_size=3)))


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(_message()))
    for _ in range(draw(st.integers(0, 4))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


messages = st.one_of(_message(), _mutated(), st.binary(max_size=600))


@pytest.fixture(scope="module")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> Answerer:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    publish(folder / STANDARD_FILE, ROWS)
    table = Table.open(folder / STANDARD_FILE)
    link = f"https://rep.example.com/{'l' * 170}"
    return Answerer([Zone(name, Database.STANDARD, table, 2, link) for name in (STANDARD, DYNAMIC)], ["code1234"])


def check(answerer: Answerer, data: bytes) -> None:
    """What holds for the answer to any octets."""
    for trusted in (True, False):
        answer = answerer.answer(data, NOW, trusted=trusted)
        assert answer == answerer.answer(data, NOW, trusted=trusted)
        if answer is None:
            assert len(data) < wire.HEADER or data[2] & 0x80
            continue
        assert len(answer) <= min(len(data) + wire.GROWTH, wire.OUR_PAYLOAD)
        assert answer[:2] == data[:2]
        assert answer[2] & 0x80
        by_tcp = answerer.answer(data, NOW, udp=False, trusted=trusted)
        assert by_tcp is not None
        assert not by_tcp[2] & 2
        if len(answer) > wire.HEADER:
            _readable(answer, trusted, data)
    try:
        KEYS.check(data)
    except Refused:
        return
    raise AssertionError("a signature out of nothing")


def _readable(answer: bytes, trusted: bool, data: bytes) -> None:
    """dnspython reads it and, where it holds records, it was for us to answer."""
    read = dns.message.from_wire(answer)
    assert len(read.question) == 1
    if read.rcode() in (dns.rcode.REFUSED, dns.rcode.BADVERS):
        assert not read.answer + read.authority
    elif read.answer and not trusted:
        owner = read.question[0].name.to_text().lower()
        assert "code1234." in owner or owner in (f"{STANDARD}.", f"{DYNAMIC}.")
    question = wire.read(data)
    assert question is not None
    known = transfer.known_serial(data, question)
    assert known is None or 0 <= known < 1 << 32


def _run(answerer: Answerer, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(messages)
    def holds(data: bytes) -> None:
        check(answerer, data)

    holds()


def test_any_octets_are_answered_within_bounds(answerer: Answerer) -> None:
    """No message makes the answerer fail, say more than the limit, or say anything to those who may not ask."""
    _run(answerer, 1500)
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        _run(answerer, 5000)
