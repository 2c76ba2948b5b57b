"""Refused clients on record: each once a minute, with a count."""

import pytest

from mailward import storage
from mailward.gateway.refusals import Refusals
from mailward.message import Envelope
from mailward.policy import Policy
from mailward.reputation.answer import IpReputation, Standing

BLOCKING = Policy.from_toml('[email_reputation.target]\nblocked_ips = ["192.0.2.0/24"]\n')


def client(gateway, number: int):
    address = f"192.0.2.{number}"
    return gateway.judge_client(Envelope(address, way_in="smtp"), IpReputation(address, Standing.UNKNOWN))


def records(gateway):
    gateway.flush()
    store = storage.open(gateway.settings.storage_url)
    found = list(store.records())
    store.close()
    return found


def test_the_first_refusal_is_on_record_at_once_and_repeats_are_counted(make_gateway):
    """However often a client comes within a minute, it leaves one record, with everybody it wrote to."""
    gateway = make_gateway(0.0, policy=BLOCKING)
    refusals = Refusals(gateway)
    id, times = refusals.add("192.0.2.1", client(gateway, 1), {"a@example.com": "550 no"})
    (first,) = records(gateway)
    assert (first.id, first.outcome, first.verdict.kind, times) == (id, "refused", "listed_source", 1)
    for number in range(1000):
        assert refusals.add("192.0.2.1", client(gateway, 1), {f"b{number}@example.com": "550 no"}) == (id, number + 2)
    assert refusals.sweep()
    assert not refusals.sweep(everything=True)
    (only,) = records(gateway)
    assert only.assessment.extra["refusals"] == "1001"
    assert len(only.rcpt_outcomes) == len(only.assessment.rcpt_to) == 100
    assert only.assessment.rcpt_to[:2] == ("a@example.com", "b0@example.com")


def test_a_new_minute_is_a_new_record(make_gateway, monkeypatch):
    """The count of the old one is written down first."""
    monkeypatch.setattr("mailward.gateway.refusals.MINUTE", 0.0)
    gateway = make_gateway(0.0, policy=BLOCKING)
    refusals = Refusals(gateway)
    ids = {refusals.add("192.0.2.1", client(gateway, 1), {})[0] for _ in range(3)}
    assert len(ids) == len(records(gateway)) == 3


def test_memory_is_bounded(make_gateway, monkeypatch):
    """With too many clients at once the oldest is written down early."""
    monkeypatch.setattr("mailward.gateway.refusals.CLIENTS", 2)
    gateway = make_gateway(0.0, policy=BLOCKING)
    refusals = Refusals(gateway)
    for number in (1, 1, 2, 3):
        refusals.add(f"192.0.2.{number}", client(gateway, number), {})
    assert len(refusals._clients) == 2
    counts = {record.assessment.sender_ip.address: record.assessment.extra.get("refusals", "1") for record in records(gateway)}
    assert counts == {"192.0.2.1": "2", "192.0.2.2": "1", "192.0.2.3": "1"}


@pytest.mark.parametrize("number", range(3))
def test_a_hammering_client_is_evidence_once(make_gateway, number):
    """Not once for each of its tries."""
    gateway = make_gateway(0.0, policy=BLOCKING)
    refusals = Refusals(gateway)
    for _ in range(10**number):
        refusals.add("192.0.2.1", client(gateway, 1), {})
    gateway.flush()
    assert len((gateway.settings.reputation_folder / "evidence.tsv").read_text().splitlines()) == 1
