"""The spam score and its contributions."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from tests.content.mails import FAILED, PROVEN, client, looked_at, mail
from tests.message.hostile import generators

from mailward.content import load
from mailward.content.model import meanings, save, total
from mailward.message import Envelope, parse
from mailward.message.origin import envelope_from_trace, origin
from mailward.reputation.knowledge import Known, abuse, known, known_host, registrable
from mailward.scan.assess import Site, recorded_for


def score(raw: bytes, envelope: Envelope | None = None, auth: object = PROVEN) -> float:
    return total(load().judge(looked_at(raw, envelope, auth)[2]))  # type: ignore[arg-type]


def test_every_fact_has_a_meaning_and_a_weight_of_its_sign() -> None:
    """The shipped weights keep the signs a postmaster expects, and stay near what was set from knowledge."""
    weights, told = load().weights.facts, meanings()
    assert set(weights) == set(told)
    for name, meaning in told.items():
        if meaning.sign:
            assert weights[name] * meaning.sign >= 0, name
            assert abs(weights[name]) <= 1.6 * meaning.prior + 0.3 + 1e-3, name
        assert meaning.text.endswith("."), name


def test_contributions_sum_to_the_score_and_are_named_once() -> None:
    """The score is the sum of its contributions; no contribution hides in another."""
    message, source, evidence = looked_at(mail("Buy cheap pills now! http://pills.top/x", html=True))
    shares = load().score(message, source, client(), PROVEN)
    assert math.fsum(share.value for share in shares) == pytest.approx(total(load().judge(evidence)), abs=1e-9)
    assert len({share.name for share in shares}) == len(shares)
    assert all(share.text.endswith(".") for share in shares)


def test_samples_are_told_apart(samples: Path) -> None:
    """Every bundled wanted message is below High, every bundled spam at Low or above."""
    wanted, spam = {}, {}
    for path in sorted(samples.glob("*.eml")):
        message = parse(path.read_bytes())
        envelope = envelope_from_trace(message)
        source = origin(message, envelope)
        shares = load().score(message, source, envelope, recorded_for(message, envelope, source, Site()))
        (wanted if int(path.name[:2]) <= 7 else spam)[path.name] = round(total(shares), 2)
    assert max(wanted.values()) < 4.0, wanted
    assert sorted(spam.values())[1] >= 8.0, spam  # the mailbox-full lure is the phishing filter's


def test_the_same_words_weigh_less_from_a_proven_sender() -> None:
    """What a message says counts for less when it is known who says it."""
    body = "<p>Click here to claim your free prize! Limited offer, order now and save money, guaranteed winner!</p>" * 3
    assert score(mail(body, html=True), client(), PROVEN) < score(mail(body, html=True), client(), FAILED)


def test_nothing_known_counts_for_nothing() -> None:
    """A message with no authentication results and no known client gets no fact about either."""
    facts = looked_at(mail(), Envelope(way_in="http"), type(PROVEN)())[2].facts
    assert not [name for name in facts if name.startswith("trace:") and "signed" not in name and "direct" not in name]
    assert not {"identity:not-aligned", "identity:aligned", "identity:spf-fail"} & set(facts)


@pytest.mark.parametrize(
    ("fact", "raw", "envelope"),
    [
        ("identity:rare-suffix", mail(From="Deals <a@offers.sbs>"), client()),
        ("identity:brand-in-name", mail(From="PayPal <a@example.com>"), client()),
        ("identity:reply-to-freemail", mail(Reply_To="someone <x9@gmail.com>"), client()),
        ("identity:address-in-display-name", mail(From='"ceo@example.net" <a@example.com>'), client()),
        ("identity:decorated-name", mail(From="➤➤ 𝐃𝐞𝐚𝐥𝐬 <a@example.com>"), client()),
        ("wording:subject-in-capitals", mail(Subject="ACT NOW OR LOSE"), client()),
        ("wording:reply-without-thread", mail(Subject="Re: your order"), client()),
        ("wording:lure-fund", mail("I am the next of kin of a deceased client, million dollars."), client()),
        ("wording:mixed-scripts", mail("ch\u0435ap w\u0430tches and b\u0430gs \u0440rada"), client()),
        ("structure:fields-missing", mail(Date=None, Message_ID=None), client()),
        ("structure:mostly-hidden", mail('<div style="font-size:1px">' + "filler words " * 300 + "</div><p>Buy</p>", html=True), client()),
        ("links:address-literal", mail("see http://203.0.113.9/login"), client()),
        ("links:text-names-other-site", mail('<a href="http://evil.example.net/">www.example.edu</a>', html=True), client()),
        ("links:shortener", mail("see https://bit.ly/x and https://tinyurl.com/y"), client()),
        ("links:redirect", mail("see https://www.google.com/url?q=http://evil.example"), client()),
        ("trace:no-reverse-name", mail(), client(name="")),
        ("trace:generic-name", mail(), client(name="203-0-113-7.dyn.example.net")),
        ("trace:helo-address", mail(), client(helo="[203.0.113.7]")),
        ("structure:bounce", mail(From="MAILER-DAEMON@example.com"), client(mail_from="")),
    ],
)
def test_facts_are_found(fact: str, raw: bytes, envelope: Envelope) -> None:
    """Each of these messages shows the fact it was written for, and the ordinary message does not."""
    assert looked_at(raw, envelope)[2].facts.get(fact, 0) > 0
    assert fact not in looked_at(mail(), client())[2].facts


def test_trackers_of_a_sending_service_are_no_shorteners() -> None:
    """How wanted newsletters link is not held against them."""
    facts = looked_at(mail('<a href="https://shop.us1.list-manage.com/track/click?u=1">Shop</a>' * 3, html=True))[2].facts
    assert not {"links:shortener", "links:free-hosting", "links:all-foreign", "links:one-target"} & set(facts)


def test_domains_are_known_by_the_packaged_lists() -> None:
    """Lists are looked up by registrable domain; private suffixes separate customers; documentation names are nobody's."""
    assert known("gmail.com") & Known.FREEMAIL
    assert known("wikipedia.org") & Known.POPULAR
    assert known_host("o1.mail.sendgrid.net") & Known.PLATFORM
    assert registrable("shop.customer.pages.dev") == "customer.pages.dev"
    assert known("example.com") == 0
    assert known("") == 0
    assert abuse("a.b.top") == 1.0
    assert abuse("example.com") == 0.0


def test_a_model_saved_and_loaded_scores_the_same(tmp_path: Path) -> None:
    """A model is two files; nothing is lost on the way through them."""
    model = load()
    save(model, tmp_path)
    again = load(tmp_path)
    evidence = looked_at(mail("Cheap pills", html=True))[2]
    assert again.judge(evidence) == model.judge(evidence)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 10e6
    assert np.array_equal(again.buckets, model.buckets)


@pytest.mark.parametrize("name", sorted(generators()))
def test_hostile_mail_is_scored_in_time(name: str) -> None:
    """Whatever the parser makes of hostile mail, scoring it takes well below a second."""
    message = parse(generators()[name]())
    envelope = envelope_from_trace(message)
    source = origin(message, envelope)
    begun = time.process_time()
    shares = load().score(message, source, envelope, PROVEN)
    assert time.process_time() - begun < 1.0
    assert math.isfinite(total(shares))
