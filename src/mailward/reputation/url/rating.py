"""Ratings of URLs: 0 to 100, low is bad; bands; and the state of not being known (filters.md, section 4)."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Band(StrEnum):
    DANGEROUS = "dangerous"  # 0 to 50
    HIGHLY_SUSPICIOUS = "highly suspicious"  # 51 to 65
    SUSPICIOUS = "suspicious"  # 66 to 80
    SAFE = "safe"  # 81 to 100
    UNTESTED = "untested"  # nothing is known: a state of its own, never compared as a number


UNTESTED_SHOWN = 71  # what stands for "untested" where only a number can be shown


def band_of(rating: int) -> Band:
    """The band of a rating from 0 to 100."""
    if rating <= 50:
        return Band.DANGEROUS
    if rating <= 65:
        return Band.HIGHLY_SUSPICIOUS
    return Band.SUSPICIOUS if rating <= 80 else Band.SAFE


class Rating(msgspec.Struct, frozen=True, gc=False):
    """What is known of one URL. `rating` None: untested. `why`: a sentence; `source`: what knew it ("own", "evidence", "feed:urlhaus",
    "list:shorteners", "model:...").
    """

    url: str  # as a browser reads it (WHATWG), or as it was given where no browser could
    rating: int | None
    why: str
    source: str
    since: int = 0  # known to that source since then, seconds since 1970; 0: it does not say
    until: int = 0  # when that ends; 0: never, or nobody knows

    @property
    def band(self) -> Band:
        return Band.UNTESTED if self.rating is None else band_of(self.rating)


def defanged(url: str) -> str:
    """A URL that no program makes a link of: hxxp, and brackets around the dots of the host."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url.replace(".", "[.]")
    end = min([at for at in (rest.find(mark) for mark in "/?#") if at >= 0], default=len(rest))
    return f"{scheme.replace('tt', 'xx', 1)}://{rest[:end].replace('.', '[.]')}{rest[end:]}"
