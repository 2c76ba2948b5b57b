"""`mailward serve` as an administrator runs it: signals, limits, TLS, deaths, a full disk."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tests.e2e.running import BLOCKED, Served, Sink, Talk, blocking, free_port, listens, serving, wait_until

from mailward import storage
from mailward.quarantine import Held, InterruptedRelease, NotSent, State, Vault
from mailward.servers.relay import sender


def greeted(port: int) -> Talk:
    talk = Talk(port)
    assert talk.say("EHLO client.example").startswith("250")
    return talk


def greeted_anew(port: int, hostname: str) -> Talk:
    """A client of the new workers. One that meets a worker about to stop hears 421 and comes again, as mail servers do."""

    def attempt() -> Talk | None:
        with contextlib.suppress(ConnectionError):
            talk = Talk(port)
            if hostname in talk.greeting and talk.say("EHLO client.example").startswith("250"):
                return talk
            talk.socket.close()
        return None

    talk = wait_until(attempt, what="a new worker")
    assert isinstance(talk, Talk)
    return talk


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


# Signals


def test_sigterm_lets_a_message_end_and_refuses_new_ones(tmp_path: Path) -> None:
    """A message under way is delivered and answered, an idle client hears 421, a new one is refused, the exit code is 0."""
    with serving(tmp_path) as (served, sink):
        busy, idle = greeted(served.port), greeted(served.port)
        for line in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"):
            busy.say(line)
        busy.send(b"Subject: half")
        assert served.process is not None
        served.process.send_signal(signal.SIGTERM)
        assert idle.hear().startswith("421 4.3.2")
        wait_until(lambda: refused(served.port), what="the port to close")
        busy.send(b" and half\r\n\r\n.\r\n")
        assert busy.hear().startswith("250")
        assert busy.hear().startswith("421 4.3.2")
        assert served.process.wait(10) == 0
        assert [kept.raw.endswith(b"Subject: half and half\r\n\r\n") for kept in sink.kept] == [True]


def test_sighup_takes_up_policy_and_settings_without_losing_a_client(tmp_path: Path) -> None:
    """New connections meet the new policy and settings; a talk that began before goes on with the old workers to its end."""
    with serving(tmp_path, policy=blocking("reject")) as (served, _):
        before = greeted(served.port)
        assert before.say("MAIL FROM:<x@blocked.example>").startswith("250")
        old = served.worker_pids()
        served.save_policy(blocking("quarantine"))
        served.smtp["hostname"] = "renamed.example.test"
        served.configure()
        os.kill(served.pid, signal.SIGHUP)
        wait_until(lambda: served.events("reloaded"), what="the reload")
        with greeted_anew(served.port, "renamed.example.test") as after:
            assert "held in quarantine" in after.mail(f"x@{BLOCKED}")
        assert before.say("RCPT TO:<b@example.org>").startswith("250")
        assert before.say("DATA").startswith("354")
        before.send(b"Subject: x\r\n\r\n.\r\n")
        assert before.hear().startswith("550 5.7.1")
        assert before.hear().startswith("421 4.3.2")
        wait_until(lambda: not any(alive(pid) for pid in old), what="the old workers to end")
        wait_until(lambda: len(served.worker_pids()) == 2, what="two workers")


def test_a_reload_with_mistakes_changes_nothing_and_says_why(tmp_path: Path) -> None:
    """Broken settings, and a broken policy, are named in the log; the old ones stay in force with the same workers."""
    with serving(tmp_path, policy=blocking("reject")) as (served, _):
        workers = served.worker_pids()
        good = served.config.read_text()
        served.config.write_text(good.replace("timeout = 20", "timeout = 'soon'"))
        os.kill(served.pid, signal.SIGHUP)
        failed = wait_until(lambda: served.events("reload_failed"), what="the failure")
        assert "timeout" in failed[0]["reason"]
        served.config.write_text(good)
        served.save_policy("[content_scanning]\nlevle = 'high'\n")
        os.kill(served.pid, signal.SIGHUP)
        failed = wait_until(lambda: served.events("reload_failed")[1:], what="the second failure")
        assert "levle" in failed[0]["reason"]
        with greeted(served.port) as talk:
            assert talk.mail(f"x@{BLOCKED}").startswith("550 5.7.1")
        assert served.worker_pids() == workers


def test_a_reload_whose_workers_cannot_start_leaves_the_old_ones(tmp_path: Path) -> None:
    """When the new workers die at once (here: no file descriptors), the old ones go on, and a later reload succeeds."""
    with serving(tmp_path, workers=1, policy=blocking("reject")) as (served, _):
        workers = served.worker_pids()
        served.save_policy(blocking("quarantine"))
        limits = resource.prlimit(served.pid, resource.RLIMIT_NOFILE)
        used = max(int(name) for name in os.listdir(f"/proc/{served.pid}/fd"))
        resource.prlimit(served.pid, resource.RLIMIT_NOFILE, (used + 5, limits[1]))
        os.kill(served.pid, signal.SIGHUP)
        failed = wait_until(lambda: served.events("reload_failed"), what="the failure")
        resource.prlimit(served.pid, resource.RLIMIT_NOFILE, limits)
        with greeted(served.port) as talk:
            assert talk.mail(f"x@{BLOCKED}").startswith("550 5.7.1")
        assert served.worker_pids() == workers
        assert "died at once" in failed[0]["reason"]
        os.kill(served.pid, signal.SIGHUP)
        wait_until(lambda: served.events("reloaded"), what="the reload")
        wait_until(lambda: not any(alive(pid) for pid in workers), what="the old worker to end")
        with greeted(served.port) as talk:
            assert "held in quarantine" in talk.mail(f"x@{BLOCKED}")


def test_another_port_after_sighup(tmp_path: Path) -> None:
    """A changed `listen` moves the gateway to the new port and gives up the old one."""
    with serving(tmp_path) as (served, _):
        old, served.port = served.port, free_port()
        served.configure()
        os.kill(served.pid, signal.SIGHUP)
        wait_until(lambda: served.events("reloaded"), what="the reload")
        with greeted(served.port) as talk:
            assert talk.mail().startswith("250")
        wait_until(lambda: refused(old), what="the old port to close")


# Deaths


def test_a_dead_worker_is_replaced_and_its_client_comes_again(tmp_path: Path) -> None:
    """The client of a killed worker sees the connection close without an answer; the next connection is served."""
    with serving(tmp_path, workers=1) as (served, sink):
        talk = greeted(served.port)
        for line in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"):
            talk.say(line)
        talk.send(b"Subject: unfinished\r\n")
        (worker,) = served.worker_pids()
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            talk.hear()
        with greeted(served.port) as again:
            assert again.mail().startswith("250")
        assert len(sink.kept) == 1
        assert served.worker_pids() != [worker]
        assert served.events("child_died")[0]["how"] == "signal 9"


def test_a_worker_told_to_stop_while_clients_arrive_does_stop(tmp_path: Path) -> None:
    """Clients accepted at the very moment of SIGTERM hear 421 and hold nothing up; those not yet accepted meet the next worker."""
    with serving(tmp_path, workers=1) as (served, _):
        for _ in range(5):
            (worker,) = wait_until(served.worker_pids, what="a worker")
            with greeted(served.port):  # it is up
                os.kill(worker, signal.SIGSTOP)
                talks = [Talk(served.port, greet=False) for _ in range(4)]
                os.kill(worker, signal.SIGTERM)
                os.kill(worker, signal.SIGCONT)
                wait_until(lambda worker=worker: not alive(worker), 5, "the worker to end")
            for talk in talks:
                greeting = talk.hear()
                if greeting.startswith("220"):
                    talk.send(b"EHLO client.example\r\n")
                    greeting = talk.hear()
                assert greeting[:3] in ("250", "421")
                talk.socket.close()


def test_a_worker_that_dies_again_and_again_is_replaced_more_slowly(tmp_path: Path) -> None:
    """The first replacement comes at once, the next ones with growing delay."""
    with serving(tmp_path, workers=1) as (served, _):
        for n in range(1, 5):
            (worker,) = wait_until(served.worker_pids, what="a worker")
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda n=n: len(served.events("child_died")) == n, what="the death")
        delays = [event["replaced_in_seconds"] for event in served.events("child_died")]
        assert delays == [0.0, 0.2, 0.4, 0.8]
        with greeted(served.port) as talk:
            assert talk.mail().startswith("250")


def test_no_worker_outlives_its_supervisor(tmp_path: Path) -> None:
    """After kill -9 of the supervisor the workers end by themselves, and a new one can take the port at once."""
    with serving(tmp_path) as (served, sink):
        workers = served.worker_pids()
        assert len(workers) == 2
        served.kill()
        served.run()
        with greeted(served.port) as talk:
            assert talk.mail().startswith("250")
        wait_until(lambda: not any(alive(pid) for pid in workers), what="the orphans to end")
        assert len(sink.kept) == 1


def test_a_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    """Start fails with exit code 1 and names the address and the reason, without a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        served = Served(tmp_path, None, port=taken.getsockname()[1]).start(wait=False)
        assert served.process is not None
        assert served.process.wait(20) == 1
        assert f"127.0.0.1:{served.port}: Address already in use" in served.log.read_text()
        assert "Traceback" not in served.log.read_text()


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service of Type=notify hears READY=1 once mail is accepted, and STOPPING=1."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with serving(tmp_path) as (served, _):
            assert notify.recv(100) == b"READY=1"
            assert listens(served.port)
            served.stop()
            assert notify.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("smtp", "words"),
    [
        ({"listen": ""}, "nothing to serve"),
        ({"tls_certificate": "/nowhere/cert.pem", "tls_key": "/nowhere/key.pem"}, "No such file"),
        ({"listen": "192.0.2.1:2525"}, "192.0.2.1:2525: Cannot assign requested address"),
    ],
)
def test_what_cannot_work_is_said_at_start(tmp_path: Path, smtp: dict[str, str], words: str) -> None:
    """Settings that cannot work end the start with exit code 1 and one line, not with workers that die."""
    served = Served(tmp_path, None, smtp=smtp).start(wait=False)
    assert served.process is not None
    assert served.process.wait(20) == 1
    assert words in served.log.read_text()
    assert "Traceback" not in served.log.read_text()


def test_v6(tmp_path: Path) -> None:
    """A v6 address in brackets is listened on, and the client's v6 address is in the trace line."""
    port = free_port()
    try:
        with serving(tmp_path, smtp={"listen": f"[::1]:{port}"}) as (served, sink):
            assert f"SMTP on [::1]:{port}," in served.out.read_text()
            with smtplib.SMTP("::1", port, "client.example", timeout=10) as client:
                client.sendmail("a@example.com", ["b@example.org"], "Subject: six\r\n\r\n")
            assert b"Received: from client.example ([IPv6:::1])" in sink.kept[0].raw
    except AssertionError:
        if not Path("/proc/net/if_inet6").exists() or not Path("/proc/net/if_inet6").read_text():
            pytest.skip("needs IPv6 on the loopback interface")
        raise


# Limits


def test_one_client_cannot_take_all_connections(tmp_path: Path) -> None:
    """The connection over the limit hears 421 and is closed; when one ends, the next is welcome."""
    with serving(tmp_path, workers=1, smtp={"max_connections_per_client": 3}) as (served, _):
        talks = [greeted(served.port) for _ in range(3)]
        with Talk(served.port) as fourth:
            assert fourth.greeting.startswith("421 4.7.0")
            assert fourth.closed()
        talks[0].say("QUIT")
        wait_until(lambda: Talk(served.port).greeting.startswith("220"), what="a free place")


def test_the_proxy_in_front_may_have_more_connections_but_not_all(tmp_path: Path) -> None:
    """Trusted proxies are exempt from the limit for one client, not from the limit for all."""
    smtp = {"max_connections_per_client": 1, "max_connections": 3, "trusted_proxies": ["127.0.0.1"]}
    with serving(tmp_path, workers=1, smtp=smtp) as (served, _):
        talks = [greeted(served.port) for _ in range(3)]
        with Talk(served.port) as fourth:
            assert fourth.greeting.startswith("421 4.7.0 Too many connections,")
        assert all(talk.say("NOOP").startswith("250") for talk in talks)


def test_a_silent_client_is_hung_up_on(tmp_path: Path) -> None:
    """After `timeout` seconds of silence between commands or inside a message the client hears 421."""
    with serving(tmp_path, workers=1, smtp={"timeout": 5}) as (served, sink):
        idle, halfway = greeted(served.port), greeted(served.port)
        for line in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"):
            halfway.say(line)
        halfway.send(b"Subject: x\r\n")
        started = time.monotonic()
        for talk in (idle, halfway):
            assert talk.hear().startswith("421 4.4.2")
            assert talk.closed()
        assert 4.5 < time.monotonic() - started < 8
        assert sink.kept == []


def test_a_long_message_does_not_hold_up_short_ones(tmp_path: Path) -> None:
    """While one worker judges several megabytes of HTML, short messages through the same worker are answered within a second."""
    with serving(tmp_path, workers=1) as (served, sink):
        html = "Content-Type: text/html\r\n\r\n" + "<p style='color:red'>word <a href='http://example.com/x'>link</a></p>\r\n" * 80_000
        slow: list[str] = []

        def send_long() -> None:
            talk = greeted(served.port)
            for line in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"):
                talk.say(line)
            talk.send(html.encode() + b".\r\n")
            talk.socket.settimeout(60)
            slow.append(talk.hear())

        thread = threading.Thread(target=send_long)
        thread.start()
        times = []
        with greeted(served.port) as talk:
            while thread.is_alive():
                started = time.monotonic()
                assert talk.mail().startswith("250")
                times.append(time.monotonic() - started)
        thread.join()
        assert slow[0].startswith("250")
        assert max(times) < 1.0, sorted(times)[-5:]
        assert len(sink.files) == len(times) + 1


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    pem, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*command, "-subj", "/CN=gw.example.test", "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    return pem, key


def test_starttls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """STARTTLS is offered once, the talk begins anew inside, and the trace line says ESMTPS."""
    pem, key = certificate
    context = ssl.create_default_context(cafile=str(pem))
    context.check_hostname = False
    with (
        serving(tmp_path, smtp={"tls_certificate": str(pem), "tls_key": str(key)}) as (served, sink),
        smtplib.SMTP("127.0.0.1", served.port, "client.example", timeout=10) as client,
    ):
        client.ehlo()
        assert client.has_extn("starttls")
        assert client.starttls(context=context)[0] == 220
        assert client.docmd("MAIL", "FROM:<a@example.com>")[0] == 503
        client.ehlo()
        assert not client.has_extn("starttls")
        assert client.docmd("STARTTLS")[0] == 503
        client.sendmail("a@example.com", ["b@example.org"], b"Subject: secret\r\n\r\n" + b"x" * 300_000 + b"\r\n")
        assert b" with ESMTPS id " in sink.kept[0].raw


def test_clear_text_behind_starttls_is_thrown_away(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """Commands put behind STARTTLS in the same packet are not carried out inside the encrypted talk (CVE-2011-0411)."""
    pem, key = certificate
    context = ssl.create_default_context(cafile=str(pem))
    context.check_hostname = False
    with serving(tmp_path, smtp={"tls_certificate": str(pem), "tls_key": str(key)}) as (served, _), greeted(served.port) as talk:
        talk.send(b"STARTTLS\r\nNOOP\r\nNOOP\r\n")
        assert talk.hear().startswith("220")
        assert talk.buffer == b""
        with context.wrap_socket(talk.socket) as inside:
            inside.sendall(b"VRFY x\r\n")
            assert inside.recv(1000).startswith(b"252")


# What is remembered and held


def test_every_message_is_recorded_with_what_became_of_it(tmp_path: Path) -> None:
    """Delivered, refused by policy, refused by the next hop, lost on the way: each has a record that says so, and one log event."""
    with serving(tmp_path, policy=blocking("reject")) as (served, _):
        with greeted(served.port) as talk:
            talk.mail(subject="one")
            talk.mail(f"x@{BLOCKED}", subject="two")
            talk.mail(to="dot550@example.org", subject="three")
            talk.mail(to="dotlost@example.org", subject="four")
        served.stop()
        store = storage.open(served.settings.storage_url)
        records = {record.assessment.subject: record for record in store.records()}
        store.close()
        assert {subject: record.outcome for subject, record in records.items()} == {
            "one": "delivered",
            "two": "rejected",
            "three": "next_hop_refused",
            "four": "next_hop_lost",
        }
        assert records["one"].assessment.helo == "client.example"
        assert records["one"].assessment.sender_ip.address == "127.0.0.1"
        events = {event["id"]: event for event in served.events("message")}
        assert set(events) == {record.id for record in records.values()}
        assert events[records["two"].id]["verdict"] == "blocked_sender"
        assert events[records["two"].id]["reply"].startswith("550 5.7.1")


def test_a_full_quarantine_is_answered_452(tmp_path: Path) -> None:
    """What cannot be written is not accepted and not handed on; once there is room the same message is."""
    with serving(tmp_path, workers=1, policy=blocking("quarantine")) as (served, sink):
        (worker,) = served.worker_pids()
        limits = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with greeted(served.port) as talk:
            assert talk.mail(f"x@{BLOCKED}", body="y" * 200_000).startswith("452 4.3.1")
            resource.prlimit(worker, resource.RLIMIT_FSIZE, limits)
            assert "held in quarantine" in talk.mail(f"x@{BLOCKED}", body="y" * 200_000)
        vault = Vault(served.settings.quarantine_folder)
        assert len(vault.list()) == 1
        assert list((vault.folder / "tmp").iterdir()) == []
        assert sink.kept == []
        assert len(served.events("quarantine_failed")) == 1


def test_release_hands_the_message_to_the_next_hop(tmp_path: Path) -> None:
    """The next hop gets the message for all its recipients, byte for byte under one line of ours."""
    sink = Sink(tmp_path / "sink").start()
    try:
        settings = Served(tmp_path / "gateway", sink.port)
        settings.folder.mkdir()
        settings.configure()
        send = sender(settings.settings)
        raw = b"From: x@example.com\r\nSubject: \xc3\xa4\r\n\r\n.dot\r\nlast line without end"
        send(Held(id="m1", time=0.0, size=len(raw), mail_from="", rcpt_to=("b@example.org", "c@example.org"), body_8bit=True), raw)
        (kept,) = sink.kept
        assert (kept.mail, kept.rcpt) == ("MAIL FROM:<> BODY=8BITMIME", ["RCPT TO:<b@example.org>", "RCPT TO:<c@example.org>"])
        line, _, rest = kept.raw.partition(b"\r\n")
        assert line.startswith(b"X-Mailward-Released: m1; ")
        assert rest == raw + b"\r\n"
    finally:
        sink.stop()


def test_a_release_the_next_hop_refuses_or_loses(tmp_path: Path) -> None:
    """Refused, put off or unreachable: held as before. Lost while waiting for the answer: shown as interrupted."""
    sink = Sink(tmp_path / "sink").start()
    served = Served(tmp_path / "gateway", sink.port)
    served.folder.mkdir()
    served.configure()
    send = sender(served.settings)
    vault = Vault(tmp_path / "quarantine")
    from mailward.message import Envelope

    try:
        for id, recipients in {
            "refused": ("dot550@example.org",),
            "one": ("b@example.org", "no550@example.org"),
            "lost": ("dotlost@example.org",),
        }.items():
            vault.hold(b"Subject: x\r\n\r\n", Envelope(mail_from="a@example.com", rcpt_to=recipients), id)
        for id in ("refused", "one"):
            with pytest.raises(NotSent, match="550"):
                vault.release(id, send)
            assert vault.show(id).state is State.HELD
        assert sink.kept == []
        with pytest.raises(OSError, match="closed"):
            vault.release("lost", send)
        assert vault.show("lost").state is State.RELEASING
        with pytest.raises(InterruptedRelease):
            vault.release("lost", send)
        sink.stop()
        with pytest.raises(NotSent, match="cannot be reached"):
            vault.release("refused", send)
        assert vault.show("refused").state is State.HELD
    finally:
        sink.stop()


# Size and speed of the processes


def pss(pid: int) -> int:
    """Proportional set size in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


@pytest.mark.bench
def test_ready_within_three_seconds_and_150_megabytes(tmp_path: Path) -> None:
    """From start of the process to accepting connections at most 3 s; supervisor and two idle workers at most 150 MB together."""
    served = Served(tmp_path, None, workers=2)
    started = time.monotonic()
    try:
        served.start(wait=False)
        wait_until(lambda: listens(served.port) and served.is_ready(), what="the gateway")
        seconds = time.monotonic() - started
        time.sleep(1)
        memory = sum(pss(pid) for pid in (served.pid, *served.worker_pids()))
        print(f"ready after {seconds:.2f} s, {memory / 1e6:.0f} MB")
        assert seconds <= 3.0
        assert memory <= 150e6
    finally:
        served.stop()
