"""Recorded authentication results (RFC 8601) are read only from servers that are trusted, and only where they could write."""

from __future__ import annotations

import pytest

from mailward.auth import Outcome
from mailward.auth.model import UNCHECKED
from mailward.auth.results import recorded
from mailward.message import parse

RECEIVED = "Received: from mail.example.com (mail.example.com [192.0.2.1]) by mx.example.org with ESMTPS; Mon, 23 Nov 2026 10:00:00 +0000\n"
RESULTS = (
    "Authentication-Results: mx.example.org; spf=pass (sender ok; dkim=fail) smtp.mailfrom=ann@example.com;\n"
    " dkim=pass header.d=Example.com header.s=s1; dkim=fail header.d=evil.test; dmarc=pass header.from=example.com; arc=none\n"
)


def message(*headers: str) -> bytes:
    return ("".join(headers) + "From: ann@example.com\n\nhello\n").encode()


def test_words_and_domains_are_read() -> None:
    """The best of several outcomes of a method counts; comments do not; domains are lower case."""
    found = recorded(parse(message(RESULTS, RECEIVED)), ["mx.example.org"], 0)
    assert (found.spf, found.dkim, found.dmarc, found.arc) == (Outcome.PASS, Outcome.PASS, Outcome.PASS, Outcome.NONE)
    assert found.dkim_domains == ("example.com",)
    assert found.spf_domain == "example.com"
    assert found.source == "mx.example.org"


@pytest.mark.parametrize("ids", [[], ["mx.example.net"], ["example.org.evil.test"], ["x.example.org"]])
def test_other_servers_are_not_believed(ids: list[str]) -> None:
    """Without a trusted name there is no answer, which is not an answer of none."""
    assert recorded(parse(message(RESULTS, RECEIVED)), ids, 0) == UNCHECKED


def test_a_name_that_only_begins_like_ours_is_not_ours() -> None:
    """`mx.example.org.evil.test` is not below `mx.example.org`."""
    forged = RESULTS.replace("mx.example.org", "mx.example.org.evil.test")
    assert recorded(parse(message(forged, RECEIVED)), ["mx.example.org"], 0) == UNCHECKED


def test_what_came_with_the_message_is_not_read() -> None:
    """Below the first foreign trace line anybody can write anything."""
    below = "Received: from x (y [198.51.100.1]) by mail.example.com; Mon, 23 Nov 2026 09:00:00 +0000\n"
    assert recorded(parse(message(RECEIVED, below, RESULTS)), ["mx.example.org"], 0) == UNCHECKED


def test_exchange_online_writes_no_name() -> None:
    """Its results count for outlook.com."""
    results = "Authentication-Results: spf=fail (sender IP is 192.0.2.1) smtp.mailfrom=example.com; dkim=none; dmarc=fail action=none header.from=example.com\n"
    found = recorded(parse(message(results, RECEIVED)), ["outlook.com"], 0)
    assert (found.spf, found.dmarc) == (Outcome.FAIL, Outcome.FAIL)
    assert recorded(parse(message(results, RECEIVED)), ["mx.example.org"], 0) == UNCHECKED


def test_received_spf_of_a_trusted_receiver_is_read() -> None:
    """RFC 7208 9.1: the receiver names itself."""
    header = (
        "Received-SPF: Softfail (mailfrom) identity=mailfrom; client-ip=192.0.2.1; envelope-from=ann@example.com; receiver=mx.example.org\n"
    )
    assert recorded(parse(message(header, RECEIVED)), ["mx.example.org"], 0).spf is Outcome.SOFTFAIL
    assert recorded(parse(message(header, RECEIVED)), ["other.example"], 0) == UNCHECKED


@pytest.mark.parametrize(
    "value",
    ["", ";", "mx.example.org", "mx.example.org; spf", "mx.example.org; spf=;;dkim==x", "(" * 9_000, "mx.example.org;" + "a=b;" * 9_000],
)
def test_malformed_results_say_nothing(value: str) -> None:
    """Whatever stands there, the answer is unchecked, and quickly."""
    found = recorded(parse(message(f"Authentication-Results: {value}\n", RECEIVED)), ["mx.example.org"], 0)
    assert found.spf is Outcome.UNCHECKED
    assert found.dkim is Outcome.UNCHECKED
