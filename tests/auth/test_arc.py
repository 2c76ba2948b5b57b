"""ARC (RFC 8617): chains that hold, chains that do not, and whose word is taken."""

from __future__ import annotations

import time

import pytest
from tests.auth.signing import PLAIN, rsa_key, sealed, signed
from tests.auth.zone import Zone

from mailward.auth import Authentication, Outcome, arc
from mailward.auth.arc import Arc
from mailward.auth.combine import prepare
from mailward.auth.fields import take_apart

DOMAINS = ("list.test", "lists.fwd.test", "evil.test")
KEYS = {f"arc._domainkey.{domain}": {"TXT": [rsa_key()[1]]} for domain in DOMAINS}
ONE = sealed(signed(), "list.test", "dmarc=pass header.from=example.com")
TWO = sealed(ONE, "lists.fwd.test", "arc=pass; dmarc=fail header.from=example.com")


def check(raw: bytes, zone: Zone | None = None) -> Arc:
    return (zone or Zone(KEYS)).run(arc.check(take_apart(raw), time.time()))


def test_chains_of_another_program_hold() -> None:
    """Sets sealed by dkimpy pass; the sealers come out in order; all keys are asked for at once."""
    assert check(PLAIN) == Arc(Outcome.NONE)
    assert (check(ONE).outcome, check(ONE).sealers) == (Outcome.PASS, ("list.test",))
    zone = Zone(KEYS)
    assert check(TWO, zone).sealers == ("list.test", "lists.fwd.test")
    assert len(zone.asked) == 3


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"yesterday", b"tomorrow", "the body was changed"),
        (b"Subject: Minutes", b"Subject: Invoice", "the header was changed"),
        (b"dmarc=fail", b"dmarc=pass", "seal 2: it was changed"),
        (b"dmarc=pass", b"dmarc=none", "seal 1: it was changed"),
        (b"cv=pass", b"cv=none", "says nothing of the chain"),
        (b"cv=pass", b"cv=fail", "found the chain broken"),
        (b"ARC-Seal: i=1", b"X-Seal: i=1", "ARC fields are missing"),
        (b"i=2;", b"i=3;", "ARC fields are missing"),
    ],
)
def test_changed_chains_fail(old: bytes, new: bytes, why: str) -> None:
    assert old in TWO
    raw = TWO.replace(b"Authentication-Results: lists.fwd.test; arc=pass; dmarc=fail header.from=example.com\r\n", b"")
    raw = raw.replace(b"Authentication-Results: list.test; dmarc=pass header.from=example.com\r\n", b"").replace(old, new)
    found = check(raw)
    assert (found.outcome, found.sealers) == (Outcome.FAIL, ())
    assert why in found.why


def test_silence_and_missing_keys() -> None:
    assert check(ONE, Zone({})).outcome is Outcome.FAIL
    assert check(ONE, Zone(KEYS, silent=frozenset({"arc._domainkey.list.test"}))).outcome is Outcome.TEMPERROR


def test_long_chains_and_many_fields_are_not_followed() -> None:
    """Ten handlers at most, and no work for a thousand fields."""
    raw = ONE
    for _ in range(10):
        raw = sealed(raw, "list.test", "arc=pass")
    zone = Zone(KEYS)
    assert check(raw, zone).why == "there are more than 10 handlers"
    assert zone.asked == []
    assert check(b"ARC-Seal: i=1; a=b\r\n" * 900 + PLAIN).outcome is Outcome.FAIL


def authenticated(raw: bytes, trusted: tuple[str, ...], author: str = "example.com") -> Authentication:
    from mailward.auth.combine import together

    zone = Zone(KEYS | {"_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject"]}})
    checks = prepare(raw, (author,), "192.0.2.9", "bounce@list.test", "list.test", time.time())
    found = [zone.run(steps) for steps in (checks.spf(), checks.dkim(), checks.arc(), checks.dmarc())]
    return together(checks, *found, trusted)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize(
    ("raw", "trusted", "vouched"),
    [
        (ONE, ("list.test",), "example.com"),
        (ONE, (), ""),
        (ONE, ("evil.test",), ""),
        (TWO, ("list.test", "fwd.test"), "example.com"),
        (TWO, ("list.test",), ""),  # the last handler, a stranger, could have made up the first set
        (TWO, ("fwd.test",), ""),  # trusted, and it recorded a failure
    ],
)
def test_whose_word_is_taken(raw: bytes, trusted: tuple[str, ...], vouched: str) -> None:
    """That of the first handler from which on all are trusted."""
    found = authenticated(raw, trusted)
    assert (found.dmarc, found.vouched) == (Outcome.FAIL, vouched)


def test_the_word_is_for_the_same_from_domain_only() -> None:
    """A list that passed mail of one domain does not vouch for another."""
    other = sealed(signed(), "list.test", "dmarc=pass header.from=example.net")
    assert authenticated(other, ("list.test",)).vouched == ""


def test_a_quoted_text_is_no_result() -> None:
    """The local part of an address may hold any text; a trusted sealer that repeats it says nothing by it."""
    from mailward.auth.results import dmarc_passed

    assert dmarc_passed(' list.test; spf=pass smtp.mailfrom="a; dmarc=pass header.from=example.com"@evil.test; dmarc=fail') == ""
    assert dmarc_passed(" list.test; spf=pass; dmarc=pass (p=none) header.from=example.com") == "example.com"
