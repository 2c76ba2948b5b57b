"""What a look-up in a foreign DNS list costs, against a real rbldnsd on a free port of this machine.

    python benchmarks/dnsbl.py [--questions 5000] [--concurrency 50] [--rounds 7]

Prints CPU time of this process (all threads, user and system) in microseconds: for a question that goes out over the
network, for one whose answer is remembered, and for a whole look-up with our own databases before it. The server is another
process and is not counted. Of each figure the least and the median of the rounds are shown: what else the machine does at the
time costs caches and wake-ups. Uncached addresses are all different; a tenth of them is listed, and every listing is confirmed
by a control question, which is counted as a question too.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import uvloop

from mailward.gateway.lists import Reputation
from mailward.gateway.settings import Settings
from mailward.policy.dnsbl import read_entry
from mailward.reputation.dnsbl.plan import Plan
from mailward.reputation.listing import LEVELS, ListingKind
from mailward.reputation.snapshot import DYNAMIC_FILE, GOOD_FILE, STANDARD_FILE, write

ENTRY = read_entry("list.test=127.0.0.2")
OWN_LISTINGS = 100_000


@contextmanager
def rbldnsd(folder: Path) -> Iterator[str]:
    """host:port of a server whose list.test lists 11.0.0.0/8."""
    program = shutil.which("rbldnsd", path="/usr/sbin:/usr/bin")
    if program is None:
        sys.exit("rbldnsd is missing: sudo apt-get install rbldnsd")
    folder.chmod(0o755)
    (folder / "list").write_text(":127.0.0.2:listed $\n127.0.0.2\n11.0.0.0/8\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "-n", "-q", "-b", f"127.0.0.1/{port}", "-w", str(folder), "list.test:ip4trie:list"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(5)


def publish(folder: Path) -> None:
    """Our own databases, so that looking into them costs what it costs."""
    starts = np.arange(OWN_LISTINGS) * 30_000 + 0x20000000
    rows = {"start": starts, "end": starts, "since": starts * 0, "count": starts * 0 + 1, "reason": starts * 0}
    until = np.full(OWN_LISTINGS, int(time.time()) + 86_400)
    levels = {f"until_{level}": until for level in range(1, LEVELS + 1)}
    for name, kind in ((STANDARD_FILE, ListingKind.KNOWN_SOURCE), (DYNAMIC_FILE, ListingKind.BURST), (GOOD_FILE, ListingKind.GOOD)):
        ends = levels if name == DYNAMIC_FILE else {"until": until}
        write(folder / name, {**rows, **ends, "kind": np.full(OWN_LISTINGS, kind.number)}, {}, ["benchmark"], 1, time.time())


def addresses(count: int) -> list[str]:
    """Different addresses, every tenth on the list."""
    return [f"{11 if n % 10 == 0 else 12}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(count)]


async def look_up(reputation: Reputation, plan: Plan, asked: list[str], concurrency: int) -> float:
    """CPU seconds for all of them."""
    waiting = iter(asked)

    async def one() -> None:
        for address in waiting:
            await reputation.ask(address, plan)

    started = time.process_time()
    await asyncio.gather(*(one() for _ in range(concurrency)))
    return time.process_time() - started


def each(things: list[str], work: Callable[[str], object]) -> float:
    started = time.process_time()
    for thing in things * 5:
        work(thing)
    return (time.process_time() - started) / len(things) / 5 * 1e6


def show(words: str, unit: str, rounds: list[float]) -> None:
    print(f"{words:<42}{min(rounds):8.2f} {statistics.median(rounds):8.2f}  us CPU {unit}")


async def measure(place: str, folder: Path, given: argparse.Namespace) -> None:
    settings = Settings.model_validate({"dns": {"servers": [place]}, "state": {"folder": str(folder)}})
    publish(settings.snapshots_folder)
    lists_only, everything = Plan(standard=(ENTRY,), own_standard=False, own_dynamic=False), Plan(standard=(ENTRY,))
    asked = addresses(given.questions)
    out = given.questions + given.questions // 10
    print(f"{given.rounds} rounds of {given.questions:,} addresses and {out:,} questions{'least':>7} {'median':>8}")
    for width in (1, given.concurrency):
        rounds = []
        for _ in range(given.rounds):
            reputation = Reputation(settings)
            await reputation.ask("198.51.100.1", lists_only)  # opens sockets, probes the list
            rounds.append(await look_up(reputation, lists_only, asked, width) / out * 1e6)
            await reputation.close()
        show(f"uncached, {width} at a time", "a question", rounds)
    reputation = Reputation(settings)
    known = [address for address in asked if not address.startswith("11.")][-2_000:]
    names = [f"{'.'.join(reversed(address.split('.')))}.list.test" for address in known]
    await look_up(reputation, lists_only, known, given.concurrency)
    show("remembered answer", "a question", [each(names, reputation.foreign.resolver.cached) for _ in range(given.rounds)])
    for words, plan in (("one list", lists_only), ("our own databases and one list", everything)):
        rounds = [await look_up(reputation, plan, known * 5, 1) / len(known) / 5 * 1e6 for _ in range(given.rounds)]
        show(f"remembered, {words}", "a whole look-up", rounds)
    show("our own databases alone", "a look-up", [each(known, reputation.known) for _ in range(given.rounds)])
    await reputation.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--questions", type=int, default=5_000)
    options.add_argument("--concurrency", type=int, default=50)
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}, uvloop {uvloop.__version__}, {platform.machine()}")
    with tempfile.TemporaryDirectory() as folder, rbldnsd(Path(folder)) as place:
        time.sleep(0.5)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(measure(place, Path(folder) / "state", given))


if __name__ == "__main__":
    main()
