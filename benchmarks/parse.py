"""CPU time of parsing alone: python benchmarks/parse.py CORPUS_FOLDER [...]"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from mailward.message import parse

_SKIPPED = frozenset({"index.tsv"})


def times(folder: Path) -> list[float]:
    """Milliseconds of process time for each message of the folder, files read before."""
    messages = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in _SKIPPED]
    for raw in messages[:100]:
        parse(raw)
    out = []
    for raw in messages:
        start = time.process_time_ns()
        parse(raw)
        out.append((time.process_time_ns() - start) / 1e6)
    return out


def main() -> None:
    print(f"{'folder':24} {'messages':>8} {'mean ms':>9} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8}")
    for name in sys.argv[1:]:
        found = times(Path(name))
        if not found:
            print(f"{name}: no messages")
            continue
        ordered = sorted(found)
        ranks = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99)]
        cells = " ".join(f"{rank:8.3f}" for rank in ranks)
        print(f"{Path(name).name:24} {len(found):8} {sum(found) / len(found):9.3f} {cells} {ordered[-1]:8.2f}")


if __name__ == "__main__":
    main()
