"""Phrases of the offers that strangers make, matched in one pass over the text."""

from __future__ import annotations

from functools import cache

import re2

from mailward.content.knowledge import lines
from mailward.content.lookalikes import folded


@cache
def _pattern() -> tuple[object, tuple[str, ...]]:
    """One pattern with a group for each kind."""
    groups, kinds = [], []
    for line in lines("lures.txt"):
        kind, _, phrases = line.partition(":")
        alternatives = (re2.escape(p.strip().rstrip("*")) + ("" if p.strip().endswith("*") else r"\b") for p in phrases.split("|"))
        groups.append("(" + "|".join(alternatives) + ")")
        kinds.append(kind.strip())
    return re2.compile(r"(?:^|\W)(?:" + "|".join(groups) + ")"), tuple(kinds)


def lures(text: str) -> dict[str, int]:
    """Count the different phrases of each kind in lower-case text."""
    pattern, kinds = _pattern()
    found: set[tuple[int, bytes]] = set()
    for match in pattern.finditer(folded(text).encode("utf-8", "replace")):  # type: ignore[attr-defined]
        found.add((match.lastindex - 1, match.group(match.lastindex)))
    counts: dict[str, int] = {}
    for index, _ in found:
        counts[kinds[index]] = counts.get(kinds[index], 0) + 1
    return counts
