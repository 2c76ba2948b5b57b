"""Words that services put beside their names, in names of senders and of hosts."""

from __future__ import annotations

from functools import cache
from typing import Any

import re2

from mailward.phishing.packaged import DATA


@cache
def service_words() -> frozenset[str]:
    """Lower case, accents dropped."""
    text = (DATA / "service_words.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


@cache
def _service() -> Any:
    words = "|".join(re2.escape(word) for word in service_words() if len(word) > 1)
    return re2.compile(f"(?:{words}|[0-9]+)+")


def of_service(text: str) -> bool:
    """Whether a piece of a host name is made of such words and digits only ("securelogin24")."""
    return text in service_words() or _service().fullmatch(text) is not None
