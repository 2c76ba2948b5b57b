"""CPU time of the phishing stage, after Content Scanning has looked at the message: python benchmarks/phishing.py FOLDER [MESSAGES]

FOLDER holds messages, or corpora as training reads them. Every message is judged anew, so nothing is cached but what a running gateway has in its caches,
too. Budget: 0.25 ms a message on average without attachments.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from pathlib import Path

from mailward.content.evidence import gather as gather_content
from mailward.learning.corpora import CorpusError, entries
from mailward.learning.examples import corpora_in
from mailward.learning.normalise import normalise
from mailward.message import parse
from mailward.message.origin import envelope_from_trace, origin
from mailward.message.urls import urls_of
from mailward.phishing import load
from mailward.phishing.evidence import gather

MESSAGES = 2_000
ROUNDS = 3


def messages(folder: Path, most: int) -> list[tuple]:
    """What Content Scanning found, and the URLs, of messages drawn at random."""
    picked = random.Random(1)
    try:
        every = [entry for path in corpora_in([folder]) for entry in entries(path)]
    except (CorpusError, OSError):
        every = []
    if every:
        samples = [normalise(entry) for entry in picked.sample(every, min(most, len(every)))]
        parsed = [(parse(each.raw), each.envelope, each.auth) for each in samples]
    else:
        from mailward.auth.model import UNCHECKED

        raws = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".py"][:most]
        parsed = [(message := parse(raw), envelope_from_trace(message), UNCHECKED) for raw in raws]
    return [(gather_content(message, origin(message, envelope), envelope, auth), urls_of(message)) for message, envelope, auth in parsed]


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "src" / "mailward" / "samples"
    found = messages(folder, int(sys.argv[2]) if len(sys.argv) > 2 else MESSAGES)
    model = load()
    evidence = [gather(*each) for each in found]  # warms the caches a gateway has warm
    for name, work, items in (
        ("gather evidence", lambda each: gather(*each), found),
        ("judge", model.judge, evidence),
        ("both", lambda each: model.judge(gather(*each)), found),
    ):
        rounds = []
        for _ in range(ROUNDS):
            gc.collect()
            started = time.process_time()
            for each in items:
                work(each)
            rounds.append((time.process_time() - started) / len(items) * 1000)
        print(f"{name:16} {sum(rounds) / ROUNDS:.4f} ms a message, best of {ROUNDS} rounds {min(rounds):.4f} ({len(items):,} messages)")


if __name__ == "__main__":
    main()
