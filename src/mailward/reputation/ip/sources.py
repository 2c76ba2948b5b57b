"""Lists that the operator names in the settings: `NAME KIND LOCATION [every 6h] [expires 7d] [format F] [at-least N]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from mailward.reputation.ip.formats import Format
from mailward.reputation.listing import BY_LABEL, Database, ListingKind

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")  # of a list, and of its file: no dot, no slash
EVERY = 6 * 3600  # seconds, and how often at most and at least
MIN_EVERY, MAX_EVERY = 15 * 60, 30 * 86400
EXPIRES = 7 * 86400  # after the last time the list came in, or was said not to have changed
MAX_EXPIRES = 365 * 86400
_UNITS = {"m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """Read "30m", "6h", "7d". Raises ValueError with words."""
    found = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is no time; write minutes, hours or days: 30m, 6h, 7d")
    return int(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True, slots=True)
class ListSource:
    """A list to be fetched. Times in seconds."""

    name: str
    kind: ListingKind
    location: str  # https://... or /path
    every: int = EVERY
    expires: int = EXPIRES
    format: Format | None = None
    at_least: int = 1

    @property
    def place(self) -> str:
        """Where the list is, without what may be secret."""
        return shown(self.location) if self.location.startswith("https://") else self.location


def list_kind(label: str) -> ListingKind:
    """A kind of the standard database by its label. Raises ValueError with words."""
    found = BY_LABEL.get(label)
    if found is None or found.database is not Database.STANDARD:
        known = ", ".join(kind.label for kind in ListingKind if kind.database is Database.STANDARD)
        raise ValueError(f"{label!r} is no kind of list; there are {known}")
    return found


def read_source(text: str) -> ListSource:
    """Read a list as it is named in the settings. Raises ValueError with words for an administrator."""
    words = text.split()
    if len(words) < 3 or len(words) % 2 == 0:
        raise ValueError(f"{text!r} is not NAME KIND LOCATION, then every TIME, expires TIME, format FORMAT or at-least NUMBER")
    name, kind, location = words[:3]
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a list; take up to 60 small letters, digits, - and _")
    options = dict(zip(words[3::2], words[4::2], strict=True))
    every = seconds(options.pop("every", f"{EVERY // 3600}h"))
    expires = seconds(options.pop("expires", f"{EXPIRES // 86400}d"))
    if not MIN_EVERY <= every <= MAX_EVERY or not every <= expires <= MAX_EXPIRES:
        raise ValueError(f"{name}: a list is fetched every 15m to 30d, and expires after that, within 365d")
    format, at_least = options.pop("format", ""), options.pop("at-least", "1")
    if format and format not in set(Format):
        raise ValueError(f"{format!r} is no format; there are {', '.join(Format)}")
    if not at_least.isdecimal() or len(at_least) > 6 or options:
        raise ValueError(f"{text!r} has something that is not every TIME, expires TIME, format FORMAT or at-least NUMBER")
    return ListSource(name, list_kind(kind), location_of(location), every, expires, Format(format) if format else None, int(at_least))


def location_of(text: str) -> str:
    parts = urlsplit(text)
    if text.startswith("/"):
        return text
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{text[:60]!r} is neither https://... nor the full path of a file")
    if "@" in parts.netloc:
        raise ValueError(f"https://{parts.hostname} is named with a password, which is not sent; use an address that needs none")
    return text


def shown(url: str) -> str:
    """The address without what may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + ("?..." if parts.query else "")
