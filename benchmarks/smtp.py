"""Messages per second and CPU per message through the SMTP proxy, with a real next hop process behind it.

    python benchmarks/smtp.py [--messages 4000] [--concurrency 8] [--workers 2] [--size 5000] [--per-connection 1]

Prints, for concurrency 1 and for --concurrency: messages/s, latency p50/p95/p99, and CPU milliseconds per message of all
mailward processes together (user + system). The clients and the next hop share the machine; their CPU is not counted but
takes time from the messages/s. Memory is the PSS of all mailward processes, idle and after the run.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
logging.disable(logging.WARNING)

from tests.e2e.running import Served, Sink, wait_until  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_ms(pids: list[int]) -> float:
    """User and system time of these processes so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * 1000 / TICKS


def pss_mb(pids: list[int]) -> float:
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


class Client:
    """A plain SMTP client: one command, one answer."""

    def __init__(self, port: int, per_connection: int) -> None:
        self.port, self.per_connection, self.left = port, per_connection, 0

    async def hear(self) -> bytes:
        while (line := await self.reader.readline())[3:4] == b"-":
            pass
        return line

    async def say(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await self.hear()

    async def deliver(self, body: bytes) -> None:
        if not self.left:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            await self.hear()
            await self.say(b"EHLO bench.example\r\n")
            self.left = self.per_connection
        for data in (b"MAIL FROM:<a@example.com>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n", body):
            answer = await self.say(data)
        assert answer.startswith(b"250"), answer
        self.left -= 1
        if not self.left:
            await self.say(b"QUIT\r\n")
            self.writer.close()


async def load(
    port: int, messages: int, concurrency: int, per_connection: int, body: bytes, kind: type[Any] = Client
) -> tuple[float, list[float]]:
    """Send the messages; returns seconds and the latency of each in milliseconds."""
    left = iter(range(messages))
    times: list[float] = []

    async def client() -> None:
        talk = kind(port, per_connection)
        for _ in left:
            started = time.perf_counter()
            await talk.deliver(body)
            times.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    return time.perf_counter() - started, times


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=5000)
    parser.add_argument("--per-connection", type=int, default=1)
    chosen = parser.parse_args()
    line = b"The quick brown fox jumps over the lazy dog and comes back again.\r\n"
    body = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: lunch\r\n\r\n" + line * (chosen.size // len(line)) + b".\r\n"
    with tempfile.TemporaryDirectory() as folder:
        sink = Sink(Path(folder) / "sink").start()
        served = Served(Path(folder) / "gateway", sink.port, workers=chosen.workers, smtp={"trusted_proxies": ["127.0.0.1"]})
        started = time.perf_counter()
        try:
            served.start(wait=False)
            wait_until(served.is_ready, 20, "mailward serve")
            print(f"ready after {time.perf_counter() - started:.2f} s")
            time.sleep(1)
            pids = [served.pid, *served.worker_pids()]
            print(f"{chosen.workers} workers idle: {pss_mb(pids):.0f} MB PSS with the supervisor")
            asyncio.run(load(served.port, 200, 8, chosen.per_connection, body))  # warm
            for concurrency in (1, chosen.concurrency):
                before = cpu_ms(pids)
                seconds, times = asyncio.run(load(served.port, chosen.messages, concurrency, chosen.per_connection, body))
                cuts = statistics.quantiles(times, n=100)
                print(
                    f"concurrency {concurrency}, {chosen.per_connection} a connection, {len(body)} octets: "
                    f"{chosen.messages / seconds:.0f} messages/s, {(cpu_ms(pids) - before) / chosen.messages:.2f} ms CPU a message, "
                    f"latency p50 {cuts[49]:.1f} p95 {cuts[94]:.1f} p99 {cuts[98]:.1f} ms"
                )
            print(f"after the run: {pss_mb(pids):.0f} MB PSS")
        finally:
            served.stop()
            sink.stop()


if __name__ == "__main__":
    main()
