"""The SQLite storage, on real files."""

import multiprocessing
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward import storage
from mailward.policy import Policy
from mailward.scan import Contribution, decide
from mailward.storage import StorageError
from mailward.storage.records import from_row, to_row

FORK = multiprocessing.get_context("fork")


def test_a_record_is_read_as_it_was_stored(store, records):
    """Assessment, verdict, outcome and recipients come back equal, to the last bit of every number."""
    record = records(7)
    store.save_records([record])
    assert store.record(record.id) == record
    assert store.record("unknown") is None


@given(st.lists(st.floats(-10, 10), max_size=8), st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from([None, True, False]))
def test_a_stored_message_is_decided_as_before(records, weights, subject, aligned):
    """Packed and unpacked, the facts give the same verdict."""
    spam = tuple(Contribution(f"n:{number}", weight, "A sentence") for number, weight in enumerate(weights))
    record = records(1, spam=spam, subject=subject, from_aligned=aligned)
    row = to_row(record)
    back = from_row(row["body"], row["outcome"])
    assert back == record
    assert decide(back.assessment, Policy()) == record.verdict


def test_a_known_id_replaces_its_record(store, records):
    """Recording twice (the outcome came later) keeps one."""
    store.save_records([records(1), records(2)])
    store.save_records([records(1, subject="changed")])
    assert store.count() == 2
    assert store.record(records(1).id).assessment.subject == "changed"


def test_records_are_found_by_time_verdict_and_text(store, records):
    """Pages are joined without gaps or repeats, in both directions; % and _ are ordinary characters."""
    store.save_records([records(number) for number in range(1, 1201)])
    start = records(0).assessment.time
    assert [each.id for each in store.records()] == [records(number).id for number in range(1, 1201)]
    assert [each.id for each in store.records(newest_first=True)] == [records(number).id for number in range(1200, 0, -1)]
    assert [each.id for each in store.records(start + 5, start + 8)] == [records(number).id for number in (5, 6, 7)]
    assert [each.id for each in store.records(limit=2, newest_first=True)] == [records(1200).id, records(1199).id]
    assert len(list(store.records(limit=700))) == 700
    assert len(list(store.records(verdict="clean"))) == 10
    assert [each.id for each in store.records(text="<77@example.org>")] == [records(77).id]
    assert len(list(store.records(text="bob@example.com"))) == 1200
    assert list(store.records(text="%")) == []
    assert store.count(start + 1100) == 101


def test_records_of_the_same_time_are_all_read(store, records):
    """A page that ends inside one moment goes on after it."""
    store.save_records([records(number, time=5.0) for number in range(1100)])
    assert len({each.id for each in store.records()}) == 1100
    assert len({each.id for each in store.records(newest_first=True)}) == 1100


def test_old_records_are_forgotten(store, records):
    """Only those older than the limit."""
    store.save_records([records(number) for number in range(1, 101)])
    assert store.expire(records(41).assessment.time) == 40
    assert store.count() == 60
    assert store.expire(0.0) == 0


def test_policy_history_and_rollback(store):
    """The newest is in force; a rollback is a new version and nothing is lost."""
    assert store.policy() is None
    assert store.save_policy("a = 1", "ann", "first", 1.0) == 1
    assert store.save_policy("a = 2", "bob", "", 2.0) == 2
    assert store.policy().toml == "a = 2"
    assert store.policy(1).who == "ann"
    assert store.rollback(1, "cleo", 3.0) == 3
    assert [(version.n, version.toml, version.who) for version in store.policies()] == [
        (3, "a = 1", "cleo"),
        (2, "a = 2", "bob"),
        (1, "a = 1", "ann"),
    ]
    assert store.policies()[0].note == "rollback to 1"
    with pytest.raises(StorageError, match="no policy number 9"):
        store.rollback(9, "ann", 4.0)


def test_feedback_is_undone_once(store):
    """A report counts until it is undone; undoing twice, or what never was, says so."""
    first = store.add_report("spam", "<1@example.org>", b"\x00\xff", "ann", 1.0)
    second = store.add_report("ham", "<2@example.org>", b"", "bob", 2.0)
    assert [report.id for report in store.reports()] == [first, second]
    assert store.undo_report(first, 3.0)
    assert not store.undo_report(first, 4.0)
    assert not store.undo_report(99, 4.0)
    assert [report.id for report in store.reports()] == [second]
    assert [(report.id, report.undone) for report in store.reports(with_undone=True)] == [(first, 3.0), (second, None)]
    assert store.report(first).features == b"\x00\xff"
    assert store.report(99) is None


def _writer(url, record, process):
    opened = storage.open(url)
    for number in range(20):
        opened.save_records([record(process * 10_000 + number * 10 + each) for each in range(10)])
    opened.close()


def test_several_processes_write_at_once(url, records):
    """Four processes open the same new file and write; nothing is lost and nobody fails."""
    workers = [FORK.Process(target=_writer, args=(url, records, process)) for process in range(1, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    opened = storage.open(url)
    assert opened.count() == 800
    opened.close()


def test_a_forked_process_writes_through_its_own_connection(store, records):
    """A storage opened before forking works on both sides."""
    store.save_records([records(1)])
    child = FORK.Process(target=store.save_records, args=([records(2)],))
    child.start()
    store.save_records([records(3)])
    child.join(30)
    assert child.exitcode == 0
    assert store.count() == 3


KILLED = """
import sys
sys.path[:0] = {paths!r}
from conftest import made_record
from mailward import storage
store = storage.open({url!r})
number = 0
while True:
    store.save_records([made_record(number + each) for each in range(50)])
    number += 50
    print(number, flush=True)
"""


@pytest.mark.fault
def test_kill_9_loses_no_stored_batch(url):
    """A process killed while writing leaves a sound file with every batch it said was stored, and no half of one."""
    script = KILLED.format(paths=[str(Path(__file__).parent)], url=url)
    for delay in (0.05, 0.2, 0.4):
        worker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        worker.stdout.readline()
        time.sleep(delay)
        worker.send_signal(signal.SIGKILL)
        said = [50, *map(int, worker.stdout.read().split())]
        worker.wait()
        opened = storage.open(url)
        count = opened.count()
        assert count % 50 == 0
        assert count >= said[-1]
        opened.close()
        with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            database.execute("DELETE FROM records")


def test_tables_of_a_newer_version_are_refused(url):
    """An older program does not touch what it does not know."""
    storage.open(url).close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="newer mailward"):
        storage.open(url)


def test_other_files_are_refused(tmp_path):
    """Somebody else's database, a text file, a folder: each with words."""
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE t (x)")
    text = tmp_path / "text.db"
    text.write_text("this is no database " * 100)
    for path, words in ((other, "not one of mailward's"), (text, "not a database"), (tmp_path, "unable to open")):
        with pytest.raises(StorageError, match=words):
            storage.open(f"sqlite:///{path}")
    with pytest.raises(StorageError, match="is not a storage"):
        storage.open("postgresql://example.test/x")


def test_a_damaged_record_says_so(store, records, url):
    """Rubbish in a row is an error with words, not a crash of the reader."""
    store.save_records([records(1)])
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE records SET body = x'00112233'")
    with pytest.raises(StorageError, match="damaged"):
        store.record(records(1).id)


def test_tables_of_an_older_version_are_brought_up_to_date(url):
    """Reports of before go on to count; what was not known of them then is empty."""
    storage.open(url).close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("ALTER TABLE reports DROP COLUMN sender_ip")
        database.execute(
            "INSERT INTO reports (time, kind, message_id, who, features) VALUES (1.0, 'spam', '<1@example.org>', 'ann', x'00')"
        )
        database.execute("PRAGMA user_version = 1")
    store = storage.open(url)
    assert [(report.kind, report.who, report.sender_ip) for report in store.reports()] == [("spam", "ann", "")]
    store.add_report("ham", "<2@example.org>", b"", "bob", 2.0, "192.0.2.1")
    assert [report.sender_ip for report in store.reports()] == ["", "192.0.2.1"]
    store.close()


def test_facts_of_an_older_version_are_still_read(records):
    """A record written before anything was known of lists has none."""
    row = to_row(records(1))
    kept = msgspec.json.decode(zlib.decompress(row["body"]))
    for name in ("reputation", "authenticated", "connection_only"):
        del kept["assessment"][name]
    old = from_row(zlib.compress(msgspec.json.encode(kept)), "delivered")
    assert (old.assessment.reputation, old.assessment.connection_only) == ((), False)
