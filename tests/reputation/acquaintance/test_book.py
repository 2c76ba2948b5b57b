"""Correspondents, conversations and names: learned, bounded, forgotten, published, kept across a kill."""

import os
from pathlib import Path

import pytest

from mailward.reputation.acquaintance import book as books
from mailward.reputation.acquaintance import observation, table
from mailward.reputation.acquaintance.book import DAY, WRITTEN_TO, WROTE, Book
from mailward.reputation.acquaintance.keeper import STATE_FILE, AcquaintanceKeeper, Busy, erase
from mailward.reputation.acquaintance.observation import Observation
from mailward.reputation.acquaintance.table import AcquaintanceTable

NOW = 1_790_000_000


def published(folder: Path) -> AcquaintanceTable:
    return AcquaintanceTable.open(folder / "snapshots" / table.FILE)


def keeper(folder: Path) -> AcquaintanceKeeper:
    return AcquaintanceKeeper(folder / "acquaintance", folder / "snapshots")


def tell(folder: Path, *pieces: Observation) -> None:
    observation.append(folder / "acquaintance", pieces)


def test_what_is_told_is_published(tmp_path: Path) -> None:
    """Who wrote, whom we wrote to, messages of both, and since when."""
    tell(
        tmp_path,
        Observation(NOW - 9 * DAY, wrote=(1, 2), messages=(10,)),
        Observation(NOW - 8 * DAY, True, written_to=(2, 3), messages=(11,), names=(7,)),
    )
    with keeper(tmp_path) as kept:
        assert kept.catch_up(NOW, force=True) == 2
    found = published(tmp_path)
    assert [found.how(key) for key in (1, 2, 3, 4)] == [WROTE, WROTE | WRITTEN_TO, WRITTEN_TO, 0]
    assert [found.has_message(key) for key in (9, 10, 11, 12)] == [False, True, True, False]
    assert (found.incoming_since, found.threads_since, found.outgoing_last) == (NOW - 9 * DAY, NOW - 8 * DAY, NOW - 8 * DAY)


def test_a_name_counts_from_the_third_message_on(tmp_path: Path) -> None:
    """One message with a borrowed name teaches nothing."""
    tell(tmp_path, *[Observation(NOW + at, True, names=(7,)) for at in range(2)])
    with keeper(tmp_path) as kept:
        kept.catch_up(NOW + 10, force=True)
        assert not published(tmp_path).has_name(7)
        tell(tmp_path, Observation(NOW + 3, True, names=(7,)))
        kept.catch_up(NOW + 10, force=True)
    assert published(tmp_path).has_name(7)


def test_nothing_is_lost_or_counted_twice_by_a_kill(tmp_path: Path) -> None:
    """What was learned since the last saving is read again from the spool, from where that left off."""
    tell(tmp_path, Observation(NOW, True, names=(7,)), Observation(NOW, wrote=(1,)))
    first = keeper(tmp_path)
    first.catch_up(NOW, force=True)
    tell(tmp_path, Observation(NOW + 1, True, written_to=(5,), names=(7,)))
    first.catch_up(NOW + 1)  # learned, but not saved
    os.close(first._lock)  # as the kernel does when the process is killed
    with keeper(tmp_path) as second:
        second.catch_up(NOW + 2, force=True)
        row = second.book.names.find(7)
        assert second.book.names.columns["times"][row] == 2
    found = published(tmp_path)
    assert (found.how(1), found.how(5)) == (WROTE, WRITTEN_TO)


def test_one_process_keeps_it(tmp_path: Path) -> None:
    with keeper(tmp_path), pytest.raises(Busy):
        keeper(tmp_path)


def test_a_damaged_state_is_put_aside(tmp_path: Path) -> None:
    """The spool at hand is learned anew; nothing stops."""
    tell(tmp_path, Observation(NOW, wrote=(1,)))
    (tmp_path / "acquaintance" / STATE_FILE).write_bytes(b"PK\x03\x04 no archive")
    with keeper(tmp_path) as kept:
        assert kept.catch_up(NOW, force=True) == 1
    assert (tmp_path / "acquaintance" / "book.damaged").exists()
    assert published(tmp_path).how(1) == WROTE


@pytest.mark.parametrize("line", ["", "[", "{}", '["x"]', "[1,true,[-1]]", "[1,true,[18446744073709551616]]", "[-5]", "\ud800"])
def test_a_line_that_cannot_be_read_is_left_out(line: str) -> None:
    assert observation.parse(line) is None


def test_a_message_from_the_future_is_as_from_now(tmp_path: Path) -> None:
    """A clock that was wrong does not keep an entry for ever."""
    tell(tmp_path, Observation(NOW + 10 * 365 * DAY, wrote=(1,)))
    with keeper(tmp_path) as kept:
        kept.catch_up(NOW, force=True)
        assert kept.book.senders.columns["last"][0] == NOW


def test_it_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where messages had to be forgotten early, conversations are judged only from then on."""
    monkeypatch.setattr(books, "MAX_MESSAGES", 100)
    monkeypatch.setattr(books, "MAX_SENDERS", 100)
    kept = Book()
    for at in range(150):
        kept.learn(Observation(NOW + at, True, written_to=(1000 + at,), messages=(at,)))
    assert len(kept.messages) <= 100
    assert len(kept.senders) <= 100
    assert kept.messages.find(149) >= 0
    assert kept.messages.find(0) < 0
    assert kept.senders.find(1149) >= 0
    assert NOW < kept.threads_since == int(kept.messages.array("last").min())


def test_what_is_old_is_forgotten() -> None:
    kept = Book()
    kept.learn(Observation(NOW, True, written_to=(1,), messages=(2,), names=(3,)))
    kept.forget(NOW + (books.MESSAGE_DAYS + 1) * DAY)
    assert [len(rows) for rows in (kept.senders, kept.messages, kept.names)] == [1, 0, 1]
    kept.forget(NOW + (books.SENDER_DAYS + 1) * DAY)
    assert [len(rows) for rows in (kept.senders, kept.messages, kept.names)] == [0, 0, 0]


def test_everything_is_deleted_on_demand(tmp_path: Path) -> None:
    tell(tmp_path, Observation(NOW, wrote=(1,)))
    with keeper(tmp_path) as kept:
        kept.catch_up(NOW, force=True)
    assert erase(tmp_path / "acquaintance", tmp_path / "snapshots")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not erase(tmp_path / "acquaintance", tmp_path / "snapshots")


def test_a_missing_table_knows_nothing(tmp_path: Path) -> None:
    found = published(tmp_path)
    assert (found.how(1), found.has_message(1), found.has_name(1), found.incoming_since, found.threads_since) == (0, False, False, 0, 0)
