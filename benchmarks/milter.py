"""Messages per second and CPU per message by milter, asked as Postfix asks: one connection a client, two answers waited for.

    python benchmarks/milter.py [--messages 2000] [--concurrency 8] [--workers 2] [--size 5000]

Prints, for concurrency 1 and for --concurrency: messages/s, latency p50/p95/p99, and CPU milliseconds per message of all
workers together (user + system), with nothing asked of the DNS. The clients share the machine; their CPU is not counted but takes time
from the messages/s. Then what protocol and session alone cost, in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.smtp import cpu_ms, load, pss_mb
from tests.e2e.running import Served, free_port

from mailward.servers.milter.protocol import Code, Reader, command, packet
from mailward.servers.milter.session import Due, Session
from mailward.servers.smtp.connection import Room

POLICY = "[authentication]\nenabled = false\n"
HEADER = {b"Received": b"from a.example.com", b"From": b"a@example.com", b"To": b"b@example.org", b"Subject": b"lunch"}
HEADER |= {b"X-Field-%d" % n: b"some value that is as long as most values of header fields are" for n in range(16)}


def macro(code: Code, *pairs: bytes) -> bytes:
    return packet(Code.MACRO, bytes((code,)) + b"\0".join(pairs) + b"\0")


START = packet(Code.NEGOTIATE, struct.pack(">III", 6, 0x1FF, 0x1FFFFF))
CLIENT = (
    macro(Code.CONNECT, b"j", b"mx.example.org", b"{daemon_name}", b"smtpd", b"{client_resolve}", b"OK")
    + packet(Code.CONNECT, b"mail.example.com\0" + b"4\x12\x34" + b"192.0.2.1\0")
    + packet(Code.HELO, b"mail.example.com\0")
    + packet(Code.MAIL, b"<a@example.com>\0SIZE=5000\0")
    + macro(Code.RCPT, b"{rcpt_mailer}", b"smtp")
    + packet(Code.RCPT, b"<b@example.org>\0")
)


def content(size: int) -> bytes:
    line = b"The quick brown fox jumps over the lazy dog and comes back again.\r\n"
    fields = b"".join(packet(Code.HEADER, name + b"\0 " + value + b"\0") for name, value in HEADER.items())
    return (
        fields + packet(Code.END_HEADER) + packet(Code.BODY, line * (size // len(line))) + macro(Code.END, b"i", b"4Abc") + packet(Code.END)
    )


class MailServer:
    """A client of `benchmarks.smtp.load` that speaks milter."""

    def __init__(self, port: int, _per_connection: int) -> None:
        self.port = port

    async def deliver(self, body: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for said in (START, CLIENT, body):
            writer.write(said)
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                answer = await reader.readexactly(length)
                if answer[:1] in b"Oc":
                    break
                assert answer[:1] in b"im", answer
        writer.write(packet(Code.QUIT))
        writer.close()


def alone(body: bytes, messages: int) -> float:
    """Milliseconds of the codec and the session for one message."""
    room, started = Room(1 << 30), time.process_time()
    for _ in range(messages):
        reader, session = Reader(), Session(1 << 20, room, answers_connect=False)
        for piece in (START, CLIENT, body):
            reader.feed(piece)
            while (got := reader.next()) is not None:
                due = session.take(command(*got))
                if due is Due.RECIPIENT:
                    session.accept()
                elif due is Due.MESSAGE:
                    session.received()
                    session.done()
    return (time.process_time() - started) * 1000 / messages


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=5000)
    chosen = parser.parse_args()
    body = content(chosen.size)
    with tempfile.TemporaryDirectory() as folder:
        milter = {"listen": f"127.0.0.1:{(port := free_port())}"}
        served = Served(Path(folder), None, {"listen": ""}, POLICY, milter=milter, workers=chosen.workers).start()
        try:
            pids = served.worker_pids()
            asyncio.run(load(port, 200, 8, 1, body, MailServer))  # warm
            for concurrency in (1, chosen.concurrency):
                before = cpu_ms(pids)
                seconds, times = asyncio.run(load(port, chosen.messages, concurrency, 1, body, MailServer))
                cuts = statistics.quantiles(times, n=100)
                print(
                    f"concurrency {concurrency}, {len(body)} octets: {chosen.messages / seconds:.0f} messages/s, "
                    f"{(cpu_ms(pids) - before) / chosen.messages:.2f} ms CPU a message, "
                    f"latency p50 {cuts[49]:.1f} p95 {cuts[94]:.1f} p99 {cuts[98]:.1f} ms"
                )
            print(f"after the run: {pss_mb([served.pid, *pids]):.0f} MB PSS")
        finally:
            served.stop()
    print(f"protocol and session alone: {alone(body, chosen.messages):.3f} ms CPU a message")


if __name__ == "__main__":
    main()
