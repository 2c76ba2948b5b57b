"""Phrases of the offers that strangers make, matched in one pass over the text."""

from __future__ import annotations

from functools import cache

import re2

from mailward.content.lookalikes import folded
from mailward.content.packaged import DATA
from mailward.reputation.knowledge import lines


@cache
def _patterns() -> tuple[object, object, tuple[str, ...]]:
    """A pattern that finds any phrase, and one with a group for each kind: telling which costs ten times as much as telling whether."""
    kinds, groups = [], []
    for line in lines(DATA / "lures.txt"):
        kind, _, phrases = line.partition(":")
        kinds.append(kind.strip())
        groups.append("|".join(re2.escape(p.strip().rstrip("*")) + ("" if p.strip().endswith("*") else r"\b") for p in phrases.split("|")))
    anything = re2.compile(r"(?:^|\W)(?:" + "|".join(groups) + ")")
    told_apart = re2.compile(r"(?:^|\W)(?:" + "|".join(f"({group})" for group in groups) + ")")
    return anything, told_apart, tuple(kinds)


def lures(text: str) -> dict[str, int]:
    """Count the different phrases of each kind in lower-case text."""
    any_phrase, pattern, kinds = _patterns()
    written = folded(text).encode("utf-8", "replace")
    if not any_phrase.search(written):  # type: ignore[attr-defined]
        return {}
    found: set[tuple[int, bytes]] = set()
    for match in pattern.finditer(written):  # type: ignore[attr-defined]
        found.add((match.lastindex - 1, match.group(match.lastindex)))
    counts: dict[str, int] = {}
    for index, _ in sorted(found):
        counts[kinds[index]] = counts.get(kinds[index], 0) + 1
    return counts
