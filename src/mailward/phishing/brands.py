"""Brands that mail pretends to come from: their names, their true domains, and what counts as using a name.

The table is data (`data/brands.toml`, whose head tells its grammar). Operators add brands of their own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache

from mailward.message.domains import registrable
from mailward.phishing.packaged import DATA
from mailward.phishing.skeletons import compact, skeleton, words
from mailward.phishing.vocabulary import service_words

MAX_NAME = 200  # characters of a display name that are looked at
MAX_WINDOW = 6  # words of the longest name
MIN_JOINED = 5  # letters of a name that also counts when it is written in pieces ("Pay Pal"); shorter ones are initials
_COUNTRY_OPEN = frozenset("cc tk ml ga cf gq ws pw su to la ly sh st vc bz".split())  # sold to anybody, a brand seldom has its name there


class Needs(StrEnum):
    """What a name needs beside it before it counts as that of the brand."""

    NOTHING = ""  # no other word is written so
    ALONE = "alone"  # the whole display name, or with words of a service only ("Apple", "Apple Support", not "Apple Smith")
    SERVICE = "service"  # only with words of a service ("Chase Bank", not "Chase")


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    needs: Needs = Needs.NOTHING


@dataclass(frozen=True, slots=True)
class Brand:
    """`domains`: registrable, nobody else has addresses there. `shared`: of the brand too, but with addresses or pages of anybody.

    `countries`: first labels under which the brand has the domains of countries. `labels`: what look-alikes of it are told by.
    """

    name: str
    kind: str
    names: tuple[Name, ...]
    domains: frozenset[str]
    shared: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """The one to tell people."""
        return next((each for each in self.order if each), "")

    order: tuple[str, ...] = ()


class Brands:
    """The table with its indexes. Immutable once made."""

    def __init__(self, brands: Iterable[Brand]) -> None:
        self.all = tuple(brands)
        self._by_domain: dict[str, Brand] = {}
        self._by_country: dict[str, Brand] = {}
        self._by_name: dict[str, list[tuple[Brand, Name]]] = {}
        self._by_skeleton: dict[str, list[tuple[Brand, Name]]] = {}
        self._unspaced: list[tuple[str, Brand]] = []
        for brand in self.all:
            for domain in (*brand.domains, *brand.shared):
                self._by_domain.setdefault(domain, brand)
            for label in brand.countries:
                self._by_country.setdefault(label, brand)
            for name in brand.names:
                key = compact(name.text)
                if any(_unspaced(letter) for letter in key):
                    self._unspaced.append((key, brand))
                    continue
                self._by_name.setdefault(key, []).append((brand, name))
                self._by_skeleton.setdefault(skeleton(key), []).append((brand, name))

    def __len__(self) -> int:
        return len(self.all)

    def __iter__(self) -> Iterator[Brand]:
        return iter(self.all)

    def of_domain(self, domain: str) -> Brand | None:
        """The brand that owns the registrable domain of a host, shared ones too."""
        site = registrable(domain) or domain
        found = self._by_domain.get(site)
        if found is None:
            label, _, suffix = site.partition(".")
            if _of_country(suffix):
                found = self._by_country.get(label)
        return found

    def is_true(self, brand: Brand, domain: str) -> bool:
        """Whether mail from the domain may use the name of the brand: one of its own, where nobody else has addresses."""
        site = registrable(domain) or domain
        if site in brand.domains:
            return True
        label, _, suffix = site.partition(".")
        return label in brand.countries and _of_country(suffix)

    def claimed(self, display_name: str) -> Brand | None:
        """The brand that a display name (or subject) says it is of; None where it is of nobody or only looks so. Bounded by MAX_NAME."""
        return _claim(self, display_name[:MAX_NAME])

    def _find(self, text: str) -> Brand | None:
        found = words(text)
        plain = [word.lower() for word in found]
        for start in range(len(plain)):
            joined = ""
            for end in range(start, min(len(plain), start + MAX_WINDOW)):
                joined += plain[end]
                pieces = end - start + 1
                candidates = self._by_name.get(joined) or self._by_skeleton.get(skeleton(joined))
                for brand, name in candidates or ():
                    if pieces > 1 and len(joined) < MIN_JOINED and " " not in name.text:
                        continue
                    if _enough(name.needs, plain[:start] + plain[end + 1 :]):
                        return brand
        if self._unspaced and not text.isascii():
            whole = compact(text)
            return next((brand for key, brand in self._unspaced if key in whole), None)
        return None


def _enough(needs: Needs, beside: list[str]) -> bool:
    if needs is Needs.NOTHING:
        return True
    if not beside:
        return needs is Needs.ALONE
    known = service_words()
    return all(word in known or word.isdigit() for word in beside)


@lru_cache(1 << 12)
def _claim(brands: Brands, text: str) -> Brand | None:
    return brands._find(text)


def _unspaced(letter: str) -> bool:
    """Whether it is of a script written without blanks between words."""
    return "\u0e00" <= letter <= "\u0eff" or "\u2e80" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7af"


def _of_country(suffix: str) -> bool:
    last = suffix.rpartition(".")[2]
    return len(last) == 2 and last not in _COUNTRY_OPEN and (suffix == last or suffix.partition(".")[0] in _SECOND)


_SECOND = frozenset("co com net org or ne ltd plc".split())


def made(
    name: str,
    kind: str,
    domains: Iterable[str],
    also: Iterable[Name] = (),
    needs: Needs = Needs.NOTHING,
    shared: Iterable[str] = (),
    like: Iterable[str] = (),
) -> Brand:
    """A brand from what a table says of it. `label.*` in `domains`: the domains of countries."""
    written = tuple(domains)
    names = (Name(name, needs), *also)
    countries = frozenset(each[:-2] for each in written if each.endswith(".*"))
    own = tuple(each for each in written if not each.endswith(".*"))
    told = {compact(each.text) for each in names}
    firsts = dict.fromkeys(each.partition(".")[0] for each in (*own, *shared, *countries))
    labels = [label for label in firsts if any(label in each or each in label for each in told if len(each) >= 3)]
    return Brand(name, kind, names, frozenset(own), frozenset(shared), countries, tuple(dict.fromkeys((*labels, *like))), own)


_MARKS = {"=": Needs.ALONE, "~": Needs.SERVICE}


def read(text: str) -> tuple[Brand, ...]:
    """Brands from TOML: a table for each kind, in it the brands by name."""
    found = []
    for kind, brands in tomllib.loads(text).items():
        for name, entry in brands.items():
            also = [each.strip() for each in entry.get("also", "").split("|") if each.strip()]
            names = [Name(each.lstrip("=~"), _MARKS.get(each[0], Needs.NOTHING)) for each in also]
            found.append(
                made(
                    name,
                    kind,
                    entry["domains"].split(),
                    names,
                    Needs(entry.get("needs", "")),
                    entry.get("shared", "").split(),
                    entry.get("like", "").split(),
                )
            )
    return tuple(found)


@cache
def table() -> Brands:
    """The packaged brands, loaded once."""
    return Brands(read((DATA / "brands.toml").read_text("utf-8")))
