"""mailward asked by milter: by a library nobody here wrote, by mail servers of other times, and by what no mail server would ever say."""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from miltertest import constants
from tests.e2e.running import BLOCKED, Served, blocking, wait_until
from tests.milter.conftest import MailServer, milter, port

from mailward.quarantine import State, Vault
from mailward.servers.milter.protocol import Actions, Code, Stage, Steps, negotiated, packet
from mailward.servers.milter.session import MACROS

CLEAN = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: lunch\r\nMessage-ID: <lunch@example.com>\r\n\r\nAt noon?\r\n"
BAD = f"x@{BLOCKED}"
SMALL = 100_000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with a small size limit that junks what is blocked."""
    with milter(tmp_path_factory.mktemp("milter"), max_size=SMALL) as served:
        yield served


def codes(answers: list[Any]) -> str:
    return "".join(answer[0] for answer in answers)


def added(answers: list[Any]) -> dict[str, str]:
    return {values["name"]: values["value"] for code, values in answers if code == constants.SMFIR_INSHEADER}


def last_event(served: Served) -> dict[str, Any]:
    return served.events("message")[-1]


def test_silent_and_talkative_mail_servers_come_to_the_same_end(shared: Served) -> None:
    """Whatever steps the other side allows us to leave out: each command that is waited for is answered, and the verdict is the same."""
    everything = constants.SMFI_V6_PROT
    silent = sum(int(flag) for flag in Steps if flag.name and flag.name.startswith("SILENT"))
    for steps in (everything, everything & ~silent, 0, constants.SMFIP_HDR_LEADSPC, constants.SMFIP_NR_HDR | constants.SMFIP_NR_CONN):
        with MailServer(port(shared), steps=steps) as server:
            said = server.client()
            assert said is None or said[0] == "c"
            clean, bad = server.message(CLEAN), server.message(CLEAN, BAD)
            assert (codes(clean)[-1], codes(bad)[-1]) == ("c", "c")
            blank = " " if steps & constants.SMFIP_HDR_LEADSPC else ""
            assert added(clean)["X-Mailward-Verdict"] == blank + "clean"
            assert added(bad)["X-Mailward-Verdict"] == blank + "blocked_sender"
            assert added(bad)["X-Spam-Flag"] == blank + "YES"
            assert last_event(shared)["size"] == len(CLEAN)


@pytest.mark.parametrize("version", [2, 3, 4, 6, 7])
def test_older_and_newer_versions(shared: Served, version: int) -> None:
    """We answer with the older of both versions, and ask for nothing that was not offered."""
    known = {2: (0x3F, 0x7F), 3: (0x3F, 0xFF), 4: (0x3F, 0x3FF)}.get(version, (0x1FF, 0xFFFFFFFF))
    with socket.create_connection(("127.0.0.1", port(shared)), 10) as client:
        client.sendall(packet(Code.NEGOTIATE, struct.pack(">III", version, *known)))
        heard = client.recv(4096)
    said, actions, steps = struct.unpack_from(">III", heard, 5)
    assert said == min(version, 6)
    assert actions & ~known[0] == 0
    assert steps & ~known[1] == 0
    assert actions & 0x11 == 0x11
    assert heard[17:] == (negotiated(6, Actions.SET_MACROS, Steps(0), MACROS)[17:] if version >= 6 else b"")
    assert (Stage.END in MACROS, b"{auth_authen}" in heard) == (True, version >= 6)


def test_what_is_not_allowed_is_not_done(shared: Served) -> None:
    """Without the right to change header fields none is changed, without any right the message just goes on."""
    with MailServer(port(shared), actions=constants.SMFIF_ADDHDRS) as server:
        server.client()
        assert set(codes(server.message(b"X-Spam-Flag: NO\r\n" + CLEAN))[:-1]) == {"i"}
    with MailServer(port(shared), actions=0) as server:
        server.client()
        assert codes(server.message(b"X-Spam-Flag: NO\r\n" + CLEAN, BAD)) == "c"


def test_forged_fields_are_taken_out_from_below(shared: Served) -> None:
    """Numbers count each name for itself, and the highest goes first: it does not matter how a mail server counts what is gone already."""
    forged = b"X-Spam-Flag: 1\r\nX-Mailward-Id: 1\r\nx-spam-flag: 2\r\nReceived: from x\r\n\tby y\r\nX-SPAM-FLAG: 3\r\n"
    with MailServer(port(shared)) as server:
        server.client()
        answers = server.message(forged + CLEAN)
    gone = [(values["name"].lower(), values["index"]) for code, values in answers if code == constants.SMFIR_CHGHEADER]
    assert gone == [("x-spam-flag", 3), ("x-spam-flag", 2), ("x-mailward-id", 1), ("x-spam-flag", 1)]


def test_macros_are_heard(shared: Served) -> None:
    """Queue id, mail server and login stand in the log; a name that is not verified is none."""
    with MailServer(port(shared)) as server:
        server.wire.send_macro(constants.SMFIC_CONNECT, **{"j": "mx.example.org", "{daemon_name}": "MTA", "{client_resolve}": "FORGED"})
        server.client()
        server.begin("ann@example.org", **{"i": "4Abc", "{auth_authen}": "ann", "{tls_version}": "TLSv1.3"})
        answers = server.content(CLEAN)
        own = last_event(shared)
        server.message(CLEAN)
    assert (own["queue_id"], own["server"], own["tls"]) == ("4Abc", "mx.example.org MTA", True)
    assert "none" in added(answers)["Authentication-Results"]
    assert (last_event(shared)["queue_id"], last_event(shared)["tls"]) == ("", False)
    explained = " ".join(added(answers).values())
    assert "verified names agree" not in explained


def test_recipients_the_mail_server_refuses_are_no_recipients(tmp_path: Path) -> None:
    """But one that is a trap is learned of."""
    policy = blocking("junk") + '\n[email_reputation.evidence]\ntrap_addresses = ["trap@example.org"]\n'
    with milter(tmp_path, policy) as served, MailServer(port(served)) as server:
        server.socket.close()
        offer = packet(Code.NEGOTIATE, struct.pack(">III", 6, 0x1FF, 0x1FFFFF))
        with socket.create_connection(("127.0.0.1", port(served)), 10) as client:
            talk = offer + packet(Code.CONNECT, b"x\0" + b"4\x12\x34" + b"198.51.100.7\0") + packet(Code.MAIL, b"<a@example.com>\0")
            talk += packet(Code.MACRO, b"R{rcpt_mailer}\0error\0") + packet(Code.RCPT, b"<trap@example.org>\0")
            talk += packet(Code.MACRO, b"R{rcpt_mailer}\0local\0") + packet(Code.RCPT, b"<b@example.org>\0")
            client.sendall(talk + packet(Code.HEADER, b"Subject\0 x\0") + packet(Code.END_HEADER) + packet(Code.END))
            wait_until(lambda: served.events("message"), what="the message")
        assert last_event(served)["rcpt_to"] == ["b@example.org"]
        assert served.events("trap")[0]["rcpt_to"] == "trap@example.org"
        wait_until(served.learned, what="the evidence")


@pytest.mark.parametrize(("action", "code", "greeting"), [("reject", 550, "554"), ("defer", 450, "421")])
def test_a_refusal_at_the_greeting_has_the_code_of_one(tmp_path: Path, action: str, code: int, greeting: str) -> None:
    """554 or 421, whatever the code at a recipient is; the next client of the same connection is let in."""
    target = '[email_reputation.target]\nask_at = "connect"\nblocked_ips = ["198.51.100.7"]\n'
    words = f'blocked_action = "{action}"\nblocked_code = {code}\nblocked_text = "{code // 100}.7.1 {{ip}} is not let in"\n'
    with milter(tmp_path, f"{target}[email_reputation.action]\n{words}") as served, MailServer(port(served)) as server:
        said, values = server.client("198.51.100.7")
        assert (said, values["smtpcode"], values["text"]) == ("y", greeting, f"{code // 100}.7.1 198.51.100.7 is not let in")
        server.wire._send(constants.SMFIC_QUIT_NC)
        assert server.client("198.51.100.8")[0] == "c"
        assert codes(server.message(CLEAN))[-1] == "c"
        assert [event["client"] for event in served.events("refused")] == ["198.51.100.7"]


def test_too_many_recipients_are_put_off(shared: Served) -> None:
    """As in the SMTP way in: 1,000 of one message."""
    with MailServer(port(shared)) as server:
        server.client()
        said = server.begin("a@example.com", *(f"u{n}@example.org" for n in range(1001)))
        assert {answer[0] for answer in said[:1000]} == {"c"}
        assert said[1000][1]["smtpcode"] == "452"
        server.content(CLEAN)
    assert last_event(shared)["recipients"] == 1000


def test_a_message_that_is_too_big_is_delivered_marked(shared: Served) -> None:
    """Nobody looked at it: the policy says what becomes of what cannot be examined, by default it is delivered, and our header says so."""
    with MailServer(port(shared)) as server:
        server.client()
        answers = server.message(CLEAN + b"x" * 3 * SMALL)
        after = server.message(CLEAN)
    assert added(answers)["X-Mailward-Verdict"] == " unscannable"
    assert codes(answers)[-1] == "c"
    assert added(after)["X-Mailward-Verdict"] == " clean"
    big = shared.events("message")[-2]
    assert (big["verdict"], big["size"]) == ("unscannable", len(CLEAN) + 3 * SMALL)


def test_a_header_without_end_is_refused(shared: Served) -> None:
    """It could not be marked; what is kept of it is bounded."""
    field = packet(Code.HEADER, b"X\0" + b"y" * 100_000 + b"\0")
    with MailServer(port(shared)) as server:
        server.client()
        server.begin()
        for _ in range(90):
            server.socket.sendall(field)
        said = server.wire.send_eom()
    assert said[-1][1]["smtpcode"] == "552"


def test_abort_anywhere_leaves_nothing_behind(shared: Served) -> None:
    """The next message of the same client, and the next client of the same connection, are judged as if nothing had been."""
    start = [(constants.SMFIC_MAIL, {"args": ["<lost@example.com>"]}), (constants.SMFIC_RCPT, {"args": ["<lost@example.org>"]})]
    more = [
        (constants.SMFIC_HEADER, {"name": "Subject", "value": " lost"}),
        (constants.SMFIC_EOH, {}),
        (constants.SMFIC_BODY, {"buf": "lost"}),
    ]
    with MailServer(port(shared)) as server:
        for length in range(1, len(start) + len(more) + 1):
            server.client("192.0.2.9")
            for command, values in (start + more)[:length]:
                if command == constants.SMFIC_RCPT:
                    server.tell(command, **values)
                else:
                    server.wire._send(command, **values)
            server.wire._send(constants.SMFIC_ABORT)
            assert codes(server.message(CLEAN))[-1] == "c"
            event = last_event(shared)
            assert (event["client"], event["mail_from"], event["rcpt_to"]) == ("192.0.2.9", "a@example.com", ["b@example.org"])
            assert event["size"] == len(CLEAN)
            server.wire._send(constants.SMFIC_QUIT_NC)
        server.client("192.0.2.10")
        server.message(CLEAN)
        assert last_event(shared)["client"] == "192.0.2.10"


OFFER = packet(Code.NEGOTIATE, struct.pack(">III", 6, 0x1FF, 0x1FFFFF))
CLIENT = packet(Code.CONNECT, b"x\0" + b"4\x12\x34" + b"192.0.2.1\0")
WRONG = {
    "no negotiation": CLIENT,
    "negotiated twice": OFFER + OFFER,
    "version 1": packet(Code.NEGOTIATE, struct.pack(">III", 1, 0x1F, 0x3F)),
    "unknown code": OFFER + packet(ord("z")),
    "a body without a message": OFFER + CLIENT + packet(Code.BODY, b"x"),
    "an end without a message": OFFER + CLIENT + packet(Code.END),
    "a recipient without a sender": OFFER + CLIENT + packet(Code.RCPT, b"<b@example.org>\0"),
    "a field behind the header": OFFER + CLIENT + packet(Code.MAIL, b"<>\0") + packet(Code.END_HEADER) + packet(Code.HEADER, b"a\0b\0"),
    "two clients": OFFER + CLIENT + CLIENT,
    "a huge packet": OFFER + struct.pack(">I", 1 << 31),
    "an empty packet": OFFER + struct.pack(">I", 0),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("octets", WRONG.values(), ids=WRONG)
def test_who_does_not_keep_to_the_protocol_is_hung_up_on(shared: Served, octets: bytes) -> None:
    """With a line in the log, and nobody else notices."""
    before = len(shared.events("milter_problem"))
    with socket.create_connection(("127.0.0.1", port(shared)), 10) as client:
        client.sendall(octets)
        while client.recv(4096):
            pass
    assert len(wait_until(lambda: shared.events("milter_problem")[before:], what="the log line")) == 1
    with MailServer(port(shared)) as server:
        server.client()
        assert codes(server.message(CLEAN))[-1] == "c"


def test_random_octets_harm_nobody(shared: Served) -> None:
    """Well-formed packets of random codes and data after a negotiation: every connection ends or goes on, no worker dies, nothing is left counted."""
    workers, chance = set(shared.worker_pids()), random.Random(5)
    for _ in range(150):
        with socket.create_connection(("127.0.0.1", port(shared)), 10) as client:
            talk = OFFER + CLIENT
            for _ in range(chance.randrange(12)):
                code = chance.choice((*Code, chance.randrange(256)))
                data = chance.choice((b"", b"<a@b.c>\0", b"a\0b\0", b"E{i}\0x\0", chance.randbytes(chance.randrange(60))))
                talk += packet(code, data)
            client.sendall(talk[: chance.randrange(len(talk) // 2, len(talk) + 1)])
    with MailServer(port(shared)) as server:
        server.client()
        assert codes(server.message(CLEAN))[-1] == "c"
    assert set(shared.worker_pids()) == workers
    assert not shared.events("session_failed")
    assert not shared.events("message_failed")


def test_a_peer_that_dies_at_the_end_has_nothing_held(tmp_path: Path) -> None:
    """It gets no answer, so it will come again; a message that was held and is answered is held once."""
    with milter(tmp_path, blocking("quarantine"), workers=1) as served:
        with MailServer(port(served)) as server:
            server.client()
            assert codes(server.message(CLEAN, BAD)) == "d"
        vault = Vault(served.settings.quarantine_folder)
        (held,) = vault.list(State.HELD)
        assert held.held is not None
        assert (held.held.mail_from, held.held.rcpt_to, held.held.client_ip, held.held.body_8bit) == (
            BAD,
            ("b@example.org",),
            "192.0.2.1",
            True,
        )
        assert held.id == last_event(served)["id"]
        talk = OFFER + CLIENT + packet(Code.MAIL, f"<{BAD}>\0".encode()) + packet(Code.RCPT, b"<b@example.org>\0")
        talk += packet(Code.HEADER, b"Subject\0 x\0") + packet(Code.END_HEADER) + packet(Code.END)
        os.kill(served.worker_pids()[0], signal.SIGSTOP)  # so that it reads the end and the hang-up together
        with socket.create_connection(("127.0.0.1", port(served)), 10) as dying:
            dying.sendall(talk)
        os.kill(served.worker_pids()[0], signal.SIGCONT)
        wait_until(lambda: last_event(served)["outcome"] == "client_gone", what="the message to be judged in vain")
        with MailServer(port(served)) as other:
            other.client()
            other.message(CLEAN)
        assert len(vault.list(State.HELD)) == 1


def test_a_full_disk_puts_mail_off(tmp_path: Path) -> None:
    """What cannot be held is not dropped: the sender hears 452 and keeps it."""
    with milter(tmp_path, blocking("quarantine")) as served:
        folder = served.settings.quarantine_folder
        for name in ("tmp", "held"):
            (folder / name).rmdir()
            (folder / name).write_text("no folder")
        with MailServer(port(served)) as server:
            server.client()
            said = server.message(CLEAN, BAD)
        assert said[-1][1]["smtpcode"] == "452"
        assert last_event(served)["outcome"] == "quarantine_failed"


def test_half_a_packet_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """A mail server that says nothing is hung up on after `timeout`; one that is in the middle of a packet within a minute."""
    with milter(tmp_path, timeout=5) as served, socket.create_connection(("127.0.0.1", port(served)), 20) as client:
        client.sendall(OFFER)
        started = time.monotonic()
        while client.recv(4096):
            pass
        assert 4 < time.monotonic() - started < 9


@pytest.mark.slow
def test_a_long_wait_has_signs_of_life(tmp_path: Path) -> None:
    """A name server that says nothing holds a message up for as long as the settings let it; the mail server hears that we are there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        dns = {"listen": "", "servers": [f"127.0.0.1:{silent.getsockname()[1]}"], "timeout": 12.0}
        with milter(tmp_path, dns=dns) as served, MailServer(port(served)) as server:
            server.client("198.51.100.7")
            server.begin()
            server.wire._send(constants.SMFIC_HEADER, name="From", value=" a@example.com")
            server.wire._send(constants.SMFIC_EOH)
            server.wire._send(constants.SMFIC_BODYEOB)
            first = server.wire._recv()
            assert first is not None
            assert first[0] == constants.SMFIR_PROGRESS
            while (heard := server.wire._recv()) is not None and heard[0] != constants.SMFIR_CONTINUE:
                assert heard[0] in (constants.SMFIR_PROGRESS, constants.SMFIR_INSHEADER)


def test_only_named_networks_may_ask(tmp_path: Path) -> None:
    """Others are hung up on, with a line in the log."""
    with milter(tmp_path, client_networks=["192.0.2.0/24"]) as served:
        with socket.create_connection(("127.0.0.1", port(served)), 10) as client:
            assert client.recv(10) == b""
        assert wait_until(lambda: served.events("client_not_allowed"), what="the line")[0]["way_in"] == "milter"


def test_one_connection_too_many(tmp_path: Path) -> None:
    """It is hung up on, and those that are there go on."""
    with milter(tmp_path, max_connections=2, workers=1) as served, MailServer(port(served)) as first, MailServer(port(served)) as second:
        with socket.create_connection(("127.0.0.1", port(served)), 10) as third:
            assert third.recv(10) == b""
        for server in (first, second):
            server.client()
            assert codes(server.message(CLEAN))[-1] == "c"


def test_being_stopped_lets_messages_end(tmp_path: Path) -> None:
    """SIGTERM in the middle of a message: it is answered; a mail server that is silent between two messages is not waited for long."""
    with milter(tmp_path) as served, MailServer(port(served)) as busy, MailServer(port(served)) as idle:
        busy.client()
        busy.begin()
        idle.client()
        assert served.process is not None
        served.process.terminate()
        time.sleep(1)
        assert codes(busy.content(CLEAN))[-1] == "c"
        assert idle.socket.recv(10) == b""
        assert served.process.wait(15) == 0
        assert not served.events("drain_cut_short")
