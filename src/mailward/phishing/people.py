"""Names of people in display names: found in any order, with titles, without accents, with initials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Generic, TypeVar

from mailward.phishing.skeletons import latin, skeleton
from mailward.phishing.vocabulary import service_words

MAX_DISPLAY = 200  # characters of a display name that are looked at
MAX_WORDS = 20  # of them
MOST_NAME_WORDS = 5  # of a whole name that is learned
LEAST_UNSPACED = 3  # letters of a name of one word
LONGEST_PARTICLE = 3  # letters

_TITLES = frozenset(
    "dr prof mr mrs ms miss herr frau mag ing dipl bsc msc mba phd jr sr md llm ceo cfo coo cto cio president director chairman vp svp evp "
    "gf geschaftsfuhrer geschaeftsfuehrer vorstand vorsitzender direktor the von".split()
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "ß": "ss"})
_WORD = re.compile(r"[^\W\d_]+")

Who = TypeVar("Who")


class Match(IntEnum):
    """How well a display name is a person's."""

    INITIALS = 1  # the last name and initials of the others ("E. Muster")
    PART = 2  # the name among other words ("Erika Muster via Portal"), or without a middle one
    WHOLE = 3  # exactly the words of the name, titles aside


@dataclass(frozen=True, slots=True)
class _Form(Generic[Who]):
    words: frozenset[str]
    last: str
    who: Who


class NameIndex(Generic[Who]):
    """Immutable. `people`: each with all names."""

    def __init__(self, people: Iterable[tuple[Who, Iterable[str]]]) -> None:
        self._by_word: dict[str, list[_Form[Who]]] = {}
        for who, names in people:
            for words in {form for name in names for form in _forms(name)}:
                form = _Form(frozenset(words), words[-1], who)
                for word in form.words:
                    self._by_word.setdefault(word, []).append(form)

    def __bool__(self) -> bool:
        return bool(self._by_word)

    def find(self, display: str) -> tuple[Who, Match] | None:
        """The person whose name stands in a display name, the best match first. Linear in its length, which is bounded."""
        best: tuple[Who, Match] | None = None
        for words in _forms(display[:MAX_DISPLAY]) if self._by_word else ():
            shown = frozenset(words)
            for form in {id(form): form for word in shown for form in self._by_word.get(word, ())}.values():
                match = _match(form, shown)
                if match is not None and (best is None or match > best[1]):
                    best = form.who, match
        return best


def name_texts(display: str) -> tuple[str, ...]:
    """A display name in a form that is the same for every way to write it; () for what is no whole name of a person.

    One text, or two where it has umlauts. One word is a name only in scripts that part no words; words of services are no names.
    """
    if "@" in display:
        return ()
    found = dict.fromkeys(" ".join(sorted(set(words))) for words in _forms(display[:MAX_DISPLAY]) if _is_persons(set(words)))
    return tuple(found)


def _is_persons(words: set[str]) -> bool:
    if len(words) == 1:
        (word,) = words
        return len(word) >= LEAST_UNSPACED and word > "\u02ff"
    return 2 <= len(words) <= MOST_NAME_WORDS and words.isdisjoint(_of_services()) and any(len(word) > 2 for word in words)


@cache
def _of_services() -> frozenset[str]:
    """Without the short ones, many of which are parts of names ("Maria de la Cruz")."""
    return frozenset(skeleton(word) for word in service_words() if len(word) > LONGEST_PARTICLE)


def _match(form: _Form[Who], shown: frozenset[str]) -> Match | None:
    if form.words == shown:
        return Match.WHOLE
    if form.words < shown:
        return Match.PART
    if len(shown) >= 2 and shown < form.words and form.last in shown:
        return Match.PART
    missing, more = form.words - shown, shown - form.words
    if form.last in shown and len(more) == len(missing) and {word[0] for word in missing} == more:
        return Match.INITIALS
    return None


def _forms(name: str) -> list[tuple[str, ...]]:
    """The words of a name as skeletons without titles: as written and with umlauts spelled out; "Last, First" turned round."""
    if name.count(",") == 1:
        last, _, first = name.partition(",")
        name = f"{first} {last}"
    spellings = [name] if name.isascii() else dict.fromkeys((name, name.casefold().translate(_UMLAUTS)))
    found = []
    for spelling in spellings:
        words = [word.casefold() for word in _WORD.findall(latin(spelling))[:MAX_WORDS]]
        words = [skeleton(word) for word in words if word not in _TITLES] or [skeleton(word) for word in words]
        if words:
            found.append(tuple(words))
    return found
