"""From a message and its envelope to facts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.auth import Authentication, Outcome
from mailward.message import Address, Envelope, parse
from mailward.policy import Policy
from mailward.scan import Contribution, Site, assess
from mailward.scan.alignment import aligned
from mailward.scan.assess import MORE

MESSAGE = b"""Received: from mx.example.com (mx.example.com [203.0.113.5]) by inside.example.com; Mon, 2 Nov 2026 10:00:00 +0000
Received: from mta.example.net (mta.example.net [192.0.2.7]) by mx.example.com with ESMTPS; Mon, 2 Nov 2026 10:00:00 +0000
Received: from forged (forged [198.51.100.1]) by mta.example.net; Mon, 2 Nov 2026 09:59:00 +0000
From: News <News@Example.ORG>
To: ann@example.com
Subject: Hello
Message-ID: <1@example.org>
Content-Type: text/html

<p>Read <a href="http://www.example.org/a">this</a>, or <a href="http://www.example.org/a">this</a>, or <a href="http://b.example.org/">that</a></p>
"""


class FixedModel:
    """Gives the contributions it was made with."""

    name = "fixed"

    def __init__(self, *values: float) -> None:
        self.values = values

    def score(self, message, origin, envelope, auth, local=None, evidence=None):
        self.seen = (message, origin, envelope, auth, local)
        return tuple(Contribution(f"n:{number}", value, "A sentence") for number, value in enumerate(self.values))


def facts_of(raw=MESSAGE, envelope=None, model=None, policy=None):
    return assess(
        parse(raw), envelope or Envelope(client_ip="10.0.0.1"), Site.of(policy or Policy()), model or FixedModel(1.0), None, 1.5, "id1"
    )


def test_facts_of_an_ordinary_message():
    """Addresses in one form, URLs once each, the model's contributions as they are."""
    found = facts_of(
        envelope=Envelope("192.0.2.7", "mta.example.net", "mta.example.net", "Bounce@BÜCHER.example", ("Ann@example.com",), way_in="smtp")
    )
    assert (found.id, found.time, found.way_in, found.subject, found.size) == ("id1", 1.5, "smtp", "Hello", len(MESSAGE))
    assert found.header_from == ("news@example.org",)
    assert found.mail_from == "bounce@xn--bcher-kva.example"
    assert found.rcpt_to == ("ann@example.com",)
    assert [url.url for url in found.urls] == ["http://www.example.org/a", "http://b.example.org/"]
    assert [share.value for share in found.spam] == [1.0]
    assert (found.model, found.sender_ip.address, found.from_aligned) == ("fixed", "192.0.2.7", None)
    assert found.phishing is None


def test_the_sender_is_found_beyond_our_own_hops():
    """Only networks the policy names as ours are passed over; lines below the first foreign hop are not believed."""
    policy = Policy.from_toml('[organisation]\ngateway_networks = ["203.0.113.0/24"]\n')
    assert facts_of(policy=policy).sender_ip.address == "192.0.2.7"
    assert facts_of().sender_ip.address == "203.0.113.5"


@pytest.mark.parametrize("trusted", [True, False])
def test_recorded_authentication_counts_from_named_servers_only(trusted):
    """Authentication-Results of a server the policy does not name are nobody's word."""
    policy = Policy.from_toml(f'[organisation]\ntrusted_authserv_ids = ["{"mx.example.com" if trusted else "other.example.com"}"]\n')
    raw = b"Authentication-Results: mx.example.com; dkim=pass header.d=example.org; dmarc=pass header.from=example.org\r\n" + MESSAGE
    found = facts_of(raw, policy=policy)
    assert found.auth.dmarc is (Outcome.PASS if trusted else Outcome.UNCHECKED)
    assert found.from_aligned is (True if trusted else None)


def test_a_score_that_is_no_number_is_unscannable():
    """A model that fails so is not believed, and the message gets no score."""
    for bad in (math.nan, math.inf):
        found = facts_of(model=FixedModel(1.0, bad))
        assert found.unscannable
        assert found.spam == ()


def test_a_share_of_nothing_is_left_out():
    """Only what weighs something is a reason."""
    assert [share.value for share in facts_of(model=FixedModel(1.0, 0.0, -0.0, -2.0)).spam] == [1.0, -2.0]


def test_more_senders_than_are_kept_can_not_all_be_approved():
    """A flood of From addresses is cut, and the cut cannot be approved."""
    raw = b"From: " + b", ".join(b"a%d@example.org" % number for number in range(150)) + b"\r\n\r\nx"
    found = facts_of(raw)
    assert len(found.header_from) == 101
    assert found.header_from[-1] == MORE
    policy = Policy.from_toml('[content_scanning.target]\napproved_senders = ["example.org"]\n')
    assert not policy.content_scanning.target.approved_senders.match(MORE)


def test_the_urls_of_one_message_cannot_fill_the_storage():
    """At most 64 KB of URLs are kept."""
    raw = b"Content-Type: text/html\r\n\r\n" + b"".join(
        b'<a href="http://%d.example.org/%s">x</a>' % (number, b"y" * 1900) for number in range(300)
    )
    kept = facts_of(raw).urls
    assert kept
    assert sum(len(url.url) for url in kept) <= 65_536


@pytest.mark.parametrize(
    ("sender", "recipients", "authenticated", "direction"),
    [
        ("x@example.org", ("ann@example.com",), False, "incoming"),
        ("ann@example.com", ("x@example.org",), False, "outgoing"),
        ("ann@example.com", ("bob@example.com",), False, "internal"),
        ("ann@mail.example.com", ("bob@example.com", "x@example.org"), False, "outgoing"),
        ("x@example.org", ("y@example.org",), True, "outgoing"),
    ],
)
def test_direction_is_told_by_our_own_domains(sender, recipients, authenticated, direction):
    """Incoming, outgoing or internal."""
    policy = Policy.from_toml('[organisation]\ninternal_domains = ["example.com", "*.example.com"]\n')
    envelope = Envelope(rcpt_to=recipients, authenticated=authenticated)
    assert facts_of(f"From: {sender}\r\n\r\nx".encode(), envelope, policy=policy).extra["direction"] == direction


@given(st.binary(max_size=300), st.text(max_size=30), st.text(max_size=30))
def test_any_message_has_facts_that_can_be_stored(raw, sender, subject):
    """Whatever arrives, the facts are UTF-8 text: no lone surrogates, no broken numbers."""
    head = b"From: " + sender.encode("utf-8", "surrogatepass") + b"\r\nSubject: " + subject.encode("utf-8", "surrogatepass") + b"\r\n"
    found = facts_of(head + raw, Envelope(helo=subject, mail_from=sender, rcpt_to=(sender,)))
    for text in (
        found.subject,
        found.message_id,
        found.helo,
        found.mail_from,
        *found.rcpt_to,
        *found.header_from,
        *(url.url for url in found.urls),
    ):
        text.encode("utf-8")


ALICE = Address("", "alice", "news.example.org")


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (Authentication(), None),
        (Authentication(arc=Outcome.PASS), None),
        (Authentication(spf=Outcome.NONE), False),
        (Authentication(dmarc=Outcome.PASS), True),
        (Authentication(dmarc=Outcome.FAIL, spf=Outcome.PASS, spf_domain="mta.test"), False),
        (Authentication(spf=Outcome.PASS, spf_domain="bounce.example.org"), True),
        (Authentication(spf=Outcome.SOFTFAIL, spf_domain="example.org"), False),
        (Authentication(dkim=Outcome.PASS, dkim_domains=("esp.test", "example.org")), True),
        (Authentication(dkim=Outcome.FAIL, dkim_domains=("example.org",)), False),
        (Authentication(dkim=Outcome.PASS, dkim_domains=("badexample.org",)), False),
    ],
)
def test_alignment_is_relaxed(auth, expected):
    """The same organisational domain by DKIM or SPF, or DMARC; nothing checked is None."""
    assert aligned([ALICE], auth) is expected


def test_alignment_speaks_for_every_visible_sender():
    """A second From address with another domain has to be proven too; a DMARC pass proves one domain only."""
    bob = Address("", "bob", "example.net")
    assert aligned([ALICE, bob], Authentication(dmarc=Outcome.PASS)) is False
    assert aligned([ALICE, bob], Authentication(dkim=Outcome.PASS, dkim_domains=("example.org",))) is False
    assert aligned([ALICE, bob], Authentication(dkim=Outcome.PASS, dkim_domains=("example.org", "example.net"))) is True
    assert aligned([], Authentication(dmarc=Outcome.PASS)) is False
    assert aligned([Address("", "alice", "")], Authentication(dmarc=Outcome.PASS)) is False


def test_customers_of_a_private_suffix_are_strangers():
    """One site of a hosting domain cannot authenticate another."""
    site = Address("", "a", "one.github.io")
    assert aligned([site], Authentication(dkim=Outcome.PASS, dkim_domains=("two.github.io",))) is False
