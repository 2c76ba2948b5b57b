"""Rates URLs. What people here said comes first, then evidence, feeds, packaged lists, imported popularity, and last the look of the name.

Pure but for following the published tables; nothing is asked or fetched.
"""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

from mailward.reputation.knowledge import Known, known_host
from mailward.reputation.url import model
from mailward.reputation.url.entry import Entry, EntryKind
from mailward.reputation.url.imports import HOST_RATING
from mailward.reputation.url.knowledge import UrlKnowledge
from mailward.reputation.url.model import UrlModel, reasons
from mailward.reputation.url.place import Place, Scope, place_of
from mailward.reputation.url.rating import Band, Rating, band_of

ADDRESS_RATING = 60  # the host is an address: wanted mail does that once in a thousand links
LISTED_ADDRESS_RATING = 40  # and our own databases list it
LOOKS_DANGEROUS, LOOKS_HIGHLY_SUSPICIOUS, LOOKS_SUSPICIOUS = 40, 60, 75  # what the model says, by how sure it is
POPULAR_RATING, SCHOOL_RATING = 85, 83  # popularity is a hint; it is never the whole of a reason to be safe
RANKED_RATING, WELL_RANKED = 82, 100_000  # imported lists of a million names: only their upper part says something by itself
NEW_DAYS = 7  # a domain first seen here since then is called new
NOTHING = "nothing is known of it"
_GIVEN_AWAY = Known.HOSTING | Known.DYNAMIC | Known.SHORTENER | Known.IMAGES
CACHED = 1 << 14
FOLLOW_SECONDS = 0.5  # how often newer tables are looked for
FORGET_SECONDS = 30.0  # how long a rating is remembered: entries end by themselves


class Rater:
    """One a process; made before the fork, its weights and tables are shared. `knowledge`: what is published here, None: nothing."""

    def __init__(self, weights: UrlModel, knowledge: UrlKnowledge | None = None, new_days: int = NEW_DAYS) -> None:
        self._model = weights
        self._knowledge = knowledge
        self._new_days = new_days
        self._cached = lru_cache(CACHED)(self._rate)
        self._looked = self._cleared = time.monotonic()

    @property
    def name(self) -> str:
        return self._model.settings.name

    def rate(self, url: str) -> Rating:
        """What is known of a URL. Never raises; what no browser could open is untested. Newer tables count within FOLLOW_SECONDS."""
        if self._knowledge is not None and (now := time.monotonic()) >= self._looked + FOLLOW_SECONDS:
            self._take_up(self._knowledge, now)
        return self._cached(url)

    def _take_up(self, knowledge: UrlKnowledge, now: float) -> None:
        self._looked = now
        if knowledge.follow() or now >= self._cleared + FORGET_SECONDS:
            self._cleared = now
            self._cached.cache_clear()

    def _rate(self, url: str) -> Rating:
        place = place_of(url)
        if place is None:
            return _unread(url)
        found = self._known(place) if self._knowledge is not None else None
        if found is not None:
            return found
        if place.is_address:
            return Rating(place.url, ADDRESS_RATING, "it leads to a bare IP address", "address")
        return self._hinted(self._by_name(place.url, place.host, place.path), place)

    def _known(self, place: Place) -> Rating | None:
        """What tables say of the place."""
        knowledge, now = self._knowledge, time.time()
        assert knowledge is not None
        for found, says in (
            (knowledge.rated(place, now), _said_by_a_person),
            (knowledge.observed(place, now), _seen),
            (knowledge.listed(place, now), _listed),
        ):
            if found is not None:
                source = {EntryKind.RATED: "own", EntryKind.EVIDENCE: "evidence"}.get(found.kind, f"feed:{found.origin}")
                return Rating(place.url, found.rating, f"{says(found)} since {_day(found.since)}", source, found.since, found.until)
        standing = knowledge.standing(place, now)
        if standing is not None:
            words = f"it leads to a bare IP address that is listed here as {standing.kind.words} since {_day(standing.since)}"
            return Rating(place.url, LISTED_ADDRESS_RATING, words, f"ip:{standing.kind.database}", standing.since, standing.until)
        return None

    def _hinted(self, found: Rating, place: Place) -> Rating:
        """With what popularity and the life of the domain add. Neither makes a safe place of one where anybody can put pages."""
        if self._knowledge is None or found.band is Band.SAFE or found.source.startswith("list:"):
            return found
        now = time.time()
        rank, origin = self._knowledge.rank(place, now)
        if rank:
            return _ranked(found, rank, origin, given_away=bool(known_host(place.host) & _GIVEN_AWAY))
        if (age := self._knowledge.young(place, now)) is not None:
            return _young(found, age)
        days = self._knowledge.first_seen(place, now)
        if days is None or days >= self._new_days:
            return found
        seen = (
            "never seen in mail here before today" if days == 0 else f"first seen in mail here {days} {'day' if days == 1 else 'days'} ago"
        )
        return Rating(found.url, found.rating, f"{found.why}; its domain was {seen}", found.source)

    def _by_name(self, url: str, host: str, path: str) -> Rating:
        if "." not in host:
            return Rating(url, None, "its host is no name of the internet", "")
        if answer := answered(host):
            return Rating(url, *answer)
        return self._by_look(url, host, path)

    def _by_look(self, url: str, host: str, path: str) -> Rating:
        settings, look = self._model.settings, self._model.look(host, path)
        for threshold, rating, sure in (
            (settings.dangerous, LOOKS_DANGEROUS, "much"),
            (settings.highly_suspicious, LOOKS_HIGHLY_SUSPICIOUS, "a lot"),
            (settings.suspicious, LOOKS_SUSPICIOUS, "somewhat"),
        ):
            if look.score >= threshold:
                return Rating(url, rating, f"it looks {sure} like phishing: {'; '.join(reasons(look))}", f"model:{settings.name}")
        return Rating(url, None, NOTHING, "")


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


def _unread(url: str) -> Rating:
    scheme = url.partition(":")[0].strip().lower()
    if scheme.isalpha() and scheme not in ("http", "https", "ftp"):
        return Rating(url, None, "it does not lead to the web", "")
    return Rating(url, None, "it is no address a browser could open", "")


_WHAT = {Scope.URL: "it", Scope.PATH: "its folder", Scope.HOST: "its host", Scope.DOMAIN: "its domain"}


def _said_by_a_person(entry: Entry) -> str:
    reason = f" ({entry.text})" if entry.text else ""
    return f"{_WHAT[entry.scope]} is rated {band_of(entry.rating)} by {entry.origin or 'the administrator'}{reason}"


def _seen(entry: Entry) -> str:
    times = "once" if entry.pieces == 1 else f"{entry.pieces} times"
    return f"{_WHAT[entry.scope]} was in bad mail from new or listed sources, or reported, {times} here"


def _listed(entry: Entry) -> str:
    more = f" ({entry.text})" if entry.text else ""
    if entry.scope is Scope.HOST and entry.kind.rating < HOST_RATING == entry.rating:
        return f"another page of its host is listed by {entry.origin} as {entry.kind.words}{more}"
    return f"{_WHAT[entry.scope]} is listed by {entry.origin} as {entry.kind.words}{more}"


def _ranked(found: Rating, rank: int, origin: str, *, given_away: bool) -> Rating:
    """Popular names are seldom made for one mailing: what the model says of them counts one step less."""
    words = f"{origin} ranks its domain at {rank:,}"
    if given_away:
        return found
    if found.rating is None:
        if rank <= WELL_RANKED:
            return Rating(found.url, RANKED_RATING, f"{words}, and nobody else can put pages there", f"feed:{origin}")
        return Rating(found.url, None, f"nothing is known of it but that {words}", f"feed:{origin}")
    milder = {LOOKS_DANGEROUS: LOOKS_HIGHLY_SUSPICIOUS, LOOKS_HIGHLY_SUSPICIOUS: LOOKS_SUSPICIOUS}.get(found.rating)
    return Rating(found.url, milder, f"{found.why}, but {words}", found.source)


def _young(found: Rating, days: int) -> Rating:
    """Most domains made for one mailing are used within days: what nothing is known of is suspicious, and the look counts one step more."""
    worse = {None: LOOKS_SUSPICIOUS, LOOKS_SUSPICIOUS: LOOKS_HIGHLY_SUSPICIOUS, LOOKS_HIGHLY_SUSPICIOUS: LOOKS_DANGEROUS}
    when = "today" if days == 0 else f"{days} {'day' if days == 1 else 'days'} ago"
    rating = worse.get(found.rating, found.rating)
    return Rating(found.url, rating, f"{found.why}; its domain was registered {when}", found.source or "registration")


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def load(snapshots: Path | None = None, new_days: int = NEW_DAYS) -> Rater:
    """The rater with the packaged lists and model, and with what is published in a folder of snapshots."""
    return Rater(model.load(), UrlKnowledge(snapshots) if snapshots is not None else None, new_days)
