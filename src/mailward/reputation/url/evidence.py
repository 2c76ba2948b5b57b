"""Evidence about places on the web: which place a bad URL gives away, and the file in which that travels to the process that learns.

A sibling of `reputation/evidence.py` with a file of its own: domains are no addresses, most lines only say that a domain was
seen, and what links people get is sent to no other node. A line: seconds since 1970, kind, weight, scope and name, who observed
it, detail, with tabs between.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mailward.reputation import spool
from mailward.reputation.knowledge import Known, known, known_host
from mailward.reputation.url.place import Place, Scope, place_of

SPOOL, OLD_SPOOL = "evidence.tsv", "evidence.1.tsv"  # below `<reputation folder>/urls`
MAX_TEXT = 120  # characters kept of `by` and `detail`
MAX_NAME = 1000  # characters of a URL that evidence is kept about
MAX_WEIGHT = 100.0
MAX_PLACES = 5  # that one message speaks of


class UrlEvidenceKind(StrEnum):
    SEEN = "seen"  # a domain was in mail; the weight counts messages
    SEEN_CLEAN = "seen-clean"  # in mail that was judged clean
    NEW_SOURCE = "new-source"  # New Spam Sources said high
    REPORT_SPAM = "report-spam"  # a person says so
    REPORT_HAM = "report-ham"
    FORGET = "forget"  # the operator wants everything against it forgotten


WEIGHTS = {
    UrlEvidenceKind.SEEN: 1.0,
    UrlEvidenceKind.SEEN_CLEAN: 1.0,
    UrlEvidenceKind.NEW_SOURCE: 2.0,
    UrlEvidenceKind.REPORT_SPAM: 2.0,
    UrlEvidenceKind.REPORT_HAM: 3.0,
    UrlEvidenceKind.FORGET: 1.0,
}
MESSAGE_REPORTED = 0.5  # a whole message was reported: one person does not list what is linked in it, be it a newsletter; two do


@dataclass(frozen=True, slots=True)
class UrlEvidence:
    """One piece. `time` in seconds since 1970; `detail` begins with the address of the sender, where there is one: it counts once a day."""

    time: float
    kind: UrlEvidenceKind
    scope: Scope
    name: str
    weight: float = -1.0  # negative: the usual weight of its kind
    by: str = ""
    detail: str = ""

    def line(self) -> str:
        weight = WEIGHTS[self.kind] if self.weight < 0 else self.weight
        by, detail = spool.plain(self.by, MAX_TEXT), spool.plain(self.detail, MAX_TEXT)
        return f"{self.time:.3f}\t{self.kind}\t{weight:g}\t{self.scope} {self.name}\t{by}\t{detail}\n"


def parse(line: str) -> UrlEvidence | None:
    """Read one line; None for what is no evidence."""
    fields = line.rstrip("\n").split("\t")
    if len(fields) != 6:
        return None
    scope, _, name = fields[3].partition(" ")
    try:
        time, kind, weight = float(fields[0]), _KINDS[fields[1]], float(fields[2])
        place = _SCOPES[scope]
    except (ValueError, KeyError):
        return None
    most = 1e6 if kind in (UrlEvidenceKind.SEEN, UrlEvidenceKind.SEEN_CLEAN) else MAX_WEIGHT
    if not name or len(name) > MAX_NAME or not math.isfinite(time) or not 0 <= weight <= most:
        return None
    return UrlEvidence(time, kind, place, name, weight, fields[4], fields[5])


_KINDS = {kind.value: kind for kind in UrlEvidenceKind}
_SCOPES = {scope.value: scope for scope in Scope}


def append(folder: Path, pieces: Iterable[UrlEvidence]) -> None:
    """Add evidence to the spool in `folder` (`<reputation folder>/urls`). Raises OSError."""
    lines = "".join([piece.line() for piece in pieces])
    if lines:
        spool.append(folder / SPOOL, lines)


def of_message(
    urls: Iterable[str],
    time: float,
    kind: UrlEvidenceKind = UrlEvidenceKind.NEW_SOURCE,
    *,
    address: str = "",
    by: str = "gateway",
    weight: float = -1.0,
) -> Iterator[UrlEvidence]:
    """What a message with these URLs says of the places they lead to; `address` is the sender IP. At most MAX_PLACES pieces.

    Name only URLs that the judgement is about: not those of the organisation's own domains, not approved ones.
    """
    told: set[tuple[Scope, str]] = set()
    for url in urls:
        place = place_of(url if "://" in url else f"http://{url}")
        found = accused(place) if place is not None else None
        if found is not None and found not in told and len(told) < MAX_PLACES:
            told.add(found)
            yield UrlEvidence(time, kind, *found, weight=weight, by=by, detail=address)


def accused(place: Place) -> tuple[Scope, str] | None:
    """Which place evidence is about: no more than belongs to whoever put up the page. None where that cannot be told.

    A domain as a whole where nothing is known of it; where names below it are given away, that host; of well-known sites, and
    of hosts with pages of many people, that URL alone. Suffixes of the public suffix list are never above a customer's domain.
    """
    if place.is_address:
        return Scope.HOST, place.host
    if "." not in place.host:
        return None
    domain, exact = place.domain, (Scope.URL, place.exact) if len(place.exact) <= MAX_NAME and place.path != "/" else None
    if known_host(place.host) == 0:
        return Scope.DOMAIN, domain
    given = known(domain) & (Known.HOSTING | Known.DYNAMIC)
    if given and place.host != domain and not known(place.host):
        return Scope.HOST, place.host
    return exact
