"""Words that services put beside their names, in names of senders and of hosts."""

from __future__ import annotations

from functools import cache

from mailward.phishing.packaged import DATA


@cache
def service_words() -> frozenset[str]:
    """Lower case, accents dropped."""
    text = (DATA / "service_words.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
