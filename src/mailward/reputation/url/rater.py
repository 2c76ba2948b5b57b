"""Rates URLs: what lists know of the host first, then what its name and path look like. Pure; nothing is asked or fetched."""

from __future__ import annotations

from functools import lru_cache

import can_ada

from mailward.message.received import canonical_ip
from mailward.reputation.knowledge import Known, known_host
from mailward.reputation.url import model
from mailward.reputation.url.features import name_of
from mailward.reputation.url.model import UrlModel, reasons
from mailward.reputation.url.rating import Rating

ADDRESS_RATING = 60  # the host is an address: wanted mail does that once in a thousand links
LOOKS_DANGEROUS, LOOKS_HIGHLY_SUSPICIOUS, LOOKS_SUSPICIOUS = 40, 60, 75  # what the model says, by how sure it is
POPULAR_RATING, SCHOOL_RATING = 85, 83  # popularity is a hint; it is never the whole of a reason to be safe
_GIVEN_AWAY = Known.HOSTING | Known.DYNAMIC | Known.SHORTENER | Known.IMAGES
_WEB = frozenset({"http:", "https:", "ftp:"})
_ENDS_ADDRESS = frozenset("0123456789]")  # as browsers write them
CACHED = 1 << 14


class Rater:
    """One a process; made before the fork, its weights are shared."""

    def __init__(self, weights: UrlModel) -> None:
        self._model = weights
        self._cached = lru_cache(CACHED)(self._rate)

    @property
    def name(self) -> str:
        return self._model.settings.name

    def rate(self, url: str) -> Rating:
        """What is known of a URL. Never raises; what no browser could open is untested."""
        return self._cached(url)

    def _rate(self, url: str) -> Rating:
        try:
            parsed = can_ada.parse(url)
        except ValueError:
            return Rating(url, None, "it is no address a browser could open", "")
        if parsed.protocol not in _WEB:
            return Rating(parsed.href, None, "it does not lead to the web", "")
        host = parsed.hostname.rstrip(".").removeprefix("www.")
        return self._by_name(parsed.href, host, parsed.pathname + parsed.search)

    def _by_name(self, url: str, host: str, path: str) -> Rating:
        if host[-1:] in _ENDS_ADDRESS and canonical_ip(host.strip("[]")):
            return Rating(url, ADDRESS_RATING, "it leads to a bare IP address", "address")
        if "." not in host:
            return Rating(url, None, "its host is no name of the internet", "")
        if answer := answered(host):
            return Rating(url, *answer)
        return self._by_look(url, host, path)

    def _by_look(self, url: str, host: str, path: str) -> Rating:
        settings, look = self._model.settings, self._model.look(name_of(host), path)
        for threshold, rating, sure in (
            (settings.dangerous, LOOKS_DANGEROUS, "much"),
            (settings.highly_suspicious, LOOKS_HIGHLY_SUSPICIOUS, "a lot"),
            (settings.suspicious, LOOKS_SUSPICIOUS, "somewhat"),
        ):
            if look.score >= threshold:
                return Rating(url, rating, f"it looks {sure} like phishing: {'; '.join(reasons(look))}", f"model:{settings.name}")
        return Rating(url, None, "nothing is known of it", "")


def answered(host: str) -> tuple[int | None, str, str] | None:
    """Rating, reason and source where the packaged lists say enough of a host, so that its look does not matter."""
    flags = known_host(host)
    if flags & Known.SHORTENER:
        return None, "a shortener hides where it leads", "list:shorteners"
    if flags & Known.PLATFORM:
        return None, "a sending service carries what anybody sends, and its links hide where they lead", "list:platforms"
    if flags & _GIVEN_AWAY:
        return None
    if flags & (Known.POPULAR | Known.BANK):
        return POPULAR_RATING, "its site is well known, and nobody else can put pages there", "list:popular"
    if flags & Known.SCHOOL:
        return SCHOOL_RATING, "it belongs to a university", "list:schools"
    return None


def load() -> Rater:
    """The rater with the packaged lists and model."""
    return Rater(model.load())
