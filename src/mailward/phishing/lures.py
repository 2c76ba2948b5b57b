"""What phishing asks for, in the phrases it uses, found in one pass over the text whatever their number.

The phrases stand in `data/lures.txt`, one line a kind and language. They are matched on UTF-8 octets of lower-case text, at the
start of a word.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import re2

from mailward.content.lookalikes import folded
from mailward.phishing.packaged import DATA
from mailward.reputation.knowledge import lines

MEMORY = 64 << 20  # bytes for the states of the matcher; with too few, re2 gives up and nothing is found
ENOUGH = 3  # different phrases of one kind; more say no more


@cache
def _phrases() -> tuple[Any, tuple[str, ...]]:
    """The compiled set and, for each phrase, its kind."""
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    matcher, kinds = re2.Set.SearchSet(options), list[str]()
    for line in lines(DATA / "lures.txt"):
        kind, _, phrases = line.partition(":")
        for phrase in phrases.split("|"):
            text = phrase.strip()
            if text:
                matcher.Add((r"\b" if text[0].isascii() else "") + re2.escape(text))
                kinds.append(kind.split()[0])
    matcher.Compile()
    return matcher, tuple(kinds)


def lures(text: str) -> dict[str, int]:
    """Count the different phrases of each kind in lower-case text, at most ENOUGH a kind."""
    matcher, kinds = _phrases()
    found = matcher.Match(folded(text).encode("utf-8", "replace"))
    counts: dict[str, int] = {}
    for index in found or ():
        kind = kinds[index]
        counts[kind] = min(ENOUGH, counts.get(kind, 0) + 1)
    return counts
