"""The packaged model on messages written for these tests: ten that are phishing, and mail that speaks of the same things and is not."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.content.mails import FAILED, PROVEN, client, looked_at, mail

from mailward.auth import Authentication, Outcome
from mailward.auth.results import recorded
from mailward.message import parse
from mailward.message.origin import envelope_from_trace, origin
from mailward.message.urls import urls_of
from mailward.phishing import Model, load
from mailward.phishing.evidence import gather
from mailward.phishing.score import FactMeaning, Weights, meanings

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.eml"))
MEDIUM = 5.0


def proven(domain: str) -> Authentication:
    return Authentication(Outcome.PASS, Outcome.PASS, Outcome.PASS, spf_domain=domain, dkim_domains=(domain,), source="mx.example.com")


def total(shares) -> float:
    return math.fsum(share.value for share in shares)


def judged(raw: bytes, auth: Authentication = PROVEN, envelope=None):
    _, _, found = looked_at(raw, envelope or client(), auth)
    return load().judge(gather(found, urls_of(parse(raw))))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_ten_examples_are_phishing(path):
    """Without any help of ratings; the explanation names what a person would."""
    from mailward.content.evidence import gather as look

    message = parse(path.read_bytes())
    envelope = envelope_from_trace(message)
    found = look(message, origin(message, envelope), envelope, recorded(message, ("mx.example.com",), 0))
    shares = load().judge(gather(found, urls_of(message)))
    assert total(shares) >= MEDIUM, sorted(shares, key=lambda share: -share.value)


WANTED = {
    "paypal": (
        "paypal.com",
        {"From": "PayPal <service@paypal.com>", "Subject": "You sent a payment of $25.00 USD"},
        "<p>Hello Ann,</p><p>You sent $25.00 to Bob. Not you? <a href='https://www.paypal.com/help'>Tell us</a> or log in to your account.</p><p>© PayPal</p>",
    ),
    "reset": (
        "example.com",
        {"From": "Example Shop <noreply@example.com>", "Subject": "Reset your password"},
        "<p>Somebody asked for a new password for your account.</p><p><a href='https://www.example.com/reset?t=8a7f'>Choose a new password</a></p>"
        "<p>Ignore this mail if it was not you.</p>",
    ),
    "parcel": (
        "dhl.com",
        {"From": "DHL Paket <noreply@dhl.com>", "Subject": "Ihre Sendung kommt heute"},
        "<p>Ihr Paket kommt heute zwischen 10 und 12 Uhr.</p><p><a href='https://www.dhl.com/track?id=003404'>Sendung verfolgen</a></p><p>© DHL</p>",
    ),
    "github": (
        "github.com",
        {"From": "Ann Lee <notifications@github.com>", "Subject": "Re: [tool/tool] Login fails after update (#12)"},
        "<p>I see the same with PayPal sign-in. Does your account have two-factor on?</p>"
        "<p><a href='https://github.com/tool/tool/issues/12'>View it on GitHub</a></p>",
    ),
    "colleague": (
        "example.com",
        {"From": "Ann Lee <ann@example.com>", "Subject": "Invoice of the printer"},
        "<p>Hi Ben,</p><p>the invoice for the printer is attached, please pay it this week. The bank account is the old one.</p><p>Ann</p>",
    ),
    "newsletter": (
        "example.com",
        {
            "From": "Example News <news@example.com>",
            "Subject": "What is new in November",
            "List-Unsubscribe": "<https://www.example.com/u/1>",
        },
        "<p>Pay with PayPal, Visa or Apple Pay. Claim your 10 % voucher today.</p><p><a href='https://www.example.com/shop'>To the shop</a></p>"
        "<p>Follow us on Facebook and Instagram. Unsubscribe</p>",
    ),
}


@pytest.mark.parametrize("name", WANTED)
def test_wanted_mail_of_the_same_subjects_is_not(name):
    """Resets, receipts, parcels, notices and newsletters that are proven stay below Medium."""
    domain, headers, body = WANTED[name]
    address = f"x@{domain}"
    envelope = client(name=f"mail.{domain}", helo=f"mail.{domain}", mail_from=address)
    shares = judged(mail(body, True, **headers, **{"Message-ID": f"<1@{domain}>"}), proven(domain), envelope)
    assert total(shares) < MEDIUM, sorted(shares, key=lambda share: -share.value)


def test_the_same_text_counts_for_more_when_nothing_proves_it():
    domain, headers, body = WANTED["paypal"]
    raw = mail(body, True, **headers)
    assert total(judged(raw, FAILED)) > total(judged(raw, proven(domain))) + 3


def test_weights_keep_the_sign_of_their_meaning():
    """What speaks against a sender never speaks for one, whatever the training saw."""
    told = meanings()
    weights = load().weights
    assert weights.facts.keys() == told.keys()
    for name, value in weights.facts.items():
        assert value * told[name].sign >= 0, name
    assert all(value >= 0 for value in (*weights.wording_for, *weights.wording_against))


def test_sentences_take_the_words_of_their_fact(monkeypatch):
    """Curly brackets stand for the words; words of strangers that hold brackets are no format."""
    import numpy as np

    from mailward.phishing import score

    monkeypatch.setattr(score, "meanings", lambda: {"brand:in-name": FactMeaning(1, 1.0, "Claims to be {}.")})
    model = Model(Weights("x", 0.0, {"brand:in-name": 2.0}, 0.0, (0.0,) * 9, (0.0,) * 3), np.zeros(1 << 20, np.float16))
    _, _, found = looked_at(mail(From='"PayPal {0.__class__}" <a@example.com>'))
    shares = model.judge(gather(found))
    assert ("Claims to be PayPal.", 2.0) in [(share.text, share.value) for share in shares]


def test_an_empty_message_has_a_score():
    """Nothing at all is no phishing, and no error."""
    assert total(judged(b"\n")) < MEDIUM


def test_the_packaged_model_is_small():
    """At most 8 MB go with the package."""
    folder = Path(__file__).resolve().parents[2] / "src" / "mailward" / "phishing" / "data" / "model"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 8 << 20


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2_000), st.text(max_size=80), st.text(max_size=80))
def test_whatever_arrives_has_a_finite_score(body, name, subject):
    """No message of strangers raises an error, and every sentence stays a line."""
    head = f"From: {name} <a@example.net>\nTo: b@example.com\nSubject: {subject}\nContent-Type: text/html\n\n".encode(
        "utf-8", "surrogatepass"
    )
    shares = judged(head + body)
    assert math.isfinite(total(shares))
    assert all("\n" not in share.text and len(share.text) < 500 for share in shares)


def test_every_process_tells_the_same(tmp_path: Path) -> None:
    """Reasons and their order do not hang on how a process hashes strings: a verdict is the same for ever."""
    text = "Netflix, Spotify, PayPal, Amazon, DHL, Coinbase and Ledger: your account is suspended, verify it now. We offer loans and easy work from home.\n"
    (tmp_path / "many.eml").write_text(
        f"From: Service <office@tiles.test>\nTo: a@example.org\nSubject: Verify\n\n{text}http://tiles.test/login\n"
    )
    command = [sys.executable, "-m", "mailward", "scan", "--offline", "--json", str(tmp_path / "many.eml")]
    told = []
    for seed in ("1", "2", "3"):
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONHASHSEED": seed})
        told.append([reason["text"] for reason in json.loads(run.stdout)["reasons"]])
    assert any("opens" in text or "begins in the name of" in text for text in told[0])
    assert told[0] == told[1] == told[2]
