"""CPU time of finding the URLs of a parsed message: python benchmarks/urls.py [CORPUS_FOLDER ...]."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from mailward.message import Message, parse
from mailward.message.urls import urls_of

_HEAD = b"From: a@example.org\nSubject: Figures of November\nContent-Type: text/%s; charset=utf-8\n\n"
_WORDS = b"The monthly figures are attached, please look at them before Monday.\n" * 20
_MESSAGES = {
    "plain, 3 URLs": _HEAD % b"plain" + _WORDS + b"https://example.com/a www.example.org/b https://example.net/\n",
    "HTML, 50 URLs": _HEAD % b"html"
    + b"".join(
        b'<p>One <a href="https://w%d.example.com/click?id=%d&amp;url=https%%3A%%2F%%2Fexample.org%%2F">x</a>' % (i, i) for i in range(25)
    ),
    "plain, 50 URLs": _HEAD % b"plain" + b"".join(b"Open https://w%d.example.com/path/to?id=%d today\n" % (i, i) for i in range(50)),
}


def microseconds(message: Message, rounds: int = 200) -> float:
    """The best of five, each the mean of so many rounds."""
    best = float("inf")
    for _ in range(5):
        start = time.process_time_ns()
        for _ in range(rounds):
            urls_of(message)
        best = min(best, (time.process_time_ns() - start) / rounds / 1e3)
    return best


def main() -> None:
    for name, raw in _MESSAGES.items():
        message = parse(raw)
        print(f"{name:24} {len(urls_of(message)):4} found {microseconds(message):9.1f} us")
    for folder in map(Path, sys.argv[1:]):
        messages = [parse(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]
        times = sorted(microseconds(message, 1) for message in messages)
        print(
            f"{folder.name:24} {len(times):4} messages, median {times[len(times) // 2]:.1f} us, 99 % {times[len(times) * 99 // 100]:.1f} us"
        )


if __name__ == "__main__":
    main()
