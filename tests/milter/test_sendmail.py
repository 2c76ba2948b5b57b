"""mailward asked by a real Sendmail, set up as docs/milter.md says."""

from __future__ import annotations

import contextlib
import email
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dkim
import pytest
from tests.auth.signing import rsa_key
from tests.conftest import ROOT
from tests.e2e.running import BLOCKED, Served, Sink, Talk, blocking, free_port, listens, wait_until
from tests.e2e.test_postfix import Site, arrived, documented
from tests.milter.test_postfix import PAGE, parsed, send

UNPACKED = ROOT / ".cache" / "sendmail"  # tests/packages puts it there: as a package it excludes every other mail server
SENDMAIL = UNPACKED / "usr" / "libexec" / "sendmail" / "sendmail"
# Sendmail waits a minute where the machine's own name has no dot: it gets a name of its own
QUALIFIED = ["unshare", "--uts", "sh", "-c", 'hostname sendmail.example.test && exec "$@"', "sh"]
UNSHARES = SENDMAIL.exists() and subprocess.run([*QUALIFIED, "true"], capture_output=True, check=False).returncode == 0
pytestmark = [
    pytest.mark.skipif(not SENDMAIL.exists(), reason="needs Sendmail: run tests/packages as root"),
    pytest.mark.skipif(not UNSHARES, reason="needs root to start Sendmail with a configuration and a host name of its own"),
]

MC = """
VERSIONID(`test')dnl
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port={front}')dnl
define(`confDOMAIN_NAME', `sendmail.example.test')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {sink}')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`STATUS_FILE', `')dnl
define(`ALIAS_FILE', `')dnl
define(`HELP_FILE', `')dnl
define(`confPID_FILE', `{folder}/sendmail.pid')dnl
define(`confCONTROL_SOCKET_NAME', `')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/service.switch')dnl
define(`confTO_IDENT', `0')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confQUEUE_LA', `1000')dnl
RELAY_DOMAIN(`example.org')dnl
{ours}
MAILER(`local')dnl
MAILER(`smtp')dnl
LOCAL_RULE_0
R$* < @ $+ > $*	$#relay $@ [127.0.0.1] $: $1 < @ $2 > $3
"""


@contextlib.contextmanager
def site(policy: str, **milter: object) -> Iterator[Site]:
    """Start sink, Sendmail and mailward on free ports; stop them all afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-sendmail-"))
    folder.chmod(0o755)
    (folder / "queue").mkdir(mode=0o700)
    (folder / "service.switch").write_text("hosts files\naliases files\n")
    sink = Sink(folder / "sink").start()
    front, ours, back = free_port(), free_port(), free_port()
    served = Served(folder / "gateway", back, {"listen": ""}, policy, milter={"listen": f"127.0.0.1:{ours}", **milter})
    block = documented("milter", "sendmail.mc", ROOT, PAGE).replace("2526", str(ours)).replace("10026", str(back))
    (folder / "test.mc").write_text(MC.format(front=front, sink=sink.port, folder=folder, ours=block))
    cf = UNPACKED / "usr" / "share" / "sendmail" / "cf"
    m4 = [str(UNPACKED / "usr" / "bin" / "m4"), f"-D_CF_DIR_={cf}/", str(cf / "m4" / "cf.m4"), str(folder / "test.mc")]
    (folder / "test.cf").write_bytes(subprocess.run(m4, capture_output=True, check=True, timeout=60).stdout)
    library = f"{UNPACKED}/usr/lib/x86_64-linux-gnu:{UNPACKED}/usr/lib/aarch64-linux-gnu"
    command = [*QUALIFIED, str(SENDMAIL), "-C", str(folder / "test.cf"), "-bD", "-q1s"]
    running: subprocess.Popen[bytes] | None = None
    try:
        served.start()
        running = subprocess.Popen(command, env={**os.environ, "LD_LIBRARY_PATH": library}, stdin=subprocess.DEVNULL)
        wait_until(lambda: listens(front) and listens(back), 20, "Sendmail")
        yield Site(front, served, sink, folder)
    finally:
        if running is not None:
            running.terminate()
            running.wait(30)
        served.stop()
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def rejecting() -> Iterator[Site]:
    with site(blocking("reject", reject_text="5.7.1 100% spam")) as found:
        yield found


def test_clean_mail_is_delivered_marked_and_its_signature_holds(rejecting: Site) -> None:
    """Our fields stand right below Sendmail's Received line, forged ones are gone, and what was signed is as it was."""
    raw = b"From: Ann <ann@sender.test>\r\nTo: b@example.org\r\nSubject: signed-mail\r\n of the\r\n\tmeeting\r\n\r\nTwo  blanks\r\n\r\n..dot\r\n"
    signature = dkim.sign(raw, b"s1", b"sender.test", rsa_key()[0], include_headers=[b"from", b"to", b"subject"])
    forged = b"X-Spam-Flag: NO\r\n%s\r\nX-Mailward-Verdict: clean\r\n\tindeed\r\nX-SPAM-FLAG: NO\r\n" % signature.strip()
    with Talk(rejecting.front) as talk:
        talk.say("EHLO client.example")
        assert send(talk, forged + raw, "ann@sender.test").startswith("250 2.0.0")
    out = wait_until(lambda: next((one.raw for one in rejecting.sink.kept if b"signed-mail" in one.raw), b""), 20, "the message")
    head, _, body = out.partition(b"\r\n\r\n")
    assert body == raw.partition(b"\r\n\r\n")[2]
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    assert names[names.index(b"x-mailward-verdict") - 1] == b"received"
    assert [names.count(name) for name in (b"x-mailward-verdict", b"authentication-results", b"x-spam-flag")] == [1, 1, 0]
    assert b"\r\nX-Mailward-Verdict: clean\r\n" in head
    key = rsa_key()[1].encode()
    assert dkim.verify(out, dnsfunc=lambda *_, **__: key)


def test_a_refusal_has_our_code_and_words_and_id(rejecting: Site) -> None:
    """And the next message of the same connection is taken; what Sendmail tells is in the record."""
    with Talk(rejecting.front, source="127.0.0.2") as talk:
        talk.say("EHLO client.example")
        said = talk.mail(f"x@{BLOCKED}", subject="refused")
        found = re.match(r"550 5\.7\.1 100% spam \[(\w{26})\]$", said)
        assert found, said
        assert talk.mail(subject="after-the-refusal").startswith("250 2.0.0")
    arrived(rejecting, "after-the-refusal")
    events = rejecting.served.events("message")
    refused = next(event for event in events if event["id"] == found[1])
    assert (refused["outcome"], refused["client"], refused["helo"]) == ("rejected", "127.0.0.2", "client.example")
    assert (refused["mail_from"], refused["rcpt_to"]) == (f"x@{BLOCKED}", ["b@example.org"])
    assert refused["server"] == "sendmail.example.test MTA"
    id = events[-1]["queue_id"]
    assert id
    assert f"id {id}" in str(parsed(rejecting, "after-the-refusal")["Received"])


def test_many_messages_a_connection_some_aborted(rejecting: Site) -> None:
    """RSET and a client that vanishes leave nothing behind for the next message."""
    with Talk(rejecting.front) as talk:
        talk.say("EHLO client.example")
        for n in range(3):
            talk.say("MAIL FROM:<a@example.com>")
            talk.say(f"RCPT TO:<lost{n}@example.org>")
            assert talk.say("RSET").startswith("250")
            assert talk.mail(to=f"kept{n}@example.org", subject=f"many-{n}").startswith("250")
        talk.say("MAIL FROM:<a@example.com>")
        talk.say("RCPT TO:<b@example.org>")
        talk.say("DATA")
        talk.send(b"Subject: cut-off\r\n\r\nhalf")
    for n in range(3):
        arrived(rejecting, f"many-{n}")
    found = [event for event in rejecting.served.events("message") if event["rcpt_to"][0].startswith(("kept", "lost"))]
    assert [event["rcpt_to"] for event in found] == [[f"kept{n}@example.org"] for n in range(3)]


def test_held_mail_is_ours_and_can_be_released() -> None:
    """Sendmail drops what we hold; released, it comes to the last hop by the way in that has no filter, and is judged once only."""
    with site(blocking("quarantine")) as running:
        with Talk(running.front) as talk:
            talk.say("EHLO client.example")
            assert talk.mail(f"x@{BLOCKED}", subject="to-hold").startswith("250")
            assert talk.mail(subject="clean").startswith("250")
        arrived(running, "clean")
        (id,) = running.held()
        assert [b"clean" in kept.raw for kept in running.sink.kept] == [True]
        command = [sys.executable, "-m", "mailward", "quarantine", "release", id, "--config", str(running.served.config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert f"X-Mailward-Released: {id}".encode() in arrived(running, "to-hold")
        assert len(running.served.events("message")) == 2


def test_tag_and_the_mail_servers_own_quarantine() -> None:
    """A changed subject, a new one where there was none, and a quarantine of Sendmail's own (its queue files beginning with hf)."""
    with site(blocking("tag"), quarantine="mail-server") as running:
        with Talk(running.front) as talk:
            talk.say("EHLO client.example")
            assert send(talk, b"From: x@y.z\r\nX-A: tagged\r\nSubject: one\r\n two\r\n\r\nx\r\n", f"x@{BLOCKED}").startswith("250")
            assert send(talk, b"From: x@y.z\r\nX-A: no-subject\r\n\r\nx\r\n", f"x@{BLOCKED}").startswith("250")
        wait_until(lambda: len(running.sink.kept) == 2, 20, "both")
        found = {str(message["X-A"]): message["Subject"] for message in (email.message_from_bytes(kept.raw) for kept in running.sink.kept)}
        assert re.sub(r"\s+", " ", found["tagged"]) == "[Spam] one two"
        assert found["no-subject"].strip() == "[Spam]"
        running.served.save_policy(blocking("quarantine"))
        running.served.stop()
        running.served.run()
        with Talk(running.front) as talk:
            talk.say("EHLO client.example")
            assert talk.mail(f"x@{BLOCKED}", subject="theirs").startswith("250")
        wait_until(lambda: list((running.folder / "queue").glob("hf*")), 20, "Sendmail to hold it")
        assert running.held() == []


def test_without_mailward_mail_is_put_off(rejecting: Site) -> None:
    """Sendmail answers 451 while we are down, and takes the same mail when we are back."""
    rejecting.served.stop()
    try:
        with Talk(rejecting.front) as talk:
            said = (
                talk.greeting if not talk.greeting.startswith("220") else talk.say("EHLO client.example") + "\n" + talk.mail(subject="down")
            )
            assert re.search(r"^4[25]1", said, re.M), said
    finally:
        rejecting.served.run()
    with Talk(rejecting.front) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(subject="while-up").startswith("250")
    arrived(rejecting, "while-up")
