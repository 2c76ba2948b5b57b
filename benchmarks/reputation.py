"""The dynamic database, measured: what each level catches and whom it hits, how fast evidence is taken in, and what a million sources cost.

    python benchmarks/reputation.py [--plot FILE.svg]

Streams: the two made-up worlds of `senders.py`, and, where ../shared/repdata is at hand, first sightings of spam sources of a day in
June 2016. For comparison each stream is also judged by plain memory: an address (or its /24) that sent spam in the last 1 or 12 hours.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.curve import draw
from benchmarks.senders import one_site, sixty_days

from mailward.reputation import evidence
from mailward.reputation.address import Source, source
from mailward.reputation.evidence import Evidence, EvidenceKind
from mailward.reputation.ip.dynamic import DynamicDatabase
from mailward.reputation.ip.keeper import Keeper
from mailward.reputation.ip.protected import Protected
from mailward.reputation.ip.replay import Outcome, Row, Share, replay

SHARED = Path(os.environ.get("MAILWARD_SHARED", Path(__file__).parents[2] / "shared")) / "repdata" / "development_only"
PIECES = 200_000
SOURCES = 1_000_000


def plain_memory(rows: Iterable[Row], hours: int, *, network: bool) -> tuple[Share, Share]:
    """Spam and ham from addresses (networks) that sent spam in the last hours."""
    last: dict[object, float] = {}
    counts = {True: [0, 0], False: [0, 0]}
    for row in rows:
        key = (row.source.version, row.source.number >> (8 if row.source.version == 4 else 64)) if network else row.source
        ham = row.kind is EvidenceKind.HAM
        counts[ham][0] += 1
        counts[ham][1] += row.time - last.get(key, float("-inf")) <= hours * 3600
        if not ham:
            last[key] = row.time
    return Share(*counts[False]), Share(*counts[True])


def show(name: str, rows: list[Row], kinds: dict[Source, str] | None = None) -> list[Outcome]:
    spam = sum(row.kind is not EvidenceKind.HAM for row in rows)
    print(f"\n{name}: {spam:,} spam, {len(rows) - spam:,} ham, {len({row.source for row in rows}):,} sources")
    print(
        "| judged by | spam from listed sources | ham from listed sources | sources ever listed | to listing, median / p95 | to delisting, median / p95 |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for network in (False, True):
        for hours in (1, 12):
            caught, hit = plain_memory(rows, hours, network=network)
            print(f"| plain memory, {hours} h{', with its /24' if network else ''} | {caught.share:.2%} | {hit.share:.3%} | | | |")
    outcomes = replay(rows, DynamicDatabase(Protected().holds), kinds=kinds)
    for outcome in outcomes:
        sources = ", ".join(f"{kind} {share.listed:,} of {share.rows:,}" for kind, share in outcome.sources.items())
        times = " | ".join(f"{t[0]:,.0f} s / {t[1]:,.0f} s" if t else "-" for t in (outcome.time_to_listing, outcome.time_to_delisting))
        print(f"| level {outcome.level} | {outcome.spam.share:.2%} | {outcome.ham.share:.3%} | {sources} | {times} |")
    return outcomes


def first_sightings() -> list[Row]:
    """Every feed's first sightings on that day; those of the first moment are older and were known before."""
    import zstandard

    rows = []
    for file in sorted(SHARED.glob("*_first24h.tsv.zst")):
        with file.open("rb") as packed:
            text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), "ascii")
            for line in list(text)[1:]:
                address, seen = line.split()[:2]
                found = source(address)
                if found is not None:
                    rows.append(Row(datetime.fromisoformat(seen).timestamp(), found, EvidenceKind.SPAM))
    rows.sort(key=lambda row: row.time)
    return rows


def intake() -> None:
    """Pieces a second from the file to the listing, with the CPU time of this process."""
    random = np.random.default_rng(3)
    numbers = random.zipf(1.3, PIECES) % 50_000 + (11 << 24)
    kinds = random.choice([EvidenceKind.SPAM, EvidenceKind.HAM, EvidenceKind.TRAP], PIECES, p=[0.6, 0.35, 0.05])
    start = time.time() - 3600
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        pieces = [Evidence(start + n * 0.01, EvidenceKind(kinds[n]), Source(4, int(numbers[n])), -1.0, "benchmark") for n in range(PIECES)]
        before = time.process_time()
        for first in range(0, PIECES, 100):
            evidence.append(path, pieces[first : first + 100])
        written = time.process_time() - before
        with Keeper(path, path / "snapshots") as keeper:
            before = time.process_time()
            keeper.catch_up(time.time(), force=True)
            learned = time.process_time() - before
    print(
        f"\nevidence: {PIECES / learned:,.0f} pieces a second of CPU read, learned, published and saved ({PIECES:,} pieces, {learned:.1f} s);"
    )
    print(f"          {PIECES / written:,.0f} a second written, 100 at a time")


MEMORY = f"""
import re, time
from mailward.reputation.address import Source
from mailward.reputation.evidence import Evidence, EvidenceKind
from mailward.reputation.ip.dynamic import DynamicDatabase
from mailward.reputation.ip.publishing import publish
from mailward.reputation.ip.protected import Protected
from mailward.reputation.snapshot import Table
from pathlib import Path
import sys
usage = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
start, database, now = usage(), DynamicDatabase(), 1.7e9
for n in range({SOURCES}):
    database.learn(Evidence(now, EvidenceKind.SPAM, Source(4, (11 << 24) + n * 13), 1.0))
held = usage()
began = time.perf_counter()
publish(Path(sys.argv[1]), database, Protected(), Table(Path(sys.argv[1]) / "none"), 1, now, networks=sys.argv[2] == "networks")
print(f"memory: {SOURCES:,} listed sources {{held:.0f}} MB in all ({{held - start:.0f}} MB more than without), "
      f"{{usage():.0f}} MB at most while publishing them ({{sys.argv[2]}}), which takes {{time.perf_counter() - began:.1f}} s")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, help="where to draw the trade-off of the levels")
    chosen = parser.parse_args()
    print(f"{date.today()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    curves = {}
    for name, world in (("one site, 90 days", one_site()), ("sixty days, every kind of sender", sixty_days())):
        rows = world.rows()
        outcomes = show(name, rows, world.kinds)
        plain = [plain_memory(rows, hours, network=network) for network in (False, True) for hours in (1, 12)]
        curves[name] = ([(o.ham.share, o.spam.share) for o in outcomes], [(ham.share, spam.share) for spam, ham in plain])
    if SHARED.is_dir():
        rows = first_sightings()
        known = [row for row in rows if row.time == rows[0].time]
        print(f"\nOf the first sightings {len(known):,} belong to the first moment: they are learned first and judged too.")
        show("first sightings, 12 to 13 June 2016", rows)
    else:
        print(f"\nfirst sightings: left out, {SHARED} is not there")
    intake()
    for what in ("sources only", "networks"):  # below level 3, and from there on
        with tempfile.TemporaryDirectory() as folder:
            print(subprocess.run([sys.executable, "-c", MEMORY, folder, what], capture_output=True, text=True, check=True).stdout, end="")
    if chosen.plot:
        chosen.plot.write_text(draw(curves), "utf-8")
        print(f"drawn: {chosen.plot}")


if __name__ == "__main__":
    main()
