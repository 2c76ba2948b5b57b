"""What the gateway observes of senders becomes evidence, and what must not, does not."""

from dataclasses import replace

import pytest

from mailward.gateway.evidence import Spool, of_message
from mailward.policy import Policy
from mailward.reputation.address import source
from mailward.reputation.answer import IpReputation, ListAnswer, Outcome, Standing
from mailward.reputation.evidence import Evidence, EvidenceKind, parse
from mailward.reputation.listing import Database
from mailward.reputation.url.rating import Rating
from mailward.scan import Contribution
from mailward.scan.answers import Answers

OWN = ListAnswer("std.rep.example", Database.STANDARD, Outcome.LISTED, ("127.0.0.2",), own=True)
FOREIGN = ListAnswer("x.example", Database.STANDARD, Outcome.LISTED, ("127.0.0.2",))
LISTS = Policy.from_toml('[email_reputation.target]\nstandard_lists = ["x.example=127.0.0.2"]\n')
TRAPS = Policy.from_toml('[email_reputation.evidence]\ntrap_addresses = ["ann@example.com", "trap.example"]\n')


def learned(gateway) -> list[tuple[str, float, str]]:
    gateway.flush()
    spool = gateway.settings.reputation_folder / "evidence.tsv"
    pieces = [parse(line) for line in spool.read_text().splitlines()] if spool.exists() else []
    return [(piece.kind.value, piece.weight, str(piece.source)) for piece in pieces]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (12.0, [("spam", 1.0, "192.0.2.7")]),
        (8.0, [("spam", 1.0, "192.0.2.7")]),
        (7.9, [("spam", 0.5, "192.0.2.7")]),
        (4.9, []),
        (2.0, []),
        (1.9, [("ham", 1.0, "192.0.2.7")]),
        (-6.0, [("ham", 1.0, "192.0.2.7")]),
    ],
)
@pytest.mark.parametrize("level", ["high", "low"])
def test_a_message_speaks_by_its_score_whatever_the_policy_says(make_gateway, envelope, raw, score, expected, level):
    """Well above the thresholds it is spam, well below it is wanted; the level in force changes nothing."""
    gateway = make_gateway(score, policy=Policy.from_toml(f'[content_scanning.target]\nlevel = "{level}"\n'))
    gateway.record(gateway.judge(raw, envelope), "delivered")
    assert learned(gateway) == expected


@pytest.mark.parametrize(
    "outcome", ["deferred", "next_hop_failed", "next_hop_lost", "next_hop_deferred", "client_gone", "quarantine_failed"]
)
def test_a_message_that_comes_again_is_not_counted_yet(make_gateway, envelope, raw, outcome):
    """Its sender keeps it: one message would count as many."""
    gateway = make_gateway(12.0)
    gateway.record(gateway.judge(raw, envelope), outcome)
    assert learned(gateway) == []


@pytest.mark.parametrize(
    ("changes", "policy"),
    [
        ({"authenticated": True}, Policy()),
        ({"client_ip": None}, Policy()),
        ({"client_ip": "10.1.2.3"}, Policy()),
        ({"client_ip": "127.0.0.1"}, Policy()),
        ({"client_ip": "100.64.0.1"}, Policy()),
        ({"client_ip": "fe80::1"}, Policy()),
        ({}, Policy.from_toml('[organisation]\ngateway_networks = ["192.0.2.0/24"]\n')),
        ({}, Policy.from_toml("[email_reputation.evidence]\nlearn = false\n")),
    ],
)
def test_nothing_is_learned_of_our_own_and_the_unknown(make_gateway, envelope, raw, changes, policy):
    """Own users, own hops, private addresses, unknown senders, and a site that does not want it."""
    gateway = make_gateway(12.0, policy=policy)
    gateway.record(gateway.judge(raw, replace(envelope, **changes)), "delivered")
    assert learned(gateway) == []


def test_forwarded_mail_speaks_about_the_address_behind_our_hop(make_gateway, envelope, raw):
    """Not about the hop."""
    gateway = make_gateway(12.0)
    trace = b"Received: from bad.example (unknown [198.51.100.9]) by mx.example.com (Postfix) with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    judgement = gateway.judge(trace + raw, replace(envelope, client_ip="10.0.0.1"))
    gateway.record(judgement, "delivered")
    assert judgement.assessment.relayed
    assert learned(gateway) == [("spam", 1.0, "198.51.100.9")]


def refused_by(gateway, envelope, *answers):
    return gateway.judge_client(envelope, IpReputation("192.0.2.7", Standing.STANDARD, answers))


@pytest.mark.parametrize(
    ("policy", "answers", "expected"),
    [
        (LISTS, (FOREIGN,), ["refused"]),
        (Policy.from_toml('[email_reputation.target]\nblocked_ips = ["192.0.2.7"]\n'), (), ["refused"]),
        (Policy(), (OWN,), []),
        (LISTS, (OWN, FOREIGN), []),
    ],
)
def test_only_what_others_refuse_is_evidence(make_gateway, envelope, policy, answers, expected):
    """A foreign list and the administrator speak for themselves; a refusal by our own database is an echo, and no evidence."""
    gateway = make_gateway(0.0, policy=policy)
    judgement = refused_by(gateway, envelope, *answers)
    assert judgement.verdict.kind == "listed_source"
    gateway.record(judgement, "refused")
    assert [kind for kind, _, _ in learned(gateway)] == expected


def test_a_clean_message_of_a_listed_source_speaks_for_it(make_gateway, envelope, raw):
    """The list is wrong about it, perhaps; what the message says counts, not what the list did."""
    gateway = make_gateway(-3.0, policy=Policy.from_toml("[email_reputation]\nlog_only = true\n"))
    judgement = gateway.judge(raw, envelope)
    gateway.record(replace(judgement, assessment=replace(judgement.assessment, reputation=(OWN,))), "delivered")
    assert [kind for kind, _, _ in learned(gateway)] == ["ham"]


def test_a_trap_is_noted_when_it_is_named_and_not_again(make_gateway, envelope, raw):
    """At RCPT for a foreign client; then the message to it is no sign of a good sender, and no second trap."""
    gateway = make_gateway(-3.0, policy=TRAPS)
    assert gateway.trapped("192.0.2.7", "ann@example.com", "bounce@example.net")
    gateway.record(gateway.judge(raw, envelope), "delivered")
    assert learned(gateway) == [("trap", 3.0, "192.0.2.7")]


def test_a_trap_behind_our_hop_is_noted_when_the_message_is_judged(make_gateway, envelope, raw):
    """Nobody knew the sender when the recipients were named."""
    gateway = make_gateway(-3.0, policy=TRAPS)
    assert not gateway.trapped("10.0.0.1", "ann@example.com", "bounce@example.net")
    trace = b"Received: from bad.example (unknown [198.51.100.9]) by mx.example.com (Postfix) with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    gateway.record(gateway.judge(trace + raw, replace(envelope, client_ip="10.0.0.1")), "delivered")
    assert learned(gateway) == [("trap", 3.0, "198.51.100.9")]


def test_a_bounce_to_a_trap_is_no_evidence(make_gateway, envelope, raw):
    """The trap's address was forged as a sender; who bounces that is a good server."""
    gateway = make_gateway(3.0, policy=TRAPS)
    assert not gateway.trapped("192.0.2.7", "ann@example.com", "")
    assert not gateway.trapped("192.0.2.7", "bob@example.com", "a@example.net")
    gateway.record(gateway.judge(raw, replace(envelope, mail_from="")), "delivered")
    assert learned(gateway) == []


def test_reports_and_their_undoing_weigh_the_same(make_gateway):
    """Taking a report back is a report of the other kind; of our own hops nothing is said."""
    gateway = make_gateway(0.0)
    gateway.reported("192.0.2.7", "spam", "ann")
    gateway.reported("192.0.2.7", "spam", "ann", undone=True)
    gateway.reported("192.0.2.8", "ham", "bob")
    gateway.reported("192.0.2.8", "ham", "bob", undone=True)
    gateway.reported("10.0.0.1", "spam", "ann")
    gateway.reported("", "spam", "ann")
    assert learned(gateway) == [
        ("report-spam", 2.0, "192.0.2.7"),
        ("report-ham", 2.0, "192.0.2.7"),
        ("report-ham", 3.0, "192.0.2.8"),
        ("report-spam", 3.0, "192.0.2.8"),
    ]


def test_a_spool_that_cannot_be_written_costs_evidence_and_is_counted(tmp_path, monkeypatch):
    """The oldest goes first; adding never waits."""
    monkeypatch.setattr("mailward.gateway.evidence.ROOM", 10)
    blocked = tmp_path / "file"
    blocked.write_text("where the folder should be")
    spool = Spool(blocked)
    piece = Evidence(1.0, EvidenceKind.SPAM, source("192.0.2.1"))
    for number in range(25):
        spool.add(replace(piece, time=float(number)))
    spool.flush()
    assert spool.dropped >= 15
    blocked.unlink()
    spool.close()
    kept = [parse(line).time for line in (blocked / "evidence.tsv").read_text().splitlines()]
    assert kept == [float(number) for number in range(15, 25)]


def test_evidence_is_made_only_of_a_judgement(make_gateway, envelope, raw):
    """Pure: the same facts give the same evidence, and nothing is written."""
    gateway = make_gateway(12.0)
    judgement = gateway.judge(raw, envelope)
    made = [list(of_message(judgement.assessment, judgement.verdict, gateway.policy, "delivered")) for _ in range(2)]
    assert made[0] == made[1]
    assert learned(gateway) == []


class Rated:
    """Rates every link alike."""

    def __init__(self, rating: int | None) -> None:
        self.rating = rating

    def rate(self, url: str) -> Rating:
        return Rating(url, self.rating, "so it is", "test")


LINK = b"From: news@example.org\r\n\r\nsee http://shop.test/a now\r\n"
SOURCES = Policy.from_toml("[new_spam_sources]\nenabled = true\n")


@pytest.mark.parametrize(
    ("rating", "standing", "expected"),
    [
        (10, Standing.UNKNOWN, [("url", 2.0, "192.0.2.7")]),
        (60, Standing.UNKNOWN, [("url", 2.0, "192.0.2.7")]),
        (70, Standing.DYNAMIC, [("url", 2.0, "192.0.2.7")]),
        (10, Standing.GOOD, []),
        (70, Standing.UNKNOWN, []),
        (None, Standing.DYNAMIC, []),
        (None, Standing.STANDARD, []),
    ],
)
def test_a_bad_link_of_a_stranger_is_evidence(make_gateway, envelope, rating, standing, expected):
    """Once for a message, whatever its score; an untested link does not prolong the listing that made it suspicious."""
    gateway = make_gateway(3.0, policy=SOURCES)
    gateway.rater = Rated(rating)
    arrived = gateway.read(LINK, envelope)
    gateway.record(gateway.conclude(arrived, Answers(IpReputation("192.0.2.7", standing))), "quarantined")
    assert learned(gateway) == expected


def test_links_are_no_evidence_while_the_filter_is_off(make_gateway, envelope):
    """What nobody asked for is not learned."""
    gateway = make_gateway(3.0)
    gateway.rater = Rated(10)
    gateway.record(gateway.judge(LINK, envelope), "quarantined")
    assert learned(gateway) == []


def test_phishing_speaks_against_its_sender_as_spam_does(make_gateway, envelope, raw):
    """The higher of both scores counts, so that phishing that is no spam is no praise either."""

    class Pretence:
        def judge(self, evidence):
            return (Contribution("brand:in-name", 8.5, "Claims to be a bank."),)

    gateway = make_gateway(-3.0)
    gateway.phishing = Pretence()
    gateway.record(gateway.judge(raw, envelope), "quarantined")
    assert learned(gateway) == [("spam", 1.0, "192.0.2.7")]
