"""CPU time of judging a message (parse, assess, decide) on one core, and beside rspamd where it is installed.

`python benchmarks/scan.py [CORPUS]`: CORPUS is a folder or pack, by default spamassassin of the shared corpora. rspamd needs root and the peers' scripts;
its CPU time is that of its server processes, ours that of this process, on the same files in the same run.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mailward.gateway import Gateway
from mailward.gateway.settings import Settings
from mailward.learning.corpora import entries
from mailward.message import parse
from mailward.message.origin import envelope_from_trace

SHARED = Path(os.environ.get("MAILWARD_SHARED") or Path(__file__).resolve().parents[2] / "shared")
WARM = 300
BUDGET_MS = 0.8


def main() -> None:
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED / "corpora" / "spamassassin.tar.zst"
    if not corpus.exists():
        print(f"left out: needs {corpus.name} in ../shared/corpora, or name a corpus")
        return
    found = entries(corpus)
    raws = [entry.path.read_bytes() for entry in found]
    ours = judge_all(raws)
    print(f"{corpus.name}: {len(raws):,} messages, mean {statistics.mean(map(len, raws)):,.0f} bytes, {time.strftime('%Y-%m-%d')}")
    spread = sorted(ours)
    mean = statistics.mean(ours)
    figures = ", ".join(f"p{q} {spread[min(len(spread) - 1, len(spread) * q // 100)]:.3f}" for q in (50, 95, 99))
    print(f"mailward: {mean:.3f} ms CPU a message (budget {BUDGET_MS}), {figures}; {1000 / mean:,.0f} messages per CPU second")
    theirs = rspamd([str(entry.path) for entry in found], [entry.bad for entry in found])
    if theirs:
        print(f"rspamd, local rules, by HTTP: {theirs:.3f} ms CPU a message; {1000 / theirs:,.0f} messages per CPU second")
        print(f"messages per CPU second, mailward to rspamd: {theirs / mean:.2f}")


def judge_all(raws: list[bytes]) -> list[float]:
    """Milliseconds of CPU time of each message, models warm."""
    with tempfile.TemporaryDirectory() as state:
        gateway = Gateway.open(Settings.load(None, state=state))
        for raw in raws[:WARM]:
            gateway.judge(raw, envelope_from_trace(parse(raw)))
        spent = []
        for raw in raws:
            envelope = envelope_from_trace(parse(raw))
            begun = time.process_time_ns()
            gateway.judge(raw, envelope)
            spent.append((time.process_time_ns() - begun) / 1e6)
        gateway.close()
        return spent


def rspamd(paths: list[str], bad: list[bool]) -> float | None:
    """CPU milliseconds of rspamd a message on the same files, or None where it cannot be run here."""
    peers = SHARED / "peers"
    if not (shutil.which("rspamd") and shutil.which("unbound") and os.geteuid() == 0 and peers.is_dir()):
        print("rspamd left out: needs rspamd, unbound, root and ../shared/peers")
        return None
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        state.chmod(0o755)
        index = state / "index"
        index.write_text("".join(f"{'spam' if b else 'ham'} {os.path.relpath(p, state)}\n" for p, b in zip(paths, bad, strict=True)))
        try:
            _peer(peers, "start", state, "unbound")  # answers every question at once, so that nothing waits for a name
            pid = _peer(peers, "start", state, "rspamd-local").split()[-1]
            client = [sys.executable, "-B", str(peers / "scan_client.py"), "--proto", "rspamd", "--port", "11433", "--warm", "100"]
            client += ["--index", str(index), "--server-pid", pid]
            run = subprocess.run(client, capture_output=True, text=True, timeout=900)
            return float(json.loads(run.stdout.splitlines()[-1])["cpu_ms_per_msg"])
        finally:
            for name in ("rspamd-local", "unbound"):
                _peer(peers, "stop", state, name)


def _peer(peers: Path, verb: str, state: Path, name: str) -> str:
    command = ["bash", str(peers / f"{verb}_peer.sh"), str(state / "peer"), name]
    with tempfile.TemporaryFile("w+") as output:  # not a pipe: the daemon would keep it open
        subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=120)
        output.seek(0)
        return output.read()


if __name__ == "__main__":
    main()
