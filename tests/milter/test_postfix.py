"""mailward asked by a real Postfix, set up as docs/milter.md says."""

from __future__ import annotations

import contextlib
import email
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import dkim
import pytest
from tests.auth.signing import rsa_key
from tests.e2e.running import BLOCKED, Served, Sink, Talk, blocking, free_port, listens, wait_until
from tests.e2e.test_authentication import ADDRESS, Nsd
from tests.e2e.test_postfix import MAIN, MASTER, POSTFIX, Site, arrived, documented
from tests.zones.serving import program

pytestmark = [
    pytest.mark.skipif(POSTFIX is None, reason="needs Postfix: apt-get install postfix"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start Postfix with a configuration of its own"),
    pytest.mark.xdist_group("postfix"),
]
PAGE = "milter.md"
LISTED = "192.0.2.66"


@contextmanager
def site(root: Path, policy: str, milter: dict[str, Any] | None = None, **more: Any) -> Iterator[Site]:
    """Start sink, Postfix and mailward on free ports as the page says; stop them all afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-milter-"))
    folder.chmod(0o755)  # Postfix's own users have to get through
    sink = Sink(folder / "sink").start()
    front, ours, back = free_port(), free_port(), free_port()
    settings = tomllib.loads(documented("milter", "mailward.toml", root, PAGE))
    assert settings["smtp"] == {"listen": "", "next_hop": "127.0.0.1:10026"}
    assert settings["milter"] == {"listen": "127.0.0.1:2526"}
    place = {"listen": f"127.0.0.1:{ours}", **(milter or {})}
    file = place["listen"].partition("unix:")[2]
    served = Served(folder / "gateway", back, {"listen": ""}, policy, milter=place, **more)
    config = folder / "etc"
    config.mkdir()
    for name in ("queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    (config / "access").write_text("nobody@example.org 550 5.1.1 No such person\n")
    lines = documented("milter", "main.cf", root, PAGE).replace("2526", str(ours))
    if file:
        place["listen"] = f"unix:{folder}/{file}"
        (folder / file).parent.mkdir(parents=True)
        shutil.chown((folder / file).parent, "root", "postfix")
        (folder / file).parent.chmod(0o2750)
        lines = lines.replace(f"inet:127.0.0.1:{ours}", f"unix:{folder}/{file}")
    main = MAIN.replace("inet_protocols = ipv4", "inet_protocols = all").format(folder=folder, sink=sink.port)
    (config / "main.cf").write_text(main + lines)
    services = f"127.0.0.1:{front} inet n - n - - smtpd\n" + documented("milter", "master.cf", root, PAGE).replace("10026", str(back))
    (config / "master.cf").write_text(MASTER + services)
    assert POSTFIX is not None
    try:
        served.start()
        done = subprocess.run([POSTFIX, "-c", str(config), "start"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until(lambda: listens(front), 20, "Postfix")
        yield Site(front, served, sink, folder)
    finally:
        subprocess.run([POSTFIX, "-c", str(config), "stop"], capture_output=True, timeout=60)
        with contextlib.suppress(subprocess.TimeoutExpired):
            served.stop()
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def rejecting(root: Path) -> Iterator[Site]:
    with site(root, blocking("reject", reject_text="5.7.1 100% spam")) as found:
        yield found


@pytest.fixture(scope="module")
def holding(root: Path) -> Iterator[Site]:
    with site(root, blocking("quarantine")) as found:
        yield found


def told(site: Site, address: str, *more: str) -> Talk:
    """A client of that address, as Postfix takes it."""
    talk = Talk(site.front)
    talk.say("EHLO proxy.example")
    assert talk.say(f"XCLIENT NAME=mail.example.com ADDR={address} PORT=4711 HELO=mail.example.com{''.join(more)}").startswith("220")
    talk.say("EHLO mail.example.com")
    return talk


def send(talk: Talk, message: bytes, sender: str = "a@example.com", *recipients: str) -> str:
    """One message; the reply to its end."""
    for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{to}>" for to in recipients or ("b@example.org",)), "DATA"):
        answer = talk.say(line)
        assert answer[0] in "23", answer
    talk.send(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    return talk.hear()


def parsed(site: Site, subject: str) -> Message:
    return email.message_from_bytes(arrived(site, subject))


def test_clean_mail_is_delivered_with_our_header_and_the_body_it_had(rejecting: Site) -> None:
    """Our fields stand right below Postfix's Received line, forged ones are gone wherever they stood, all else is as it came."""
    body = "".join(f"Line {n}, Zürich\r\n".replace("ü", "\xfc") for n in range(5_000)).encode("latin-1") + b"..\r\n.\r\n no end"
    kept = b"From: a@example.com\r\nTo:b@example.org\r\nX-Long: one\r\n\ttwo\r\n  three\r\nSubject:  blanks-kept\r\n"
    forged = b"X-Mailward-Verdict: clean\r\nX-Spam-Flag: NO\r\n%sX-mailward-Verdict: spam\r\n\tindeed\r\nX-SPAM-FLAG: NO\r\n"
    with Talk(rejecting.front) as talk:
        talk.say("EHLO client.example")
        assert send(talk, forged % kept + b"Authentication-Results: gw.example.test; dkim=pass\r\n\r\n" + body + b"\r\n").startswith(
            "250 2.0.0"
        )
    raw = wait_until(lambda: next((one.raw for one in rejecting.sink.kept if b"blanks-kept" in one.raw), b""), 20, "the message to arrive")
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert rest.rstrip(b"\r\n") == body
    assert kept.rstrip() in head
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    first = names.index(b"x-mailward-verdict")
    assert names[first - 1] == b"received"
    assert names[first + 1] == b"x-mailward-score"
    assert [names.count(name) for name in (b"x-mailward-verdict", b"authentication-results", b"x-spam-flag")] == [1, 1, 0]
    assert b"\r\nX-Mailward-Verdict: clean\r\n" in head


def test_a_refusal_has_our_code_and_words_and_id(rejecting: Site) -> None:
    """The sender hears them in the talk; nothing of the message goes on."""
    with Talk(rejecting.front) as talk:
        talk.say("EHLO client.example")
        said = talk.mail(f"x@{BLOCKED}", subject="refused")
        found = re.match(r"550 5\.7\.1 100% spam \[(\w{26})\]$", said)
        assert found, said
        assert talk.mail(subject="after-the-refusal").startswith("250 2.0.0")
    arrived(rejecting, "after-the-refusal")
    event = next(e for e in rejecting.served.events("message") if e["id"] == found[1])
    assert (event["outcome"], event["action"], event["way_in"]) == ("rejected", "reject", "milter")
    assert not any(b"Subject: refused\r\n" in kept.raw for kept in rejecting.sink.kept)


def test_what_postfix_tells_reaches_the_record(rejecting: Site) -> None:
    """Client, HELO, envelope and queue id; a client that signed in is one of us."""
    with told(rejecting, "192.0.2.44") as talk:
        assert talk.mail(subject="real-client").startswith("250")
    with told(rejecting, "192.0.2.45", " LOGIN=ann") as talk:
        assert talk.mail(subject="own-user").startswith("250")
    with told(rejecting, "IPV6:2001:db8::7") as talk:
        assert talk.mail(subject="by-v6").startswith("250")
    for subject in ("real-client", "own-user", "by-v6"):
        arrived(rejecting, subject)
    events = {event["client"]: event for event in rejecting.served.events("message")}
    seen = events["192.0.2.44"]
    assert (seen["helo"], seen["mail_from"], seen["rcpt_to"]) == ("mail.example.com", "a@example.com", ["b@example.org"])
    assert seen["server"].startswith("postfix.example.test")
    assert f"{seen['queue_id']}: client=mail.example.com[192.0.2.44]" in rejecting.log()
    assert "2001:db8::7" in events
    assert "spf=" in str(parsed(rejecting, "real-client")["Authentication-Results"])
    assert str(parsed(rejecting, "own-user")["Authentication-Results"]) == "gw.example.test; none"


def test_a_listed_client_is_refused_at_the_recipient(rejecting: Site) -> None:
    """As in the SMTP way in: postmaster is reached, one connection after the other is counted, and the next client is not taken for the last."""
    rejecting.served.list_source(LISTED)
    with told(rejecting, LISTED) as talk:
        assert talk.mail(subject="listed") == f"550 5.7.1 [{LISTED}] listed in std.rep.internal"
        talk.say("RSET")
        assert talk.mail(to="postmaster@example.org", subject="why-listed").startswith("250")
        assert send(talk, b"Subject: to-both\r\n\r\n", "a@example.com", "abuse@example.org").startswith("250")
    with told(rejecting, "192.0.2.67") as talk:
        assert talk.mail(subject="not-listed").startswith("250")
    for subject in ("why-listed", "not-listed"):
        arrived(rejecting, subject)
    event = wait_until(lambda: rejecting.served.events("refused"), what="the event")[0]
    assert (event["client"], event["rcpt_to"], event["way_in"], event["mail_from"]) == (
        LISTED, ["b@example.org"], "milter", "a@example.com",
    )  # fmt: skip


def test_a_listed_client_is_refused_at_the_greeting(root: Path) -> None:
    """Where the policy says so, Postfix turns it away before it says anything."""
    policy = blocking("junk") + '\n[email_reputation.target]\nask_at = "connect"\n'
    with site(root, policy) as running:
        running.served.list_source(LISTED)
        with Talk(running.front) as talk:
            talk.say("EHLO proxy.example")
            talk.say(f"XCLIENT NAME=mail.example.com ADDR={LISTED}")
            said = talk.say("EHLO mail.example.com") + talk.say("MAIL FROM:<a@example.com>")
        assert re.search(rf"55\d 5\.7\.1 \[{re.escape(LISTED)}\] listed in std\.rep\.internal", said), said
        with told(running, "192.0.2.67") as talk:
            assert talk.mail(subject="let-in").startswith("250")
        arrived(running, "let-in")
        assert [event["client"] for event in running.served.events("refused")] == [LISTED]


def test_held_mail_is_ours_and_can_be_released_through_postfix(holding: Site) -> None:
    """The sender is told that it was taken, Postfix drops it, our quarantine has it with envelope, and release brings it to the last hop."""
    with Talk(holding.front) as talk:
        talk.say("EHLO client.example")
        assert send(talk, b"Subject: to-hold\r\n\r\nx\r\n", f"x@{BLOCKED}", "b@example.org", "c@example.org").startswith("250")
    (id,) = holding.held()
    assert not any(b"to-hold" in kept.raw for kept in holding.sink.kept)
    command = [sys.executable, "-m", "mailward", "quarantine", "release", id, "--config", str(holding.served.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    raw = arrived(holding, "to-hold")
    assert f"X-Mailward-Released: {id}".encode() in raw
    assert {to for kept in holding.sink.kept if b"to-hold" in kept.raw for to in kept.rcpt} == {
        "RCPT TO:<b@example.org>",
        "RCPT TO:<c@example.org>",
    }


def test_postfix_can_hold_it_itself(root: Path) -> None:
    """`quarantine = "mail-server"`: the message is in Postfix's hold queue with our verdict in its header, and in no vault of ours."""
    with site(root, blocking("quarantine"), {"quarantine": "mail-server"}) as running:
        with Talk(running.front) as talk:
            talk.say("EHLO client.example")
            assert talk.mail(f"x@{BLOCKED}", subject="theirs").startswith("250")
        (file,) = wait_until(lambda: list((running.folder / "queue" / "hold").iterdir()), 20, "the message to be held")
        assert b"X-Mailward-Verdict: blocked_sender" in file.read_bytes()
        assert running.held() == []
        assert running.served.events("message")[0]["outcome"] == "held_by_mail_server"
        assert "milter-hold: END-OF-MESSAGE" in running.log()


def test_tag_changes_the_subject(root: Path) -> None:
    """Of unsigned mail; where there is no subject it gets one; junk headers are not there."""
    with site(root, blocking("tag", tag_text="[Verdächtig] ")) as running, Talk(running.front) as talk:
        talk.say("EHLO client.example")
        assert send(talk, b"Subject: first\r\n second\r\nX-A: tagged\r\n\r\nx\r\n", f"x@{BLOCKED}").startswith("250")
        assert send(talk, b"X-A: no-subject\r\n\r\nx\r\n", f"x@{BLOCKED}").startswith("250")
        assert send(talk, b"DKIM-Signature: x\r\nSubject: signed\r\nX-A: signed\r\n\r\nx\r\n", f"x@{BLOCKED}").startswith("250")
        assert talk.mail(subject="last").startswith("250")
        arrived(running, "last")
        wait_until(lambda: len(running.sink.kept) == 4, what="all four")
        found = {str(message["X-A"]): message for message in (email.message_from_bytes(kept.raw) for kept in running.sink.kept)}
        decoded = {name: str(email.header.make_header(email.header.decode_header(message["Subject"]))) for name, message in found.items()}
        assert decoded["tagged"] == "[Verdächtig] first second"
        assert decoded["no-subject"].strip() == "[Verdächtig]"
        assert decoded["signed"] == "signed"


def test_deferred_and_deleted(root: Path) -> None:
    """`defer` is a temporary answer with our words, `delete` an acceptance of what nobody gets."""
    with site(root, blocking("defer", defer_text="4.7.1 Later, perhaps")) as running:
        with Talk(running.front) as talk:
            talk.say("EHLO client.example")
            assert re.match(r"451 4\.7\.1 Later, perhaps \[\w{26}\]$", talk.mail(f"x@{BLOCKED}", subject="later"))
        running.served.save_policy(blocking("delete"))
        old = set(running.served.worker_pids())
        os.kill(running.served.pid, signal.SIGHUP)
        wait_until(lambda: running.served.events("reloaded"), 30, "the reload")
        wait_until(lambda: not old & set(running.served.worker_pids()), 30, "the old workers, which may still take a client, to end")
        with Talk(running.front) as talk:
            talk.say("EHLO client.example")
            assert talk.mail(f"x@{BLOCKED}", subject="gone").startswith("250")
            assert talk.mail(subject="stays").startswith("250")
        arrived(running, "stays")
        assert [b"stays" in kept.raw for kept in running.sink.kept] == [True]
        assert [event["outcome"] for event in running.served.events("message")] == ["deferred", "deleted", "delivered"]


@pytest.mark.skipif(program("nsd") is None, reason="needs nsd: see tests/packages")
@pytest.mark.parametrize("how", [(b"relaxed", b"relaxed"), (b"simple", b"simple")])
def test_signatures_hold(root: Path, tmp_path: Path, how: tuple[bytes, bytes]) -> None:
    """A signed message passes at us, however strictly it was signed, and still does behind Postfix with our header on top."""
    lines = "From: Ann <ann@sender.test>\r\nTo:tom@example.org\r\nSubject:  Minutes \r\n of the\r\n\tmeeting\r\nX-Empty:\r\n\r\n"
    raw = lines.encode() + b"Two  blanks \r\n\r\n.dot\r\n\r\n\r\n"
    signature = dkim.sign(
        raw, b"s1", b"sender.test", rsa_key()[0], canonicalize=how, include_headers=[b"from", b"to", b"subject", b"x-empty"]
    )
    assert isinstance(signature, bytes)
    with Nsd(tmp_path / "nsd") as nsd, site(root, blocking("junk"), dns={"listen": "", "servers": [f"127.0.0.1:{nsd.port}"]}) as running:
        with told(running, ADDRESS) as talk:
            assert send(talk, signature + raw, "ann@sender.test", "tom@example.org").startswith("250")
        wait_until(lambda: running.sink.kept, 20, "the message")
        out = running.sink.kept[0].raw
        results = str(email.message_from_bytes(out)["Authentication-Results"])
        assert re.search(r"spf=pass.*dkim=pass.*dmarc=pass", results, re.S), results
        key = rsa_key()[1].encode()
        assert dkim.verify(out, dnsfunc=lambda *_, **__: key)


def test_many_messages_a_connection_some_aborted(rejecting: Site) -> None:
    """RSET, a second MAIL after a refused recipient, and a client that vanishes leave nothing behind for the next message."""
    with Talk(rejecting.front) as talk:
        talk.say("EHLO client.example")
        for n in range(5):
            talk.say("MAIL FROM:<a@example.com>")
            talk.say(f"RCPT TO:<lost{n}@example.org>")
            assert talk.say("RSET").startswith("250")
            assert talk.mail(to="nobody@example.org").startswith("550 5.1.1")
            talk.say("RSET")
            assert talk.mail(to=f"kept{n}@example.org", subject=f"many-{n}").startswith("250")
        talk.say("MAIL FROM:<a@example.com>")
        talk.say("RCPT TO:<b@example.org>")
        talk.say("DATA")
        talk.send(b"Subject: cut-off\r\n\r\nhalf")
    for n in range(5):
        arrived(rejecting, f"many-{n}")
    found = [event for event in rejecting.served.events("message") if event["rcpt_to"][0].startswith(("kept", "lost"))]
    assert [event["rcpt_to"] for event in found] == [[f"kept{n}@example.org"] for n in range(5)]
    assert not any(b"cut-off" in kept.raw for kept in rejecting.sink.kept)


@pytest.mark.skipif(shutil.which("swaks") is None, reason="needs swaks: apt-get install swaks")
def test_swaks_pipelined(rejecting: Site) -> None:
    command = ["swaks", "--server", f"127.0.0.1:{rejecting.front}", "--from", "a@example.com", "--to", "b@example.org,c@example.org"]
    done = subprocess.run([*command, "--h-Subject", "swaks", "--pipeline"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    arrived(rejecting, "swaks")


def test_without_mailward_mail_is_put_off(rejecting: Site) -> None:
    """Postfix answers 451 while we are down, and takes the same mail when we are back."""
    rejecting.served.stop()
    try:
        with Talk(rejecting.front) as talk:
            talk.say("EHLO client.example")
            assert talk.mail(subject="while-down").startswith("451 4.7.1")
    finally:
        rejecting.served.run()
    with Talk(rejecting.front) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(subject="while-up").startswith("250")
    arrived(rejecting, "while-up")


def test_by_a_socket_file(root: Path) -> None:
    """Postfix's own user gets through by the group of the folder, nobody else; a file that a killed gateway left is replaced, one in use is not."""
    with site(root, blocking("reject"), {"listen": "unix:sock/milter"}) as running:
        file = running.folder / "sock" / "milter"
        assert (file.stat().st_mode & 0o777, file.group()) == (0o660, "postfix")
        for n in range(2):
            with Talk(running.front) as talk:
                talk.say("EHLO client.example")
                assert talk.mail(f"x@{BLOCKED}").startswith("550")
                assert talk.mail(subject=f"by-file-{n}").startswith("250")
            arrived(running, f"by-file-{n}")
            if n == 0:
                doctor = [sys.executable, "-m", "mailward", "doctor", "--config", str(running.served.config)]
                assert f"unix:{file} answers" in subprocess.run(doctor, capture_output=True, text=True, timeout=60).stdout
                second = Served(running.folder / "second", None, {"listen": ""}, milter={"listen": f"unix:{file}"})
                second.start(wait=False)
                assert second.process is not None
                assert second.process.wait(20) == 1
                assert "already in use" in second.log.read_text()
                os.kill(running.served.pid, signal.SIGHUP)
                wait_until(lambda: running.served.events("reloaded"), 30, "the reload")
                running.served.kill()
                running.served.run()


class Load:
    """Clients that send one message a connection until they are told to stop; what was said to each."""

    def __init__(self, site: Site, clients: int = 4) -> None:
        self._site = site
        self._stop = threading.Event()
        self.said: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int) -> None:
        n = 0
        while not self._stop.is_set():
            n += 1
            sender = f"x@{BLOCKED}" if n % 3 == 0 else "a@example.com"
            subject = f"load-{number}-{n}-end"
            with contextlib.suppress(OSError), Talk(self._site.front) as talk:
                talk.say("EHLO client.example")
                self.said[subject] = talk.mail(sender, subject=subject, body="x" * 40_000)

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def everywhere(site: Site) -> str:
    """Everything delivered or held, as one text."""
    from mailward.quarantine import Vault

    vault = Vault(site.served.settings.quarantine_folder)
    kept = [kept.raw for kept in site.sink.kept] + [path.read_bytes() for path in (vault.folder / "held").glob("*.msg")]
    return b"\n".join(kept).decode("latin-1")


@pytest.mark.fault
def test_nothing_is_lost_when_workers_are_killed(root: Path) -> None:
    """SIGKILL every worker again and again under load: whatever Postfix said 250 to is delivered or held, all else was answered 4xx."""
    with site(root, blocking("quarantine")) as running:
        load = Load(running)
        for _ in range(6):
            time.sleep(0.7)
            for pid in running.served.worker_pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(1.5)
        load.end()
        taken = [subject for subject, said in load.said.items() if said.startswith("250")]
        assert len(taken) > 20
        assert {said[0] for said in load.said.values()} <= {"2", "4"}
        assert any(said.startswith("4") for said in load.said.values())
        missing = wait_until(lambda: (lost := [s for s in taken if s not in everywhere(running)]) == [] or (time.sleep(0.5), lost)[0], 30)
        assert missing is True


@pytest.mark.fault
def test_a_reload_refuses_nobody(root: Path) -> None:
    """New workers take over under load without one temporary failure."""
    with site(root, blocking("quarantine")) as running:
        load = Load(running)
        for n in range(2):
            time.sleep(1)
            os.kill(running.served.pid, signal.SIGHUP)
            wait_until(lambda n=n: len(running.served.events("reloaded")) > n, 30, "the reload")
        time.sleep(1)
        load.end()
        assert len(load.said) > 20
        assert {said[:3] for said in load.said.values()} == {"250"}
