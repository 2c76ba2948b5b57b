"""mailward behind the real spamc, and behind clients that spamc would never be."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running import BLOCKED, Served, blocking, free_port, serving, wait_until

SPAMC = shutil.which("spamc")
needs_spamc = pytest.mark.skipif(SPAMC is None, reason="needs spamc: apt-get install spamc")
CLEAN = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: lunch\r\nMessage-ID: <lunch@example.com>\r\n\r\nAt noon?\r\n"
BAD = CLEAN.replace(b"a@example.com", f"x@{BLOCKED}".encode())
MANY = {"listen": f"127.0.0.1:{free_port()}", "allow_tell": True, "max_size": 100_000, "timeout": 5}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("spamd"), sink=None, policy=blocking("junk"), spamd=MANY) as (served, _):
        yield served


def port(served: Served) -> int:
    return int(served.spamd["listen"].rpartition(":")[2])


def spamc(served: Served, *options: str, message: bytes = CLEAN) -> subprocess.CompletedProcess[bytes]:
    assert SPAMC is not None
    return subprocess.run([SPAMC, "-d", "127.0.0.1", "-p", str(port(served)), *options], input=message, capture_output=True, timeout=30)


def say(served: Served, octets: bytes, *, end: bool = True) -> bytes:
    """Send, end our half of the connection if asked to, and hear everything."""
    with socket.create_connection(("127.0.0.1", port(served)), 20) as client:
        client.sendall(octets)
        if end:
            client.shutdown(socket.SHUT_WR)
        heard = b""
        while piece := client.recv(65536):
            heard += piece
    return heard


def asked(method: str, message: bytes, *header: str, version: str = "SPAMC/1.5") -> bytes:
    lines = [f"{method} {version}", f"Content-length: {len(message)}", *header, "", ""]
    return "\r\n".join(lines).encode() + message


# spamc


@needs_spamc
def test_check_tells_score_and_exit_code(served: Served) -> None:
    """`-c` prints score/threshold; 1 for what was caught, 0 for what was not, whatever filter caught it."""
    clean, bad = spamc(served, "-c"), spamc(served, "-c", message=BAD)
    assert (clean.returncode, bad.returncode) == (0, 1)
    for done, caught in ((clean, False), (bad, True)):
        found = re.fullmatch(rb"(-?\d+\.\d)/(\d+\.\d)\n", done.stdout)
        assert found
        assert (float(found[1]) >= float(found[2])) is caught


@needs_spamc
def test_symbols_are_the_names_of_the_reasons(served: Served) -> None:
    """`-y` prints them with commas between, as SpamAssassin writes the names of its tests."""
    done = spamc(served, "-y", message=BAD)
    assert re.fullmatch(rb"[A-Z0-9_]+(,[A-Z0-9_]+)*", done.stdout.strip())
    assert b"LINKS_NONE" in done.stdout.split(b",")


@needs_spamc
def test_report_is_for_people(served: Served) -> None:
    """`-R` prints score and report; `-r` a report of what was caught, and only then."""
    done = spamc(served, "-R", message=BAD)
    assert b"mailward calls this message mail of a blocked sender (filter content_scanning" in done.stdout
    assert re.search(rb"^ *-?\d\.\d LINKS_NONE +There are no links\.$", done.stdout, re.M)
    assert b"blocked sender" in spamc(served, "-r", message=BAD).stdout
    assert spamc(served, "-r").stdout == b""


@needs_spamc
def test_process_gives_the_message_back_with_our_header(served: Served) -> None:
    """Without options and with `-E` the message comes back marked, its body untouched; with `--headers` spamc puts the body back."""
    clean, bad = spamc(served, "-E"), spamc(served, "-E", message=BAD)
    assert (clean.returncode, bad.returncode) == (0, 1)
    assert b"X-Mailward-Verdict: clean\r\n" in clean.stdout
    assert b"X-Spam-Flag" not in clean.stdout
    assert b"X-Spam-Flag: YES\r\n" in bad.stdout
    assert clean.stdout.endswith(CLEAN)
    headers = spamc(served, "--headers", message=BAD)
    assert b"X-Spam-Flag: YES\r\n" in headers.stdout
    assert headers.stdout.endswith(BAD.partition(b"\r\n\r\n")[2])


@needs_spamc
def test_errors_are_exit_codes(served: Served) -> None:
    """With `-x` spamc fails (with EX_PROTOCOL of its own: it reads no code off an answer), without it hands the message through as it is."""
    big = CLEAN + b"x" * 150_000
    assert spamc(served, "-x", "-c", message=big).returncode == 76
    assert spamc(served, message=big).stdout == big


@needs_spamc
def test_ping(served: Served) -> None:
    """`-K` finds us alive."""
    assert spamc(served, "-K").stdout == b"SPAMD/1.5 0\n"


# Without spamc: what it cannot do, and what it never does


def test_what_is_judged_is_remembered(served: Served) -> None:
    """One event for each message, with the way in and what the caller was told."""
    message = CLEAN.replace(b"lunch@", b"remembered@")
    say(served, asked("CHECK", message, "User: tom"))
    events = wait_until(lambda: [e for e in served.events("message") if e["message_id"] == "<remembered@example.com>"], what="the event")
    assert [(e["way_in"], e["method"], e["user"], e["action"], e["outcome"]) for e in events] == [
        ("spamd", "CHECK", "tom", "pass", "advised")
    ]


def test_compressed_and_without_a_length(served: Served) -> None:
    """`Compress: zlib` is understood, and a message without a length ends with the client's half of the connection."""
    plain = say(served, asked("SYMBOLS", BAD))
    assert plain.startswith(b"SPAMD/1.1 0 EX_OK\r\nContent-length: ")
    assert b"\r\nSpam: True ; " in plain
    assert say(served, asked("SYMBOLS", zlib.compress(BAD), "Compress: zlib")) == plain
    assert say(served, b"SYMBOLS SPAMC/1.5\r\n\r\n" + BAD) == plain


def test_old_clients_find_the_score_above_the_report(served: Served) -> None:
    """Before protocol 1.3 there was no Spam header but in the answer to CHECK. Exim speaks 1.2."""
    heard = say(served, asked("REPORT", BAD, version="SPAMC/1.2"))
    assert re.match(rb"SPAMD/1\.1 0 EX_OK\r\nContent-length: \d+\r\n\r\n8\.0/8\.0\r\nmailward calls", heard)
    assert re.fullmatch(rb"SPAMD/1\.1 0 EX_OK\r\nSpam: True ; 8\.0 / 8\.0\r\n\r\n", say(served, asked("CHECK", BAD, version="SPAMC/1.2")))


def test_rspamds_dialect_tells_the_envelope_and_hears_the_action(served: Served) -> None:
    """What Exim says of client, sender and recipients is judged; the answer is what its parser reads."""
    header = ("From: <a@example.com>", "Rcpt: <b@example.org>", "Rcpt: <c@example.org>", "IP: 192.0.2.77", "Helo: mail.example.com")
    message = BAD.replace(b"lunch@", b"dialect@")
    heard = say(served, asked("CHECK", message, *header, version="RSPAMC/1.3"))
    assert re.match(rb"RSPAMD/1\.3 0 EX_OK\r\nMetric: default; True; 8\.00 / 8\.00 / 24\.00\r\nAction: add header\r\nSymbol: ", heard)
    event = wait_until(lambda: [e for e in served.events("message") if e["message_id"] == "<dialect@example.com>"], what="the event")[0]
    assert (event["client"], event["mail_from"], event["helo"]) == ("192.0.2.77", "a@example.com", "mail.example.com")
    assert event["rcpt_to"] == ["b@example.org", "c@example.org"]


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 76),
        (b"CHECK SPAMC/1.5\nContent-length: 3\n\nabc", 76),
        (b"CHECK SPAMC/1.5\r\nContent-length: 1e9\r\n\r\nabc", 76),
        (b"CHECK SPAMC/1.5\r\nContent-length: 500\r\n\r\nabc", 76),
        (b"CHECK SPAMC/1.5\r\n" + b"X: y\r\n" * 2000 + b"\r\n", 76),
        (b"CHECK SPAMC/1.5\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 76),
        (b"CHECK SPAMC/1.5\r\nCompress: gzip\r\n\r\nabc", 69),
        (b"CHECK SPAMC/1.5\r\nCompress: zlib\r\n\r\nabc", 65),
        (b"TELL SPAMC/1.5\r\n\r\nSubject: x\r\n\r\n", 64),
        (b"CHECK SPAMC/1.5\r\n\r\n" + b"x" * 3_000_000, 65),
        (b"CHECK SPAMC/1.5\r\nContent-length: 3000000\r\n\r\n" + b"x" * 3_000_000, 65),
    ],
)
def test_bad_requests_get_an_exit_code(served: Served, octets: bytes, code: int) -> None:
    """Whatever is wrong is said in one line, even to a client that has not sent everything yet."""
    assert re.match(rb"SPAMD/1\.1 %d [ -~]+\r\n\r\n\Z" % code, say(served, octets))


def test_an_empty_message_is_judged(served: Served) -> None:
    """Nothing at all is a message too."""
    assert say(served, asked("CHECK", b"")).startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: ")


def test_silent_and_dying_clients_cost_one_connection(served: Served) -> None:
    """Who stays silent hears EX_TIMEOUT; who dies in the middle is forgotten; others are served meanwhile."""
    silent = socket.create_connection(("127.0.0.1", port(served)), 20)
    silent.sendall(b"CHECK SPAMC/1.5\r\nContent-length: 100\r\n\r\nabc")
    for _ in range(50):
        dying = socket.create_connection(("127.0.0.1", port(served)), 20)
        dying.sendall(b"CHECK SPAMC/1.5\r\nContent-length: 100\r\n\r\nabc")
        dying.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        dying.close()
    assert say(served, asked("CHECK", CLEAN)).startswith(b"SPAMD/1.1 0 EX_OK")
    with silent:
        assert silent.recv(1000).startswith(b"SPAMD/1.1 79 ")


def test_many_at_once(served: Served) -> None:
    """Sixty clients at the same time all hear their own answer."""
    heard: dict[int, bytes] = {}

    def one(n: int) -> None:
        heard[n] = say(served, asked("PROCESS", CLEAN.replace(b"lunch", b"lunch-%d" % n)))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(b"Subject: lunch-%d\r\n" % n in heard[n] for n in range(60))


@needs_spamc
def test_learning_changes_the_score_and_can_be_taken_back(served: Served) -> None:
    """What was learned by `-L spam` raises the score of the same message; `-L forget` makes it what it was."""
    message = CLEAN.replace(b"lunch@", b"lesson@") + b"Cheap pills of zanzibarium for everybody, order the zanzibarium today\r\n"

    def score() -> float:
        return float(spamc(served, "-c", message=message).stdout.partition(b"/")[0])

    before = score()
    done = spamc(served, "-L", "spam", message=message)
    assert (done.returncode, done.stdout) == (0, b"Message successfully un/learned\n")
    wait_until(lambda: score() > before + 0.5, what="the report to count")
    assert spamc(served, "-L", "forget", message=message).stdout == b"Message successfully un/learned\n"
    wait_until(lambda: score() == before, what="the report not to count")
    assert spamc(served, "-L", "forget", message=message).stdout == b"Message was already un/learned\n"
    assert spamc(served, "-C", "revoke", message=message).stdout == b"Unable to report/revoke message\n"  # nobody else is told


def test_telling_has_to_be_allowed_and_clients_too(tmp_path: Path) -> None:
    """By default nobody teaches; a client outside of client_networks hears EX_NOPERM; a stop lets a request end."""
    way = {"listen": f"127.0.0.1:{free_port()}"}
    with serving(tmp_path / "a", sink=None, spamd=way) as (served, _):
        assert say(served, asked("TELL", CLEAN, "Message-class: spam", "Set: local")).startswith(b"SPAMD/1.1 69 ")
        with socket.create_connection(("127.0.0.1", port(served)), 20) as late:
            request = asked("CHECK", CLEAN)
            late.sendall(request[:-5])
            wait_until(lambda: say(served, asked("PING", b"")), what="the server to have seen it")
            assert served.process is not None
            served.process.send_signal(signal.SIGTERM)
            late.sendall(request[-5:])
            assert late.recv(1000).startswith(b"SPAMD/1.1 0 EX_OK")
    way = {"listen": f"127.0.0.1:{free_port()}", "client_networks": ["192.0.2.0/24"]}
    with serving(tmp_path / "b", sink=None, spamd=way) as (served, _), socket.create_connection(("127.0.0.1", port(served)), 20) as client:
        assert client.recv(1000).startswith(b"SPAMD/1.1 77 ")
