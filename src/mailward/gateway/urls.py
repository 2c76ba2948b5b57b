"""What this gateway observes of the domains that links lead to, on its way to the process that learns from it."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from mailward.gateway.background import Background
from mailward.reputation.url import evidence
from mailward.reputation.url.evidence import UrlEvidence, UrlEvidenceKind
from mailward.reputation.url.place import Scope, place_of
from mailward.scan.assessment import Assessment
from mailward.scan.verdict import Kind, Verdict

ROOM = 20_000  # pieces kept while the spool cannot be written
REMEMBERED = 20_000  # domains that a process knows to be told already, about 5 MB
TOLD_SECONDS = 3600.0  # how often a process tells of a domain again; in between it counts
MAX_DOMAINS = 50  # that one message tells of


class Links(Background[UrlEvidence]):
    """Evidence about places, and domains that were seen: told once, then counted, so that a busy gateway does not write a line a link."""

    def __init__(self, folder: Path, learn: bool = True) -> None:
        self._folder, self._learn = folder, learn
        self._counts: OrderedDict[str, list[float]] = OrderedDict()  # messages, clean ones, both since they were told; and when that was
        self._owner = os.getpid()
        super().__init__("pieces of evidence about links", "the spool", ROOM)

    def write(self, batch: list[UrlEvidence]) -> None:
        evidence.append(self._folder, batch)

    def accuse(self, urls: Iterable[str], now: float, address: str = "", kind: UrlEvidenceKind = UrlEvidenceKind.NEW_SOURCE) -> None:
        """A message with these bad URLs came from `address`: evidence against the places they lead to. Returns at once."""
        if self._learn:
            for piece in evidence.of_message(urls, now, kind, address=address):
                self.add(piece)

    def reported(self, urls: Iterable[str], now: float, kind: str, who: str) -> None:
        """A person called a message with these links "spam" or "ham". Returns at once."""
        if self._learn:
            said = UrlEvidenceKind.REPORT_SPAM if kind == "spam" else UrlEvidenceKind.REPORT_HAM
            weight = evidence.MESSAGE_REPORTED if kind == "spam" else -1.0
            for piece in evidence.of_message(urls, now, said, by=who, weight=weight):
                self.add(piece)

    def seen(self, assessment: Assessment, verdict: Verdict) -> None:
        """Remember which domains the links of a message lead to. Returns at once."""
        if not self._learn or not assessment.urls:
            return
        domains: dict[str, None] = {}
        for url in assessment.urls:
            place = place_of(url.url)
            if place is not None and not place.is_address and "." in place.domain:
                domains[place.domain] = None
                if len(domains) == MAX_DOMAINS:
                    break
        for domain in domains:
            self._count(domain, assessment.time, verdict.kind is Kind.CLEAN)

    def _count(self, domain: str, now: float, clean: bool) -> None:
        if self._owner != os.getpid():  # what the parent counted it tells itself
            self._owner = os.getpid()
            self._counts.clear()
        clock = time.monotonic()
        counts = self._counts.get(domain)
        if counts is None:
            counts = self._counts[domain] = [0, 0, float("-inf")]
            if len(self._counts) > REMEMBERED:
                self._tell(*self._counts.popitem(last=False), now)
        else:
            self._counts.move_to_end(domain)
        counts[1 if clean else 0] += 1
        if clock >= counts[2] + TOLD_SECONDS:
            self._tell(domain, counts, now)
            counts[:] = [0, 0, clock]

    def _tell(self, domain: str, counts: list[float], now: float) -> None:
        for count, kind in ((counts[0], UrlEvidenceKind.SEEN), (counts[1], UrlEvidenceKind.SEEN_CLEAN)):
            if count:
                self.add(UrlEvidence(now, kind, Scope.DOMAIN, domain, count, "gateway"))

    def close(self, timeout: float = 10.0) -> None:
        """Tell what was only counted, flush and end the thread."""
        if self._owner == os.getpid():
            now = time.time()
            for domain, counts in self._counts.items():
                self._tell(domain, counts, now)
            self._counts.clear()
        super().close(timeout)
