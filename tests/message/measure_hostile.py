"""Run as a process of its own: parse one hostile message and print seconds, extra megabytes and what was found, as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from mailward.message import parse

_WARM = b"From: a@example.org\nContent-Type: text/html\n\n<p style='color:red'>see www.example.com http://example.org/</p>"


def memory(name: str) -> float:
    """Megabytes from /proc: VmRSS is what is held now, VmHWM the most since the counter was reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def main() -> None:
    parse(_WARM)
    raw = Path(sys.argv[1]).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    start = time.process_time()
    message = parse(raw)
    seconds = time.process_time() - start
    found = [finding.name for finding in message.findings]
    print(
        json.dumps(
            {
                "seconds": seconds,
                "megabytes": memory("VmHWM") - before,
                "found": found,
                "text": len(message.text),
                "parts": len(message.parts),
            }
        )
    )


if __name__ == "__main__":
    main()
