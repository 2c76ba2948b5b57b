"""Addresses written in plain sight: URLs in text, with and without a scheme."""

from __future__ import annotations

from functools import cache

import re2

from mailward.message import limits
from mailward.message.domains import top_level_domains

_URL = re2.compile(
    rb"(?i)(?:https?|ftp)://[^\s<>\"'`{}|\\^\x00-\x20]+"
    rb"|(?:^|[\s(<\[\"',;:>=|*])(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}(?:[/?#:][^\s<>\"'`{}|\\^\x00-\x20]*)?"
)  # without groups: telling where they are takes as long as finding the whole
_BEFORE = b" \t\n\x0b\x0c\r(<[\"',;:>=|*"  # what may stand in front of an address without a scheme
_SCHEMES = (b"http://", b"https://", b"ftp://")
_TRAILING = b".,;:!?'\"*_~-"
_COMMON_ENDINGS = frozenset(
    b"""com net org info biz edu gov mil mobi pro xyz top shop online site club store website space icu live click link vip win bid loan
    work men party trade date review stream racing download gdn buzz cyou rest fun monster sbs cfd bond beauty hair skin makeup quest
    digital agency email support services solutions world today news blog cloud app page tech global group media company center life
    network systems finance money bank credit love one best ltd gmbh asia cat coop jobs tel travel museum aero""".split()
)
"""Generic endings that make a bare word with dots an address; two-letter ones do so too unless programs' files end in them."""
_FILES = frozenset(b"py sh pl rs md cc so ps tf ml mm ai in is it at do to no id me my be am as so st hm la re".split())


def urls(text: str, limit: int = limits.LINKS) -> list[str]:
    """Find at most `limit` URLs in text, in order, each once. Words with dots count only when they end in a known top-level domain."""
    if "." not in text and "://" not in text:
        return []
    data = text.encode("utf-8", "replace")
    found: dict[bytes, None] = {}
    for m in _URL.finditer(data):
        whole = m.group(0)
        url = _trim(whole.lstrip(_BEFORE))
        if not whole[:8].lower().startswith(_SCHEMES) and not _is_host(url, data[m.end() : m.end() + 1]):
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


def _is_host(url: bytes, following: bytes) -> bool:
    """Whether a word with dots is meant as an address.

    With `www.` or a path any known top-level domain will do. A bare host has to end in a usual one, and text that goes on
    like program code (`pdata.host->x`, `list.info[0]`) is none.
    """
    host, slash, _ = url.partition(b"/")
    host = host.partition(b":")[0].partition(b"?")[0].partition(b"#")[0].lower()
    ending = host.rpartition(b".")[2]
    if ending not in _endings():
        return False
    if host.startswith(b"www.") or slash:
        return True
    if following and following in b"(=[_-@&{\\":
        return False
    return ending in _COMMON_ENDINGS or (len(ending) == 2 and ending not in _FILES)


@cache
def _endings() -> frozenset[bytes]:
    return frozenset(name.encode("ascii") for name in top_level_domains() if name.isascii())
