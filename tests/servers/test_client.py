"""What proxies tell about clients."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.servers.smtp.client import XCLIENT, BadAttribute, Client, attribute_lines, decode_xtext, encode_xtext, told


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=50))
def test_xtext_comes_back(text: str) -> None:
    """What is encoded decodes to the same text, whatever the script, and has no octet a command line could not carry."""
    encoded = encode_xtext(text)
    assert all("!" <= c <= "~" and c != "=" for c in encoded)
    assert decode_xtext(encoded) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [("a+2Bb", "a+b"), ("a+2bb", "a+b"), ("bad+", "bad+"), ("bad+G1", "bad+G1"), ("nl+0D+0A", "nl??"), ("lat+E9", "lat\ufffd")],
)
def test_bad_xtext_does_no_harm(text: str, plain: str) -> None:
    """Invalid escapes stay as they are, control characters cannot get in."""
    assert decode_xtext(text) == plain


def test_attributes_change_only_what_they_name() -> None:
    """A later line adds to an earlier one, [UNAVAILABLE] clears, case does not matter."""
    client = told(Client("127.0.0.1", port="9"), "XFORWARD", "NAME=mail.example.com addr=IPv6:2001:DB8:0::1")
    client = told(client, "XFORWARD", "HELO=h name=[unavailable] SOURCE=LOCAL")
    assert client == Client("2001:db8::1", None, "h", "9", local=True, told="XFORWARD")


@pytest.mark.parametrize("argument", ["", "ADDR", "ADDR=1.2.3", "ADDR=IPV6:x", "LOGIN=a", "=x", "NAME=a ADDR=b"])
def test_unreadable_attributes_are_refused(argument: str) -> None:
    """Nothing of a line with a mistake is taken over."""
    with pytest.raises(BadAttribute):
        told(Client(None), "XFORWARD", argument)


def test_a_client_handed_on_is_the_same_client() -> None:
    """Lines for the next hop, read again as the next hop reads them, give the client back; each fits Postfix's 512 octets."""
    client = Client("192.0.2.1", "n" * 200 + ".example.com", "h+= é" + "x" * 230, "4711", "ESMTP", "me@example.com", told="XCLIENT")
    lines = attribute_lines(client, "XCLIENT", frozenset(XCLIENT))
    assert len(lines) > 1
    assert all(len(line) <= 510 for line in lines)
    again = Client(None)
    for line in lines:
        again = told(again, "XCLIENT", line.decode().partition(" ")[2])
    assert again == client


def test_only_offered_attributes_are_sent() -> None:
    """What is not known is said to be so; what was not offered is not said; nobody is logged in by accident."""
    lines = attribute_lines(Client("2001:db8::1"), "XCLIENT", frozenset({"ADDR", "NAME", "LOGIN", "DESTADDR"}))
    assert lines == [b"XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1"]


@given(st.text(max_size=400))
def test_long_values_are_cut_between_characters(text: str) -> None:
    """However long and strange a name is, what goes out is valid xtext that Postfix takes."""
    encoded = encode_xtext(text)
    assert len(encoded) <= 255
    assert re.fullmatch(r"([!-*,-<>-~]|\+[0-9A-F]{2})*", encoded)
