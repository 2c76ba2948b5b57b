"""Each piece of evidence: what raises it, and what next to it does not."""

import pytest
from tests.content.mails import FAILED, PROVEN, client, looked_at, mail

from mailward.auth import Authentication, Outcome
from mailward.message import parse
from mailward.message.urls import FoundUrl, urls_of
from mailward.phishing.evidence import gather
from mailward.phishing.score import meanings

PAYPAL = Authentication(
    Outcome.PASS, Outcome.PASS, Outcome.PASS, spf_domain="paypal.com", dkim_domains=("paypal.com",), source="mx.example.org"
)


def facts(body="Hello", html=True, auth=PROVEN, urls=None, ratings=(), **headers):
    """The facts of a message, names to strength and words."""
    raw = mail(body, html, **headers)
    _, _, found = looked_at(raw, client(), auth)
    return gather(found, urls_of(parse(raw)) if urls is None else urls, ratings).facts


def test_every_fact_of_this_room_has_a_meaning():
    """What counts is told: a sentence, a sign, a prior; and no prior is more than half of Medium."""
    for name, meaning in meanings().items():
        assert meaning.sign in (-1, 1), name
        assert 0 < meaning.prior <= 2.5, name
        assert meaning.text.endswith("."), name


@pytest.mark.parametrize("name", ["PayPal", "PayPal Service", "Pay\u200bPal", "PAYPAL Inc.", "ＰａｙＰａｌ"])
def test_a_brand_in_the_display_name_of_a_stranger(name):
    assert facts(From=f'"{name}" <a@example.com>')["brand:in-name"] == (1.0, "PayPal")


@pytest.mark.parametrize("name", ["Ann Lee", "Payment Palace", "Apple Smith"])
def test_names_that_only_resemble_a_brand(name):
    assert "brand:in-name" not in facts(From=f'"{name}" <a@example.com>')


def test_the_brand_itself_may_use_its_name():
    """Its own domain, proven, speaks against phishing; unproven, the name is stolen."""
    body = "PayPal PayPal PayPal <a href='https://www.paypal.com/x'>Pay</a> © PayPal"
    true = facts(body, auth=PAYPAL, From="PayPal <service@paypal.com>", Subject="PayPal")
    assert [name for name in true if name.startswith("brand:")] == ["brand:own"]
    assert "brand:spoofed" in facts(body, auth=FAILED, From="PayPal <service@paypal.com>")


def test_a_text_in_the_name_of_a_brand():
    """At its head, again and again, as its owner, with links elsewhere."""
    found = facts(
        "<p>PayPal</p><p>Your PayPal balance. PayPal wants you to <a href='https://example.net/x'>log in</a></p><p>© 2026 PayPal</p>"
    )
    assert {"brand:introduced", "brand:named-often", "brand:copyright", "brand:links-elsewhere"} <= found.keys()
    assert "brand:links-elsewhere" not in facts("<p>PayPal PayPal PayPal <a href='https://www.paypal.com/'>pay</a></p>")


def test_buttons_of_social_networks_claim_nothing():
    """Every newsletter ends in them."""
    found = facts(
        "<p>Our news of the week, and much more text of every kind.</p>" * 9 + "<p>Follow us on Facebook, Instagram and LinkedIn</p>"
    )
    assert not [name for name in found if name.startswith("brand:")]


def test_a_well_known_sender_may_speak_of_brands():
    """A newspaper that is proven writes about banks: the same facts, but weaker."""
    auth = Authentication(
        Outcome.PASS, Outcome.PASS, Outcome.PASS, spf_domain="nytimes.com", dkim_domains=("nytimes.com",), source="mx.example.org"
    )
    assert facts("PayPal today", auth=auth, From="News <a@nytimes.com>")["brand:introduced"][0] < 0.5
    assert facts("PayPal today")["brand:introduced"][0] == 1.0


def test_invisible_characters_between_letters():
    assert facts(From='"Coin\U000e0139base" <a@example.com>')["identity:hidden-characters"][0] > 0
    assert "identity:hidden-characters" not in facts(From='"Zoë 👩‍💻" <a@example.com>')


@pytest.mark.parametrize(("name", "found"), [("IT Support", True), ("Mail Administrator", True), ("Ann Lee", False)])
def test_an_office_as_display_name(name, found):
    assert ("identity:role" in facts(auth=FAILED, From=f'"{name}" <a@example.com>')) == found


def test_the_recipients_own_domain_as_display_name():
    """It has to be another's address."""
    assert "identity:recipients-name" in facts(From='"contoso.example IT" <a@example.net>', To="ben@contoso.example")
    assert "identity:recipients-name" not in facts(From='"contoso.example IT" <a@contoso.example>', To="ben@contoso.example")


@pytest.mark.parametrize(
    ("rating", "name"), [(50, "links:rated-dangerous"), (51, "links:rated-suspicious"), (80, "links:rated-suspicious"), (81, None)]
)
def test_the_lowest_rating_counts(rating, name):
    found = facts(ratings=[100, rating])
    assert [each for each in found if each.startswith("links:rated")] == ([name] if name else [])


def test_an_address_in_a_link():
    """Behind the number sign, or as base64, as forms are filled in beforehand."""
    assert "links:address-in-fragment" in facts("<a href='https://example.net/#ben@example.org'>x</a>")
    assert "links:address-in-fragment" in facts("<a href='https://example.net/?u=YmVuQGV4YW1wbGUub3Jn'>x</a>")
    assert "links:address-in-fragment" not in facts("<a href='https://example.net/#chapter'>x</a>")


def test_a_link_in_a_code():
    found = facts(urls=(FoundUrl("https://example.net/", "", "", "attachment:scan.png:qr"),))
    assert found["links:qr"] == (1.0, "attachment:scan[.]png")


def test_a_charge_with_a_number_to_call():
    text = "Your subscription was renewed for $499.99. To cancel call our billing department at +1 (808) 555-0142 today."
    assert "lure:call-about-charge" in facts(text)
    assert "lure:call-about-charge" not in facts("Lunch was $12.00, see you. +1 (808) 555-0142")


def test_hostile_names_and_hosts_stay_words():
    """What a stranger writes cannot start a line, a link or an endless sentence in an explanation."""
    found = facts("<form action=x><input type=password></form>", From='"IT Support" <a@example.com>', To="ben@a.example")
    assert "page:password" in found
    for _, words in facts(f"<a href='https://{'a' * 60}.{'b' * 60}.example/'>x</a>\r\n", auth=FAILED).values():
        assert len(words) < 120
        assert "\n" not in words
