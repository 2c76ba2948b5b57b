"""Mailboxes."""

from __future__ import annotations

import pytest

from mailward.message import Address, limits
from mailward.message.address import addresses, domain_name


def _short(raw: str) -> list[tuple[str, str]]:
    return [(a.display, a.addr) for a in addresses(raw)]


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("", []),
        ("a@example.org", [("", "a@example.org")]),
        ("<a@example.org>", [("", "a@example.org")]),
        ("Ann <a@Example.ORG>", [("Ann", "a@example.org")]),
        ('"Doe, Ann" <a@example.org>, b@example.org', [("Doe, Ann", "a@example.org"), ("", "b@example.org")]),
        ("a@example.org (Ann Doe)", [("Ann Doe", "a@example.org")]),
        ("Ann (from (nested) sales) <a@example.org>", [("Ann", "a@example.org")]),
        (
            "Team: a@example.org, Bob <b@example.org>;, c@example.org",
            [("", "a@example.org"), ("Bob", "b@example.org"), ("", "c@example.org")],
        ),
        ("undisclosed-recipients:;", []),
        ("=?utf-8?q?J=C3=BCrgen?= <j@example.org>", [("Jürgen", "j@example.org")]),
        ('"=?utf-8?q?J=C3=BCrgen?=" <j@example.org>', [("Jürgen", "j@example.org")]),
        ("=?utf-8?q?Doe=2C_Ann?= <a@example.org>", [("Doe, Ann", "a@example.org")]),
        ('"service@bank.example" <x@evil.test>', [("service@bank.example", "x@evil.test")]),
        ("service@bank.example <x@evil.test>", [("service@bank.example", "x@evil.test")]),
        ("=?utf-8?q?service=40bank.example?= <x@evil.test>", [("service@bank.example", "x@evil.test")]),
        ('"a b"@example.org', [("", "a b@example.org")]),
        (r'"a \"q\" b" <a@example.org>', [('a "q" b', "a@example.org")]),
        ("<@relay.example:a@example.org>", [("", "a@example.org")]),
        ("Ann <a@example.org", [("Ann", "a@example.org")]),
        ("Ann a@example.org", [("Ann", "a@example.org")]),
        ("Ann", [("", "Ann")]),
        ("Ann Doe", [("Ann Doe", "")]),
        ("<>", []),
        ("=?utf-8?q?Ann_=3Ca=40example=2Eorg=3E?=", [("Ann", "a@example.org")]),
        ("a@münchen.example", [("", "a@xn--mnchen-3ya.example")]),
        ("a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
        ("a@example.org; b@example.org", [("", "a@example.org"), ("", "b@example.org")]),
        ("a@example.org,,b@example.org,", [("", "a@example.org"), ("", "b@example.org")]),
        ('"never ended <a@example.org>', [('"never ended', "a@example.org")]),
        ("mailto:a@example.org", [("", "a@example.org")]),
    ],
)
def test_mailbox_lists(raw: str, wanted: list[tuple[str, str]]) -> None:
    """Mailbox lists are read, broken ones as far as something is left."""
    assert _short(raw) == wanted


def test_a_display_name_cannot_pass_for_the_address() -> None:
    """The address is the one in angle brackets, however the display name looks."""
    (found,) = addresses('"boss@example.org" <thief@evil.test>')
    assert found == Address("boss@example.org", "thief", "evil.test")


def test_long_lists_are_cut() -> None:
    """No more addresses are kept than the limit says."""
    assert len(addresses(",".join(f"u{i}@example.org" for i in range(5_000)))) == limits.ADDRESSES


@pytest.mark.parametrize(
    ("raw", "name"),
    [("Example.ORG.", "example.org"), ("bücher.example", "xn--bcher-kva.example"), ("\u200b", "\u200b"), ("a..b", "a..b"), ("", "")],
)
def test_domains_are_lower_case_a_labels(raw: str, name: str) -> None:
    """U-labels become A-labels; what cannot be encoded stays as it is."""
    assert domain_name(raw) == name
