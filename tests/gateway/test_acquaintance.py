"""Who writes with whom: what is told of delivered mail, and what is known of the next one."""

from __future__ import annotations

import json
import re
import time
import zlib
from typing import Any

import pytest

from mailward import storage
from mailward.gateway import Gateway, databases
from mailward.gateway.acquaintance import _REPLY, is_automatic, thread_ids
from mailward.message import Envelope, parse
from mailward.policy import PeopleList, Policy
from mailward.reputation.acquaintance.book import DAY
from mailward.reputation.acquaintance.observation import SPOOL
from mailward.scan.assessment import Assessment
from mailward.storage import records

POLICY = Policy.from_toml("""
    [organisation]
    internal_domains = ["example.com"]
    trusted_authserv_ids = ["mx.example.com"]
""")
NOW = time.time()
OUTSIDE = Envelope("192.0.2.7", mail_from="x@firm.example", rcpt_to=("ann@example.com",), way_in="smtp")
USER = Envelope(
    "192.0.2.9", mail_from="ann@example.com", rcpt_to=("kim@client.example", "tom@example.com"), authenticated=True, way_in="smtp"
)


def raw(
    sender: str = "Kim Client <kim@client.example>", subject: str = "Hello", message_id: str = "1@client.example", **fields: str
) -> bytes:
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"From: {sender}\r\nTo: ann@example.com\r\nSubject: {subject}\r\nMessage-ID: <{message_id}>\r\n{more}\r\nText\r\n".encode()


class Office:
    """A gateway, and its keeper run by hand."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def pass_on(self, message: bytes, envelope: Envelope = OUTSIDE, days_ago: float = 20, outcome: str = "delivered") -> None:
        self.gateway.record(self.gateway.judge(message, envelope, now=NOW - days_ago * DAY), outcome)

    def send(self, days_ago: float = 20, message_id: str = "ours@example.com", sender: str = "Ann Muster <ann@example.com>") -> None:
        self.pass_on(raw(sender, message_id=message_id), USER, days_ago)

    def settle(self) -> None:
        self.gateway.flush()
        with databases.acquaintance_keeper(self.gateway.settings) as keeper:
            keeper.catch_up(NOW, force=True)
        self.gateway.acquaintances._table.follow(force=True)
        self.gateway.acquaintances._table._stamp = None
        self.gateway.acquaintances._table._looked = float("-inf")

    def facts(self, message: bytes, envelope: Envelope = OUTSIDE) -> Assessment:
        return self.gateway.judge(message, envelope, now=NOW).assessment


@pytest.fixture
def office(make_gateway: Any) -> Office:
    return Office(make_gateway(0.1, policy=POLICY))


def told(facts: Assessment) -> tuple[Any, ...]:
    return facts.first_contact, facts.first_of_domain, facts.written_to, facts.thread, facts.named_internal


NOTHING = (None, None, False, "", ())


def test_without_a_table_nothing_is_known(office: Office) -> None:
    assert told(office.facts(raw(subject="Re: x", In_Reply_To="<nobody@knows.example>"))) == NOTHING


def test_who_wrote_before_is_no_first_contact(office: Office) -> None:
    """Nor is a colleague of his a first contact of the domain; case does not matter."""
    office.pass_on(raw())
    office.settle()
    assert told(office.facts(raw("KIM@Client.example")))[:3] == (False, False, False)
    assert told(office.facts(raw("lee@mail.client.example")))[:3] == (True, False, False)
    assert told(office.facts(raw("x@other.example")))[:3] == (True, True, False)


def test_whom_a_user_wrote_to_is_no_first_contact(office: Office) -> None:
    office.pass_on(raw("news@firm.example"))
    office.send()
    office.settle()
    assert told(office.facts(raw("kim@client.example")))[:3] == (False, False, True)


def test_in_the_first_two_weeks_nobody_is_a_first_contact(office: Office) -> None:
    """A gateway that has just been installed knows nobody; but whom it knows it says."""
    office.pass_on(raw(), days_ago=13)
    office.settle()
    assert told(office.facts(raw("x@other.example")))[:2] == (None, None)
    assert told(office.facts(raw()))[:2] == (False, False)


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (raw(), "quarantined"),
        (raw(), "rejected"),
        (raw(), "examined"),
        (raw(Authentication_Results="mx.example.com; spf=fail; dkim=fail; dmarc=fail"), "delivered"),
    ],
)
def test_mail_that_was_not_delivered_or_is_forged_makes_no_acquaintance(office: Office, message: bytes, outcome: str) -> None:
    office.pass_on(raw("news@firm.example"))
    office.pass_on(message, outcome=outcome)
    office.settle()
    assert office.facts(raw()).first_contact is True


def test_a_tagged_imitator_makes_no_acquaintance(make_gateway: Any) -> None:
    """Else the second mail of the same imitator would be less suspicious than the first."""
    policy = POLICY.changed("advanced_spam_prevention.impersonation.target.internal_names", PeopleList(["Ann Muster"]))
    office = Office(make_gateway(0.1, policy=policy))
    office.pass_on(raw("news@firm.example"))
    office.pass_on(raw("Ann Muster <ann@gmail.com>"))
    office.settle()
    assert office.facts(raw("ann@gmail.com")).first_contact is True


def test_a_reply_to_what_a_user_sent_is_in_a_known_conversation(office: Office) -> None:
    office.send()
    office.settle()
    assert office.facts(raw(subject="Re: Hello", In_Reply_To="<ours@example.com>")).thread == "known"
    assert office.facts(raw(subject="Re: Hello", References="<a@b> <ours@example.com> <c@d>")).thread == "known"


def test_a_conversation_that_began_with_received_mail_is_known(office: Office) -> None:
    office.pass_on(raw(message_id="first@client.example"))
    office.settle()
    assert office.facts(raw(subject="AW: x", References="<first@client.example>")).thread == "known"


def test_a_reply_in_a_conversation_that_never_passed_here(office: Office) -> None:
    office.send(20)
    office.send(1)
    office.settle()
    never = "<never@example.com>"
    assert office.facts(raw(subject="Re: Offer", In_Reply_To=never)).thread == "unknown"
    assert office.facts(raw(subject="AW: Angebot", References=never)).thread == "unknown"
    assert office.facts(raw(subject="Offer", In_Reply_To=never)).thread == ""
    assert office.facts(raw(subject="Re: Offer")).thread == ""


@pytest.mark.parametrize("days", [(13, 1), (20, 8), ()])
def test_nothing_is_said_where_outgoing_mail_was_not_seen_long_enough(office: Office, days: tuple[int, ...]) -> None:
    """Neither two weeks of it, nor any in the last week, nor any at all."""
    office.pass_on(raw("news@firm.example"))
    for ago in days:
        office.send(ago)
    office.settle()
    assert office.facts(raw(subject="Re: Offer", In_Reply_To="<never@example.com>")).thread == ""


@pytest.mark.parametrize(
    ("fields", "mail_from"),
    [
        ({"List_Id": "<talk.lists.example>"}, "x@y.example"),
        ({"List_Unsubscribe": "<mailto:x@y.example>"}, "x@y.example"),
        ({"Precedence": "bulk"}, "x@y.example"),
        ({"Auto_Submitted": "auto-replied"}, "x@y.example"),
        ({"X_Auto_Response_Suppress": "All"}, "x@y.example"),
        ({}, ""),
    ],
)
def test_lists_tickets_and_answering_machines_answer_what_they_like(office: Office, fields: dict[str, str], mail_from: str) -> None:
    office.send(20)
    office.send(1)
    office.settle()
    envelope = Envelope("192.0.2.7", mail_from=mail_from, rcpt_to=("ann@example.com",), way_in="smtp")
    assert office.facts(raw(subject="Re: Ticket", In_Reply_To="<never@example.com>", **fields), envelope).thread == ""


def test_names_are_learned_of_those_who_are_ours(office: Office) -> None:
    """Of users who signed in, and of authenticated or inside mail of our domains; written in any way."""
    passed = "mx.example.com; dkim=pass header.d=example.com; dmarc=pass header.from=example.com"
    inside = Envelope("127.0.0.1", mail_from="jo@example.com", rcpt_to=("kim@client.example",), way_in="smtp")
    for ago in (20, 19, 18):
        office.send(ago)
        office.pass_on(raw('"Beispiel, Max" <max@example.com>', Authentication_Results=passed), days_ago=ago)
        office.pass_on(raw("Jörg Köhler <jo@example.com>"), inside, ago)
        office.pass_on(raw("Foreign Person <x@firm.example>"), days_ago=ago)
        office.pass_on(raw("Forged Person <x@example.com>"), days_ago=ago)
        office.pass_on(raw("Customer Service <info@example.com>"), USER, ago)
        office.pass_on(raw("Anna <anna@example.com>"), USER, ago)
        office.pass_on(raw("Private Person <x@gmail.com>"), USER, ago)
    office.settle()
    for shown in ("Ann Muster", '"Muster, Ann"', "Dr. Ann Muster", "Max Beispiel", "Jorg Kohler", "Joerg Koehler"):
        assert office.facts(raw(f"{shown} <x@gmail.com>")).named_internal == (shown.strip('"'),), shown
    for shown in ("Foreign Person", "Forged Person", "Customer Service", "Anna", "Private Person", "Ann Muster via List"):
        assert office.facts(raw(f"{shown} <x@gmail.com>")).named_internal == (), shown


def test_our_own_users_and_hosts_are_not_asked_about(office: Office) -> None:
    office.send(20)
    office.settle()
    inside = Envelope("127.0.0.1", mail_from="jo@example.com", way_in="smtp")
    assert told(office.facts(raw(), USER)) == told(office.facts(raw(), inside)) == NOTHING


def test_the_spool_and_the_book_hold_no_address_name_or_message_id(office: Office) -> None:
    """Digests only: whoever takes the files learns nobody's name."""
    office.send()
    office.pass_on(raw())
    office.settle()
    folder = office.gateway.settings.state_folder
    files = [*folder.joinpath("acquaintance").iterdir(), *folder.joinpath("snapshots").glob("acquaintance*")]
    assert {path.name for path in files} == {"book.npz", "keeper.lock", "salt", SPOOL, "acquaintance.digests"}
    assert not [path for path in files if re.search(rb"client|example|muster|kim|ours@", path.read_bytes(), re.I)]


def test_switched_off_nothing_is_kept_or_asked(make_gateway: Any) -> None:
    office = Office(make_gateway(0.1, policy=POLICY))
    office.gateway.acquaintances._learn = False
    office.send()
    office.gateway.flush()
    assert not office.gateway.settings.acquaintance_folder.exists()
    assert told(office.facts(raw())) == NOTHING


def test_a_damaged_table_says_nothing(office: Office) -> None:
    office.settle()
    (office.gateway.settings.snapshots_folder / "acquaintance.digests").write_bytes(b"{}\n")
    assert told(Office(office.gateway).facts(raw()))[2:] == (False, "", ())


def test_facts_are_stored_and_records_without_them_are_read(office: Office) -> None:
    """A record of an older version knows nothing of acquaintance."""
    office.pass_on(raw("news@firm.example"))
    office.settle()
    judgement = office.gateway.judge(raw("x@other.example"), OUTSIDE, now=NOW)
    record = storage.Record(judgement.assessment, judgement.verdict)
    assert records.from_row(records.to_row(record)["body"], "").assessment.first_contact is True
    body = json.loads(zlib.decompress(records.to_row(record)["body"]))
    for name in ("first_contact", "first_of_domain", "written_to", "thread", "named_internal"):
        body["assessment"].pop(name, None)
    assert told(records.from_row(zlib.compress(json.dumps(body).encode()), "").assessment) == NOTHING


@pytest.mark.parametrize("subject", ["Re: x", "RE:x", "AW: x", "Re[2]: x", "  re : x", "SV: x", "回复：x", "Antw: x", "Odp: x"])
def test_subjects_that_answer(subject: str) -> None:
    assert _REPLY.match(subject)


@pytest.mark.parametrize("subject", ["Report: x", "x Re: y", "", "Reply", "Fwd: x", "Result: x", "a: b"])
def test_subjects_that_do_not(subject: str) -> None:
    assert not _REPLY.match(subject)


def test_many_references_cost_little() -> None:
    """The first and the last of a long conversation are looked up."""
    message = parse(raw(References=" ".join(f"<{number}@x.example>" for number in range(1000))))
    found = thread_ids(message)
    assert len(found) == 8
    assert (found[0], found[-1]) == ("0@x.example", "999@x.example")
    assert not is_automatic(message, OUTSIDE)
