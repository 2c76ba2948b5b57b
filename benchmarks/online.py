"""On-line learning (TREC protocol) on one corpus: from nothing, from a model of the other corpora, and bogofilter on the same mail in the same order.

`python benchmarks/online.py [CORPUS]`; by default spamassassin of the shared corpora. Takes some five minutes, most of it to train without that corpus.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mailward.learning.corpora import entries
from mailward.learning.evaluate import main as evaluate

SHARED = Path(os.environ.get("MAILWARD_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def main() -> None:
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED / "corpora" / "spamassassin.tar.zst"
    if not corpus.exists():
        print(f"left out: needs {corpus.name} in ../shared/corpora, or name a corpus")
        return
    evaluate([corpus], "online")
    bogofilter(corpus)


def bogofilter(corpus: Path) -> None:
    """Print the figures of bogofilter by the peers' script."""
    script = SHARED / "peers" / "online.py"
    if not (shutil.which("bogofilter") and script.is_file()):
        print("bogofilter left out: needs bogofilter and ../shared/peers")
        return
    todo = sorted(entries(corpus), key=lambda entry: (entry.date, str(entry.path)))
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        index.write_text("".join(f"{'spam' if e.bad else 'ham'} {os.path.relpath(e.path, folder)}\n" for e in todo))
        command = [
            sys.executable,
            "-B",
            str(script),
            "--engine",
            "bogofilter",
            "--db",
            f"{folder}/db",
            "--index",
            str(index),
            "--out",
            f"{folder}/out",
        ]
        run = subprocess.run(command, capture_output=True, text=True, timeout=1_800)
        figures = json.loads(run.stdout.splitlines()[-1])
    print(
        f"bogofilter: (1-ROCA) {figures['one_minus_roca_pct']:.4f} %, lam {figures['lam_pct']:.3f} %, {figures['cpu_ms_per_msg']:.2f} ms CPU a message"
    )


if __name__ == "__main__":
    main()
