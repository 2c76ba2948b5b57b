"""New Spam Sources from end to end: a link nobody knows, from an address that sends spam right now."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running import Served, free_port, serving, wait_until
from tests.e2e.test_reputation import LIMIT_SECONDS, ZONE, dig, spam_trap, talking

pytestmark = [
    pytest.mark.xdist_group("servers"),
    pytest.mark.skipif(not shutil.which("dig"), reason="needs dig (Debian package bind9-dnsutils)"),
]

POLICY = """\
[email_reputation.evidence]
trap_addresses = ["trap@example.org"]
[email_reputation.action]
dynamic_action = "pass"
[new_spam_sources]
enabled = true
action.action = "quarantine"
"""
URL_ZONE = "url.rep.internal"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    smtp = {"trusted_proxies": ["127.0.0.1"]}
    with serving(tmp_path, workers=1, policy=POLICY, smtp=smtp, dns={"listen": f"127.0.0.1:{free_port()}"}) as (served, _):
        yield served


def send(served: Served, client: str, link: str) -> str:
    with talking(served, client) as talk:
        return talk.mail(body=f"Dear friend,\r\nlook here: {link}\r\n")


def test_an_untested_link_from_a_listed_source_is_acted_on_and_listed(served: Served) -> None:
    """The same link from a stranger passes before; afterwards `dig` shows source and domain within a minute, and the link itself is bad."""
    link, domain = "http://fresh-offer-page.example/win", "fresh-offer-page.example"
    assert "held in quarantine" not in send(served, "198.51.100.10", link)
    spam_trap(served, "192.0.2.81")
    wait_until(lambda: dig(served, f"81.2.0.192.{ZONE}") == "127.0.0.5", LIMIT_SECONDS, "the listing of the source")
    started = time.monotonic()
    assert "held in quarantine" in send(served, "192.0.2.81", link)
    event = [event for event in served.events("message") if event["verdict"] == "new_spam_source"][-1]
    assert (event["filter"], event["sender_ip"], event["standing"]) == ("new_spam_sources", "192.0.2.81", "dynamic")
    assert "hxxp://fresh-offer-page[.]example/win" in event["reason"]
    wait_until(lambda: dig(served, f"{domain}.{URL_ZONE}").startswith("127."), LIMIT_SECONDS, "the listing of the domain")
    assert dig(served, f"81.2.0.192.{ZONE}") == "127.0.0.5"
    assert time.monotonic() - started < LIMIT_SECONDS
    wait_until(lambda: "held in quarantine" in send(served, "198.51.100.11", link), 10, "the rating to reach the gateway")
    assert served.events("message")[-1]["verdict"] == "malicious_url"
