"""CPU time of each stage between parsing and the disk: python benchmarks/judgement.py [FOLDER]

Without a folder the bundled samples are judged again and again. The content model is replaced by 25 fixed contributions,
because it has its own benchmark; lists hold 100,000 entries each. Budget: assess and decide together 0.1 ms a message.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mailward import storage
from mailward.gateway.gateway import Judgement
from mailward.gateway.marking import mark
from mailward.message import parse
from mailward.message.origin import envelope_from_trace
from mailward.policy import NetworkList, Policy, SenderList
from mailward.scan import Contribution, Site, assess, counterfactuals, decide, to_json
from mailward.storage.records import to_row

MESSAGES = 1_000
ENTRIES = 100_000
BATCH = 200
SAMPLES = Path(__file__).resolve().parent.parent / "src" / "mailward" / "samples"

Item = TypeVar("Item")


class FixedModel:
    """Gives every message the same 25 contributions."""

    name = "fixed"
    shares = tuple(
        Contribution(f"group:fact-{number}", (-1) ** number * number * 0.3, f"A sentence for an administrator, {number}")
        for number in range(25)
    )

    def score(self, *_: Any) -> tuple[Contribution, ...]:
        return self.shares


def policy_with_long_lists() -> Policy:
    senders = SenderList(f"host{number}.example.com" for number in range(ENTRIES))
    networks = NetworkList(f"10.{number >> 8 & 255}.{number & 255}.{number >> 16}" for number in range(ENTRIES))
    policy = Policy.from_toml('[organisation]\ngateway_networks = ["203.0.113.0/24"]\ninternal_domains = ["example.com"]\n')
    for name, entries in (("approved_senders", senders), ("blocked_senders", senders), ("approved_ips", networks)):
        policy = policy.changed(f"content_scanning.target.{name}", entries)
    return policy


def measured(name: str, work: Callable[[Item], Any], items: Sequence[Item]) -> None:
    """Print the mean over all items and the best of three rounds, in milliseconds of process time."""
    rounds = []
    for _ in range(3):
        gc.collect()
        start = time.process_time()
        for item in items:
            work(item)
        rounds.append((time.process_time() - start) / len(items) * 1000)
    print(f"{name:28} {sum(rounds) / len(rounds):8.4f} {min(rounds):8.4f}")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    raws = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".py"][:MESSAGES]
    raws = (raws * (MESSAGES // len(raws) + 1))[:MESSAGES]
    policy, model = policy_with_long_lists(), FixedModel()
    site = Site.of(policy)
    parsed = [(message, envelope_from_trace(message)) for message in map(parse, raws)]
    facts = [
        assess(message, envelope, site, model, None, float(number), f"{number:026d}") for number, (message, envelope) in enumerate(parsed)
    ]
    judged = [Judgement(message, found, decide(found, policy), 1.0) for (message, _), found in zip(parsed, facts, strict=True)]
    records = [storage.Record(each.assessment, each.verdict, "delivered", {}, 1.0) for each in judged]

    print(f"{MESSAGES} messages of {folder.name}, three lists of {ENTRIES} entries; milliseconds of CPU a message\n")
    print(f"{'stage':28} {'mean':>8} {'best':>8}")
    measured("assess without the model", lambda pair: assess(*pair, site, model, None, 1.0, "x"), parsed)
    measured("decide", lambda found: decide(found, policy), facts)
    measured("counterfactuals", lambda found: counterfactuals(found, policy), facts)
    measured("one line of JSON", lambda each: to_json("x", each.assessment, each.verdict, (), 1.0, policy), judged)
    measured("mark", lambda pair: mark(pair[0], pair[1], policy), list(zip(raws, judged, strict=True)))
    measured("pack a record", to_row, records)
    with tempfile.TemporaryDirectory() as state:
        store = storage.open(f"sqlite:///{state}/mailward.db")
        batches = [records[at : at + BATCH] for at in range(0, len(records), BATCH)]
        measured(f"store {BATCH} records", store.save_records, batches)
        store.close()


if __name__ == "__main__":
    main()
