"""Time and memory of the standard database: python benchmarks/standard.py [ENTRIES]. A list of a million addresses in each format
is read, kept and published, each in a process of its own; then networks that lie in each other as badly as can be.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mailward.reputation.ip import imports
from mailward.reputation.ip.formats import Format
from mailward.reputation.ip.standard import StandardDatabase
from mailward.reputation.listing import ListingKind

ENTRIES = 1_000_000


def lines(format: str, count: int) -> Iterator[str]:
    """Addresses that lie scattered over 20.0.0.0/7, or networks in networks."""
    if format == "nested":
        for number in range(count // 32 + 1):
            for bits in range(1, 33):
                yield f"{30 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.0-{30 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.{bits}\n"
        return
    yield "$ORIGIN bl.example.org.\n" if format == Format.ZONE else ":127.0.0.2:Listed\n" if format == Format.RBLDNSD else ""
    for number in range(count):
        octets = [20 + (number >> 19), number >> 11 & 255, number >> 3 & 255, (number & 7) * 32 + number % 7]
        name = ".".join(map(str, reversed(octets) if format == Format.ZONE else octets))
        yield name + {Format.ZONE: " A 127.0.0.2\n", Format.IPSUM: "\t3\n"}.get(format, "\n")  # type: ignore[call-overload]


def measure(format: str, count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "list").open("w") as file:
            file.writelines(lines(format, count))
        database = StandardDatabase(folder / "reputation", folder / "snapshots")
        seconds = []
        started = time.perf_counter()
        imported = imports.read_file(folder / "list", None if format == "nested" else Format(format))
        seconds.append(time.perf_counter() - started)
        database.import_list("list", imported, ListingKind.KNOWN_SOURCE, "benchmark", 0, time.time())
        seconds.append(time.perf_counter() - started - seconds[0])
        entries = len(imported)
        del imported
        started = time.perf_counter()
        database.publish(time.time())
        seconds.append(time.perf_counter() - started)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"{format:<8} {entries:>9,} {seconds[0]:>8.2f} {seconds[1]:>8.2f} {seconds[2]:>8.2f} {peak:>8} MB", flush=True)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    print(f"{'format':<8} {'entries':>9} {'read s':>8} {'keep s':>8} {'publish':>8} {'peak':>11}")
    for format in (*Format, "nested"):
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(format, count))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
