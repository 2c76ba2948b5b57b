"""`Received` lines and the sender they tell."""

from __future__ import annotations

import pytest

from mailward.message import Envelope, Hop, parse
from mailward.message.origin import Origin, envelope_from_trace, origin
from mailward.message.received import read


@pytest.mark.parametrize(
    ("line", "hop"),
    [
        (  # Postfix
            "from mail.example.org (mail.example.org [192.0.2.1])\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n"
            "\t key-exchange X25519)\n\t(No client certificate requested)\n\tby MX.example.com (Postfix) with ESMTPS id 4XYZ\n"
            "\tfor <a@example.com>; Mon, 23 Nov 2026 10:00:00 +0000 (UTC)",
            Hop("mail.example.org", "mail.example.org", "192.0.2.1", "mx.example.com", "ESMTPS"),
        ),
        (
            "from evil (unknown [IPv6:2001:DB8::1]) by mx.example.com (Postfix) with SMTP id 1; x",
            Hop("evil", "", "2001:db8::1", "mx.example.com", "SMTP"),
        ),
        (  # sendmail
            "from helo.example (host.example.net [192.0.2.9] (may be forged)) by mx.example.com (8.18.1/8.18.1) with ESMTP id x for <a@b>; x",
            Hop("helo.example", "host.example.net", "192.0.2.9", "mx.example.com", "ESMTP"),
        ),
        (
            "from helo (IDENT:user@host.example.net [192.0.2.9]) by mx.example.com (8.9.3/8.9.3) with SMTP id X; x",
            Hop("helo", "host.example.net", "192.0.2.9", "mx.example.com", "SMTP"),
        ),
        ("from helo ([192.0.2.9]) by mx.example.com with SMTP; x", Hop("helo", "", "192.0.2.9", "mx.example.com", "SMTP")),
        (  # Exim
            "from [192.0.2.3] (helo=friend) by mx.example.com with esmtp (Exim 4.96) (envelope-from <x@y>) id 1; x",
            Hop("friend", "", "192.0.2.3", "mx.example.com", "ESMTP"),
        ),
        (
            "from host.example.net ([192.0.2.3] helo=friend) by mx.example.com with esmtps (TLS1.3) tls TLS_AES (Exim 4.96) id 1; x",
            Hop("friend", "host.example.net", "192.0.2.3", "mx.example.com", "ESMTPS"),
        ),
        (
            "from host.example.net ([192.0.2.3]) by mx.example.com with esmtp (Exim 4.96) id 1; x",
            Hop("host.example.net", "host.example.net", "192.0.2.3", "mx.example.com", "ESMTP"),
        ),
        (  # qmail
            "from unknown (HELO friend) (192.0.2.4) by mx.example.com with SMTP; 1 Jan 2026 00:00:00 -0000",
            Hop("friend", "", "192.0.2.4", "mx.example.com", "SMTP"),
        ),
        (
            "from host.example.net (HELO friend) (user@192.0.2.4) by mx.example.com with SMTP; x",
            Hop("friend", "host.example.net", "192.0.2.4", "mx.example.com", "SMTP"),
        ),
        ("(qmail 12345 invoked by uid 500); 1 Jan 2026 00:00:00 -0000", Hop("", None, None, "", "")),
        (  # Exchange
            "from EX1.example.org (192.0.2.5) by EX2.example.com (198.51.100.6) with Microsoft SMTP Server (version=TLS1_2) id 15.1; x",
            Hop("EX1.example.org", None, "192.0.2.5", "ex2.example.com", "MICROSOFT SMTP"),
        ),
        (
            "from A.prod.outlook.com (2603:10a6:20b:3f0::17) by B.prod.outlook.com (2603:10a6::2) with HTTPS; x",
            Hop("A.prod.outlook.com", None, "2603:10a6:20b:3f0::17", "b.prod.outlook.com", "HTTPS"),
        ),
        (  # Gmail
            "from mail.example.org (mail.example.org. [192.0.2.7]) by mx.google.com with ESMTPS id x for <a@b>\n (version=TLS1_3); x",
            Hop("mail.example.org", "mail.example.org", "192.0.2.7", "mx.google.com", "ESMTPS"),
        ),
        ("by 2002:a05:6000:1234:b0:1:2:3 with SMTP id abc; x", Hop("", None, None, "2002:a05:6000:1234:b0:1:2:3", "SMTP")),
        ("from [IPv6:2001:db8::2] (port=1234) by mx.example.com with ESMTPSA id x; x", Hop("2001:db8::2", "", "2001:db8::2", "mx.example.com", "ESMTPSA")),
        ("from helo ([::ffff:192.0.2.8]) by mx.example.com with ESMTP; x", Hop("helo", "", "192.0.2.8", "mx.example.com", "ESMTP")),
        ("from localhost (localhost [127.0.0.1]) by mx.example.com (Postfix) with ESMTP id 1; x",
         Hop("localhost", "localhost", "127.0.0.1", "mx.example.com", "ESMTP")),
        ("from x (x [999.1.1.1]) by y with z", Hop("x", "", None, "y", "Z")),
        ("", Hop("", None, None, "", "")),
        ("garbage ((( [ from", Hop("", None, None, "", "")),
    ],
)  # fmt: skip
def test_forms_of_received_lines(line: str, hop: Hop) -> None:
    """The forms of the usual servers are read: HELO, verified name, address, writer, protocol."""
    assert read(line) == hop


def _message(*lines: str, head: str = "") -> bytes:
    return (head + "".join(f"Received: {line}; Mon, 23 Nov 2026 10:00:00 +0000\n" for line in lines) + "\nx").encode()


_OWN = "from relay.example.com (relay.example.com [198.51.100.7]) by in.example.com with ESMTP"
_FOREIGN = "from mail.sender.test (mail.sender.test [192.0.2.50]) by relay.example.com with ESMTPS"
_FORGED = "from bank.test (bank.test [203.0.113.1]) by mail.sender.test with ESMTP"
_LOCAL = "from localhost (localhost [127.0.0.1]) by in.example.com with ESMTP"


def test_a_foreign_connection_is_the_sender() -> None:
    """Where the client is not ours, no Received line is believed."""
    found = origin(parse(_message(_FORGED)), Envelope("192.0.2.50", "mail.sender.test", "helo.test", way_in="smtp"), ["198.51.100.0/24"])
    assert found == Origin("192.0.2.50", "mail.sender.test", "helo.test", -1)


def test_behind_our_own_hops_the_first_foreign_address_is_the_sender() -> None:
    """Our relays and loopback are passed over from the top; what the first foreign host wrote is not believed."""
    m = parse(_message(_LOCAL, _OWN, _FOREIGN, _FORGED))
    found = origin(m, Envelope("198.51.100.9", way_in="smtp"), ["198.51.100.0/24"])
    assert found == Origin("192.0.2.50", "mail.sender.test", "mail.sender.test", 2)


def test_an_unlisted_relay_is_foreign() -> None:
    """A relay nobody declared as ours is the sender: lines below it could be forged."""
    found = origin(parse(_message(_LOCAL, _OWN, _FOREIGN)), Envelope("127.0.0.1", way_in="smtp"), [])
    assert found.address == "198.51.100.7"
    assert found.hop == 1


def test_mail_made_inside_has_the_client_as_sender() -> None:
    """Where every hop is ours the connecting client is all there is."""
    found = origin(parse(_message(_LOCAL)), Envelope("10.0.0.1", "pc.example.com", "pc", way_in="smtp"), [])
    assert found == Origin("10.0.0.1", "pc.example.com", "pc", -1)


def test_the_envelope_of_a_stored_message() -> None:
    """Client, sender and recipients come from the trace headers; relays of the own house are passed over."""
    head = "Return-Path: <bounce@sender.test>\nDelivered-To: ann@example.com\n"
    m = parse(_message(_LOCAL, _OWN, _FOREIGN, _FORGED, head=head))
    envelope = envelope_from_trace(m)
    assert envelope == Envelope("192.0.2.50", "mail.sender.test", "mail.sender.test", "bounce@sender.test", ("ann@example.com",))
    assert origin(m, envelope, []).hop == 2


def test_a_helo_of_our_own_name_does_not_make_a_relay() -> None:
    """A stranger who calls himself by our name is a stranger."""
    m = parse(_message("from relay.example.com (unknown [192.0.2.66]) by in.example.com with SMTP", _FORGED))
    assert envelope_from_trace(m).client_ip == "192.0.2.66"


@pytest.mark.parametrize(
    ("raw", "sender"), [(b"Return-Path: <>\n\n", ""), (b"\n", None), (b"X-Envelope-From: <a@example.org>\n\n", "a@example.org")]
)
def test_the_null_sender_differs_from_an_unknown_one(raw: bytes, sender: str | None) -> None:
    """An empty Return-Path is the null sender; without any header the sender is unknown."""
    assert envelope_from_trace(parse(raw)).mail_from == sender


def test_a_message_without_trace_has_no_sender() -> None:
    """Nothing is made up where nothing is known."""
    m = parse(b"Subject: x\n\ny")
    assert envelope_from_trace(m) == Envelope()
    assert origin(m, Envelope()) == Origin(None, None, "", -1)
