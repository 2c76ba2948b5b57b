"""Whether every address of the corpora is read with the host a browser reads (can_ada): python benchmarks/hosts.py [EVERY_NTH]."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import can_ada

from mailward.learning import corpora
from mailward.message import Message, limits, parse
from mailward.message.urls import urls_of

SCHEMES = ("http:", "https:", "ftp:")


def browser_host(written: str) -> str:
    """The host a browser would go to, "" where it goes to none."""
    try:
        parsed = can_ada.parse(written.encode("utf-8", "replace").decode("utf-8"))
    except ValueError:
        return ""
    return str(parsed.hostname) if parsed.protocol in SCHEMES else ""


def compared(message: Message) -> Iterator[tuple[str, str, bool]]:
    """Each address with a scheme as it is written in the message, the host a browser goes to, and whether we found that host."""
    found = urls_of(message)
    if len(found) >= limits.LINKS:
        return
    hosts = {browser_host(one.url) for one in found}
    for link in message.links:
        if len(link.url) < limits.URL_LENGTH and (host := browser_host(link.url)):
            yield link.url, host, host in hosts


def messages(folder: Path, every: int) -> Iterator[Message]:
    for pack in sorted(folder.glob("*.tar.zst")):
        for entry in corpora.entries(pack)[::every]:
            yield parse(corpora.read(entry))


def main() -> int:
    shared = Path(os.environ.get("MAILWARD_SHARED") or Path(__file__).parent.parent.parent / "shared") / "corpora"
    every = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    started, read, addresses, wrong = time.monotonic(), 0, 0, []
    for message in messages(shared, every):
        read += 1
        for written, host, found in compared(message):
            addresses += 1
            if not found:
                wrong.append((written, host))
    print(
        f"{read:,} messages, {addresses:,} addresses, {len(wrong)} with another host than a browser's, {time.monotonic() - started:.0f} s"
    )
    for written, host in wrong[:20]:
        print(f"  {host!r} in {written[:120]!r}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
