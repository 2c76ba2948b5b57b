"""mailward asked by rspamd's HTTP protocol: by rspamc, by curl, by plain clients, and by what no client would ever say."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tests.e2e.running import BLOCKED, Served, blocking, wait_until
from tests.http.conftest import BLOCKED_FROM, CLEAN, asking, port

from mailward.servers.http.protocol import Asked, Refused, unpacked

RSPAMC = shutil.which("rspamc")
needs_rspamc = pytest.mark.skipif(RSPAMC is None, reason="needs rspamc: apt-get install rspamd")
BAD = ("-F", BLOCKED_FROM)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with asking(tmp_path_factory.mktemp("http"), allow_learn=True, max_size=100_000) as served:
        yield served


def rspamc(served: Served, *options: str, message: bytes = CLEAN) -> subprocess.CompletedProcess[str]:
    assert RSPAMC is not None
    done = subprocess.run([RSPAMC, "-h", f"127.0.0.1:{port(served)}", *options], input=message, capture_output=True, timeout=30)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def ask(served: Served, path: str, body: bytes | None = CLEAN, method: str = "POST", **header: str) -> tuple[int, Any]:
    """Status and what was answered, read as JSON where it is that."""
    connection = http.client.HTTPConnection("127.0.0.1", port(served), timeout=20)
    try:
        return said(connection, path, body, method, **header)
    finally:
        connection.close()


def said(
    connection: http.client.HTTPConnection, path: str, body: bytes | None = CLEAN, method: str = "POST", **header: str
) -> tuple[int, Any]:
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in header.items()})
    answer = connection.getresponse()
    octets = answer.read()
    if "zstd" in (answer.getheader("Content-Encoding") or ""):
        octets = zstandard.ZstdDecompressor().decompress(octets)
    is_json = answer.getheader("Content-Type") == "application/json"
    return answer.status, json.loads(octets) if is_json else octets.decode()


def raw(served: Served, octets: bytes) -> bytes:
    """Everything that is answered to those octets until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port(served)), 20) as client:
        client.sendall(octets)
        heard = b""
        while piece := client.recv(65536):
            heard += piece
    return heard


# rspamc


@needs_rspamc
@pytest.mark.parametrize("packed", [(), ("-z",)], ids=["plain", "zstd"])
def test_rspamc_tells_action_score_and_symbols(served: Served, packed: tuple[str, ...]) -> None:
    """Also when both sides pack by zstd; whatever filter caught it, score and threshold tell the same as the action."""
    clean, bad = rspamc(served, *packed), rspamc(served, *packed, *BAD)
    assert (clean.returncode, bad.returncode) == (0, 0)
    for done, action, spam in ((clean, "no action", "false"), (bad, "add header", "true")):
        assert f"Action: {action}\n" in done.stdout
        assert f"Spam: {spam}\n" in done.stdout
        found = re.search(r"^Score: (-?[\d.]+) / ([\d.]+)$", done.stdout, re.M)
        assert found
        assert (float(found[1]) >= float(found[2])) == (spam == "true")
        assert re.search(r"^Symbol: LINKS_NONE \(-0\.\d\d\)\[There are no links\.\]$", done.stdout, re.M)
    assert "Symbol: BLOCKED (0.00)[The sender is blocked by blocked_senders: blocked.example]" in bad.stdout
    assert "Message-ID: lunch@example.com" in clean.stdout


@needs_rspamc
def test_rspamc_tells_us_the_envelope(served: Served) -> None:
    """It is judged by it, and in the log."""
    options = (
        "-i",
        "192.0.2.7",
        "--helo",
        "h.example",
        "--hostname",
        "h.example",
        "-F",
        "a@example.com",
        "-r",
        "b@example.org",
        "-u",
        "ann",
    )
    assert rspamc(served, *options, "--header", "Queue-Id=4Abc").returncode == 0
    event = served.events("message")[-1]
    assert (event["client"], event["helo"], event["mail_from"], event["rcpt_to"]) == (
        "192.0.2.7",
        "h.example",
        "a@example.com",
        ["b@example.org"],
    )
    assert (event["queue_id"], event["user"], event["outcome"], event["way_in"]) == ("4Abc", "ann", "advised", "http")


@needs_rspamc
def test_rspamc_learns_and_counts(served: Served) -> None:
    """What is learned is stored, and counts for the next message after a second; /stat is of all workers together."""
    before = rspamc(served, "stat").stdout
    message = b"From: s@spam.example\r\nSubject: zorblax\r\nMessage-ID: <z@x>\r\n\r\n" + b"zorblax quendrith plomberie\r\n" * 20
    first = ask(served, "/checkv2", message)[1]["score"]
    for _ in range(3):
        done = rspamc(served, "learn_spam", message=message)
        assert "success = true" in done.stdout
    wait_until(lambda: ask(served, "/checkv2", message)[1]["score"] > first, 20, "the score to rise")
    for _ in range(6):  # whichever worker it is
        rspamc(served)
    after = rspamc(served, "stat").stdout

    def number(text: str, name: str) -> int:
        found = re.search(rf"^{name}: (\d+)", text, re.M)
        assert found, text
        return int(found[1])

    assert number(after, "Messages learned") == number(before, "Messages learned") + 3
    assert number(after, "Messages scanned") >= number(before, "Messages scanned") + 8
    assert number(after, "Messages scanned") == len(served.events("message"))


@needs_rspamc
def test_rspamc_brings_the_password(tmp_path: Path) -> None:
    """Without it nothing but /ping is answered."""
    with asking(tmp_path, password="s3cret-word", allow_learn=True) as served:
        for options in ((), ("stat",), ("learn_ham",)):
            assert "401" in rspamc(served, *options).stdout
            assert "401" in rspamc(served, "-P", "wrong", *options).stdout
            assert rspamc(served, "-P", "s3cret-word", *options).returncode == 0
        assert ask(served, "/ping", None, "GET") == (200, "pong\r\n")
        assert "s3cret-word" not in served.log.read_text()


# By hand


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("pass", "no action"),
        ("tag", "rewrite subject"),
        ("junk", "add header"),
        ("quarantine", "add header"),
        ("defer", "soft reject"),
        ("reject", "reject"),
        ("delete", "discard"),
    ],
)
def test_every_action_has_its_word(tmp_path: Path, action: str, name: str) -> None:
    """With what the caller needs to do it: the subject, the reply, the header fields."""
    with asking(tmp_path, blocking(action)) as served:
        status, answer = ask(served, "/checkv2", b"X-Spam-Flag: NO\r\n" + CLEAN, From=BLOCKED_FROM, IP="192.0.2.1")
    assert (status, answer["action"]) == (200, name)
    assert (answer["score"] >= answer["required_score"]) == (action != "pass")
    assert answer["milter"]["remove_headers"] == {"X-Spam-Flag": 1}
    add = answer["milter"]["add_headers"]
    assert add["X-Mailward-Verdict"] == {"value": "blocked_sender", "order": 1}
    assert ("X-Spam-Flag" in add) == (action not in ("pass", "tag"))
    assert len(add["X-Mailward-Reason"]) > 2
    assert answer.get("subject") == ("[Spam] lunch" if action == "tag" else None)
    told = answer.get("messages", {}).get("smtp_message", "")
    assert bool(re.match(r"[45]\.7\.1 Message .* \[\w{26}\]$", told)) == (action in ("defer", "reject"))
    assert answer["mailward"]["id"] in json.dumps(answer["milter"])


def test_contributions_are_the_score(served: Served) -> None:
    """The symbols of a message that nothing but its score decides add up to it, but for what every message has."""
    answer = ask(served, "/checkv2", CLEAN, IP="192.0.2.1")[1]
    assert {"name", "score", "metric_score", "description", "options"} <= set(answer["symbols"]["LINKS_NONE"])
    assert answer["thresholds"]["reject"] > answer["thresholds"]["add header"] == answer["required_score"]
    assert [name for name, symbol in answer["symbols"].items() if len(symbol["options"]) > 1] == []  # nothing counts for two scores at once
    assert any(name.startswith("PHISHING_") for name in answer["symbols"])
    assert answer["message-id"] == "lunch@example.com"


def test_the_old_form(served: Served) -> None:
    """/check and a posted /symbols: symbols stand beside the score of the metric."""
    for path in ("/check", "/symbols"):
        metric = ask(served, path, From=BLOCKED_FROM)[1]["default"]
        assert (metric["is_spam"], metric["action"], metric["LINKS_NONE"]["name"]) == (True, "add header", "LINKS_NONE")


def test_what_needs_no_message(served: Served) -> None:
    """/symbols, /stat, /metrics, /ping, by GET."""
    groups = ask(served, "/symbols", None, "GET")[1]
    rules = [rule for group in groups for rule in group["rules"]]
    assert next(rule for rule in rules if rule["symbol"] == "LINKS_NONE")["weight"] < 0
    assert ask(served, "/ping", None, "GET") == (200, "pong\r\n")
    ask(served, "/checkv2")
    ask(served, "/checkv2", From=BLOCKED_FROM)
    stat = ask(served, "/stat", None, "GET")[1]
    assert stat["scanned"] == stat["spam_count"] + stat["ham_count"] == sum(stat["actions"].values()) > 1
    metrics = ask(served, "/metrics", None, "GET")[1]
    found = dict(re.findall(r"^(mailward_\S+) (\S+)$", metrics, re.M))
    assert int(found['mailward_messages_total{way_in="http",verdict="blocked_sender",action="junk"}']) >= 1
    assert int(found["mailward_judging_seconds_count"]) == stat["scanned"]
    assert float(found["mailward_judging_seconds_sum"]) > 0
    for name in re.findall(r"^# TYPE (\S+) ", metrics, re.M):
        assert re.search(rf"^{name}(_sum|_count|{{| )", metrics, re.M)
    assert served.events("message")


def test_many_requests_a_connection(served: Served) -> None:
    """Kept alive; also when they come all at once; refused ones in between do no harm when they were read to their end."""
    connection = http.client.HTTPConnection("127.0.0.1", port(served), timeout=20)
    for n in range(5):
        status, answer = said(connection, "/checkv2", From=BLOCKED_FROM if n % 2 else "a@example.com")
        assert (status, answer["action"]) == (200, "add header" if n % 2 else "no action")
        assert said(connection, "/checkv2", b"")[0] == 400
    one = b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(CLEAN) + CLEAN
    heard = raw(served, one * 3 + one.replace(b"Host: x", b"Host: x\r\nConnection: close"))
    assert heard.count(b"HTTP/1.1 200 ") == 4
    old = raw(served, one.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert old.count(b" 200 ") == 1


def test_chunks_and_packed_messages(served: Served) -> None:
    """As Node's clients send them, and packed by zstd in either header; the answer is packed where that is asked for."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(CLEAN[at : at + 7]), CLEAN[at : at + 7]) for at in range(0, len(CLEAN), 7)) + b"0\r\n\r\n"
    heard = raw(served, b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks)
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert served.events("message")[-1]["size"] == len(CLEAN)
    squeezed = zstandard.ZstdCompressor().compress(CLEAN)
    for header in ({"Content_Encoding": "zstd"}, {"Compression": "zstd"}, {"Content_Encoding": "zstd", "Accept_Encoding": "zstd"}):
        status, answer = ask(served, "/checkv2", squeezed, **header)
        assert (status, answer["message-id"]) == (200, "lunch@example.com")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_waits_for_a_go_ahead(served: Served, tmp_path: Path) -> None:
    """`Expect: 100-continue`, which curl sends with long messages."""
    file = tmp_path / "m.eml"
    file.write_bytes(CLEAN + b"x" * 50_000)
    command = ["curl", "-s", "-H", "Expect: 100-continue", "--data-binary", f"@{file}", f"http://127.0.0.1:{port(served)}/checkv2"]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, timeout=30)
    assert json.loads(done.stdout)["action"] == "no action"
    assert time.monotonic() - started < 0.9  # curl goes on by itself after a second


def test_settings_are_ignored_with_a_warning(served: Served) -> None:
    """They are rspamd's; the policy decides here."""
    assert ask(served, "/checkv2", Settings_ID="strict")[0] == 200
    assert served.events("settings_ignored")[-1]["settings"] == "strict"


REFUSED = {
    "nobody knows it": (404, "/nothing", "POST", {}),
    "not asked that way": (405, "/checkv2", "GET", {}),
    "not by that method": (405, "/ping", "DELETE", {}),
    "packed otherwise": (415, "/checkv2", "POST", {"Content_Encoding": "gzip"}),
    "not packed at all": (400, "/checkv2", "POST", {"Content_Encoding": "zstd"}),
    "from a web page": (403, "/learnspam", "POST", {"Origin": "http://evil.example"}),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(served: Served, case: tuple[int, str, str, dict[str, str]]) -> None:
    """With a status and a sentence, and the next client is served."""
    status, path, method, header = case
    said_status, answer = ask(served, path, CLEAN, method, **header)
    assert said_status == status
    assert answer["error"]
    assert ask(served, "/checkv2")[0] == 200


def test_sizes_are_limited(served: Served) -> None:
    """However long a message says it is, however small it is packed; and a header without end."""
    assert ask(served, "/checkv2", CLEAN + b"x" * 200_000)[0] == 413
    bomb = zstandard.ZstdCompressor().compress(b"\0" * (200 << 20))
    assert len(bomb) < 100_000
    assert ask(served, "/checkv2", bomb, Content_Encoding="zstd")[0] == 413
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert raw(served, b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 3).startswith(b"HTTP/1.1 413 ")
    assert raw(served, b"GET /ping HTTP/1.1\r\n" + b"X: " + b"y" * 300_000).startswith(b"HTTP/1.1 431 ")


def test_learning_has_to_be_allowed(tmp_path: Path) -> None:
    """It is not unless the settings say so."""
    with asking(tmp_path) as served:
        assert ask(served, "/learnspam")[0] == 403
        assert ask(served, "/stat", None, "GET")[1]["learned"] == 0


def test_only_named_networks_may_ask(tmp_path: Path) -> None:
    with asking(tmp_path, client_networks=["192.0.2.0/24"]) as served:
        assert raw(served, b"").startswith(b"HTTP/1.1 403 ")


def test_silent_and_stopping(tmp_path: Path) -> None:
    """A client that says half a request is hung up on; one that is waiting for its answer gets it while we are being stopped."""
    with asking(tmp_path) as served:
        started = time.monotonic()
        assert raw(served, b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf") == b""
        assert 4 < time.monotonic() - started < 9
        with (
            socket.create_connection(("127.0.0.1", port(served)), 20) as busy,
            socket.create_connection(("127.0.0.1", port(served)), 20) as idle,
        ):
            busy.sendall(b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(CLEAN) + CLEAN[:20])
            time.sleep(0.3)
            assert served.process is not None
            served.process.terminate()
            assert idle.recv(10) == b""
            busy.sendall(CLEAN[20:])
            assert busy.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert served.process.wait(15) == 0


def test_counting_goes_on_over_a_reload_and_a_killed_worker(tmp_path: Path) -> None:
    """Counters are the supervisor's: neither takes what was counted."""
    with asking(tmp_path) as served:
        for _ in range(8):
            ask(served, "/checkv2")
        os.kill(served.pid, signal.SIGHUP)
        wait_until(lambda: served.events("reloaded"), 30, "the reload")
        for pid in served.worker_pids():
            os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: _scanned(served), 20, "an answer") == 8
        ask(served, "/checkv2")
        assert _scanned(served) == 9


def _scanned(served: Served) -> int:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return int(ask(served, "/stat", None, "GET")[1]["scanned"])
    return 0


def test_random_octets_harm_nobody(served: Served) -> None:
    """Every connection is answered or closed, no worker dies, nothing fails inside."""
    workers, chance = set(served.worker_pids()), random.Random(7)
    lines = [
        b"POST /checkv2 HTTP/1.1",
        b"GET /ping HTTP/1.1",
        b"Host: x",
        b"Content-Length: 5",
        b"Content-Length: -1",
        b"Transfer-Encoding: chunked",
    ]
    lines += [
        b"Rcpt: b",
        b"IP: \xff",
        b"IP: 1.2.3",
        b"Compression: zstd",
        b"",
        b"",
        b"\0",
        b"hello",
        b"5",
        b"\xf0\x9f",
        b"Expect: 100-continue",
    ]
    for _ in range(200):
        octets = b"\r\n".join(chance.choice(lines) for _ in range(chance.randrange(1, 9))) + chance.choice(
            (b"", b"\r\n\r\n", chance.randbytes(9))
        )
        with socket.create_connection(("127.0.0.1", port(served)), 10) as client:
            client.sendall(octets)
    assert ask(served, "/checkv2")[0] == 200
    assert set(served.worker_pids()) == workers
    assert not served.events("session_failed")


@given(st.binary(min_size=1, max_size=300), st.binary(max_size=300))
def test_unpacking_gives_the_message_or_refuses(message: bytes, junk: bytes) -> None:
    """Whatever the octets are."""
    squeezed = zstandard.ZstdCompressor().compress(message)
    assert unpacked(squeezed, 300) == message
    with contextlib.suppress(Refused):
        assert len(unpacked(junk, 300)) <= 300
    for octets in (squeezed[:-1], squeezed + junk + b"!"):
        with pytest.raises(Refused, match="unpacked"):
            unpacked(octets, 300)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_path_is_refused_but_those_we_know(method: str, path: str) -> None:
    """And nothing else is raised."""
    with pytest.raises(Refused):
        assert Asked(method, f"/{path}x", {}).task


def test_the_sender_at_the_blocked_domain_is_the_one_of_the_policy() -> None:
    """What the tests above rest on."""
    assert BLOCKED_FROM.endswith(BLOCKED)
