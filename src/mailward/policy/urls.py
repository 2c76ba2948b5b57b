"""Lists of URLs: a host with all its sub-domains, or a host with the beginning of a path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import can_ada

from mailward.policy.addresses import canonical_domain
from mailward.policy.lists import EntryList
from mailward.policy.problems import EntryError

MAX_STEPS = 8  # folders of a path an entry may name; a look-up tries each with each sub-domain
_SCHEME = re.compile(r"(?i)https?://")
_HOST = re.compile(r"(?=.{1,253}$)(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)+(?!-)[a-z0-9-]{1,63}(?<!-)")


class UrlList(EntryList):
    """URLs: `example.com` for the host and all below it, `example.com/a/b` for that path and all below it.

    A path is compared by whole steps and with case: `/a/b` matches /a/b, /a/b/c and /a/b?d, but not /a/bc.
    """

    __slots__ = ()
    what = "URLs"

    @staticmethod
    def read(entry: str) -> tuple[str, str]:
        normal = _url(entry)
        return normal, normal

    def match(self, url: str) -> str | None:
        """The entry that matches a URL as a browser reads it, or None: the longest host first, of that the longest path."""
        if not self._index and not self._added:
            return None
        host, path = place(url)
        return next((found for key in _keys(host, path) if (found := self._find(key))), None)


@lru_cache(maxsize=4096)
def place(url: str) -> tuple[str, str]:
    """Host (without a dot at its end) and path of a URL as a browser reads it; empty where no browser could open it."""
    try:
        parsed = can_ada.parse(url)
    except ValueError:
        return "", ""
    return parsed.hostname.rstrip("."), parsed.pathname


def hosts_above(host: str) -> Iterator[str]:
    """The host and every domain it is below, the longest first; the top-level domain is left out."""
    while "." in host:
        yield host
        host = host.partition(".")[2]


def _keys(host: str, path: str) -> Iterator[str]:
    steps = [step for step in path.split("/", MAX_STEPS + 1)[1 : MAX_STEPS + 1] if step]
    for domain in hosts_above(host):
        for count in range(len(steps), 0, -1):
            yield f"{domain}/{'/'.join(steps[:count])}"
        yield domain


def _url(entry: str) -> str:
    """Normal form of an entry. Raises EntryError."""
    text = _SCHEME.sub("", entry.strip(), count=1)
    if not text:
        raise EntryError("the entry is empty", "Remove it.")
    host, _, path = text.partition("/")
    if "*" in text:
        raise EntryError(f"{entry!r} has a * in it", "Write the host alone: example.com stands for all its sub-domains too.")
    if "@" in text or ":" in host or "?" in text or "#" in text:
        raise EntryError(f"{entry!r} is more than a host and a path", "Write example.com or example.com/path.")
    domain = canonical_domain(host)
    if domain.replace(".", "").isdigit():
        raise EntryError(f"{entry!r} is an IP address", "Approve a host by its name.")
    if not _HOST.fullmatch(domain):
        raise EntryError(f"{host!r} is no full host name", "Write it with its top-level domain, such as example.com.")
    try:
        read = can_ada.parse(f"http://{domain}/{path}").pathname
    except ValueError:
        raise EntryError(f"{entry!r} is nothing a browser could open", "Write example.com or example.com/path.") from None
    steps = [step for step in read.split("/") if step]
    if len(steps) > MAX_STEPS:
        raise EntryError(f"{entry!r} names {len(steps)} folders", f"Name at most {MAX_STEPS}.")
    return "/".join([domain, *steps])
