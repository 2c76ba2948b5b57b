"""Lists of domains (URI lists): asked by a real name server about the links of a message, with the same third state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from tests.dnsbl.nameserver import Answer, Behaviour, NameServer, reply

from mailward.gateway import Gateway
from mailward.gateway.domains import MAX_DOMAINS, asked_about
from mailward.gateway.settings import Settings
from mailward.message import Envelope, parse
from mailward.message.urls import urls_of
from mailward.policy import DomainList, Policy
from mailward.reputation.answer import Outcome
from mailward.scan import Kind

URI = '[web_reputation.target]\ndomain_lists = ["uri.test=127.0.0.2"]\n[content_scanning]\nenabled = false\n'
MAIL = b"From: a@example.org\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\nsee http://www.shop.test/a and http://good.test/ and https://www.microsoft.com/\r\n"


def domains(*listed: str, code: str = "127.0.0.2") -> Behaviour:
    """An honest list of domains: TEST, and what is in `listed`."""

    def behave(query: dns.message.Message, tcp: bool) -> Answer:
        asked = query.question[0].name.to_text()
        if any(asked == f"{name}.uri.test." for name in ("test", *listed)):
            return 0, reply(query, code).to_wire()
        return 0, reply(query, rcode=dns.rcode.NXDOMAIN).to_wire()

    return behave


@pytest.fixture
def gateway(settings: Callable[..., Settings], nameserver: NameServer, tmp_path: Path) -> Iterator[Gateway]:
    nameserver.zones["uri.test"] = domains("shop.test")
    gateway = Gateway.open(settings(), Policy.from_toml(URI))
    yield gateway
    gateway.close()


async def judged(gateway: Gateway, raw: bytes = MAIL):
    judgement = await gateway.judge_asking(raw, Envelope("198.51.100.7", way_in="smtp"))
    await gateway.reputation.close()
    return judgement


async def test_a_listed_domain_is_a_dangerous_link(gateway: Gateway, nameserver: NameServer) -> None:
    """The registrable domain is asked about, once; well-known sites are not."""
    judgement = await judged(gateway)
    assert judgement.verdict.kind is Kind.MALICIOUS_URL
    assert "its domain is listed in uri.test (127.0.0.2)" in judgement.verdict.reasons[0].text
    asked = [name for name in nameserver.asked if "shop" in name or "good" in name or "microsoft" in name]
    assert sorted(asked) == ["good.test.uri.test", "shop.test.uri.test"]


@pytest.mark.parametrize(
    "behaviour",
    [
        domains("shop.test", code="127.255.255.254"),
        domains("shop.test", code="127.0.0.1"),
        domains("shop.test", code="192.0.2.1"),
        lambda query, tcp: (0, reply(query, "127.0.0.2").to_wire()),
        lambda query, tcp: (0, reply(query, rcode=dns.rcode.SERVFAIL).to_wire()),
        lambda query, tcp: (0, b"garbage"),
        lambda query, tcp: (0, reply(query, rcode=dns.rcode.NXDOMAIN).to_wire()),
        lambda query, tcp: (5, None),
    ],
    ids=["refuses", "127.0.0.1", "wild", "lists everything", "SERVFAIL", "garbage", "gone", "silent"],
)
async def test_a_broken_list_never_makes_a_link_bad(gateway: Gateway, nameserver: NameServer, behaviour: Behaviour) -> None:
    """It is unchecked, and the mail goes on, no later than the time-out."""
    nameserver.zones["uri.test"] = behaviour
    judgement = await judged(gateway)
    assert judgement.verdict.kind is Kind.CLEAN
    assert {answer.outcome for url in judgement.assessment.urls for answer in url.lists} <= {Outcome.UNCHECKED}


async def test_addresses_inside_of_attachments_are_asked_about_too(gateway: Gateway) -> None:
    """A page attached to the mail leads to the listed domain."""
    raw = (
        b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n"
        b"--b\r\nContent-Type: text/html; name=a.html\r\nContent-Disposition: attachment; filename=a.html\r\n\r\n"
        b"<a href='http://login.shop.test/'>open</a>\r\n--b--\r\n"
    )
    judgement = await judged(gateway, raw)
    assert judgement.verdict.kind is Kind.MALICIOUS_URL
    assert judgement.assessment.urls[0].found_in == "attachment:a.html"
    off = Policy.from_toml(URI.replace("[content", "scan_attachments = false\n[content"))
    gateway._take(off)
    assert (await judged(gateway, raw)).assessment.urls == ()


def test_few_domains_are_asked_about() -> None:
    """Not those of the organisation, no addresses, no well-known sites, each once, at most MAX_DOMAINS."""
    text = (
        " ".join(f"http://x{n}.test/" for n in range(50))
        + " http://www.example.com/ http://192.0.2.1/ https://www.microsoft.com/ http://b.x1.test/"
    )
    urls = urls_of(
        parse(b"From: a@example.org\r\n\r\nhttp://www.example.com/ http://192.0.2.1/ https://www.microsoft.com/ " + text.encode())
    )
    policy = Policy().changed("organisation.internal_domains", DomainList(["example.com"]))
    assert asked_about(urls, policy) == tuple(f"x{n}.test" for n in range(MAX_DOMAINS))
