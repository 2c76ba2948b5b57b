"""The model card: what a model was made of, and how to make it again."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from mailward.content.model import Model
from mailward.learning.examples import Example

_TERMS = {
    "phishing_pot": "CC BY-NC 4.0",
    "synthetic_ham": "generated from mail texts of free-software projects",
}


def write_card(path: Path, sources: dict[str, list[Example]], model: Model, seconds: float) -> None:
    """Write the card beside the model. Figures of quality stand in docs/performance.md, from `make evaluate`."""
    lines = [
        f"# Model {model.name}",
        "",
        "A linear model: named facts with signed, bounded weights, and hashed wording (2^20 buckets, half precision).",
        f"Made {time.strftime('%Y-%m-%d')} in {seconds:.0f} s by `mailward train CORPORA --out src/mailward/content/data/model` (seed 20261123).",
        "",
        "It was trained on the mail below, through the normaliser of `mailward.learning.normalise`. No message can be read from it;",
        "no mail is part of this project.",
        "",
        "| source | ham | bad | terms |",
        "| --- | --- | --- | --- |",
    ]
    for name, examples in sources.items():
        sizes = Counter(example.entry.bad for example in examples)
        lines.append(f"| {name} | {sizes[False]:,} | {sizes[True]:,} | {_TERMS.get(name, 'research use, or none stated')} |")
    lines += [
        "",
        "Set from knowledge, not from data: the sign, the prior and the bounds of every fact (`facts.toml`), the lists of sending services, mailbox providers,",
        "abused suffixes, brands, image hosts and lures beside it. `synthetic_ham` taught wording only, never facts.",
        "",
        "Limits: little modern wanted commercial mail was at hand (174 messages of one inbox), so the identity facts rest on knowledge more than on counts.",
        "## Figures",
        "",
        "None yet for this model: run `make evaluate`, and write them here and into docs/performance.md.",
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
