"""Time and memory of what is known of URLs: python benchmarks/urlfeeds.py [ENTRIES]. Feeds are read, kept and published, each in a process
of its own; then a table of five million entries is asked, and a million domains are seen.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mailward.reputation.url.domains import Domains
from mailward.reputation.url.entry import EntryKind
from mailward.reputation.url.evidence import UrlEvidence, UrlEvidenceKind
from mailward.reputation.url.imports import read
from mailward.reputation.url.knowledge import UrlKnowledge
from mailward.reputation.url.place import Keying, Place, Scope, place_of, text
from mailward.reputation.url.rater import load
from mailward.reputation.url.store import UrlDatabase
from mailward.reputation.url.table import COLUMNS, FEEDS_FILE, SCOPES, write

ENTRIES, TABLE = 500_000, 5_000_000
ASKED = 100_000
FORMATS = {
    "urls": ("http://host{0}.evil{1}.example/path/{0}.php?id={0}\n", EntryKind.PHISHING),
    "urlhaus": (
        '"{0}","2026-11-01 00:00:00","http://host{0}.evil{1}.example/bin/{0}.sh","online","","malware_download","elf","https://x.example/","me"\n',
        EntryKind.MALWARE,
    ),
    "hosts": ("127.0.0.1 host{0}.evil{1}.example\n", EntryKind.MALWARE),
    "ranks": ("{0},popular{0}.example\n", EntryKind.POPULAR),
}


def lines(format: str, count: int) -> Iterator[str]:
    yield "# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n" if format == "urlhaus" else ""
    line = FORMATS[format][0]
    yield from (line.format(number + 1, number % 50_000) for number in range(count))


def measure(format: str, count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, kind = Path(name), FORMATS[format][1]
        (folder / "feed").write_text("".join(lines(format, count)))
        database = UrlDatabase(folder / "reputation", folder / "snapshots")
        keying, seconds = database.keying(), []
        started = time.perf_counter()
        with (folder / "feed").open("rb") as file:
            feed = read(file, keying, kind, kind.rating, time.time())
        seconds.append(time.perf_counter() - started)
        database.import_feed(format, feed, kind, format, 0, time.time())
        seconds.append(time.perf_counter() - started - seconds[0])
        entries = feed.entries
        del feed
        started = time.perf_counter()
        database.publish_if_due(time.time())
        seconds.append(time.perf_counter() - started)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"{format:<8} {entries:>9,} {seconds[0]:>8.2f} {seconds[1]:>8.2f} {seconds[2]:>8.2f} {peak:>8} MB", flush=True)


def table(count: int) -> None:
    """A table with `count` random keys and the hosts that are asked among them."""
    with tempfile.TemporaryDirectory() as name:
        folder, keying, chance = Path(name), Keying(b"salt of the test"), np.random.default_rng(5)
        asked = [f"http://h{number}.name{number * 7919 % 90_001}.example/login" for number in range(ASKED)]
        places = [place for url in asked if (place := place_of(url)) is not None]
        columns = {each: np.zeros(count, dtype) for each, dtype in COLUMNS.items()}
        columns["key"] = chance.integers(0, 1 << 63, count, dtype=np.uint64) * 2 + chance.integers(0, 2, count, dtype=np.uint64)
        columns["key"][:ASKED] = [keying.key(text(Scope.HOST, place.host)) for place in places]
        columns["scope"] = np.where(np.arange(count) % 2, SCOPES[Scope.HOST], SCOPES[Scope.URL]).astype("<u1")
        columns["scope"][:ASKED] = SCOPES[Scope.HOST]
        columns["scope"][-1] = SCOPES[Scope.DOMAIN]  # so that all domains above a host are asked about
        columns["kind"] += EntryKind.PHISHING.number
        columns["rating"] += 20
        write(folder / FEEDS_FILE, columns, keying.salt, ["feed"], [""], 1, time.time())
        del columns
        gc.collect()
        size = (folder / FEEDS_FILE).stat().st_size
        print(f"\na table of {count:,} entries: {size / 1e6:.0f} MB on disk, {size / count:.1f} octets an entry")
        ask(folder, asked, places)


def ask(folder: Path, asked: list[str], places: list[Place]) -> None:
    now = time.time()
    started = time.perf_counter()
    knowledge = UrlKnowledge(folder)
    print(f"mapped in {(time.perf_counter() - started) * 1000:.1f} ms")
    random.Random(5).shuffle(places)
    keying = Keying(b"salt of the test")
    print(f"for comparison: one keyed digest  {each(keying.key, ['h:www.example.com'] * 20_000):6.2f} us CPU")
    print(f"known host, its first look-up     {each(lambda place: knowledge.listed(place, now), places):6.2f} us CPU")
    strangers = [place for n in range(20_000) if (place := place_of(f"http://s{n}.stranger{n}.example/x")) is not None]
    print(f"unknown host, its suffix included {each(lambda place: knowledge.listed(place, now), strangers):6.2f} us CPU")
    rater = load(folder)
    print(f"rating of a known URL, first      {each(rater.rate, asked[:15_000]):6.2f} us CPU (reading it and its suffix included)")
    print(f"rating of a known URL, remembered {each(rater.rate, asked[:15_000]):6.2f} us CPU")


def each(ask: Callable[[Any], object], items: list[Any], batch: int = 1000) -> float:
    """Microseconds an item in the best batch: other work on the machine makes the others slower."""
    best = float("inf")
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        started = time.process_time_ns()
        for item in part:
            ask(item)
        best = min(best, (time.process_time_ns() - started) / len(part) / 1e3)
    return best


def pss() -> float:
    with Path(f"/proc/{os.getpid()}/smaps_rollup").open() as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024


def life(count: int) -> None:
    domains = Domains(Keying(b"salt of the test"))
    before, started = pss(), time.process_time()
    for number in range(count):
        domains.learn(UrlEvidence(1e9 + number, UrlEvidenceKind.SEEN, Scope.DOMAIN, f"d{number}.example", 1.0))
    seconds = time.process_time() - started
    octets = sum(array.nbytes for array in domains.state().values())
    print(
        f"\n{count:,} domains seen: {seconds / count * 1e6:.1f} us CPU each, {octets / 1e6:.0f} MB kept, {pss() - before:.0f} MB more in memory"
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    print(f"{'format':<8} {'entries':>9} {'read s':>8} {'keep s':>8} {'publish':>8} {'peak':>11}")
    for target, arguments in (*((measure, (format, count)) for format in FORMATS), (table, (TABLE,)), (life, (1_000_000,))):
        process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
        process.start()
        process.join()


if __name__ == "__main__":
    main()
