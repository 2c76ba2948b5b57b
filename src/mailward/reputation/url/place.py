"""Where a URL leads, as the keys under which knowledge of it is kept: from the exact URL to the registrable domain.

Scheme, fragment, user and a leading `www.` do not change the place; a port and a query do. Keys are 64 bits of a keyed digest:
with a salt of its own for each site nobody can make up a name that falls on the entry of another.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import can_ada

from mailward.message import domains
from mailward.message.received import canonical_ip

MAX_STEPS = 8  # folders of a path that an entry may name
MAX_URL = 8192  # characters
SALT_OCTETS = 16
_WEB = frozenset({"http:", "https:", "ftp:"})


class Scope(StrEnum):
    """How much an entry speaks of, the most exact first."""

    URL = "url"  # exactly that address
    PATH = "path"  # that folder of a host and all below it
    HOST = "host"  # exactly that host; an IP address is one
    DOMAIN = "domain"  # that name and all below it


class Place(NamedTuple):
    """A URL taken apart. `host` in A-labels without `www.`, or an IP address in canonical form; `port` is "" for the usual one."""

    url: str  # as a browser reads it
    host: str
    port: str
    path: str  # with the query
    is_address: bool

    @property
    def exact(self) -> str:
        return f"{self.host}:{self.port}{self.path}" if self.port else f"{self.host}{self.path}"

    @property
    def domain(self) -> str:
        """The registrable domain; the host itself where there is none."""
        return self.host if self.is_address else registrable(self.host)


def place_of(url: str) -> Place | None:
    """Take a URL apart; None for what no browser would open as http, https or ftp."""
    try:
        parsed = can_ada.parse(url)
    except (ValueError, TypeError):  # lone surrogates are no URL
        return None
    if parsed.protocol not in _WEB or not parsed.hostname:
        return None
    name = parsed.hostname
    address = canonical_ip(name.strip("[]")) if name[-1] == "]" or name[-1].isdigit() else None  # whose last label is a number is one
    host = address or bare(name)
    return Place(parsed.href, host, parsed.port, parsed.pathname + parsed.search, address is not None)


@lru_cache(1 << 14)
def bare(host: str) -> str:
    """A host without the dot at its end and without `www.`, where a name is left."""
    host = host.rstrip(".")
    rest = host.removeprefix("www.")
    return rest if rest is not host and domains.registrable(rest) else host


@lru_cache(1 << 14)
def registrable(host: str) -> str:
    return domains.registrable(host) or host


@lru_cache(1 << 14)
def above(host: str) -> tuple[str, ...]:
    """The host and the domains above it down to the registrable one, the longest first."""
    return tuple(_above(host, registrable(host)))


def _above(host: str, end: str) -> Iterator[str]:
    while host:
        yield host
        if host == end:
            return
        host = host.partition(".")[2]


@lru_cache(1 << 14)
def far_above(host: str) -> tuple[str, ...]:
    """The same, and on to the name of two labels: a person may speak of a suffix whose names are given away."""
    return tuple(name for name in _above(host, "") if "." in name) or (host,)


def steps(path: str) -> tuple[str, ...]:
    """The folders of a path, at most MAX_STEPS."""
    return tuple(step for step in path.partition("?")[0].split("/", MAX_STEPS + 1)[1 : MAX_STEPS + 1] if step)


def text(scope: Scope, name: str) -> str:
    """What is digested for an entry."""
    return _MARKS[scope] + name


URL, PATH, HOST, DOMAIN = "u:", "p:", "h:", "d:"  # how the texts of the scopes begin
_MARKS = {Scope.URL: URL, Scope.PATH: PATH, Scope.HOST: HOST, Scope.DOMAIN: DOMAIN}


class Keying:
    """Makes keys with one salt."""

    __slots__ = ("_start", "salt")

    def __init__(self, salt: bytes) -> None:
        self.salt = salt
        self._start: Any = hashlib.blake2b(key=salt, digest_size=8)

    def key(self, text: str) -> int:
        digest = self._start.copy()
        digest.update(text.encode("utf-8", "replace"))
        return int.from_bytes(digest.digest(), "little")


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_OCTETS)
