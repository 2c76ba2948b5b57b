"""Who handed a stored message over, where only its trace can tell."""

from __future__ import annotations

from mailward.message import parse
from mailward.message.origin import envelope_from_trace, origin

DATE = "Mon, 23 Nov 2026 10:00:00 +0000"


def stored(*received: str) -> bytes:
    return ("".join(f"Received: {line}; {DATE}\n" for line in received) + "From: ann@example.com\n\nhello\n").encode()


MICROSOFT = (
    "from AM1PR01MB1.eurprd01.prod.exchangelabs.com (2603:10a6::1) by LV3P223MB1.NAMP223.PROD.OUTLOOK.COM with HTTPS",
    "from DB8FT058.eop-eur05.prod.protection.outlook.com (2603:10a6::2) by DUZPR01.outlook.office365.com with Microsoft SMTP Server",
)


def test_inside_microsoft_365_the_door_is_where_mail_comes_in() -> None:
    """Hops between its own hosts are passed over; the line of the protection host names the sender, even one who is a customer himself."""
    door = "from sender.example.net (203.0.113.9) by DB8FT058.mail.protection.outlook.com (10.0.0.1) with Microsoft SMTP Server"
    assert envelope_from_trace(parse(stored(*MICROSOFT, door))).client_ip == "203.0.113.9"
    customer = door.replace("sender.example.net", "EUR05-VI1-obe.outbound.protection.outlook.com")
    assert envelope_from_trace(parse(stored(*MICROSOFT, customer))).client_ip == "203.0.113.9"


def test_a_host_that_only_says_it_is_ours_is_neither_believed_nor_blamed() -> None:
    """HELO with a name of the recipient's domain, and a line below by that very name: ours or forged, the trace cannot tell."""
    relay = "from mx1.example.org (vps-9.hosting.example.net [203.0.113.5]) by mail.example.org (Postfix) with ESMTPS"
    below = "from mail.example.com (mail.example.com [192.0.2.7]) by mx1.example.org (Postfix) with ESMTPS"
    message = parse(stored(relay, below))
    envelope = envelope_from_trace(message)
    assert (envelope.client_ip, envelope.client_name) == (None, None)
    assert origin(message, envelope).hop == 0
    named = origin(message, envelope, ["203.0.113.5/32"])  # the administrator knows it
    assert (named.address, named.name, named.hop) == ("192.0.2.7", "mail.example.com", 1)


def test_a_fetched_mailbox_is_not_the_sender() -> None:
    """The peer of a POP3 or IMAP fetch is the recipient's provider."""
    fetched = "from pop.example.net [198.51.100.3] by home.example.org with POP3 (fetchmail-6.3)"
    taken = "from mail.example.com (mail.example.com [192.0.2.7]) by mx.example.net with ESMTPS"
    assert envelope_from_trace(parse(stored(fetched, taken))).client_ip == "192.0.2.7"
