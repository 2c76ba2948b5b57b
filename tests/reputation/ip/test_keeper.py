"""The keeper: evidence on disk becomes listings in snapshots, and nothing is lost or counted twice however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mailward.reputation import evidence, snapshot
from mailward.reputation.address import Source, source
from mailward.reputation.evidence import Evidence, EvidenceKind
from mailward.reputation.ip import keeper as keeping
from mailward.reputation.ip.keeper import Busy, Keeper, about
from mailward.reputation.ip.levels import HOUR
from mailward.reputation.snapshot import Table

NOW = 1_700_000_000.0


def pieces(count: int, *, start: int = 0, kind: EvidenceKind = EvidenceKind.SPAM, at: float = NOW) -> list[Evidence]:
    return [Evidence(at, kind, Source(4, 0xC6336400 + n), -1.0, "test") for n in range(start, start + count)]


def dynamic(tmp_path: Path) -> Table:
    return Table.open(tmp_path / "snapshots" / snapshot.DYNAMIC_FILE)


def kept(tmp_path: Path, now: float = NOW) -> Table:
    with Keeper(tmp_path / "reputation", tmp_path / "snapshots") as keeper:
        keeper.catch_up(now, force=True)
    return dynamic(tmp_path)


def test_evidence_becomes_a_listing_in_the_snapshot(tmp_path: Path) -> None:
    """What was appended is listed, with kind, count and reason, until its time is over."""
    evidence.append(tmp_path / "reputation", pieces(1, kind=EvidenceKind.TRAP))
    listing = kept(tmp_path).find(Source(4, 0xC6336400), NOW)
    assert listing is not None
    assert (listing.kind.label, listing.count, listing.level) == ("trap", 1, 1)
    assert "trap" in listing.reason
    assert dynamic(tmp_path).find(Source(4, 0xC6336400), NOW + 13 * HOUR) is None


def test_the_end_that_is_shown_is_that_of_the_level_in_use(tmp_path: Path) -> None:
    """A listing names the lowest level that lists it, and ends when it ends at the level that is asked for."""
    evidence.append(tmp_path / "reputation", pieces(1, kind=EvidenceKind.TRAP))
    table = kept(tmp_path)
    found = [table.find(Source(4, 0xC6336400), NOW, shown=level) for level in range(5)]
    assert {listing.level for listing in found if listing} == {1}
    ends = [listing.until for listing in found if listing]
    assert ends == sorted(ends)
    assert ends[0] == ends[1] < ends[2] < ends[4]


def test_one_keeper_at_a_time(tmp_path: Path) -> None:
    """A second one is told that the database is kept already."""
    with Keeper(tmp_path / "reputation", tmp_path / "snapshots"), pytest.raises(Busy):
        Keeper(tmp_path / "reputation", tmp_path / "snapshots")


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    """Saved or not, the next keeper has the same listings, and counts no piece twice."""
    evidence.append(tmp_path / "a", pieces(300))
    evidence.append(tmp_path / "a", pieces(100, at=NOW + 5))
    evidence.append(tmp_path / "b", pieces(300))
    with Keeper(tmp_path / "b", tmp_path / "b" / "snapshots") as keeper:
        keeper.catch_up(NOW, force=True)  # saved
    evidence.append(tmp_path / "b", pieces(100, at=NOW + 5))
    with Keeper(tmp_path / "b", tmp_path / "b" / "snapshots") as keeper:
        keeper.catch_up(NOW + 5)  # learned, not saved
    tables = []
    for folder in ("a", "b"):
        with Keeper(tmp_path / folder, tmp_path / folder / "snapshots") as keeper:
            keeper.catch_up(NOW + 10, force=True)
        tables.append(list(Table.open(tmp_path / folder / "snapshots" / snapshot.DYNAMIC_FILE).listings(NOW + 10)))
    assert tables[0] == tables[1]
    assert len(tables[0]) > 200


def test_a_renamed_spool_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence is learned once across the change to a new file, also by a keeper that starts after it, and also what a slow writer adds."""
    monkeypatch.setattr(keeping, "ROTATE_BYTES", 1000)
    monkeypatch.setattr(keeping.spool, "SETTLE_SECONDS", 0.0)
    folder = tmp_path / "reputation"
    with Keeper(folder, tmp_path / "snapshots") as keeper:
        for round_ in range(5):
            evidence.append(folder, pieces(40, start=40 * round_))
            keeper.catch_up(NOW, force=True)
            keeper.catch_up(NOW)
    assert (folder / keeping.OLD_SPOOL).exists()
    assert kept(tmp_path).find(Source(4, 0xC6336400 + 199), NOW) is not None
    assert {listing.count for listing in dynamic(tmp_path).listings(NOW) if listing.level == 1} == {1}


def test_a_damaged_state_is_put_aside(tmp_path: Path) -> None:
    """A state file that cannot be read costs what it held, never the start."""
    evidence.append(tmp_path / "reputation", pieces(3))
    kept(tmp_path)
    (tmp_path / "reputation" / keeping.STATE_FILE).write_bytes(b"PK\x03\x04 not really")
    assert kept(tmp_path).find(Source(4, 0xC6336401), NOW) is not None
    assert (tmp_path / "reputation" / "dynamic.damaged").exists()


def test_lines_that_are_no_evidence_are_left_out(tmp_path: Path) -> None:
    """Garbage, half a line and a weight beyond all bounds cost themselves only."""
    folder = tmp_path / "reputation"
    folder.mkdir()
    (folder / evidence.SPOOL).write_bytes(
        b"\xff\xfe garbage\n1\ttrap\t3\t192.0.2.9\n"
        + b"nan\ttrap\t3\t192.0.2.9\t\t\n"
        + b"x" * 5000
        + b"\n"
        + f"{NOW}\ttrap\t1e9\t192.0.2.9\t\t\n".encode()
    )
    evidence.append(folder, pieces(1))
    with (folder / evidence.SPOOL).open("ab") as file:
        file.write(f"{NOW}\ttrap\t3\t192.0.2.9".encode())  # its writer was killed
    table = kept(tmp_path)
    assert [listing.network for listing in table.listings(NOW) if listing.level == 1] == ["198.51.100.0"]


def test_evidence_from_the_future_counts_as_from_now(tmp_path: Path) -> None:
    """A clock that is wrong cannot list anybody for longer."""
    evidence.append(tmp_path / "reputation", pieces(1, at=NOW + 1e9))
    assert kept(tmp_path).find(Source(4, 0xC6336400), NOW + 13 * HOUR) is None


def test_standard_and_dynamic_never_overlap(tmp_path: Path) -> None:
    """Whatever the standard database lists is cut out of the dynamic snapshot, networks too."""
    folder = tmp_path / "snapshots"
    one = {
        "start": [0xC6336407, 0xC6336440],
        "end": [0xC6336407, 0xC633644F],
        "kind": [1, 1],
        "since": [0, 0],
        "until": [0, 0],
        "count": [0, 0],
        "reason": [0, 0],
    }
    snapshot.write(folder / snapshot.STANDARD_FILE, {name: np.array(column) for name, column in one.items()}, {}, ("by hand",), 1, NOW)
    evidence.append(tmp_path / "reputation", pieces(60, start=3))
    table = kept(tmp_path)
    standard = Table.open(folder / snapshot.STANDARD_FILE)
    for host in range(256):
        who = Source(4, 0xC6336400 + host)
        assert (table.find(who, NOW) is None) == (standard.find(who, NOW) is not None), str(who)


def test_networks_have_holes_for_who_sends_clean_mail(tmp_path: Path) -> None:
    """A network that is listed for its neighbours leaves out the address that is known for clean mail, in the snapshot as in the database."""
    evidence.append(tmp_path / "reputation", [*pieces(2, start=9, kind=EvidenceKind.HAM, at=NOW - 50 * 86400), *pieces(30, start=100)])
    with Keeper(tmp_path / "reputation", tmp_path / "snapshots") as keeper:
        keeper.catch_up(NOW, force=True)
        table = dynamic(tmp_path)
        for host in range(256):
            who = Source(4, 0xC6336400 + host)
            mine, published = keeper.database.listing(who, NOW), table.find(who, NOW)
            assert (mine and (mine.level, mine.until)) == (published and (published.level, published.until)), str(who)


def test_v6_networks_are_published(tmp_path: Path) -> None:
    """The /64 of many bad addresses is one range, cut where an address has its own listing."""
    base = source("2001:db8:1:2::")
    assert base is not None
    bad = [Evidence(NOW, EvidenceKind.SPAM, Source(6, base.number + n)) for n in range(1, 30)]
    evidence.append(tmp_path / "reputation", bad)
    table = kept(tmp_path)
    for number, level in ((5, 1), (5000, 3), (1 << 63, 3)):
        listing = table.find(Source(6, base.number + number), NOW)
        assert listing is not None
        assert listing.level == level
    assert table.find(Source(6, base.number + (1 << 64)), NOW) is None


def test_about_tells_what_was_seen(tmp_path: Path) -> None:
    """Listings, counts and the pieces themselves."""
    evidence.append(tmp_path / "reputation", [*pieces(2), *pieces(1, kind=EvidenceKind.TRAP, at=NOW + 1), *pieces(1, start=16)])
    kept(tmp_path)
    found = about(tmp_path / "reputation", tmp_path / "snapshots", Source(4, 0xC6336400), NOW + 1)
    assert found.counts == {EvidenceKind.SPAM: 1, EvidenceKind.TRAP: 1}
    assert (found.first, found.last) == (NOW, NOW + 1)
    assert found.dynamic is not None
    assert not found.protected


WRITER = """
import sys, time
from pathlib import Path
from mailward.reputation import evidence
from mailward.reputation.address import Source
from mailward.reputation.evidence import Evidence, EvidenceKind
for n in range(4000):
    evidence.append(Path(sys.argv[1]), [Evidence(1.7e9, EvidenceKind.SPAM, Source(4, int(sys.argv[2]) + n))])
    if n == 100: print("go", flush=True)
"""
KEEPER = """
import sys, time
from pathlib import Path
from mailward.reputation.ip import keeper as keeping
keeping.ROTATE_BYTES, keeping.SAVE_SECONDS, keeping.spool.SETTLE_SECONDS = 20_000, 0.02, 0.3
folder = Path(sys.argv[1])
while True:
    try:
        keeper = keeping.Keeper(folder, folder / "snapshots")
        break
    except keeping.Busy:
        time.sleep(0.01)
print("go", flush=True)
while True:
    if not keeper.catch_up(1.7e9):
        time.sleep(0.005)
"""


@pytest.mark.fault
def test_killed_keepers_and_many_writers_lose_nothing(tmp_path: Path) -> None:
    """Two processes append while keepers are killed again and again: in the end every piece was counted exactly once."""
    folder = tmp_path / "reputation"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(start)], stdout=subprocess.PIPE)
        for start in (0x0B000000, 0x0C000000)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"go\n"
    kills = 0
    while any(writer.poll() is None for writer in writers) or kills < 4:
        keeper = subprocess.Popen([sys.executable, "-c", KEEPER, str(folder)], stdout=subprocess.PIPE)
        assert keeper.stdout is not None
        keeper.stdout.readline()
        time.sleep(0.05 * (kills % 4))
        os.kill(keeper.pid, signal.SIGKILL)
        keeper.wait()
        kills += 1
    with Keeper(folder, folder / "snapshots") as last:
        last.catch_up(1.7e9, force=True)
        counts = [last.database.tally(Source(4, start + n)).get("count") for start in (0x0B000000, 0x0C000000) for n in range(4000)]
    assert counts == [1] * 8000
