"""CPU time of parsing alone: python benchmarks/parse.py [CORPUS_FOLDER ...]; without a folder the packs in ../shared/corpora."""

from __future__ import annotations

import os
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


def packs() -> list[Path]:
    """The packs that show the three kinds of mail: old and plain, phishing in HTML, replies in lists."""
    from mailward.learning.corpora import unpacked

    folder = Path(os.environ.get("MAILWARD_SHARED") or Path(__file__).resolve().parents[2] / "shared") / "corpora"
    found = [path for name in ("spamassassin", "phishing_pot", "usrp_users") for path in sorted(folder.glob(name + "*"))]
    return [unpacked(path) for path in found]


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]] or packs()
    if not folders:
        print("No folder was named, and there are no packs in ../shared/corpora: nothing was measured")
        return
    print(f"{'folder':24} {'messages':>8} {'mean ms':>9} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8}")
    for folder in folders:
        found = times(folder)
        if not found:
            print(f"{folder}: no messages")
            continue
        ordered = sorted(found)
        ranks = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99)]
        cells = " ".join(f"{rank:8.3f}" for rank in ranks)
        print(f"{folder.name:24} {len(found):8} {sum(found) / len(found):9.3f} {cells} {ordered[-1]:8.2f}")


if __name__ == "__main__":
    main()
