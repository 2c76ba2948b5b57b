"""Judging and remembering."""

import logging
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from mailward import storage
from mailward.gateway.gateway import stored_policy
from mailward.gateway.identity import new_id
from mailward.policy import Policy, PolicyError
from mailward.policy.document import UnscannableAction

FORK = multiprocessing.get_context("fork")


def test_a_message_is_judged_and_remembered(make_gateway, envelope, raw):
    """What was judged is found in the storage under its id."""
    gateway = make_gateway(9.0, -0.5)
    judgement = gateway.judge(raw, envelope)
    assert (judgement.verdict.kind, judgement.verdict.scores["spam"]) == ("spam", 8.5)
    assert judgement.message.subject == "Hello"
    gateway.record(judgement, "delivered", {"ann@example.com": "delivered"})
    gateway.flush()
    store = storage.open(gateway.settings.storage_url)
    kept = store.record(judgement.assessment.id)
    store.close()
    assert (kept.assessment, kept.verdict, kept.outcome) == (judgement.assessment, judgement.verdict, "delivered")
    assert kept.rcpt_outcomes == {"ann@example.com": "delivered"}


@pytest.mark.parametrize("error", [ValueError("no"), RecursionError("deep"), MemoryError(), KeyError("\udce9"), OverflowError()])
@pytest.mark.parametrize("action", list(UnscannableAction))
def test_an_error_of_ours_is_an_unscannable_message(make_gateway, envelope, raw, error, action):
    """Judging never raises; the verdict names the error and where it happened, and can be stored."""
    gateway = make_gateway(error=error, policy=Policy().changed("unscannable.action", action))
    judgement = gateway.judge(raw, envelope)
    assert (judgement.verdict.kind, judgement.verdict.action) == ("unscannable", action.value)
    assert judgement.assessment.unscannable.startswith(f"{type(error).__name__} in ")
    assert (judgement.assessment.subject, judgement.assessment.mail_from) == ("Hello", "bounce@example.net")
    gateway.record(judgement, "delivered")
    gateway.flush()
    store = storage.open(gateway.settings.storage_url)
    assert store.record(judgement.assessment.id).verdict == judgement.verdict
    store.close()


def test_a_policy_that_cannot_be_applied_is_an_unscannable_message(make_gateway, envelope, raw, monkeypatch):
    """Even the decision may fail: the mail is handled as unscannable, and it can be stored and explained."""
    gateway = make_gateway(9.0, -1.0)
    monkeypatch.setattr("mailward.gateway.gateway.decide", lambda *_: {}["no such filter"])
    judgement = gateway.judge(raw, envelope)
    assert (judgement.verdict.kind, judgement.verdict.action) == ("unscannable", "pass")
    gateway.record(judgement, "delivered")
    gateway.flush()
    store = storage.open(gateway.settings.storage_url)
    assert "KeyError" in store.record(judgement.assessment.id).verdict.reasons[0].text
    store.close()


def test_a_blocked_sender_is_blocked_even_when_nothing_can_be_judged(make_gateway, envelope, raw):
    """The envelope is known before anything can fail."""
    policy = Policy.from_toml('[content_scanning.target]\nblocked_senders = ["example.net"]\n')
    assert make_gateway(error=ValueError("no"), policy=policy).judge(raw, envelope).verdict.kind == "blocked_sender"


def test_ids_are_sorted_by_time_and_unique():
    """26 letters; a later millisecond sorts later."""
    ids = [new_id(1_790_000_000.0 + number / 1000) for number in range(200)]
    assert ids == sorted(ids)
    assert len({new_id(1.0) for _ in range(1000)}) == 1000
    assert {len(each) for each in ids} == {26}
    assert all(each.isascii() and each.isalnum() and each == each.lower() for each in ids)


def test_the_stored_policy_is_in_force_after_reload(make_gateway, envelope, raw):
    """Reload takes up what was saved; a policy that cannot be read leaves the old one in force."""
    gateway = make_gateway(6.0)
    assert stored_policy(gateway.settings) == Policy()
    assert not gateway.settings.database.exists()
    store = storage.open(gateway.settings.storage_url)
    store.save_policy(
        '[content_scanning.target]\nlevel = "medium"\n[organisation]\ngateway_networks = ["203.0.113.0/24"]\n', "ann", "", 1.0
    )
    assert gateway.judge(raw, envelope).verdict.kind == "clean"
    gateway.reload()
    assert gateway.judge(raw, envelope).verdict.kind == "spam"
    assert [str(net) for net in gateway.site.own_networks] == ["203.0.113.0/24"]
    store.save_policy("nonsense = 1", "bob", "", 2.0)
    with pytest.raises(PolicyError, match="stored policy 2:1: nonsense"):
        gateway.reload()
    assert gateway.judge(raw, envelope).verdict.kind == "spam"
    store.close()


def _judge_and_record(gateway, raw, envelope, count):
    for _ in range(count):
        gateway.record(gateway.judge(raw, envelope), "delivered")
    gateway.close()


def test_forked_workers_record_through_their_own_writer(make_gateway, envelope, raw):
    """A gateway that has recorded may be forked; every process stores its own records once."""
    gateway = make_gateway(1.0)
    gateway.record(gateway.judge(raw, envelope), "delivered")
    workers = [FORK.Process(target=_judge_and_record, args=(gateway, raw, envelope, 300)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    gateway.close()
    store = storage.open(gateway.settings.storage_url)
    assert store.count() == 901
    store.close()


def test_records_are_stored_without_asking(make_gateway, envelope, raw):
    """Nobody calls flush, and the record is there within two seconds."""
    gateway = make_gateway(1.0)
    judgement = gateway.judge(raw, envelope)
    gateway.record(judgement, "delivered")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not gateway.settings.database.exists():
        time.sleep(0.05)
    store = storage.open(gateway.settings.storage_url)
    while time.monotonic() < deadline and not store.count():
        time.sleep(0.05)
    assert store.record(judgement.assessment.id)
    store.close()


def test_a_locked_database_holds_no_mail_back(make_gateway, envelope, raw):
    """While another process holds the database, judging and recording go on at full speed; later everything is stored."""
    gateway = make_gateway(1.0)
    gateway.record(gateway.judge(raw, envelope), "delivered")
    gateway.flush()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sqlite3,sys; c=sqlite3.connect(sys.argv[1],isolation_level=None); c.execute('BEGIN IMMEDIATE'); print(1,flush=True); sys.stdin.read()",
            str(gateway.settings.database),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    holder.stdout.readline()
    start = time.perf_counter()
    for _ in range(300):
        gateway.record(gateway.judge(raw, envelope), "delivered")
    assert time.perf_counter() - start < 5
    holder.communicate()
    gateway.close()
    store = storage.open(gateway.settings.storage_url)
    assert store.count() == 301
    store.close()


def _with_little_room(gateway, raw, envelope, log):
    logging.getLogger("mailward.gateway").addHandler(logging.FileHandler(log))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for _ in range(3000):
        assert gateway.judge(raw, envelope).verdict.kind == "clean"
        gateway.record(gateway.judge(raw, envelope), "delivered")
    gateway.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)  # somebody made room
    gateway.flush()
    gateway.close()
    os._exit(0 if gateway.journal.dropped == 0 else 3)


@pytest.mark.fault
def test_a_full_disk_holds_no_mail_back(make_gateway, envelope, raw, tmp_path):
    """When no file may grow any more, judging goes on, one line of log says so, and the records are stored once there is room."""
    gateway = make_gateway(1.0)
    worker = FORK.Process(target=_with_little_room, args=(gateway, raw, envelope, tmp_path / "log"))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    store = storage.open(gateway.settings.storage_url)
    assert store.count() == 3000
    store.close()
    assert (tmp_path / "log").read_text().count("records wait because the storage cannot be written") == 1


def test_what_cannot_be_kept_is_dropped_and_counted(make_gateway, envelope, raw, monkeypatch):
    """The memory for waiting records is bounded; the oldest go first."""
    monkeypatch.setattr("mailward.gateway.journal.ROOM", 10)
    gateway = make_gateway(1.0)
    gateway.settings.database.parent.parent.mkdir(exist_ok=True)
    gateway.settings.database.parent.write_text("a file where the state folder should be")
    judgements = [gateway.judge(raw, envelope) for _ in range(25)]
    for judgement in judgements:
        gateway.record(judgement, "delivered")
    gateway.flush()
    assert gateway.journal.dropped >= 15
    gateway.settings.database.parent.unlink()
    gateway.close()
    store = storage.open(gateway.settings.storage_url)
    assert {record.id for record in store.records()} == {judgement.assessment.id for judgement in judgements[-10:]}
    store.close()
