"""Addresses and domains in the one form in which lists and assessments compare them."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=16_384)
def canonical_domain(domain: str) -> str:
    """Lower case, without the root dot, A-labels (RFC 5890) for U-labels. What cannot be converted stays as it is; never raises."""
    text = domain.strip().lower().removesuffix(".")
    if text.isascii():
        return text
    import idna  # costs 14 ms to load and few ever need it

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return text


def canonical_address(address: str) -> str:
    """`local@domain` in lower case with a canonical domain; angle brackets and white space around it are dropped. Never raises."""
    local, at, domain = address.strip().removeprefix("<").removesuffix(">").rpartition("@")
    return f"{local.lower()}@{canonical_domain(domain)}" if at else domain.lower()


def split_address(address: str) -> tuple[str, str]:
    """Local part and domain; the domain is "" where there is none."""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at else (domain, "")
