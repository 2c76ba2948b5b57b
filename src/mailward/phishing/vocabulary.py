"""Words that services put beside their names, in names of senders and of hosts."""

from __future__ import annotations

from functools import cache
from typing import Any

import re2

from mailward.phishing.packaged import DATA


@cache
def service_words() -> frozenset[str]:
    """Lower case, accents dropped."""
    return _packaged("service_words.txt") | pressing_words()


@cache
def pressing_words() -> frozenset[str]:
    """Those by which a page asks for something."""
    return _packaged("pressing_words.txt")


def _packaged(name: str) -> frozenset[str]:
    text = (DATA / name).read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


@cache
def _service() -> Any:
    words = "|".join(re2.escape(word) for word in service_words() if len(word) > 1)
    return re2.compile(f"(?:{words}|[0-9]+)+")


@cache
def _pressing() -> Any:
    pressing = "|".join(re2.escape(word) for word in pressing_words())
    others = "|".join(re2.escape(word) for word in service_words() if len(word) > 1)
    return re2.compile(f"(?:{others}|[0-9]+)*(?:{pressing})(?:{others}|[0-9]+)*")


def presses(text: str) -> bool:
    """Whether a piece of a host name asks for something and holds nothing but words of services ("securelogin24")."""
    return text in pressing_words() or _pressing().fullmatch(text) is not None


def of_service(text: str) -> bool:
    """Whether a piece of a host name is made of such words and digits only ("securelogin24")."""
    return text in service_words() or _service().fullmatch(text) is not None
