"""Domain names by the public suffix list (packaged data, loaded at first use)."""

from __future__ import annotations

from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

from mailward.message.received import canonical_ip


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(maxsize=8192)
def registrable(host: str) -> str:
    """The registrable domain of a host (private section included); "" for none."""
    name = host.rstrip(".").lower()
    if "." not in name or len(name) > 255 or (name[-1:].isdigit() and canonical_ip(name)):
        return ""
    return _suffixes().privatesuffix(name) or ""


@cache
def top_level_domains() -> frozenset[str]:
    """The last labels of the public suffix list."""
    return frozenset(suffix for suffix in _suffixes()._publicsuffix if "." not in suffix)
