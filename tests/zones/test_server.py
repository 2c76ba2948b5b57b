"""The DNS process itself: UDP, TCP, who may ask, how much, transfers and notices."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsigkeyring
import dns.zone
import pytest
from tests.e2e.running import wait_until
from tests.zones.serving import DYNAMIC, STANDARD, Row, Serving, asks, free_port, query

from mailward.policy.lists import NetworkList
from mailward.reputation.listing import Database, ListingKind
from mailward.reputation.snapshot import STANDARD_FILE
from mailward.servers.dns import limits
from mailward.servers.dns.limits import RateLimit, Verdict

KEY = ("transfer.example", "hmac-sha256", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMw==")
RING = dns.tsigkeyring.from_text({KEY[0]: (KEY[1], KEY[2])})
ROWS = [
    Row("192.0.2.1", count=3),
    Row("198.51.100.0/24", ListingKind.DYNAMIC_SPACE),
    Row("203.0.113.254-203.0.114.1", ListingKind.EMERGING_THREAT),
    Row("2001:db8:1::/48", ListingKind.EMERGING_THREAT),
]
LISTED = f"1.2.0.192.{STANDARD}"


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """Our process; loopback is limited and may not transfer unless a test says so."""
    one = Serving(tmp_path, {"unlimited_networks": [], "transfer_keys": [":".join(KEY)]})
    one.publish(Database.STANDARD, ROWS, serial=7)
    with one:
        yield one


def test_udp_and_tcp(serving: Serving) -> None:
    """Both ways give the same answer."""
    assert asks(serving.port, LISTED) == ("NOERROR", ["127.0.0.2"])
    assert query(serving.port, LISTED, tcp=True).answer == query(serving.port, LISTED).answer
    assert asks(serving.port, f"1.2.0.192.{DYNAMIC}") == ("NXDOMAIN", [])


def test_many_questions_on_one_connection(serving: Serving) -> None:
    """Questions sent at once are all answered, in order; an octet at a time is a question too."""
    asked = [dns.message.make_query(f"{n}.100.51.198.{STANDARD}", "A") for n in range(256)]
    packed = b"".join(struct.pack("!H", len(one.to_wire())) + one.to_wire() for one in asked)
    with socket.create_connection(("127.0.0.1", serving.port), 5) as talk:
        for octet in packed[:40]:
            talk.send(bytes((octet,)))
        talk.sendall(packed[40:])
        file = talk.makefile("rb")
        for one in asked:
            answer = dns.message.from_wire(file.read(int.from_bytes(file.read(2), "big")))
            assert one.is_response(answer)
            assert answer.answer[0][0].address == "127.0.0.10"


def test_connections_are_limited(serving: Serving) -> None:
    """A client has so many connections and no more; when one closes, the next is served."""
    held = [socket.create_connection(("127.0.0.1", serving.port), 5) for _ in range(limits.MAX_CONNECTIONS_PER_CLIENT)]
    extra = socket.create_connection(("127.0.0.1", serving.port), 5)
    assert extra.recv(1) == b""
    for one in held:
        one.close()
    wait_until(lambda: _answered_by_tcp(serving.port), what="a place for a connection")


def _answered_by_tcp(port: int) -> bool:
    try:
        return query(port, LISTED, tcp=True).rcode() == dns.rcode.NOERROR
    except (OSError, EOFError, dns.exception.DNSException):
        return False


@pytest.mark.parametrize("sent", [b"\xff\xff", b"\0\x03abc", b"\0\x20" + b"\x80" * 32])
def test_tcp_garbage_closes(serving: Serving, sent: bytes) -> None:
    """A length beyond all questions, a fragment and a response end the connection."""
    with socket.create_connection(("127.0.0.1", serving.port), 5) as talk:
        talk.sendall(sent)
        assert talk.recv(10) == b""
    assert asks(serving.port, LISTED)[0] == "NOERROR"


@pytest.mark.slow
def test_slow_clients_are_left(serving: Serving) -> None:
    """Half a question holds a connection for the idle time, then it is closed; others are answered meanwhile."""
    with socket.create_connection(("127.0.0.1", serving.port), limits.IDLE_SECONDS + 5) as talk:
        talk.sendall(b"\0\x20")
        assert asks(serving.port, LISTED)[0] == "NOERROR"
        start = time.monotonic()
        assert talk.recv(1) == b""
        assert time.monotonic() - start < limits.IDLE_SECONDS + 2


def test_random_datagrams_do_no_harm(serving: Serving) -> None:
    """Noise of all lengths is answered by headers or not at all, and the next question as ever."""
    with socket.socket(type=socket.SOCK_DGRAM) as noise:
        for size in range(0, 1500, 7):
            noise.sendto(os.urandom(size), ("127.0.0.1", serving.port))
    assert asks(serving.port, LISTED) == ("NOERROR", ["127.0.0.2"])
    assert "answer_failed" not in serving.log.read_text()


def test_follows_snapshots(serving: Serving) -> None:
    """What is published is answered within a second, a damaged snapshot is logged and the old one stays."""
    serving.publish(Database.STANDARD, [Row("192.0.2.99")], serial=8)
    wait_until(lambda: asks(serving.port, f"99.2.0.192.{STANDARD}")[0] == "NOERROR", 2, "the new snapshot")
    damaged = serving.snapshots / "damaged"
    damaged.write_bytes(b"{broken\n")
    damaged.replace(serving.snapshots / STANDARD_FILE)
    wait_until(lambda: "snapshot_damaged" in serving.log.read_text(), 3, "the log line")
    assert asks(serving.port, f"99.2.0.192.{STANDARD}")[0] == "NOERROR"
    serving.publish(Database.DYNAMIC, [Row("192.0.2.5", ListingKind.TRAP, untils=(0, int(time.time()) + 2) * 2)], serial=1)
    wait_until(lambda: asks(serving.port, f"5.2.0.192.{DYNAMIC}") == ("NOERROR", ["127.0.0.5"]), 2, "the dynamic listing")
    wait_until(lambda: asks(serving.port, f"5.2.0.192.{DYNAMIC}")[0] == "NXDOMAIN", 4, "its end, without a new snapshot")


def test_starts_without_and_with_damaged_snapshots(tmp_path: Path) -> None:
    """No snapshot is an empty zone; a damaged one too, and the log says so."""
    one = Serving(tmp_path)
    (one.snapshots / STANDARD_FILE).write_bytes(b"\0" * 100)
    with one:
        assert asks(one.port, LISTED)[0] == "NXDOMAIN"
        assert asks(one.port, f"2.0.0.127.{STANDARD}")[0] == "NOERROR"
        assert "snapshot_damaged" in one.log.read_text()


def test_access_by_network_and_code(tmp_path: Path) -> None:
    """Named networks ask freely; others need a code, by UDP and TCP."""
    one = Serving(tmp_path, {"query_networks": ["127.0.0.2"], "access_codes": ["s3cr3tcode"]})
    one.publish(Database.STANDARD, ROWS)
    with one:
        for tcp in (False, True):
            assert query(one.port, LISTED, tcp=tcp).rcode() == dns.rcode.REFUSED
            assert query(one.port, f"1.2.0.192.s3cr3tcode.{STANDARD}", tcp=tcp).rcode() == dns.rcode.NOERROR
        assert dns.query.udp(dns.message.make_query(LISTED, "A"), "127.0.0.1", 3, one.port, source="127.0.0.2").answer
    assert "s3cr3tcode" not in one.log.read_text()
    assert "s3cr3tcode" not in repr(one.settings)


def test_answers_leave_from_the_address_that_was_asked(tmp_path: Path) -> None:
    """Listening on all addresses, each is a server of its own: a client drops answers from another one."""
    one = Serving(tmp_path, host="0.0.0.0")
    one.publish(Database.STANDARD, ROWS)
    with one:
        for address in ("127.0.0.1", "127.0.0.77"):
            assert dns.query.udp(dns.message.make_query(LISTED, "A"), address, 3, one.port).answer


def test_v6(tmp_path: Path) -> None:
    """On [::], v6 and v4 clients are answered."""
    one = Serving(tmp_path, host="::")
    one.publish(Database.STANDARD, ROWS)
    with one:
        for address in ("::1", "127.0.0.1"):
            assert dns.query.udp(dns.message.make_query(LISTED, "A"), address, 3, one.port).answer
            assert dns.query.tcp(dns.message.make_query(LISTED, "A"), address, 3, one.port).answer


def test_too_many_questions_are_cut_then_dropped(tmp_path: Path) -> None:
    """Above the limit every second answer is a truncated one, the others do not come; TCP is open, the next second too."""
    one = Serving(tmp_path, {"unlimited_networks": [], "answers_per_second": 10})
    one.publish(Database.STANDARD, ROWS)
    asked = dns.message.make_query(LISTED, "A").to_wire()
    with one, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        for _ in range(100):
            client.sendto(asked, ("127.0.0.1", one.port))
        answers = []
        while True:
            try:
                answers.append(dns.message.from_wire(client.recv(4096)))
            except TimeoutError:
                break
        whole = [answer for answer in answers if answer.answer]
        cut = [answer for answer in answers if answer.flags & dns.flags.TC]
        assert 10 <= len(whole) <= 20  # a second may begin meanwhile
        assert 35 <= len(cut) <= 45
        assert len(whole) + len(cut) == len(answers) < 70
        assert query(one.port, LISTED, tcp=True).answer

        def answered() -> bool:
            try:
                return bool(query(one.port, LISTED, timeout=0.3).answer)
            except dns.exception.Timeout:  # dropped, as long as the second lasts
                return False

        wait_until(answered, 5, "the next second")


def test_rate_limit_counts_networks() -> None:
    """/24 and /56 share a bucket, a new second fills it, named networks have none, and 0 is no limit."""
    rate = RateLimit(2, NetworkList(["192.0.2.0/24"]))
    drop, cut, full = Verdict.DROP, Verdict.TRUNCATE, Verdict.ANSWER
    assert [rate.verdict(f"198.51.100.{n}", 1.0) for n in range(6)] == [full, full, drop, cut, drop, cut]
    assert rate.verdict("198.51.101.1", 1.0) is full
    assert rate.verdict("198.51.100.1", 2.0) is full
    assert [rate.verdict(f"2001:db8:0:{n}::1", 3.0) for n in range(3)] == [full, full, drop]
    assert rate.verdict("2001:db8:0:100::1", 3.0) is full
    assert [rate.verdict(f"::ffff:198.51.100.{n}", 4.0) for n in range(3)] == [full, full, drop]
    assert {rate.verdict("192.0.2.1", 5.0) for _ in range(100)} == {full}
    assert {RateLimit(0, NetworkList()).verdict("198.51.100.1", 1.0) for _ in range(100)} == {full}


def test_rate_limit_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many networks ask in a second, so many are remembered; those beyond share one bucket."""
    monkeypatch.setattr(limits, "MAX_NETWORKS", 100)
    monkeypatch.setattr(limits, "MAX_CLIENTS", 100)
    rate = RateLimit(5, NetworkList())
    verdicts = [rate.verdict(f"10.{n >> 8}.{n & 255}.1", 1.0) for n in range(1000)]
    assert set(verdicts[:105]) == {Verdict.ANSWER}
    assert Verdict.ANSWER not in verdicts[105:]
    assert len(rate._counts) <= 101
    assert len(rate._networks) <= 100


# Transfers


def transferred(port: int, zone: str = STANDARD, **more: object) -> dns.zone.Zone:
    found = dns.zone.Zone(zone)
    dns.query.inbound_xfr("127.0.0.1", found, port=port, timeout=10, **more)
    return found


def signed(kind: str = "AXFR") -> dns.message.Message:
    asked = dns.message.make_query(STANDARD, kind)
    asked.use_tsig(RING, KEY[0], algorithm=KEY[1])
    return asked


def test_transfer_with_key(serving: Serving) -> None:
    """With the key the whole zone comes, signed: test points, ranges as wildcards, A and TXT for each name, serial."""
    zone = transferred(serving.port, query=signed())
    assert zone.get_soa().serial == 7
    names = {name.to_text() for name in zone}
    assert {"@", "2.0.0.127", "3.0.0.127", "10.0.0.127", "1.2.0.192", "*.100.51.198", "254.113.0.203", "255.113.0.203"} < names
    assert {"0.114.0.203", "1.114.0.203", "*.0.0.0.0.1.0.0.0".replace("*.0.0.0.0.1", "*.1") + ".8.b.d.0.1.0.0.2"} < names
    assert "1.0.0.127" not in names
    assert zone.get_rdataset("*.100.51.198", "A")[0].address == "127.0.0.10"
    assert b"ip=198.51.100.0" in zone.get_rdataset("*.100.51.198", "TXT")[0].strings[0]


def test_transfer_is_refused_without_key(serving: Serving) -> None:
    """No key, a wrong secret, an unknown name: no zone, and the log names the client but no secret."""
    with pytest.raises(dns.exception.DNSException):
        transferred(serving.port)
    for name, secret in ((KEY[0], "d3Jvbmctd3Jvbmctd3Jvbmc="), ("other.example", KEY[2])):
        asked = dns.message.make_query(STANDARD, "AXFR")
        asked.use_tsig(dns.tsigkeyring.from_text({name: (KEY[1], secret)}), name, algorithm=KEY[1])
        with pytest.raises(dns.exception.DNSException):
            transferred(serving.port, query=asked)
    log = serving.log.read_text()
    assert "transfer_refused" in log
    assert "signature_refused" in log
    assert KEY[2] not in log + repr(serving.settings)


def test_signed_questions_get_signed_answers(serving: Serving) -> None:
    """A secondary asks for the serial with its key, by UDP too (RFC 8945)."""
    for ask in (dns.query.udp, dns.query.tcp):
        answer = ask(signed("SOA"), "127.0.0.1", 3, serving.port)
        assert answer.had_tsig
        assert answer.answer[0][0].serial == 7


def test_transfer_by_network_and_ixfr(tmp_path: Path) -> None:
    """A named network needs no key. IXFR gets the whole zone when ours is newer, else just our SOA."""
    one = Serving(tmp_path, {"transfer_networks": ["127.0.0.0/8"]})
    one.publish(Database.STANDARD, ROWS, serial=7)
    with one:
        assert len(transferred(one.port).nodes) > 10
        for serial, count in ((6, 2), (7, 1), (8, 1), (0xFFFFFFF0, 2)):
            asked = dns.message.make_query(STANDARD, "IXFR")
            asked.authority.append(dns.rrset.from_text(f"{STANDARD}.", 0, "IN", "SOA", f". . {serial} 0 0 0 0"))
            answer = dns.query.tcp(asked, "127.0.0.1", 3, one.port, one_rr_per_rrset=True)
            soas = [rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.SOA]
            assert len(soas) == count
            assert (len(answer.answer) > 1) is (count == 2)


def test_secondaries_are_notified_until_they_confirm(tmp_path: Path) -> None:
    """A change of the serial is told to each secondary; one that does not answer is told again."""
    with socket.socket(type=socket.SOCK_DGRAM) as secondary:
        secondary.bind(("127.0.0.1", free_port()))
        secondary.settimeout(10)
        one = Serving(tmp_path, {"secondaries": [f"127.0.0.1:{secondary.getsockname()[1]}"]})
        one.publish(Database.STANDARD, ROWS, serial=7)
        with one:
            heard: list[dns.message.Message] = []

            def listen(confirm: bool, count: int) -> None:
                while len(heard) < count:
                    data, client = secondary.recvfrom(4096)
                    heard.append(dns.message.from_wire(data))
                    if confirm:
                        answer = dns.message.make_response(heard[-1])
                        secondary.sendto(answer.to_wire(), client)

            listen(False, 3)  # all zones, on start; not confirmed
            assert {message.question[0].name.to_text() for message in heard} == {f"{STANDARD}.", f"{DYNAMIC}.", "url.rep.internal."}
            assert all(message.opcode() == dns.opcode.NOTIFY and message.flags & dns.flags.AA for message in heard)
            listen(True, 6)  # again, because nobody confirmed
            heard.clear()
            thread = threading.Thread(target=listen, args=(True, 1))
            thread.start()
            one.publish(Database.STANDARD, ROWS, serial=8)
            thread.join(10)
            assert [message.question[0].name.to_text() for message in heard] == [f"{STANDARD}."]
            wait_until(lambda: one.log.read_text().count("secondary_notified") == 4, 3, "the log lines")


def test_a_transfer_does_not_hold_up_answers(tmp_path: Path) -> None:
    """While a large zone is transferred, questions are answered; the transfer shows one serial although another is published."""
    one = Serving(tmp_path, {"transfer_networks": ["127.0.0.0/8"]})
    one.publish(Database.STANDARD, [Row(f"10.{n >> 8}.{n & 255}.7") for n in range(8000)], serial=7)
    with one:
        asked = dns.message.make_query(STANDARD, "AXFR").to_wire()
        with socket.create_connection(("127.0.0.1", one.port), 10) as talk:
            talk.sendall(struct.pack("!H", len(asked)) + asked)
            file = talk.makefile("rb")
            messages = [file.read(int.from_bytes(file.read(2), "big"))]
            last = struct.pack("!IIIII", 7, 3600, 600, 604_800, 900)  # the end of the SOA record
            one.publish(Database.STANDARD, [], serial=8)
            slowest = 0.0
            for n in range(30):
                start = time.monotonic()
                asks(one.port, f"7.{n}.0.10.{STANDARD}")
                slowest = max(slowest, time.monotonic() - start)
                messages.append(file.read(int.from_bytes(file.read(2), "big")))
            while not messages[-1].endswith(last):
                messages.append(file.read(int.from_bytes(file.read(2), "big")))
        assert slowest < 0.5
        answers = [rrset for message in messages for rrset in dns.message.from_wire(message, one_rr_per_rrset=True).answer]
        assert [answers[0][0].serial, answers[-1][0].serial] == [7, 7]
        assert sum(rrset.rdtype == dns.rdatatype.A for rrset in answers) == 8000 + 10


def test_stops_when_told(serving: Serving) -> None:
    """SIGTERM ends the process with code 0 and a last line of figures."""
    asks(serving.port, LISTED)
    assert serving.process is not None
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(5) == 0
    assert '"udp":1' in serving.log.read_text()
