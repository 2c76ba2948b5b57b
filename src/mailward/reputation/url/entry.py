"""What is known of a place: of which kind, how it is rated, who says so, since when and until when."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from mailward.reputation.url.place import Scope


class EntryKind(Enum):
    """What an entry says: its number in files, the rating where none is named, and words for a sentence."""

    PHISHING = (1, 20, "phishing")
    MALWARE = (2, 15, "malware")
    SPAM = (3, 45, "advertised by spam")
    SUSPICIOUS = (4, 60, "suspicious")
    UNWANTED = (5, 70, "unwanted")
    SAFE = (6, 90, "safe")
    POPULAR = (7, 0, "popular")  # a rank stands instead of the rating
    RATED = (8, 0, "rated by a person")
    EVIDENCE = (9, 0, "seen in bad mail")

    def __init__(self, number: int, rating: int, words: str) -> None:
        self.number = number
        self.rating = rating
        self.words = words

    @property
    def label(self) -> str:
        return self.name.lower()


KINDS = {kind.number: kind for kind in EntryKind}
FEED_KINDS = {kind.label: kind for kind in EntryKind if kind not in (EntryKind.RATED, EntryKind.EVIDENCE)}  # what a feed may hold


class Entry(NamedTuple):
    """One entry as a look-up finds it; a tuple, because each hit makes one. Times in seconds since 1970; `until` 0: until it is taken off."""

    scope: Scope
    rating: int
    kind: EntryKind
    origin: str  # the feed, or who said so
    since: int
    until: int
    text: str  # what the origin says besides
    name: str = ""  # where the table keeps names
    pieces: int = 0  # popular: the rank; evidence: how many pieces
