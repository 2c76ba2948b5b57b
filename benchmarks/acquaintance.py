"""What it costs to know who writes with whom: a look-up in a full book, and learning and publishing one.

    python benchmarks/acquaintance.py [--rows 1000000] [--rounds 7]

Prints CPU time of this process. The messages are made up: a stranger who answers a conversation of six messages, and a correspondent who
begins one. Of each figure the least and the median of the rounds are shown.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mailward.gateway.acquaintance import Acquaintances
from mailward.message import Envelope, Message, parse
from mailward.message.origin import Origin
from mailward.policy import DomainList
from mailward.reputation.acquaintance import book as books
from mailward.reputation.acquaintance import table
from mailward.reputation.acquaintance.book import DAY, Book
from mailward.reputation.acquaintance.observation import Observation
from mailward.scan.assess import Site

SITE = Site(internal_domains=DomainList(["example.com"]))
ENVELOPE = Envelope("192.0.2.7", mail_from="x@client.example", rcpt_to=("ann@example.com",), way_in="smtp")
SOURCE = Origin("192.0.2.7", "", "", -1)
TIMES = 2000


def message(subject: str, references: int) -> Message:
    threaded = " ".join(f"<{number}.abcdef@mail.client.example>" for number in range(references))
    fields = f"In-Reply-To: {threaded.split()[0]}\r\nReferences: {threaded}\r\n" if references else ""
    head = f"From: Kim Client <kim@client.example>\r\nTo: ann@example.com\r\nSubject: {subject}\r\nMessage-ID: <1@client.example>\r\n"
    return parse(f"{head}{fields}\r\nText\r\n".encode())


def full(rows: int) -> Book:
    kept, now = Book(), int(time.time())
    chance = np.random.default_rng(1)
    kept.learn(Observation(now - 20 * DAY, True, wrote=(1,), written_to=(2,)))
    kept.learn(Observation(now, True))
    for part, count in ((kept.senders, rows), (kept.messages, rows), (kept.names, min(rows, books.MAX_NAMES))):
        keys = np.sort(chance.integers(0, 1 << 63, count, dtype=np.uint64))
        columns = {name: np.full(count, books.NAME_TIMES, np.uint8) for name in part.columns}
        part.restore({"keys": keys, **columns, "last": np.full(count, now, np.uint32)})
    return kept


def measure(what: str, rounds: int, times: int, work: Callable[[], object]) -> None:
    found = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(times):
            work()
        found.append((time.process_time() - started) / times * 1e6)
    print(f"{what:<55} {min(found):12.1f} us, median {statistics.median(found):12.1f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=7)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept, now = full(arguments.rows), time.time()
        measure("publishing", 3, 1, lambda: table.write(folder / table.FILE, kept, b"s" * 16, now))
        print(f"{'the published file':<55} {(folder / table.FILE).stat().st_size / 1e6:12.1f} MB")
        asked = Acquaintances(folder / "acquaintance", folder)
        for what, each in (
            ("look-up: begins a conversation", message("Hello", 0)),
            ("look-up: answers one of six messages, none known", message("Re: Hello", 6)),
            ("look-up: answers one of forty messages, none known", message("Re: Hello", 40)),
        ):
            measure(what, arguments.rounds, TIMES, lambda each=each: asked.known(each, ENVELOPE, SOURCE, SITE, now))  # type: ignore[misc]
        keys = iter(range(1, 1 << 40))

        def learn() -> None:
            key = next(keys) * 0x9E3779B97F4A7C15 % (1 << 64)
            kept.learn(Observation(now, True, wrote=(key, key ^ 1), messages=(key,)))

        measure("learning a message with a new sender (a full book)", 3, 100_000, learn)


if __name__ == "__main__":
    main()
