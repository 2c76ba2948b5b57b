"""What is known about domains without asking anyone: packaged lists, looked up by registrable domain."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from mailward.message import domains


class Known:
    """What a packaged list says of a domain: bits of a plain number, because `IntFlag` costs a hundred times as much to look at."""

    POPULAR = 1  # among the hundred thousand most looked up (Cloudflare Radar, CC0)
    FREEMAIL = 2  # anybody can have an address there
    DISPOSABLE = 4  # throw-away addresses
    DYNAMIC = 8  # dynamic DNS: names for machines at home, by anybody
    SHORTENER = 16  # hides where a link goes
    HOSTING = 32  # anybody can put a page there
    BANK = 64
    SCHOOL = 128
    PLATFORM = 256  # sends mail for others
    PROVIDER = 512  # carries the mail of many people
    IMAGES = 1024  # anybody can put a picture there


DATA = resources.files("mailward.reputation") / "data"


def domain_key(domain: str) -> int:
    """Return the 64-bit key under which a domain stands in the packaged list."""
    return int.from_bytes(hashlib.blake2b(domain.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


@cache
def _table() -> tuple[memoryview, memoryview]:
    """Sorted keys and the flags that belong to them, memory-mapped."""
    folder = Path(str(DATA))
    keys, flags = (np.load(folder / name, mmap_mode="r") for name in ("domain_keys.npy", "domain_flags.npy"))
    return keys.data, flags.data


@lru_cache(1 << 14)
def registrable(host: str) -> str:
    """Return the part of a host name somebody registered, private suffixes included; the host itself where there is none."""
    return domains.registrable(host) or host


@lru_cache(1 << 14)
def known(domain: str) -> int:
    """What the lists say of exactly this domain."""
    if not domain:
        return 0
    keys, flags = _table()
    key = domain_key(domain)
    index = bisect_left(keys, key)  # a tenth of the time of np.searchsorted for a single key
    return int(flags[index]) if index < len(keys) and keys[index] == key else 0


@lru_cache(1 << 14)
def known_host(host: str) -> int:
    """What the lists say of a host: of itself and of the domains above it down to the registrable one."""
    result = 0
    end = registrable(host)
    while host:
        result |= known(host)
        if host == end:
            break
        host = host.partition(".")[2]
    return result


@dataclass(frozen=True, slots=True)
class Brand:
    name: str
    labels: frozenset[str]


def lines(list_: Traversable) -> list[str]:
    """Return the lines of a packaged list without comments."""
    text = list_.read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


@cache
def abused_suffixes() -> dict[str, float]:
    """Top-level domains with far more spam than wanted mail, and how much so (0 to 1)."""
    return {name: float(strength) for name, strength in (line.rsplit(" ", 1) for line in lines(DATA / "abused_tlds.txt"))}


@lru_cache(1 << 14)
def abuse(host: str) -> float:
    """How far the suffix of a host is one that spam prefers, 0 to 1."""
    suffixes = abused_suffixes()
    return max(suffixes.get(host.rpartition(".")[2], 0.0), suffixes.get(".".join(host.split(".")[-2:]), 0.0))


@cache
def brands() -> tuple[Brand, ...]:
    return tuple(
        Brand(name.strip(), frozenset(labels.split())) for name, _, labels in (line.partition(":") for line in lines(DATA / "brands.txt"))
    )


@cache
def _brands_by_word() -> tuple[dict[str, Brand], tuple[Brand, ...]]:
    """Brands of one word by that word, and the others."""
    single = {brand.name: brand for brand in brands() if " " not in brand.name}
    return single, tuple(brand for brand in brands() if " " in brand.name)


def brands_named(words: str) -> list[Brand]:
    """The brands whose names stand in a text of lower-case words, one blank between and around them."""
    single, several = _brands_by_word()
    return [single[word] for word in words.split() if word in single] + [brand for brand in several if f" {brand.name} " in words]


@lru_cache(1 << 14)
def brand_in_domain(domain: str) -> bool:
    """Whether a domain holds the name of a brand that does not own it. Short names are in too many words to tell."""
    compact = domain.replace("-", "").replace(".", "")
    label = registrable(domain).partition(".")[0]
    return any(len(brand.name) >= 5 and brand.name.replace(" ", "") in compact and label not in brand.labels for brand in brands())
