"""mailward with a real Postfix before and behind it, set up as docs/postfix.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.running import BLOCKED, Served, Sink, Talk, blocking, free_port, listens, wait_until

from mailward.quarantine import State, Vault

POSTFIX = shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
pytestmark = [
    pytest.mark.skipif(POSTFIX is None, reason="needs Postfix: apt-get install postfix"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start Postfix with a configuration of its own"),
    pytest.mark.xdist_group("postfix"),
]

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
myhostname = postfix.example.test
mydestination =
local_recipient_maps =
alias_maps =
relay_domains = example.org
relay_transport = smtp:[127.0.0.1]:{sink}
default_transport = smtp:[127.0.0.1]:{sink}
smtp_host_lookup = native
disable_dns_lookups = yes
smtpd_peername_lookup = no
mynetworks = 127.0.0.1/32
inet_protocols = ipv4
inet_interfaces = loopback-only
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:{folder}/etc/access, permit_auth_destination, permit_mynetworks, reject
smtpd_tls_security_level = none
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
minimal_backoff_time = 1s
queue_run_delay = 1s
biff = no
"""

MASTER = """
postlog   unix-dgram n  -       n       -       1       postlogd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       1       1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
proxymap  unix  -       -       n       -       -       proxymap
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
"""


@dataclass
class Site:
    """One of the places of docs/postfix.md, running."""

    front: int  # where mail comes in
    served: Served
    sink: Sink
    folder: Path

    def log(self) -> str:
        return (self.folder / "maillog").read_text()

    def held(self) -> list[str]:
        return [entry.id for entry in Vault(self.served.settings.quarantine_folder).list(State.HELD)]


def documented(place: str, file: str, root: Path, page: str = "postfix.md") -> str:
    """The block of that page of docs/ that begins with `# place: file`."""
    found = re.search(rf"^```\w*\n# {place}: {re.escape(file)}\n(.*?)^```$", (root / "docs" / page).read_text(), re.M | re.S)
    assert found, f"docs/{page} has no {file} for {place}"
    return found[1]


def site(place: str, policy: str, root: Path) -> Iterator[Site]:
    """Start sink, Postfix and mailward on free ports; stop them all afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-postfix-"))
    folder.chmod(0o755)  # Postfix's own users have to get through
    sink = Sink(folder / "sink").start()
    smtp_port, mailward_port, back_port = free_port(), free_port(), free_port()
    settings = tomllib.loads(documented(place, "mailward.toml", root))["smtp"]
    assert settings.pop("next_hop") == "127.0.0.1:10026"
    front = mailward_port if settings.pop("listen").endswith(":25") else smtp_port
    served = Served(folder / "gateway", back_port, settings, blocking(policy), port=mailward_port)
    config = folder / "etc"
    config.mkdir()
    for name in ("queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    services = documented(place, "master.cf", root)
    services = (
        services.replace("smtp      inet", f"127.0.0.1:{smtp_port} inet")
        .replace("2525", str(mailward_port))
        .replace("10026", str(back_port))
    )
    (config / "access").write_text("nobody@example.org 550 5.1.1 No such person\n")
    (config / "main.cf").write_text(MAIN.format(folder=folder, sink=sink.port))
    (config / "master.cf").write_text(MASTER + services)
    assert POSTFIX is not None
    try:
        served.start()
        done = subprocess.run([POSTFIX, "-c", str(config), "start"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until(lambda: listens(back_port), 20, "Postfix")
        yield Site(front, served, sink, folder)
    finally:
        subprocess.run([POSTFIX, "-c", str(config), "stop"], capture_output=True, timeout=60)
        served.stop()
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def before_queue(root: Path) -> Iterator[Site]:
    yield from site("before-queue", "reject", root)


@pytest.fixture(scope="module")
def after_queue(root: Path) -> Iterator[Site]:
    yield from site("after-queue", "reject", root)


@pytest.fixture(scope="module")
def in_front(root: Path) -> Iterator[Site]:
    yield from site("in-front", "quarantine", root)


def arrived(site: Site, subject: str) -> bytes:
    """The message with that subject, once it is at the last hop."""

    def find() -> bytes:
        return next((kept.raw for kept in site.sink.kept if f"Subject: {subject}\r\n".encode() in kept.raw), b"")

    return wait_until(find, 20, f"{subject} to arrive")


def test_before_queue_delivers_and_refuses_while_the_sender_waits(before_queue: Site) -> None:
    """Clean mail goes through both Postfix services with our verdict on top; blocked mail is refused to the sender in the talk."""
    with Talk(before_queue.front) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(subject="before-good").startswith("250 2.0.0")
        answer = talk.mail(f"x@{BLOCKED}", subject="before-bad")
        assert re.match(r"550 5\.7\.1 Message refused as spam \[\w{26}\]$", answer)
    assert b"X-Mailward-Verdict: clean\r\n" in arrived(before_queue, "before-good")
    assert not any(b"before-bad" in kept.raw for kept in before_queue.sink.kept)


def test_before_queue_learns_the_real_client(before_queue: Site) -> None:
    """The address Postfix saw (here: was told by XCLIENT) reaches our record and, by XFORWARD, Postfix's own log behind us."""
    with Talk(before_queue.front) as talk:
        talk.say("EHLO proxy.example")
        assert talk.say("XCLIENT NAME=mail.example.com ADDR=192.0.2.44 PORT=4711 HELO=mail.example.com").startswith("220")
        talk.say("EHLO mail.example.com")
        assert talk.mail(subject="real-client").startswith("250")
    arrived(before_queue, "real-client")
    event = next(e for e in before_queue.served.events("message") if e["client"] == "192.0.2.44")
    assert event["helo"] == "mail.example.com"
    assert re.search(r"client=\S*\[127\.0\.0\.1\].*orig_client=mail\.example\.com\[192\.0\.2\.44\]", before_queue.log())


def test_before_queue_refuses_a_listed_client_by_way_of_postfix(before_queue: Site) -> None:
    """Postfix hands our refusal to the client it told us of (with speed_adjust when it has the message); postmaster is reached."""
    before_queue.served.list_source("192.0.2.66")
    with Talk(before_queue.front) as talk:
        talk.say("EHLO proxy.example")
        assert talk.say("XCLIENT NAME=mail.example.com ADDR=192.0.2.66 PORT=4711 HELO=mail.example.com").startswith("220")
        talk.say("EHLO mail.example.com")
        assert talk.mail(subject="listed-before") == "550 5.7.1 [192.0.2.66] listed in std.rep.internal"
        assert talk.mail(to="postmaster@example.org", subject="why-listed").startswith("250")
    arrived(before_queue, "why-listed")
    with Talk(before_queue.front) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(subject="not-listed").startswith("250")
    arrived(before_queue, "not-listed")
    event = next(e for e in before_queue.served.events("refused") if e["client"] == "192.0.2.66")
    assert event["rcpt_to"] == ["b@example.org"]


def test_before_queue_mirrors_postfix_recipients(before_queue: Site) -> None:
    """A recipient Postfix refuses is refused, the other one gets the message."""
    with Talk(before_queue.front) as talk:
        talk.say("EHLO client.example")
        talk.say("MAIL FROM:<a@example.com>")
        assert talk.say("RCPT TO:<nobody@example.org>").startswith("550 5.1.1")
        assert talk.say("RCPT TO:<b@example.org>").startswith("250")
        assert talk.say("DATA").startswith("354")
        talk.send(b"Subject: one-of-two\r\n\r\n.\r\n")
        assert talk.hear().startswith("250")
    arrived(before_queue, "one-of-two")


def test_before_queue_without_mailward_puts_mail_off(before_queue: Site) -> None:
    """While mailward is down Postfix answers 4xx, and takes the same mail when it is back."""
    before_queue.served.stop()
    try:
        with Talk(before_queue.front) as talk:
            talk.say("EHLO client.example")
            assert talk.mail(subject="while-down").startswith("451")
    finally:
        before_queue.served.run()
    with Talk(before_queue.front) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(subject="while-up").startswith("250")
    arrived(before_queue, "while-up")
    assert not any(b"while-down" in kept.raw for kept in before_queue.sink.kept)


def test_after_queue_delivers_and_holds_instead_of_bouncing(after_queue: Site) -> None:
    """Clean mail comes out behind the filter once; blocked mail is held although the policy says reject, and nobody gets a bounce."""
    with Talk(after_queue.front) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(f"x@{BLOCKED}", subject="after-bad").startswith("250 2.0.0 Ok: queued")
        assert talk.mail(subject="after-good").startswith("250 2.0.0 Ok: queued")
    assert b"X-Mailward-Verdict: clean\r\n" in arrived(after_queue, "after-good")
    (id,) = wait_until(after_queue.held, what="the message to be held")
    wait_until(lambda: f"status=sent (250 2.0.0 Ok: held in quarantine as {id})" in after_queue.log(), what="Postfix's log line")
    assert [b"after-good" in kept.raw for kept in after_queue.sink.kept] == [True]


def test_after_queue_holds_mail_of_a_listed_client(after_queue: Site) -> None:
    """Behind a queue a refusal would bounce: the message is held, with the address Postfix told us of."""
    after_queue.served.list_source("192.0.2.66")
    before = set(after_queue.held())
    with Talk(after_queue.front) as talk:
        talk.say("EHLO proxy.example")
        assert talk.say("XCLIENT NAME=mail.example.com ADDR=192.0.2.66 PORT=4711 HELO=mail.example.com").startswith("220")
        talk.say("EHLO mail.example.com")
        assert talk.mail(subject="listed-after").startswith("250")
    (id,) = wait_until(lambda: set(after_queue.held()) - before, what="the message to be held")
    event = wait_until(lambda: [e for e in after_queue.served.events("message") if e["id"] == id], what="the event")[0]
    assert (event["verdict"], event["client"], event["standing"]) == ("listed_source", "192.0.2.66", "standard")


def test_after_queue_keeps_mail_while_mailward_is_down(after_queue: Site) -> None:
    """Postfix's queue holds the message and delivers it once mailward is back."""
    after_queue.served.stop()
    with Talk(after_queue.front) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(subject="patience").startswith("250")
    wait_until(lambda: "Connection refused" in after_queue.log(), what="Postfix to notice")
    after_queue.served.run()
    arrived(after_queue, "patience")


def test_in_front_of_postfix(in_front: Site) -> None:
    """Recipients are Postfix's to decide, the client it logs is ours by XCLIENT, and held mail can be released to it."""
    with Talk(in_front.front) as talk:
        assert "SIZE 10240000" in talk.say("EHLO client.example")
        assert talk.mail(to="nobody@example.org").startswith("550 5.1.1")
        talk.say("RSET")
        assert talk.mail(subject="front-good").startswith("250 2.0.0 Ok: queued as")
        held = talk.mail(f"x@{BLOCKED}", subject="front-bad")
    with Talk(in_front.front, source="127.0.0.2") as talk:  # not in mynetworks, and Postfix sees that through us
        talk.say("EHLO client.example")
        assert talk.mail(to="b@example.com").startswith("554 5.7.1")
        talk.say("RSET")
        assert talk.mail(subject="front-other").startswith("250")
    assert re.search(r"client=\S*\[127\.0\.0\.2\]", in_front.log())
    assert b"Received: from client.example ([127.0.0.1])\r\n\tby gw.example.test (mailward)" in arrived(in_front, "front-good")
    id = held.rpartition(" ")[2]
    command = [sys.executable, "-m", "mailward", "quarantine", "release", id, "--config", str(in_front.served.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"X-Mailward-Released: {id}".encode() in arrived(in_front, "front-bad")
    assert in_front.held() == []


@pytest.mark.skipif(shutil.which("swaks") is None, reason="needs swaks: apt-get install swaks")
def test_swaks(in_front: Site) -> None:
    """A client nobody here wrote is served, pipelined too."""
    for extra in ([], ["--pipeline"]):
        command = ["swaks", "--server", f"127.0.0.1:{in_front.front}", "--from", "a@example.com", "--to", "b@example.org,c@example.org"]
        done = subprocess.run([*command, "--h-Subject", "swaks", *extra], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout
    arrived(in_front, "swaks")
