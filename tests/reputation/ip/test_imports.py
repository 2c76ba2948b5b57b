"""Lists of addresses as they are found in the world, and what is refused of them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address, summarize_address_range
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.reputation.address import Source, is_public, source
from mailward.reputation.ip import imports, listfile
from mailward.reputation.ip.formats import EXCLUDED, Format, detect
from mailward.reputation.ip.imports import Imported, ListRefused, Rows
from mailward.reputation.listing import KINDS, ListingKind


def read(text: str, format: Format | None = None, **how: object) -> Imported:
    return imports.read(io.BytesIO(text.encode()), format, **how)  # type: ignore[arg-type]


def whole(columns: tuple[object, ...]) -> list[int]:
    lists = [column.tolist() for column in columns]  # type: ignore[attr-defined]
    return lists[0] if len(lists) == 1 else [high << 64 | low for high, low in zip(*lists, strict=True)]


def entries(imported: Imported) -> list[str]:
    """Every entry as a person writes it: "!192.0.2.0/24 known-source text"."""
    found = []
    for version, rows in ((4, imported.v4), (6, imported.v6)):
        for first, last, kind, text in zip(whole(rows.first), whole(rows.last), rows.kind.tolist(), rows.text.tolist(), strict=True):
            networks = list(
                summarize_address_range(*(ip_address(number.to_bytes(4 if version == 4 else 16, "big")) for number in (first, last)))
            )
            shown = str(networks[0]) if len(networks) == 1 else f"{Source(version, first)}-{Source(version, last)}"
            shown = shown.removesuffix("/32") if version == 4 else shown.removesuffix("/128")
            words = ("!" if kind == EXCLUDED else "") + shown, KINDS[kind].label if kind in KINDS else "", imported.texts[text]
            found.append(" ".join(word for word in words if word))
    return found


def test_plain_text_has_addresses_networks_ranges_comments_and_words() -> None:
    """What people call a list of addresses is read; a v4-mapped v6 address is the v4 address."""
    text = (
        "\ufeff# a list\r\n192.0.2.1\r\n192.0.2.0/28 ; SBL1\n\n ; nothing\n198.51.100.7-198.51.100.9 three of them\n"
        "198.51.100.0 - 198.51.100.1\n2001:DB8::1 # v6\n2001:db8:1::/48\n::ffff:203.0.113.9\n::ffff:203.0.113.0/120"
    )
    assert entries(read(text)) == [
        "192.0.2.1", "192.0.2.0/28", "198.51.100.7-198.51.100.9", "198.51.100.0/31", "203.0.113.9", "203.0.113.0/24", "2001:db8::1",
        "2001:db8:1::/48",
    ]  # fmt: skip


def test_an_address_may_be_asked_to_be_on_several_lists() -> None:
    """ipsum says on how many lists an address is; the text says so too."""
    text = "# IPsum\n192.0.2.1\t9\n192.0.2.2\t1\n192.0.2.3\t2\n"
    assert entries(read(text, at_least=2)) == ["192.0.2.1 on 9 lists", "192.0.2.3 on 2 lists"]
    assert read(text).format is Format.IPSUM


RBLDNSD = """\
$SOA 3600 ns.example.org hostmaster.example.org 0 2h 2h 1w 1h
$NS 3600 ns.example.org
$TTL 300
$1 see https://example.org/lookup?ip=$
:127.0.0.3:Listed, $1
192.0.2.1
192.0.2.8/29 :10:A network
192.0.2.20-192.0.2.23 :127.0.0.2:A range
192.0.2.32-39
198.51.100 A text alone
!198.51.100.128/25
198.51.100.130
203.0.113.0/25 ; words
!203.0.113.77
127.0.0.2
# the end
"""


def test_an_rbldnsd_file_is_read_with_defaults_exclusions_and_abbreviations() -> None:
    """A values that are codes of ours say the kind, the TXT template the reason; test points are passed over."""
    imported = read(RBLDNSD)
    assert imported.format is Format.RBLDNSD
    assert imported.refused == 0
    listed = "emerging-threat Listed, see https://example.org/lookup?ip=ADDRESS"
    assert [entry.replace("$1", "see") for entry in entries(imported)] == [
        f"192.0.2.1 {listed}",
        "192.0.2.8/29 dynamic-space A network",
        "192.0.2.20/30 known-source A range",
        f"192.0.2.32/29 {listed}",
        "198.51.100.0/24 emerging-threat A text alone",
        "!198.51.100.128/25",
        f"198.51.100.130 {listed}",
        f"203.0.113.0/25 {listed}",
        "!203.0.113.77",
    ]


def test_an_rbldnsd_file_of_v6_and_a_combined_one() -> None:
    """ip6trie and ip6tset entries, abbreviated too; a data set without addresses is named and passed over."""
    text = (
        "$DATASET ip6trie:six @\n:127.0.0.2:six\n2001:db8::/32\n!2001:db8:0:1::/64\n2001:db8:1:2\n2001:db8:3/48 :3:other\n2001:db8::bead\n"
        "$DATASET dnset:names names\nexample.org\nwww.example.org\n$DATASET ip4set:four @\n192.0.2.1\n"
    )
    imported = read(text)
    assert entries(imported) == [
        "192.0.2.1 known-source six",
        "2001:db8::/32 known-source six",
        "!2001:db8:0:1::/64",
        "2001:db8:1:2::/64 known-source six",
        "2001:db8:3::/48 emerging-threat other",
        "2001:db8::bead known-source six",
    ]
    assert [(refusal.line, refusal.what) for refusal in imported.refusals] == [(8, "the data set of type 'dnset' is not read")]


@contextmanager
def running_rbldnsd(file: Path, data_set: str, port: int) -> Iterator[None]:
    """The real rbldnsd with a file. It gives up its rights, so the file has to lie where everybody may look."""
    program = shutil.which("rbldnsd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs rbldnsd: apt-get install rbldnsd")
    command = [program, "-n", "-w", str(file.parent), "-b", f"127.0.0.1/{port}", f"bl.example.org:{data_set}:{file.name}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def asked(address: str, port: int) -> set[str]:
    name = ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    question = dns.message.make_query(f"{name}.bl.example.org.", "A")
    deadline = time.monotonic() + 10
    while True:
        try:
            answer = dns.query.udp(question, "127.0.0.1", timeout=1, port=port)
        except (OSError, dns.exception.Timeout):
            if time.monotonic() > deadline:
                raise
            continue
        return {item.address for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A for item in rrset}


def test_rbldnsd_itself_lists_the_same_addresses(open_folder: Path, free_port: int) -> None:
    """Of a file with exclusions inside networks, the real rbldnsd answers for each address what we publish for it."""
    file = open_folder / "list"
    file.write_text(RBLDNSD)
    pieces = listfile._pieces(imports.read_file(file).v4, ListingKind.KNOWN_SOURCE, 0)
    kinds: dict[int, int] = {}
    for first, last, kind in zip(whole(pieces.first), whole(pieces.last), pieces.kind.tolist(), strict=True):
        kinds.update(dict.fromkeys(range(first, last + 1), kind))
    with running_rbldnsd(file, "ip4set", free_port):
        for address in [f"{network}.{last}" for network in ("192.0.2", "198.51.100", "203.0.113") for last in range(256)]:
            found = source(address)
            assert found is not None
            ours = {KINDS[kinds[found.number]].code} if found.number in kinds else set()
            assert asked(address, free_port) == ours, address


ZONE = """\
$TTL 300
@ IN SOA ns.example.org. hostmaster.example.org. ( 1 ; serial
      2h 30m 1w 5m )
  IN NS ns
$ORIGIN bl.example.org.
ns IN A 192.0.2.53
2.0.0.127 IN A 127.0.0.2
1.2.0.192 300 IN A 127.0.0.2
  IN TXT "Known; bad (very)" " indeed"
2.2.0.192.bl.example.org. A 127.0.0.3
*.100.51.198 IN A 127.0.0.10
$ORIGIN 113.0.203.bl.example.org.
7 TXT "before"
7 IN A 127.0.0.9
$ORIGIN bl.example.org.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.2
*.1.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.2
2.0.192 A 127.0.0.2
3.2.0.192 A 198.51.100.1
$INCLUDE /etc/passwd
"""


def test_a_zone_file_is_read_with_origins_wildcards_and_both_families() -> None:
    """Owners are reversed addresses; what is half of one, answers no code of a list, or reads other files is refused with its line."""
    imported = read(ZONE)
    assert imported.format is Format.ZONE
    assert entries(imported) == [
        "192.0.2.1 known-source Known; bad (very) indeed",
        "192.0.2.2 emerging-threat",
        "198.51.100.0/24 dynamic-space",
        "203.0.113.7 before",
        "2001:db8::1 known-source",
        "2001:db8:1::/48 known-source",
    ]
    assert [refusal.line for refusal in imported.refusals] == [18, 19, 20]
    assert "half a reversed address" in imported.refusals[0].what
    assert "no answer of a DNS list" in imported.refusals[1].what
    assert "$INCLUDE" in imported.refusals[2].what


record = st.tuples(
    st.one_of(
        st.integers(0xC0000200, 0xC00003FF).map(lambda n: Source(4, n)),
        st.integers(1, 400).map(lambda n: Source(6, (0x20010DB8 << 96) + n)),
    ),
    st.sampled_from(["127.0.0.2", "127.0.0.3", "127.0.0.10"]),
    st.sampled_from(["{name} A {code}", "{name} IN A {code}", "{name} 300 IN A {code}", "{name} IN 1h A {code}", "{name} IN A ( {code} )"]),
    st.sampled_from(["", ".bl.example.org."]),
    st.sampled_from(["", '\n\tTXT "a; (b"', "\n", " ; words", '\n IN TXT ( "a"\n "b" )']),
)


@given(st.lists(record, min_size=1, max_size=30))
def test_zone_files_say_what_dnspython_reads_in_them(records: list[tuple[Source, str, str, str, str]]) -> None:
    """However the records are written: every address and its code, none more."""
    lines = ["$ORIGIN bl.example.org.", "$TTL 300", "@ SOA ns.example.net. h.example.net. 1 2 3 4 5", "@ NS ns.example.net."]
    for found, code, how, end, behind in records:
        pointer = ip_address(str(found)).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
        lines.append(how.format(name=pointer + end, code=code) + behind)
    text = "\n".join(lines) + "\n"
    expected = set()
    for name, _, data in dns.zone.from_text(text, relativize=True, check_origin=False).iterate_rdatas("A"):
        labels = [label.decode() for label in name.labels]
        shown = (
            ".".join(reversed(labels)) if len(labels) == 4 else ":".join("".join(reversed(labels))[at : at + 4] for at in range(0, 32, 4))
        )
        expected.add((source(shown), data.address))
    imported = read(text, Format.ZONE)
    found_now = {
        (Source(version, first), KINDS[kind].code)
        for version, rows in ((4, imported.v4), (6, imported.v6))
        for first, kind in zip(whole(rows.first), rows.kind.tolist(), strict=True)
    }
    assert found_now == expected
    assert imported.refused == 0


@pytest.mark.parametrize(
    "line",
    [
        "1.2.0.192 TXT (",
        '1.2.0.192 TXT "' + '\\"' * 2000 + "\\",
        "1.2.0.192 TXT " + '"' * 3999,
        "1.2.0.192 " + "1" * 4000 + "x A 127.0.0.2",
        "(" * 4000,
        "192.0.2.1 :2:" + "$1" * 2000,
        "1." * 2000,
        ":" * 4000,
        "1:" * 2000,
        "!" * 4000,
        "- " * 2000,
        "1.2.0.192 A 127.0.0.2",
    ],
)
@pytest.mark.parametrize("format", list(Format))
def test_lines_made_to_be_slow_are_not(line: str, format: Format) -> None:
    """A second is enough for a thousand of the longest lines, whatever they hold."""
    started = time.process_time()
    with suppress(ListRefused):
        read(f"$1 {'y' * 4000}\n" + f"{line}\n" * 1000, format)
    with suppress(ListRefused):
        read(f"{line}\n" * 1000)
    assert time.process_time() - started < 5


def test_a_parenthesis_without_end_is_told() -> None:
    """What it swallowed is lost, and somebody should know."""
    imported = read("1.2.0.192 A 127.0.0.2\n2.2.0.192 (\n3.2.0.192 A 127.0.0.2\n", Format.ZONE)
    assert entries(imported) == ["192.0.2.1 known-source"]
    assert "never closed" in imported.refusals[0].what


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("0.0.0.0/0", "private"),
        ("10.1.2.3", "private"),
        ("127.0.0.1", "private"),
        ("192.0.0.0/8", "private"),
        ("224.0.0.1", "private"),
        ("::1", "private"),
        ("fe80::/10", "private"),
        ("ff02::1", "private"),
        ("::/0", "private"),
        ("::ffff:10.0.0.1", "private"),
        ("192.0.2.7/24", "does not begin at the first address"),
        ("192.0.2.9-192.0.2.1", "ends before it begins"),
        ("192.0.2.1/33", "no network"),
        ("300.0.0.1", "no address"),
        ("192.0.2", "no address"),
        ("192.0.2.1-2001:db8::1", "ends before"),
        ("1.0.0.0-2.255.255.255", "wider than a /8"),
        ("2600::/18", "wider than a /19"),
        ("x" * 5000, "more than 4096 octets"),
    ],
)
def test_what_no_list_may_say_is_refused_with_its_line(entry: str, says: str) -> None:
    """The line is named, the others are kept."""
    imported = read(f"192.0.2.1\n192.0.2.2\n{entry}\n192.0.2.4\n", Format.TEXT)
    assert len(imported) == 3
    assert [refusal.line for refusal in imported.refusals] == [3]
    assert says in imported.refusals[0].what


def test_wide_networks_are_taken_when_forced_and_private_ones_never() -> None:
    """--force is for networks wider than a /8 or /19, not for those that are nobody's."""
    imported = read("2600::/18\n1.0.0.0-2.255.255.255\n0.0.0.0/0\n::/0\n", Format.TEXT, force=True)
    assert entries(imported) == ["1.0.0.0-2.255.255.255", "2600::/18"]
    assert [refusal.line for refusal in imported.refusals] == [3, 4]


def test_the_addresses_no_list_may_name_are_those_that_send_no_mail() -> None:
    """The table of v4 agrees with the one of Python at the ends of each range, and of what lies beside them nothing is refused."""
    starts, ends = imports._NEVER[4]
    partly_used = 0xC00000FF  # the end of 192.0.0.0/24: reserved, and Python names only what is in use
    for end in {*starts, *ends} - {partly_used}:
        assert not is_public(Source(4, end))
    for public in ("1.0.0.0", "9.255.255.255", "11.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255", "2a00::", "2600::1"):
        found = source(public)
        assert found is not None
        assert is_public(found)
        assert len(read(public)) == 1


def test_most_lines_refused_refuses_the_list() -> None:
    """An error page is no list; neither is an empty file. Twenty lines are named, the rest is counted."""
    page = "<html>\n<body>\n" + "<p>Not found, see 192.0.2.1</p>\n" * 50
    with pytest.raises(ListRefused, match=r"most lines cannot be taken \(52\) when it is read as text") as refused:
        read(page)
    assert len(refused.value.refusals) == 20
    for empty in ("", "# nothing\n\n", "127.0.0.2 :2:\n!192.0.2.1\n"):
        with pytest.raises(ListRefused, match="no entry"):
            read(empty)


def test_a_list_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Octets, entries and texts are bounded; too many texts cost texts, not entries."""
    monkeypatch.setattr(imports, "MAX_ENTRIES", 100)
    with pytest.raises(ListRefused, match="more than 100 entries"):
        read("192.0.2.1\n" * 101)
    monkeypatch.setattr(imports, "MAX_OCTETS", 500)
    with pytest.raises(ListRefused, match="larger than"):
        read("#" * 501)
    monkeypatch.setattr(imports, "MAX_TEXTS", 3)
    assert entries(read("".join(f"192.0.2.{i} :2:text {i}\n" for i in range(4)))) == [
        "192.0.2.0 known-source text 0",
        "192.0.2.1 known-source text 1",
        "192.0.2.2 known-source",
        "192.0.2.3 known-source",
    ]


@given(st.lists(st.one_of(st.text(max_size=40), st.text('0123456789./:-! \t$;#*aAIN"()TX', max_size=40))), st.sampled_from([None, *Format]))
def test_no_text_breaks_a_reader(lines: list[str], format: Format | None) -> None:
    """Whatever a file holds: entries in order of lines, or ListRefused, and never anything that may not be listed."""
    try:
        imported = read("\n".join(lines), format)
    except ListRefused:
        return
    for version, rows in ((4, imported.v4), (6, imported.v6)):
        assert_listable(version, rows)


def assert_listable(version: int, rows: Rows) -> None:
    for first, last, kind in zip(whole(rows.first), whole(rows.last), rows.kind.tolist(), strict=True):
        assert first <= last
        assert kind == EXCLUDED or (is_public(Source(version, first)) and is_public(Source(version, last)))


def test_the_real_ipsum_list_is_read_whole(shared: Path) -> None:
    """120,430 addresses of a public list: none refused, the format seen."""
    imported = imports.read_file(next((shared / "repdata" / "may_ship" / "ipsum").glob("*.txt")))
    assert (imported.format, len(imported), imported.refused) == (Format.IPSUM, 120_430, 0)


def test_formats_are_told_apart() -> None:
    """Each format is known by what only it has."""
    assert detect("192.0.2.1 A bad host\n") is Format.TEXT
    assert detect("192.0.2.1\n192.0.2.1-192.0.2.7\n") is Format.TEXT
    assert detect("1.2.0.192 A 127.0.0.2\n") is Format.ZONE
    assert detect(":127.0.0.2:\n192.0.2.1\n") is Format.RBLDNSD
    assert detect("$NS 300 ns.example.org\n$DATASET generic @\n2.0.0.127 A 127.0.0.2\n") is Format.RBLDNSD
    assert detect("$TTL 300\n@ 300 SOA a. b. 1 2 3 4 5\n") is Format.ZONE
    assert detect("192.0.2\n") is Format.RBLDNSD
    assert detect("# x\n192.0.2.1\t7\n") is Format.IPSUM
