"""Servers that look like ours and are named nowhere."""

from mailward.policy import DomainList
from mailward.scan import SenderIp
from mailward.scan.hops import SUGGESTED, suggestions

OURS = DomainList(["example.com", "*.example.com"])


def mail(facts, address, helo="mta.example.net", name="", **more):
    return facts(sender_ip=SenderIp(address, "unknown", name), helo=helo, **more)


def test_a_named_hop_is_suggested_after_twenty_messages(facts):
    """By its own name or its reverse name, among other mail; with the numbers."""
    seen = [mail(facts, f"198.51.100.{n}") for n in range(15)] + [mail(facts, "192.0.2.9", "relay.example.com") for _ in range(5)]
    (found,) = suggestions(seen, OURS)
    assert (found.address, found.messages, found.looked_at, found.why) == ("192.0.2.9", 5, 20, "it calls itself relay.example.com")
    (found,) = suggestions([mail(facts, "192.0.2.9", name="out.example.com") for _ in range(20)], OURS)
    assert found.why == "it calls itself out.example.com"


def test_a_relay_without_a_name_is_suggested_when_it_brings_nearly_everything(facts):
    """Also where no domain of ours is named."""
    seen = [mail(facts, "192.0.2.9") for _ in range(18)] + [mail(facts, "198.51.100.1") for _ in range(2)]
    assert [found.address for found in suggestions(seen, DomainList())] == ["192.0.2.9"]
    assert suggestions(seen[:19], DomainList()) == ()


def test_strangers_are_not_suggested(facts):
    """Who forges our name from many addresses, users who signed in, refused clients, ordinary senders."""
    forged = [mail(facts, f"198.51.100.{n}", "mail.example.com") for n in range(200)]
    users = [mail(facts, "192.0.2.9", "pc.example.com", authenticated=True) for _ in range(50)]
    refused = [mail(facts, "192.0.2.8", "pc.example.com", connection_only=True) for _ in range(50)]
    assert suggestions(forged + users + refused, OURS) == ()


def test_the_busiest_come_first(facts):
    """At most three."""
    seen = [mail(facts, f"192.0.2.{n}", "relay.example.com") for n in range(1, 6) for _ in range(n + 5)]
    assert [found.address for found in suggestions(seen, OURS)] == ["192.0.2.5", "192.0.2.4", "192.0.2.3"][:SUGGESTED]
