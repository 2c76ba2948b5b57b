"""The standard database: what is published of lists, promotions and delistings, and that nothing interrupts it."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.policy.lists import NetworkList
from mailward.reputation.address import Source, source
from mailward.reputation.ip import imports, standard
from mailward.reputation.ip.decisions import Act
from mailward.reputation.ip.formats import Format
from mailward.reputation.ip.protected import Protected
from mailward.reputation.ip.standard import EXCEPTION_SECONDS, StandardDatabase
from mailward.reputation.ip.starter import STARTER
from mailward.reputation.listing import Listing, ListingKind
from mailward.reputation.snapshot import Table

NOW = 1_795_000_000.0  # in November 2026
DAY = 86400


def address(text: str) -> Source:
    found = source(text)
    assert found is not None
    return found


def entries(text: str, format: Format | None = None) -> imports.Imported:
    return imports.read(io.BytesIO(text.encode()), format)


class House:
    """A database in a folder of its own, without the starter list."""

    def __init__(self, folder: Path, networks: tuple[str, ...] = ()) -> None:
        self.snapshots = folder / "snapshots"
        self.folder = folder / "standard"
        self.database = StandardDatabase(folder, self.snapshots, Protected(NetworkList(networks).networks()))
        self.database.remove_list(STARTER)

    def put(self, name: str, text: str, kind: ListingKind = ListingKind.KNOWN_SOURCE, expires: int = 0) -> None:
        self.database.import_list(name, entries(text), kind, f"{name} of Monday", expires, NOW)

    def about(self, text: str, now: float = NOW) -> Listing | None:
        self.database.publish_if_due(now)
        return Table.open(self.snapshots / "standard.ips").find(address(text), now)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_listing_says_kind_network_and_where_it_comes_from(house: House) -> None:
    """The reason begins with the provenance; what the list says about the entry follows."""
    house.put("spammers", "192.0.2.1\t7\n2001:db8::1\t1\n", expires=int(NOW) + DAY)
    found = house.about("192.0.2.1")
    assert found == Listing("192.0.2.1", ListingKind.KNOWN_SOURCE, int(NOW), int(NOW) + DAY, 0, "spammers of Monday: on 7 lists")
    six = house.about("2001:db8::1")
    assert six is not None
    assert six.reason == "spammers of Monday: on 1 list"
    assert house.about("192.0.2.2") is None


def test_an_entry_is_listed_since_it_first_was_on_the_list(house: House) -> None:
    """A list that comes again does not begin anew; what it lost in between does."""
    for days, text in enumerate(
        (
            "192.0.2.1\n192.0.2.3\n2001:db8::1\n2001:db8:0:1::/64\n",
            "192.0.2.1\n192.0.2.2-192.0.2.3\n2001:db8::1\n2001:db8:0:1::\n",
            "192.0.2.1\n192.0.2.3\n2001:db8::1\n2001:db8:0:1::/64\n",
        )
    ):
        house.database.import_list("again", entries(text), ListingKind.KNOWN_SOURCE, "again", 0, NOW + days * DAY)
    since = [(house.about(text).since - NOW) / DAY for text in ("192.0.2.1", "192.0.2.3", "2001:db8::1", "2001:db8:0:1::")]  # type: ignore[union-attr]
    assert since == [0, 2, 0, 2]


def test_the_most_exact_entry_counts_then_the_kind(house: House) -> None:
    """An address in two lists has the reason of the smaller entry; of equal ones, known source before dynamic space."""
    house.put("space", "192.0.2.0/24\n198.51.100.0/24\n", ListingKind.DYNAMIC_SPACE)
    house.put("bad", "192.0.2.7\n198.51.100.0/24\n")
    assert [house.about(text).kind for text in ("192.0.2.6", "192.0.2.7", "192.0.2.8", "198.51.100.1")] == [  # type: ignore[union-attr]
        ListingKind.DYNAMIC_SPACE,
        ListingKind.KNOWN_SOURCE,
        ListingKind.DYNAMIC_SPACE,
        ListingKind.KNOWN_SOURCE,
    ]
    assert house.about("192.0.2.6").network == "192.0.2.0-192.0.2.6"  # type: ignore[union-attr]


def test_expired_lists_and_promotions_list_nobody(house: House) -> None:
    """When the time of a list is over its addresses are free, with and without a new table; what lay below it comes back."""
    house.put("wide", "192.0.2.0/24\n", ListingKind.DYNAMIC_SPACE)
    house.put("short", "192.0.2.1\n", expires=int(NOW) + 100)
    house.database.promote(address("203.0.113.1"), "stayed bad", NOW, NOW + 50, count=12)
    assert house.about("192.0.2.1").kind is ListingKind.KNOWN_SOURCE  # type: ignore[union-attr]
    assert house.about("203.0.113.1") == Listing("203.0.113.1", ListingKind.KNOWN_SOURCE, int(NOW), int(NOW) + 50, 12, "stayed bad")
    assert Table.open(house.snapshots / "standard.ips").find(address("192.0.2.1"), NOW + 100) is None
    assert house.about("203.0.113.1", NOW + 50) is None
    assert house.about("192.0.2.1", NOW + 100).kind is ListingKind.DYNAMIC_SPACE  # type: ignore[union-attr]


def test_a_promotion_is_extended_by_another(house: House) -> None:
    """The later end holds."""
    for days in (1, 9):
        house.database.promote(address("203.0.113.1"), f"bad for {days} days", NOW, NOW + days * DAY, count=days)
    assert house.about("203.0.113.1", NOW + 8 * DAY).reason == "bad for 9 days"  # type: ignore[union-attr]


def test_delisting_holds_against_lists_and_ends(house: House) -> None:
    """A delisted address is free for 90 days, also when the list is imported again; who did it is kept. New evidence ends it sooner."""
    house.put("bad", "192.0.2.0/24\n")
    house.database.delist(address("192.0.2.7"), "nina", NOW)
    house.database.delist(ip_network("192.0.2.64/26"), "tom", NOW, NOW + 5)
    assert [house.about(text) is None for text in ("192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.2.65")] == [False, True, False, True]
    house.put("bad", "192.0.2.0/25\n")
    assert house.about("192.0.2.7", NOW + EXCEPTION_SECONDS - 1) is None
    assert house.about("192.0.2.65", NOW + 5) is not None
    assert [(decision.by, decision.act) for decision in house.database.decisions(NOW + 5)] == [("nina", Act.DELIST)]
    assert house.about("192.0.2.7", NOW + EXCEPTION_SECONDS) is not None
    house.database.promote(address("192.0.2.7"), "again", NOW + 10, NOW + 99)
    assert house.about("192.0.2.7", NOW + 11).reason == "again"  # type: ignore[union-attr]


def test_protected_networks_are_never_listed(tmp_path: Path) -> None:
    """Neither by a list that names the very address, nor by a network around it, nor by promotion."""
    house = House(tmp_path, ("198.51.100.0/24", "2001:db8::/64"))
    house.put("bad", "209.85.128.7\n209.85.0.0/16\n198.51.100.4\n2001:db8::4\n2001:db8::/32\n")
    house.database.promote(address("198.51.100.9"), "much spam", NOW, NOW + DAY, count=9)
    for text in ("209.85.128.7", "209.85.200.1", "198.51.100.4", "198.51.100.9", "2001:db8::4"):
        assert house.about(text) is None, text
    assert house.about("209.85.127.1") is not None
    assert house.about("2001:db8:0:1::4") is not None


def test_a_new_database_begins_with_the_starter_list_until_that_is_too_old(tmp_path: Path) -> None:
    """1,413 addresses of August 2026 are listed as emerging threats; from 120 days after that day on, nobody is refused for them."""
    database = StandardDatabase(tmp_path, tmp_path / "snapshots")
    assert database.publish_if_due(NOW)
    table = Table.open(tmp_path / "snapshots" / "standard.ips")
    assert len(table) > 1400
    found = table.find(address("77.90.185.20"), NOW)
    assert found is not None
    assert (found.kind, found.reason) == (ListingKind.EMERGING_THREAT, "ipsum 2026-08-22: on 10 lists")
    too_old = 1_797_724_800  # 2026-12-20
    assert table.find(address("77.90.185.20"), too_old) is None
    assert database.publish_if_due(too_old)
    assert len(Table.open(tmp_path / "snapshots" / "standard.ips")) == 0
    assert database.remove_list(STARTER)
    assert StandardDatabase(tmp_path, tmp_path / "snapshots").lists() == ()


def test_serials_only_grow(house: House) -> None:
    """Also when the clock goes back, and when the table is lost."""
    first = house.database.publish(NOW)
    assert first == int(NOW)
    assert house.database.publish(NOW) == first + 1
    assert house.database.publish(NOW - 9999) == first + 2
    (house.snapshots / "standard.ips").unlink()
    assert house.database.publish(NOW - 9999) == first + 3
    (house.folder / "published.json").unlink()
    assert house.database.publish(NOW - 9999) == first + 4


def test_nothing_is_published_when_nothing_changed(house: House) -> None:
    """Asking often is cheap: only a change, an end or a lost table is a reason."""
    house.put("bad", "192.0.2.1\n", expires=int(NOW) + 60)
    assert house.database.publish_if_due(NOW)
    assert not house.database.publish_if_due(NOW + 59)
    assert house.database.publish_if_due(NOW + 60)
    assert not house.database.publish_if_due(NOW + 61)
    other = StandardDatabase(house.folder.parent, house.snapshots, Protected(NetworkList(["192.0.2.0/24"]).networks()))
    assert other.publish_if_due(NOW + 61)
    many = NetworkList([*(f"198.51.{number}.0/24" for number in range(0, 200, 2)), "192.0.2.0/24"])
    more = StandardDatabase(house.folder.parent, house.snapshots, Protected(many.networks()))
    assert more.publish_if_due(NOW + 61)
    middle = StandardDatabase(house.folder.parent, house.snapshots, Protected(many.minus("198.51.100.0/24").networks()))
    assert middle.publish_if_due(NOW + 61)
    house.database.delist(address("192.0.2.1"), "tom", NOW)
    assert house.database.publish_if_due(NOW + 62)


def test_a_damaged_list_is_shown_and_the_others_go_on(house: House) -> None:
    """A file somebody cut short costs its own entries only; one that never was a list as well."""
    house.put("good", "192.0.2.1\n")
    house.put("cut", "192.0.2.2\n")
    file = house.folder / "lists" / "cut.npz"
    file.write_bytes(file.read_bytes()[:-40])
    (house.folder / "lists" / "odd.npz").write_text("hello")
    assert house.about("192.0.2.1") is not None
    assert house.about("192.0.2.2") is None
    assert {kept.name: bool(kept.defect) for kept in house.database.lists()} == {"good": False, "cut": True, "odd": True}


def test_half_a_decision_costs_that_decision_only(house: House) -> None:
    """The line a writer died in is passed over, and the next one is read."""
    house.database.promote(address("192.0.2.1"), "bad", NOW, NOW + DAY)
    file = house.folder / "decisions.jsonl"
    file.write_bytes(file.read_bytes() + file.read_bytes()[:30])
    house.database.promote(address("192.0.2.2"), "bad", NOW, NOW + DAY)
    assert {decision.network for decision in house.database.decisions(NOW)} == {"192.0.2.1/32", "192.0.2.2/32"}


def test_decisions_that_no_longer_count_are_forgotten(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file does not grow with every promotion that extends another."""
    for extended in range(1100):
        house.database._decisions.append(
            [standard.Decision(act=Act.PROMOTE, network="192.0.2.1/32", time=int(NOW), until=int(NOW) + extended + DAY)]
        )
    house.database.publish(NOW)
    assert len((house.folder / "decisions.jsonl").read_text().splitlines()) == 1
    assert house.about("192.0.2.1").until == int(NOW) + 1099 + DAY  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "Upper", "a.b", "x" * 61, "-x"])
def test_a_name_that_is_no_file_of_the_folder_is_refused(house: House, name: str) -> None:
    """No list can be written anywhere else."""
    with pytest.raises(ValueError, match="cannot be the name"):
        house.put(name, "192.0.2.1\n")
    assert not house.database.remove_list(name)


BASE = 0xC0000200  # 192.0.2.0
ranges = st.tuples(st.integers(0, 40), st.integers(0, 9)).map(lambda pair: (pair[0], min(pair[0] + pair[1], 40)))
KINDS = [ListingKind.KNOWN_SOURCE, ListingKind.EMERGING_THREAT, ListingKind.DYNAMIC_SPACE]
a_list = st.tuples(st.lists(ranges, min_size=1, max_size=6), st.lists(ranges, max_size=2), st.sampled_from(KINDS))


@settings(max_examples=60, deadline=None)
@given(st.lists(a_list, max_size=4), st.lists(ranges, max_size=2))
def test_what_is_published_is_what_a_look_at_every_address_finds(
    tmp_path_factory: pytest.TempPathFactory,
    lists: list[tuple[list[tuple[int, int]], list[tuple[int, int]], ListingKind]],
    protect: list[tuple[int, int]],
) -> None:
    """For every address: not listed where excluded by its own list or protected, else by the smallest entry, then the gravest kind."""
    house = House(tmp_path_factory.mktemp("house"))
    for number, (named, excluded, kind) in enumerate(lists):
        text = "".join(f"{_range(each)}\n" for each in named) + "".join(f"!{_range(each)}\n" for each in excluded)
        house.database.import_list(f"list{number}", entries(text + "192.0.3.0\n", Format.RBLDNSD), kind, "x", 0, NOW)
    for first, last in protect:
        for number in range(first, last + 1):
            house.database.delist(Source(4, BASE + number), "test", NOW)
    house.database.publish(NOW)
    table = Table.open(house.snapshots / "standard.ips")
    for at in range(42):
        found = table.find(Source(4, BASE + at), NOW)
        assert (found and found.kind) == _expected(at, lists, protect), at


def _range(ends: tuple[int, int]) -> str:
    return f"{Source(4, BASE + ends[0])}-{Source(4, BASE + ends[1])}"


def _expected(
    at: int, lists: list[tuple[list[tuple[int, int]], list[tuple[int, int]], ListingKind]], protect: list[tuple[int, int]]
) -> ListingKind | None:
    if any(first <= at <= last for first, last in protect):
        return None
    found = [
        ((last - first).bit_length(), KINDS.index(kind), kind)
        for named, excluded, kind in lists
        if not any(first <= at <= last for first, last in excluded)
        for first, last in named
        if first <= at <= last
    ]
    return min(found, key=lambda entry: entry[:2])[2] if found else None


CHANGE = """
import io, sys, time
from pathlib import Path
from mailward.reputation.address import Source
from mailward.reputation.ip import imports
from mailward.reputation.ip.standard import StandardDatabase
from mailward.reputation.listing import ListingKind
folder, who, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
database = StandardDatabase(folder, folder / "snapshots")
text = "".join(f"20.{who}.{i >> 8}.{i & 255}\\n" for i in range(20000)).encode()
for turn in range(rounds):
    database.import_list(f"list{who}", imports.read(io.BytesIO(text)), ListingKind.KNOWN_SOURCE, f"turn {turn}", 0, time.time())
    database.promote(Source(4, (30 << 24) + (who << 16) + turn), "bad", time.time(), time.time() + 9999)
    database.publish_if_due(time.time())
    print(turn, flush=True)
"""


def start(folder: Path, who: int, rounds: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHANGE, str(folder), str(who), str(rounds)], stdout=subprocess.PIPE)


def test_two_processes_change_it_at_the_same_time(tmp_path: Path) -> None:
    """What both did is in the table in the end, nothing is lost."""
    both = [start(tmp_path, who, 15) for who in (1, 2)]
    assert [process.wait(60) for process in both] == [0, 0]
    database = StandardDatabase(tmp_path, tmp_path / "snapshots")
    database.publish_if_due(time.time())
    table = Table.open(tmp_path / "snapshots" / "standard.ips")
    for who in (1, 2):
        assert table.find(address(f"20.{who}.78.31"), time.time()).reason == "turn 14"  # type: ignore[union-attr]
        for turn in range(15):
            assert table.find(address(f"30.{who}.0.{turn}"), time.time()) is not None


@pytest.mark.fault
def test_killed_at_any_moment_the_old_or_the_new_state_is_there(tmp_path: Path) -> None:
    """kill -9 at random moments: the table is whole every time, lists are not damaged, and the next process goes on."""
    chance = random.Random(7)
    database = StandardDatabase(tmp_path, tmp_path / "snapshots")
    database.publish(time.time())
    serial = 0
    for _ in range(12):
        process = start(tmp_path, 1, 1000)
        assert process.stdout is not None
        process.stdout.readline()  # it is at work
        time.sleep(chance.random() * 0.2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        table = Table.open(tmp_path / "snapshots" / "standard.ips")
        assert table.serial > serial
        serial = table.serial
        assert table.find(address("20.1.78.31"), time.time()) is not None
        assert [kept.defect for kept in database.lists()] == ["", ""]
        assert database.publish(time.time()) > serial
    assert not list((tmp_path / "standard").rglob("*.tmp"))
