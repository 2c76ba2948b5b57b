"""What is answered to which question, message by message; dnspython reads every answer."""

from __future__ import annotations

from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.reversename
import pytest
from tests.zones.serving import DYNAMIC, LOOKUP, STANDARD, Row, publish

from mailward.reputation.listing import Database, ListingKind
from mailward.reputation.snapshot import DYNAMIC_FILE, STANDARD_FILE, Table
from mailward.reputation.zone import wire
from mailward.reputation.zone.answerer import Answerer
from mailward.reputation.zone.zone import Zone

NOW = 1_800_000_000.0
CODE = "k3y7secret"
ROWS = [
    Row("192.0.2.1", count=12, until=int(NOW) + 86_400),
    Row("192.0.2.4", until=int(NOW) + 30),
    Row("192.0.2.5", until=int(NOW) - 1),
    Row("198.51.100.0/24", ListingKind.DYNAMIC_SPACE, reason='odd "quotes", \\ and ünïcode\nlines'),
    Row("203.0.113.7-203.0.113.9", ListingKind.EMERGING_THREAT, count=1),
    Row("127.0.0.0/8", reason="a list that holds everything"),
    Row("2001:db8:1::/48", ListingKind.EMERGING_THREAT),
    Row("2001:db8:2::5"),
    Row("200.0.0.1", until=int(NOW) - 5),
]
BURST = ListingKind.BURST
LEVELS = [
    Row("192.0.2.10", BURST, untils=(0, int(NOW) + 600, int(NOW) + 900, int(NOW) + 1200), count=4),
    Row("192.0.2.11", ListingKind.TRAP, untils=(0, 0, int(NOW) + 900, int(NOW) + 900), count=2),
]


def zones(folder: Path, level: int = 2, lookup_url: str = LOOKUP, rows: list[Row] = ROWS) -> tuple[Zone, Zone]:
    publish(folder / STANDARD_FILE, rows, serial=41)
    publish(folder / DYNAMIC_FILE, LEVELS, serial=42)
    return (
        Zone(STANDARD, Database.STANDARD, Table.open(folder / STANDARD_FILE), level, lookup_url),
        Zone(DYNAMIC, Database.DYNAMIC, Table.open(folder / DYNAMIC_FILE), level, lookup_url, ("ns1.example.com", "ns2.example.com")),
    )


@pytest.fixture
def answerer(tmp_path: Path) -> Answerer:
    return Answerer(zones(tmp_path))


def name(address: str, zone: str = STANDARD) -> str:
    """The name to ask for, made by dnspython."""
    return dns.reversename.from_address(address).to_text().replace("in-addr.arpa.", zone).replace("ip6.arpa.", zone)


def ask(answerer: Answerer, asked: str, kind: str = "A", *, now: float = NOW, udp: bool = True, trusted: bool = True, **more: object):
    query = dns.message.make_query(asked, kind, **more)
    data = answerer.answer(query.to_wire(), now, udp=udp, trusted=trusted)
    assert data is not None
    answer = dns.message.from_wire(data)
    assert query.is_response(answer)
    return answer


def records(answer: dns.message.Message) -> list[str]:
    return sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("192.0.2.1", "127.0.0.2"),
        ("198.51.100.0", "127.0.0.10"),
        ("198.51.100.255", "127.0.0.10"),
        ("203.0.113.8", "127.0.0.3"),
        ("2001:db8:1::", "127.0.0.3"),
        ("2001:db8:1:ffff:ffff:ffff:ffff:ffff", "127.0.0.3"),
        ("2001:db8:2::5", "127.0.0.2"),
    ],
)
def test_listed(answerer: Answerer, address: str, code: str) -> None:
    """A listed address has the A record of its kind, and we answer with authority."""
    answer = ask(answerer, name(address))
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert records(answer) == [code]


@pytest.mark.parametrize("address", ["192.0.2.2", "192.0.2.5", "198.51.101.0", "203.0.113.10", "2001:db8:3::", "2001:db8:2::6", "::1"])
def test_not_listed(answerer: Answerer, address: str) -> None:
    """What is not listed, or no longer, is NXDOMAIN with our SOA, whose TTL and minimum say for how long."""
    answer = ask(answerer, name(address))
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert not answer.answer
    (soa,) = answer.authority
    assert soa.name == dns.name.from_text(STANDARD)
    assert soa[0].serial == 41
    assert soa.ttl == soa[0].minimum == 900


@pytest.mark.parametrize("zone", [STANDARD, DYNAMIC])
def test_points(answerer: Answerer, zone: str) -> None:
    """RFC 5782 section 5: 127.0.0.2 has every code of the list, each code has a point of its own, 127.0.0.1 is never listed."""
    codes = {STANDARD: ["127.0.0.10", "127.0.0.2", "127.0.0.3"], DYNAMIC: ["127.0.0.4", "127.0.0.5", "127.0.0.6"]}[zone]
    assert records(ask(answerer, f"2.0.0.127.{zone}")) == codes
    mapped = ".".join(f"{0xFFFF7F000002:032x}"[::-1])
    assert records(ask(answerer, f"{mapped}.{zone}")) == codes
    for code in codes[1:] if zone == DYNAMIC else ["127.0.0.3", "127.0.0.10"]:
        assert records(ask(answerer, name(code, zone))) == [code]
    for never in (f"1.0.0.127.{zone}", ".".join(f"{0xFFFF7F000001:032x}"[::-1]) + f".{zone}", f"9.9.9.127.{zone}"):
        assert ask(answerer, never).rcode() == dns.rcode.NXDOMAIN
    assert b"Test entry" in ask(answerer, f"2.0.0.127.{zone}", "TXT").answer[0][0].strings[0]


def test_text(answerer: Answerer) -> None:
    """TXT says why, how often seen, since when, until when (ISO 8601, UTC) and where to look it up, in one string."""
    (text,) = ask(answerer, name("192.0.2.1"), "TXT").answer[0]
    assert text.strings == (
        b"known spam source: seen by spam traps, 12 pieces of evidence, since 2023-11-14T22:13:20Z until 2027-01-16T08:00:00Z. "
        b"https://rep.example.com/lookup?ip=192.0.2.1",
    )
    (text,) = ask(answerer, name("2001:db8:2::5"), "TXT").answer[0]
    assert text.strings[0].endswith(b"since 2023-11-14T22:13:20Z. https://rep.example.com/lookup?ip=2001:db8:2::5")


def test_text_is_printable_and_bounded(tmp_path: Path) -> None:
    """A reason from an imported list cannot put control characters into replies; the longest leaves the link whole."""
    assert b'odd "quotes", \\ and ?n?code lines, since' in ask(
        Answerer(zones(tmp_path)), name("198.51.100.3"), "TXT"
    ).answer[0][0].strings[0]  # fmt: skip
    rows = [Row("192.0.2.1", reason="x" * 5000)]
    (text,) = ask(Answerer(zones(tmp_path, rows=rows)), name("192.0.2.1"), "TXT").answer[0]
    assert len(text.strings) == 1
    assert text.strings[0].endswith(b"x..., since 2023-11-14T22:13:20Z. https://rep.example.com/lookup?ip=192.0.2.1")
    long = f"https://rep.example.com/{'y' * 176}"
    (text,) = ask(Answerer(zones(tmp_path, lookup_url=long, rows=rows)), name("192.0.2.1"), "TXT").answer[0]
    assert b"".join(text.strings).endswith(f". {long}?ip=192.0.2.1".encode())
    assert len(text.strings) == 2


def test_ttl_ends_with_the_listing(answerer: Answerer) -> None:
    """A cache never keeps a listing longer than it holds; a second later it is gone."""
    assert ask(answerer, name("192.0.2.1")).answer[0].ttl == 900
    assert ask(answerer, name("192.0.2.4")).answer[0].ttl == 30
    assert ask(answerer, name("192.0.2.4"), now=NOW + 29.5).answer[0].ttl == 0
    assert ask(answerer, name("192.0.2.4"), now=NOW + 30).rcode() == dns.rcode.NXDOMAIN
    assert ask(answerer, name("192.0.2.10", DYNAMIC)).answer[0].ttl == 60


def test_level(tmp_path: Path) -> None:
    """The dynamic zone lists what counts at the level of the settings, until it ends at that level."""
    for level, listed in ((1, []), (2, ["192.0.2.10"]), (3, ["192.0.2.10", "192.0.2.11"])):
        answerer = Answerer(zones(tmp_path, level))
        for address in ("192.0.2.10", "192.0.2.11"):
            found = ask(answerer, name(address, DYNAMIC))
            assert (found.rcode() == dns.rcode.NOERROR) is (address in listed)
    (text,) = ask(Answerer(zones(tmp_path, 3)), name("192.0.2.10", DYNAMIC), "TXT").answer[0]
    assert b"burst of spam: seen by spam traps, 4 pieces of evidence" in text.strings[0]
    assert b"until 2027-01-15T08:15:00Z" in text.strings[0]


@pytest.mark.parametrize(
    ("asked", "rcode"),
    [
        ("2.0.192", "NOERROR"),
        ("192", "NOERROR"),
        ("127", "NOERROR"),
        ("200", "NXDOMAIN"),  # its only listing is over
        ("77", "NXDOMAIN"),
        ("256", "NXDOMAIN"),
        ("01.2.0.192", "NXDOMAIN"),
        ("www", "NXDOMAIN"),
        ("9.1.2.0.192", "NXDOMAIN"),
        ("1.0.0.2", "NOERROR"),  # 2.0.0.1 is not listed, but names of 2001::/16 end so
        ("0.0.0.8.b.d.0.1.0.0.2", "NOERROR"),
        ("9.b.d.0.1.0.0.2", "NXDOMAIN"),
        ("0", "NOERROR"),  # the test points in ::/4
        ("x.0", "NXDOMAIN"),
    ],
)
def test_names_that_are_no_address(answerer: Answerer, asked: str, rcode: str) -> None:
    """A name above listed addresses exists without records, so that a resolver that asks label by label goes on (RFC 8020, 9156)."""
    answer = ask(answerer, f"{asked}.{STANDARD}")
    assert dns.rcode.to_text(answer.rcode()) == rcode
    assert not answer.answer
    assert answer.authority[0].rdtype == dns.rdatatype.SOA


@pytest.mark.parametrize("kind", ["AAAA", "MX", "SOA", "NS", "TYPE65280"])
def test_other_types_have_no_data(answerer: Answerer, kind: str) -> None:
    """A listed name has A and TXT and nothing else: NOERROR without records, with SOA."""
    answer = ask(answerer, name("192.0.2.1"), kind)
    assert (answer.rcode(), answer.answer, answer.authority[0].rdtype) == (dns.rcode.NOERROR, [], dns.rdatatype.SOA)


def test_apex(answerer: Answerer) -> None:
    """The apex has SOA and NS, and no address."""
    (soa,) = ask(answerer, STANDARD, "SOA").answer[0]
    assert soa.to_text() == f"localhost. hostmaster.{STANDARD}. 41 3600 600 604800 900"
    assert records(ask(answerer, DYNAMIC, "NS")) == ["ns1.example.com.", "ns2.example.com."]
    (soa,) = ask(answerer, DYNAMIC, "SOA").answer[0]
    assert soa.mname == dns.name.from_text("ns1.example.com")
    for kind in ("A", "AAAA", "TXT"):
        assert ask(answerer, DYNAMIC, kind).rcode() == dns.rcode.NOERROR
        assert not ask(answerer, DYNAMIC, kind).answer


def test_any_is_small(answerer: Answerer) -> None:
    """ANY gets one kind of records (RFC 8482)."""
    assert records(ask(answerer, name("192.0.2.1"), "ANY")) == ["127.0.0.2"]
    assert [rrset.rdtype for rrset in ask(answerer, STANDARD, "ANY").answer] == [dns.rdatatype.SOA]


def test_case(answerer: Answerer) -> None:
    """Names compare without case, and come back as they were written (0x20)."""
    asked = "1.2.0.192.STd.rEP.inTERnal"
    answer = ask(answerer, asked)
    assert records(answer) == ["127.0.0.2"]
    assert answer.question[0].name.to_text() == f"{asked}."
    upper = name("2001:db8:2::5").upper()
    assert records(ask(answerer, upper)) == ["127.0.0.2"]


def test_not_ours(answerer: Answerer) -> None:
    """Other zones, other classes and transfers by UDP are refused, without authority."""
    for asked, kind, rdclass in (
        ("example.com", "A", "IN"), (".", "NS", "IN"), ("rep.internal", "SOA", "IN"), ("xstd.rep.internal", "A", "IN"),
        ("version.bind", "TXT", "CH"), (name("192.0.2.1"), "A", "CH"), (STANDARD, "AXFR", "IN"),
    ):  # fmt: skip
        answer = ask(answerer, asked, kind, rdclass=rdclass)
        assert answer.rcode() == dns.rcode.REFUSED
        assert not answer.flags & dns.flags.AA
        assert not answer.answer + answer.authority


def test_edns(answerer: Answerer) -> None:
    """RFC 6891: OPT is answered by OPT without options, DO comes back, a version we do not know is BADVERS."""
    cookie = dns.edns.GenericOption(10, b"12345678")
    answer = ask(answerer, name("192.0.2.1"), use_edns=0, payload=4096, options=[cookie], want_dnssec=True)
    assert (answer.edns, answer.payload, answer.options) == (0, 1232, ())
    assert answer.ednsflags & dns.flags.DO
    assert ask(answerer, name("192.0.2.1"), use_edns=False).edns == -1
    answer = ask(answerer, name("192.0.2.1"), use_edns=1)
    assert answer.rcode() == dns.rcode.BADVERS
    assert not answer.answer


def test_truncation(tmp_path: Path) -> None:
    """What does not fit a client without EDNS comes truncated, and whole with EDNS or by TCP."""
    rows = [Row("2001:db8:2::5", reason="z" * 300)]
    zone, other = zones(tmp_path, lookup_url=f"https://rep.example.com/{'y' * 170}", rows=rows)
    zone = Zone(f"{'s' * 60}.{'t' * 60}.{'u' * 40}.internal", Database.STANDARD, zone.table, 2, zone.lookup_url)
    answerer = Answerer([zone, other])
    asked = name("2001:db8:2::5", zone.name)
    short = answerer.answer(dns.message.make_query(asked, "TXT", use_edns=False).to_wire(), NOW)
    assert short is not None
    assert len(short) < 512
    assert dns.message.from_wire(short).flags & dns.flags.TC
    for more in ({"use_edns": 0, "payload": 1232}, {"udp": False}):
        answer = ask(answerer, asked, "TXT", **more)
        assert not answer.flags & dns.flags.TC
        assert answer.answer


def test_access_codes(tmp_path: Path) -> None:
    """With codes, a client that is not trusted needs one; the zone's own SOA and NS are for everybody, the code's name is no apex."""
    answerer = Answerer(zones(tmp_path), [CODE])
    asked = name("192.0.2.1", f"{CODE}.{STANDARD}")
    assert records(ask(answerer, asked, trusted=False)) == ["127.0.0.2"]
    assert ask(answerer, name("192.0.2.2", f"{CODE}.{STANDARD}"), trusted=False).rcode() == dns.rcode.NXDOMAIN
    assert ask(answerer, f"{CODE}.{STANDARD}", "SOA", trusted=False).rcode() == dns.rcode.NOERROR
    assert not ask(answerer, f"{CODE}.{STANDARD}", "SOA", trusted=False).answer
    assert ask(answerer, f"2.0.192.{CODE}.{STANDARD}", trusted=False).rcode() == dns.rcode.NOERROR
    for refused in (name("192.0.2.1"), name("192.0.2.1", f"guess.{STANDARD}"), f"192.{STANDARD}"):
        assert ask(answerer, refused, trusted=False).rcode() == dns.rcode.REFUSED
    assert ask(answerer, STANDARD, "NS", trusted=False).answer
    assert records(ask(answerer, name("192.0.2.1"), trusted=True)) == ["127.0.0.2"]


def test_without_codes_a_stranger_gets_nothing(answerer: Answerer) -> None:
    """Where only networks are named, everybody else is refused, the apex too."""
    for asked in (name("192.0.2.1"), STANDARD):
        assert ask(answerer, asked, "SOA", trusted=False).rcode() == dns.rcode.REFUSED


QUERY = dns.message.make_query("1.2.0.192.std.rep.internal", "A", use_edns=False, id=0x1234).to_wire()
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("data", "rcode"),
    [
        (QUERY[:4] + b"\0\2" + QUERY[6:], dns.rcode.FORMERR),  # two questions
        (QUERY[:4] + b"\0\0" + QUERY[6:], dns.rcode.FORMERR),
        (QUERY[:12], dns.rcode.FORMERR),
        (QUERY[:-1], dns.rcode.FORMERR),
        (QUERY + b"x", dns.rcode.FORMERR),
        (QUERY[:12] + b"\xc0\x0c\0\1\0\1", dns.rcode.FORMERR),  # a pointer to itself
        (QUERY[:12] + b"\x40" + QUERY[13:], dns.rcode.FORMERR),
        (QUERY[:12] + b"\x01a" * 130 + b"\0\0\1\0\1", dns.rcode.FORMERR),  # a name of 261 octets
        (QUERY[:10] + b"\0\2" + QUERY[12:] + OPT + OPT, dns.rcode.FORMERR),
        (QUERY[:10] + b"\0\1" + QUERY[12:] + OPT[:-1], dns.rcode.FORMERR),
        (QUERY[:10] + b"\0\1" + QUERY[12:] + OPT[:-1] + b"\xff", dns.rcode.FORMERR),
        (QUERY[:10] + b"\xff\xff" + QUERY[12:], dns.rcode.FORMERR),
        (QUERY[:6] + b"\0\1" + QUERY[8:], dns.rcode.FORMERR),  # an answer in a question
        (QUERY[:2] + b"\x29" + QUERY[3:], dns.rcode.NOTIMP),  # UPDATE
        (QUERY[:2] + b"\x20" + QUERY[3:], dns.rcode.NOTIMP),  # NOTIFY
    ],
)
def test_malformed(answerer: Answerer, data: bytes, rcode: int) -> None:
    """What cannot be read gets a bare header with its id."""
    answer = answerer.answer(data, NOW)
    assert answer is not None
    assert (len(answer), answer[:2], answer[2] & 0x80, answer[3] & 15) == (12, b"\x12\x34", 0x80, rcode)


@pytest.mark.parametrize("data", [b"", b"x", QUERY[:11], QUERY[:2] + b"\x81" + QUERY[3:]])
def test_silence(answerer: Answerer, data: bytes) -> None:
    """Responses and fragments are not answered: two servers cannot be made to talk to each other."""
    assert answerer.answer(data, NOW) is None


def test_no_answer_is_an_amplifier(answerer: Answerer) -> None:
    """No question over UDP gets more than GROWTH octets above its own length."""
    for asked in (name("192.0.2.1"), name("2001:db8:2::5"), STANDARD, "example.com", f"2.0.0.127.{STANDARD}"):
        for kind in ("A", "TXT", "ANY", "SOA", "NS", "MX"):
            for more in ({}, {"use_edns": 0, "payload": 65_535}):
                query = dns.message.make_query(asked, kind, **more).to_wire()
                answer = answerer.answer(query, NOW)
                assert answer is not None
                assert len(answer) <= len(query) + wire.GROWTH


def test_a_newer_snapshot_is_taken_up(tmp_path: Path) -> None:
    """What is published is answered with its serial; a damaged file changes nothing."""
    zone, _ = zones(tmp_path)
    answerer = Answerer([zone])
    publish(tmp_path / STANDARD_FILE, [Row("192.0.2.77")], serial=50)
    assert zone.follow(force=True)
    assert records(ask(answerer, name("192.0.2.77"))) == ["127.0.0.2"]
    assert ask(answerer, name("192.0.2.1")).authority[0][0].serial == 50
    (tmp_path / "damaged").write_bytes(b"{broken")
    (tmp_path / "damaged").replace(tmp_path / STANDARD_FILE)
    with pytest.raises(Exception, match="cannot be used"):
        zone.follow(force=True)
    assert records(ask(answerer, name("192.0.2.77"))) == ["127.0.0.2"]
