"""SPF beyond the suite: what RFC 7208 added, limits, and records made to hurt."""

from __future__ import annotations

import time

import pytest
from tests.auth.zone import Zone

from mailward.auth import Outcome, spf
from mailward.auth.spf import MAX_LOOKUPS, Spf


def zone(**texts: str) -> Zone:
    return Zone({name.replace("_", ".") + ".test": {"TXT": [text]} for name, text in texts.items()})


def check(found: Zone, sender: str = "ann@a.test", address: str = "192.0.2.1", helo: str = "helo.test") -> Spf:
    return found.run(spf.check(address, sender, helo))


def test_the_helo_name_stands_in_for_a_null_sender() -> None:
    """RFC 7208 2.4."""
    found = check(zone(helo="v=spf1 ip4:192.0.2.0/24 -all"), "")
    assert (found.outcome, found.domain, found.identity) == (Outcome.PASS, "helo.test", "helo")


def test_void_look_ups_are_counted() -> None:
    """RFC 7208 4.6.4: the third answer without records is an error, whatever comes later."""
    assert check(zone(a="v=spf1 a:x.test a:y.test ip4:192.0.2.1 -all")).outcome is Outcome.PASS
    assert check(zone(a="v=spf1 a:x.test a:y.test a:z.test ip4:192.0.2.1 -all")).outcome is Outcome.PERMERROR


def test_look_ups_are_counted_over_all_records() -> None:
    """Ten terms that ask are allowed, eleven are not."""

    def chain(length: int) -> Zone:
        links = {f"i{at}": f"v=spf1 include:i{at + 1}.test -all" for at in range(1, length)}
        return zone(a="v=spf1 include:i1.test -all", **links, **{f"i{length}": "v=spf1 +all"})

    assert check(chain(MAX_LOOKUPS)).outcome is Outcome.PASS
    assert check(chain(MAX_LOOKUPS + 1)).outcome is Outcome.PERMERROR


def test_a_record_that_includes_itself_ends() -> None:
    found = zone(a="v=spf1 include:a.test include:a.test redirect=a.test")
    assert check(found).outcome is Outcome.PERMERROR
    assert len(found.asked) <= MAX_LOOKUPS + 1


def test_eleven_mail_exchangers_are_an_error() -> None:
    """RFC 7208 4.6.4; RFC 4408 left that open."""
    hosts = [f"mx{at}.test" for at in range(11)]
    found = Zone({"a.test": {"TXT": ["v=spf1 mx -all"], "MX": hosts}} | {host: {"A": ["192.0.2.1"]} for host in hosts})
    assert check(found).outcome is Outcome.PERMERROR


def test_silence_is_a_temporary_error() -> None:
    assert check(Zone({}, silent=frozenset({"a.test"}))).outcome is Outcome.TEMPERROR
    found = Zone({"a.test": {"TXT": ["v=spf1 a:slow.test +all"]}}, silent=frozenset({"slow.test"}))
    assert check(found).outcome is Outcome.TEMPERROR


def test_an_address_mapped_into_v6_is_v4() -> None:
    assert check(zone(a="v=spf1 ip4:192.0.2.1 -all"), address="::ffff:192.0.2.1").outcome is Outcome.PASS


@pytest.mark.parametrize(
    "sender",
    ["", "ann", "ann@", "@", "ann@localhost", "ann@[192.0.2.1]", "ann@a..test", "ann@\x00.test", "ann@ü.test", "a" * 9_999 + "@a.test"],
)
def test_no_sender_breaks_it(sender: str) -> None:
    """Whatever the envelope says, there is a word for it."""
    assert check(zone(), sender, helo="").outcome is Outcome.NONE


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 " + "a " * 2_000,
        "v=spf1 " + "%{d}" * 900 + ".test",
        "v=spf1 exists:" + "%{s1r-.+,/_=}" * 100 + ".test",
        "v=spf1 exists:%{l}." + "a." * 1_500 + "test",
        "v=spf1 " + "x=" * 2_000,
        "v=spf1 a:" + "/" * 4_000,
        "v=spf1 ip6:" + ":" * 4_000,
        "v=spf1 a" + "/1" * 2_000,
        "v=spf1 " + " " * 4_000 + "-all",
        "v=spf1 " + "?all " * 800,
    ],
)
def test_records_made_to_hurt_take_little_time(record: str) -> None:
    started = time.process_time()
    check(zone(a=record), "-+=".join(["x"] * 50) + "@a.test")
    assert time.process_time() - started < 0.1


def test_the_explanation_is_asked_for_only_when_wanted_and_cut() -> None:
    found = Zone({"a.test": {"TXT": ["v=spf1 -all exp=why.test"]}, "why.test": {"TXT": ["%{i} is not ours " + "x" * 1_000]}})
    assert check(found).explanation == ""
    assert len(found.asked) == 1
    told = found.run(spf.check("192.0.2.1", "ann@a.test", "helo.test", explain=True)).explanation
    assert told.startswith("192.0.2.1 is not ours")
    assert len(told) == spf.MAX_EXPLANATION
