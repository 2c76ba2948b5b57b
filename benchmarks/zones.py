"""Answers per second of one core from a zone of a million addresses, ours beside rbldnsd's with the same zone in the same run.

    python benchmarks/zones.py [--entries 1000000] [--questions 200000] [--seconds 8]

Half of the questions are hits. dnsperf (Debian) asks; the server has one core for itself, dnsperf another one. CPU is user + system
time of the server process for each answer; answers/s of one core is what that comes to, `seen` what dnsperf could get through.
In the process alone the answerer is also timed beside dnspython doing the same work.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.zones.serving import Rbldnsd, Serving, asks

from mailward.reputation.listing import Database, ListingKind
from mailward.reputation.snapshot import STANDARD_FILE, Table, write
from mailward.reputation.zone.answerer import Answerer
from mailward.reputation.zone.zone import Zone

TICKS = os.sysconf("SC_CLK_TCK")
ZONE = "std.rep.internal"


def table(path: Path, entries: int) -> np.ndarray:
    """Publish that many single addresses, spread at random; returns them."""
    random = np.random.default_rng(7)
    addresses = np.unique(random.integers(11 << 24, 126 << 24, entries + entries // 50, dtype=np.uint32))[:entries]
    now = int(time.time())
    kinds = np.array([ListingKind.KNOWN_SOURCE.number, ListingKind.EMERGING_THREAT.number])
    columns = {"start": addresses, "end": addresses, "kind": kinds[np.arange(len(addresses)) % 2], "since": np.full(len(addresses), now)}
    more = {"until": np.full(len(addresses), now + 86_400), "count": np.full(len(addresses), 3), "reason": np.zeros(len(addresses))}
    write(path, {**columns, **more}, {}, ["seen by spam traps"], 1, now)
    return addresses


def names(addresses: np.ndarray, count: int) -> list[str]:
    """Questions, every second one about a listed address."""
    random = np.random.default_rng(8)
    hits = random.choice(addresses, count // 2)
    misses = random.integers(11 << 24, 126 << 24, count - count // 2, dtype=np.uint32)
    mixed = np.column_stack((hits, misses)).ravel().tolist()
    return [f"{n & 255}.{n >> 8 & 255}.{n >> 16 & 255}.{n >> 24}.{ZONE}" for n in mixed]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pss_mb(pid: int) -> float:
    return (
        next(int(line.split()[1]) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")) / 1000
    )


def load(name: str, pid: int, port: int, questions: Path, seconds: int) -> float:
    """Ask for that many seconds; prints the figures and returns answers/s of one core."""
    os.sched_setaffinity(pid, {0})
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(questions), "-l", str(seconds), "-q", "500", "-c", "4", "-t", "2"]
    before = cpu_seconds(pid)
    done = subprocess.run(["taskset", "-c", "1", *command], capture_output=True, text=True, check=True)
    spent = cpu_seconds(pid) - before
    answered = int(re.search(r"Queries completed:\s+(\d+)", done.stdout)[1])
    lost = float(re.search(r"Queries lost:\s+\d+ \(([\d.]+)%\)", done.stdout)[1])
    codes = re.search(r"Response codes:\s+(.*)", done.stdout)[1]
    per_core = answered / spent
    print(
        f"{name:9}{per_core:9.0f} answers/s of one core, {spent / answered * 1e6:5.2f} us CPU an answer "
        f"(seen: {answered / seconds:.0f}/s, {lost:.2f} % lost, {pss_mb(pid):.0f} MB; {codes})"
    )
    return per_core


def alone(path: Path, asked: list[str]) -> None:
    """The answerer without sockets, beside dnspython reading the question and writing the same answer."""
    import dns.flags
    import dns.message
    import dns.rrset

    zone = Zone(ZONE, Database.STANDARD, Table.open(path), 2)
    answerer, now = Answerer([zone]), time.time()
    questions = [dns.message.make_query(name, "A").to_wire() for name in asked[:20_000]]

    def by_dnspython(data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 900, "IN", "A", "127.0.0.2"))
        return answer.to_wire()

    def each(answer: Callable[[bytes], object], some: list[bytes]) -> float:
        start = time.process_time()
        for data in some:
            answer(data)
        return (time.process_time() - start) / len(some) * 1e6

    ours, theirs = each(lambda data: answerer.answer(data, now), questions), each(by_dnspython, questions[:5000])
    print(f"in the process: {ours:.1f} us an answer; dnspython, without looking anything up: {theirs:.0f} us")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=200_000)
    parser.add_argument("--seconds", type=int, default=8)
    chosen = parser.parse_args()
    if shutil.which("dnsperf") is None:
        print("left out: needs dnsperf (apt-get install dnsperf)")
        return
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        folder.chmod(0o755)
        serving = Serving(folder)
        addresses = table(serving.snapshots / STANDARD_FILE, chosen.entries)
        asked = names(addresses, chosen.questions)
        (folder / "questions").write_text("".join(f"{name} A\n" for name in asked))
        print(f"{len(addresses)} entries, {len(asked)} questions, half of them hits")
        alone(serving.snapshots / STANDARD_FILE, asked)
        with serving:
            ours = load("mailward", serving.pid, serving.port, folder / "questions", chosen.seconds)
        with Rbldnsd(folder, serving.zones()[0]) as other:
            assert asks(other.port, asked[0])[0] == "NOERROR"
            theirs = load("rbldnsd", other.pid, other.port, folder / "questions", chosen.seconds)
        print(f"ratio to rbldnsd: {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
