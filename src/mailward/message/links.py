"""Addresses written in plain sight: URLs in text, with and without a scheme."""

from __future__ import annotations

from functools import cache

import re2

from mailward.message import limits
from mailward.message.domains import top_level_domains

_URL = re2.compile(
    rb"(?i)(?:https?|ftp)://[^\s<>\"'`{}|\\^\x00-\x20]+"
    rb"|(?:^|[\s(<\[\"',;:>=|*])((?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}(?:[/?#:][^\s<>\"'`{}|\\^\x00-\x20]*)?)"
)
_TRAILING = b".,;:!?'\"*_~-"
_FILES = frozenset({b"py", b"sh", b"pl", b"rs", b"md", b"cc", b"so", b"zip", b"mov", b"ps", b"java", b"name", b"id", b"in", b"is", b"it", b"at", b"do", b"so", b"to", b"no"})


def urls(text: str, limit: int = limits.LINKS) -> list[str]:
    """Find at most `limit` URLs in text, in order, each once. Words with dots count only when they end in a known top-level domain."""
    if "." not in text:
        return []
    data = text.encode("utf-8", "replace")
    found: dict[bytes, None] = {}
    for m in _URL.finditer(data):
        bare = m.group(1)
        url = _trim(bare if bare is not None else m.group(0))
        if bare is not None and not _is_host(url):
            continue
        found[url[: limits.URL_LENGTH]] = None
        if len(found) >= limit:
            break
    return [url.decode("utf-8", "ignore") for url in found]


def _trim(url: bytes) -> bytes:
    url = url.rstrip(_TRAILING)
    for opening, closing in ((b"(", b")"), (b"[", b"]")):
        while url.endswith(closing) and url.count(closing) > url.count(opening):
            url = url[:-1].rstrip(_TRAILING)
    return url


def _is_host(url: bytes) -> bool:
    """Whether a word with dots is meant as an address: `www.` or a path, or an ending no file has, and a known top-level domain."""
    host, slash, _ = url.partition(b"/")
    host = host.partition(b":")[0].partition(b"?")[0].partition(b"#")[0].lower()
    ending = host.rpartition(b".")[2]
    if ending not in _endings():
        return False
    return bool(slash) or host.startswith(b"www.") or ending not in _FILES


@cache
def _endings() -> frozenset[bytes]:
    return frozenset(name.encode("ascii") for name in top_level_domains() if name.isascii())
