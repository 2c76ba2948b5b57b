"""Which feeds are fetched: how the settings name them, and what the packaged catalogue says of well-known ones."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache

import msgspec

from mailward.reputation.ip.sources import MAX_EVERY, MAX_EXPIRES, MIN_EVERY, NAME, location_of, seconds, shown
from mailward.reputation.knowledge import DATA
from mailward.reputation.url.entry import FEED_KINDS, EntryKind
from mailward.reputation.url.formats import FeedFormat

CATALOGUE = "url/feeds.toml"
_KEY = re.compile(r"/(?=[^/]*[0-9])[0-9A-Za-z_-]{16,}(?=/|$)")


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the catalogue says of a feed. Nothing of it is fetched unless the settings name it."""

    title: str
    site: str
    terms: str
    kind: str
    format: str
    address: str = ""  # "" where everybody gets one of their own
    rating: int = -1  # -1: that of the kind
    every: str = "6h"
    expires: str = "7d"


@dataclass(frozen=True, slots=True)
class FeedSource:
    """A feed to be fetched. Times in seconds; `location` is https://... or /path."""

    name: str
    kind: EntryKind
    location: str
    every: int
    expires: int
    rating: int
    format: FeedFormat | None = None

    @property
    def place(self) -> str:
        """Where the feed is, without what may be secret: what stands behind `?`, and folders that look like keys."""
        return _KEY.sub("/...", shown(self.location)) if self.location.startswith("https://") else self.location


@cache
def catalogue() -> dict[str, Offer]:
    """The packaged catalogue by name."""
    return msgspec.convert(tomllib.loads((DATA / CATALOGUE).read_text("utf-8")), dict[str, Offer])


def feed_source(
    name: str, source: str = "", format: str = "", every: str = "", expires: str = "", kind: str = "", rating: int = -1
) -> FeedSource:
    """A feed as the settings name it; what they leave out is taken from the catalogue. Raises ValueError with words."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a feed; take up to 60 small letters, digits, - and _")
    offer = catalogue().get(name)
    source = source or (offer.address if offer else "")
    if not source:
        known = "" if offer else f" and is not in the catalogue ({', '.join(catalogue())})"
        raise ValueError(f'the feed {name} names no source{known}; write source = "https://..." or the full path of a file')
    chosen = feed_kind(kind or (offer.kind if offer else EntryKind.SUSPICIOUS.label))
    period, end = seconds(every or (offer.every if offer else "6h")), seconds(expires or (offer.expires if offer else "7d"))
    if not MIN_EVERY <= period <= MAX_EVERY or not period <= end <= MAX_EXPIRES:
        raise ValueError(f"{name}: a feed is fetched every 15m to 30d, and expires after that, within 365d")
    format = format or (offer.format if offer and not source.startswith("/") else "")
    if rating < 0:
        rating = offer.rating if offer and offer.rating >= 0 and offer.kind == chosen.label else chosen.rating
    return FeedSource(name, chosen, location_of(source), period, end, rating, feed_format(format))


def feed_kind(label: str) -> EntryKind:
    found = FEED_KINDS.get(label)
    if found is None:
        raise ValueError(f"{label!r} is no kind of feed; there are {', '.join(FEED_KINDS)}")
    return found


def feed_format(text: str) -> FeedFormat | None:
    """None for "": it is found out."""
    if text and text not in set(FeedFormat):
        raise ValueError(f"{text!r} is no format of a feed; there are {', '.join(FeedFormat)}")
    return FeedFormat(text) if text else None
