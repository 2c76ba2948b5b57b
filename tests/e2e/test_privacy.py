"""Nothing derived from a message leaves the machine but the DNS questions that docs/authentication.md, public-lists.md and url-feeds.md name.

`mailward serve` runs under strace: every address it connects or sends to is seen, and a name server of our own hears every question.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from tests.dnsbl.nameserver import Answer, NameServer, listing, reply, running
from tests.e2e.running import Served, Sink, Talk, wait_until

pytestmark = [
    pytest.mark.skipif(not shutil.which("strace"), reason="needs strace: see tests/packages"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a process is traced"),
    pytest.mark.xdist_group("servers"),
]

CANARY = "zq7canary"  # stands in everything that must not leave
CLIENT = "198.51.100.77"
SENDER, MAILER, LINK, SIGNER = "sender-site.test", "mailer-site.test", "link-site.test", "signer-site.test"
IP_LIST, URI_LIST = "ip.list.test", "uri.list.test"
POLICY = f"""
[email_reputation.target]
standard_lists = ["{IP_LIST}=127.0.0.2"]

[web_reputation.target]
domain_lists = ["{URI_LIST}=127.0.0.2"]
"""
NETWORK = re.compile(r"sin6?_port=htons\((\d+)\).*?(?:inet_addr\(\"([^\"]+)\"\)|inet_pton\(AF_INET6, \"([^\"]+)\")")


class Traced(Served):
    """`mailward serve` with a tracer beside it (-D: the process stays our child)."""

    @property
    def calls(self) -> Path:
        return self.folder / "calls"

    def run(self, *, wait: bool = True) -> None:
        calls = ["strace", "-D", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(self.calls)]
        with self.log.open("ab") as log, self.out.open("wb") as out:
            command = [*calls, sys.executable, "-m", "mailward", "serve", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=out, stderr=log)
        wait_until(lambda: self.is_ready() or self.process is None or self.process.poll() is not None, 60, "mailward serve")
        assert self.process.poll() is None, self.log.read_text()[-3000:]

    def places(self) -> set[tuple[str, int]]:
        """Every address of the network that was connected or sent to."""
        return {(v4 or v6, int(port)) for port, v4, v6 in NETWORK.findall(self.calls.read_text(errors="replace"))}


def message() -> bytes:
    """Everything in it that a curious program could tell others, each marked."""
    made = EmailMessage()
    made["From"] = f'"{CANARY} Name" <{CANARY}.from@{SENDER}>'
    made["To"] = f"{CANARY}.to@example.org"
    made["Reply-To"] = f"{CANARY}.reply@reply-site.test"
    made["Subject"] = f"{CANARY} your account is suspended, verify now"
    made["Message-ID"] = f"<{CANARY}.id@{SENDER}>"
    made["X-Field"] = CANARY
    made["List-Unsubscribe"] = f"<https://unsubscribe-site.test/{CANARY}>"
    made["DKIM-Signature"] = f"v=1; a=rsa-sha256; d={SIGNER}; s=sel; h=from:to; bh=YWJj; b=YWJj"
    made.set_content(f"{CANARY} http://{LINK}/{CANARY}?mail={CANARY}@example.org and http://{CANARY}.{LINK}/ call +49 30 1234567")
    page = f'<form action="http://{LINK}/{CANARY}"><input type="password"></form><img src="http://{LINK}/{CANARY}.png">'
    made.add_alternative(page, subtype="html")
    made.add_attachment(
        f"<a href='http://attached-{LINK}/{CANARY}'>{CANARY}</a>".encode(), maintype="text", subtype="html", filename=f"{CANARY}.html"
    )
    return made.as_bytes().replace(b"\n", b"\r\n")


def unknown(query: dns.message.Message, tcp: bool) -> Answer:
    return 0, reply(query, rcode=dns.rcode.NXDOMAIN).to_wire()


def names_asked(server: NameServer) -> set[str]:
    return {name.lower() for name in server.asked}


def test_only_documented_questions_leave(tmp_path: Path) -> None:
    hop = Sink(tmp_path / "sink").start()
    with running() as server:
        server.zones = {
            IP_LIST: listing(),
            URI_LIST: listing_of_domains,
            "test": unknown,
            "arpa": unknown,
            "org": unknown,
            "example": unknown,
        }
        served = Traced(
            tmp_path / "gateway",
            hop.port,
            policy=POLICY,
            workers=1,
            dns={"listen": "", "servers": [server.place], "timeout": 2},
            smtp={"trusted_proxies": ["127.0.0.1"]},
        )
        try:
            served.start()
            with Talk(served.port) as talk:
                assert talk.say("EHLO proxy.example").startswith("250")
                assert talk.say(f"XFORWARD ADDR={CLIENT} NAME=[UNAVAILABLE] HELO=helo-site.test").startswith("250")
                assert talk.say(f"MAIL FROM:<{CANARY}.bounce@{MAILER}>").startswith("250")
                assert talk.say(f"RCPT TO:<{CANARY}.to@example.org>").startswith("250")
                assert talk.say("DATA").startswith("354")
                talk.send(message() + b"\r\n.\r\n")
                talk.hear()
            (event,) = wait_until(lambda: served.events("message"), what="the message in the log")
            asked = names_asked(server)
        finally:
            served.stop()
            hop.stop()
    port = int(server.place.rpartition(":")[2])
    assert event["id"]
    seen = {("127.0.0.1", port), ("127.0.0.1", hop.port)}
    wait_until(lambda: seen <= served.places(), what="the trace to be written")
    assert served.places() == seen
    assert not [name for name in asked if CANARY in name]
    reversed_client = ".".join(reversed(CLIENT.split(".")))
    probes = {name for name in asked if name.endswith((f".{IP_LIST}", f".{URI_LIST}"))}
    documented = {f"{reversed_client}.{IP_LIST}"} | {f"{site}.{URI_LIST}" for site in (LINK, f"attached-{LINK}")}
    documented |= {SENDER, MAILER, "helo-site.test", f"sel._domainkey.{SIGNER}", f"_dmarc.{SENDER}", "_dmarc.test"}
    points = {f"2.0.0.127.{IP_LIST}", f"1.0.0.127.{IP_LIST}", f"test.{URI_LIST}"}
    assert f"{reversed_client}.{IP_LIST}" in asked  # the questions that are documented are asked: the test has seen the gateway at work
    assert f"{LINK}.{URI_LIST}" in asked
    assert f"_dmarc.{SENDER}" in asked
    assert MAILER in asked
    others = asked - documented - points - {name for name in probes if not any(site in name for site in (LINK, SENDER, MAILER, SIGNER))}
    assert others == set()


def listing_of_domains(query: dns.message.Message, tcp: bool) -> Answer:
    listed = query.question[0].name.to_text().startswith("test.")
    made = reply(query, "127.0.0.2") if listed else reply(query, rcode=dns.rcode.NXDOMAIN)
    return 0, made.to_wire()
