"""Brands that mail pretends to come from: their names, their true domains, and what counts as using a name.

The table is data (`data/brands.toml`, whose head tells its grammar). Operators add brands of their own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache

from mailward.phishing.packaged import DATA
from mailward.phishing.skeletons import compact, skeleton, words
from mailward.phishing.vocabulary import of_service, service_words
from mailward.reputation.knowledge import Known, known

MAX_NAME = 200  # characters of a display name that are looked at
MAX_WORDS = 40  # of them
MAX_WINDOW = 6  # words of the longest name
MIN_JOINED = 5  # letters of a name that also counts when it is written in pieces ("Pay Pal"); shorter ones are initials
SHORT = 3  # letters of a label that alone means nobody

# Endings of two letters that are sold to anybody as something else than a country
_NOT_COUNTRIES = frozenset("cc tk ml ga cf gq ws pw su to la ly sh st vc bz io ai me tv co fm am gg".split())
_SECOND = frozenset("co com net org or ne ltd plc".split())
_NOT_SECOND = frozenset("com.de com.se co.nl co.no co.dk co.cz co.com".split())  # private registries
_EVERYBODYS = Known.HOSTING | Known.DYNAMIC
_ADDRESS = re.compile(r"@([A-Za-z0-9.-]+)")
_ADDRESS_TEXT = re.compile(r"[^\s<>()\[\],;:\"]{0,64}@[A-Za-z0-9.-]+")


class Needs(StrEnum):
    """What a name needs beside it before it counts as that of the brand."""

    NOTHING = ""  # no other word is written so
    ALONE = "alone"  # the whole display name, or with words of a service only ("Apple", "Apple Support", not "Apple Smith")
    SERVICE = "service"  # only with words of a service ("Chase Bank", not "Chase")


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    needs: Needs = Needs.NOTHING

    @property
    def parted(self) -> bool:
        """Whether it is written in more than one word."""
        return len(words(self.text)) > 1


@dataclass(frozen=True, slots=True)
class Brand:
    """`domains`: nobody else has addresses there; a single label stands for a top-level domain. `shared`: of the brand too, but with
    addresses or pages of anybody. `countries`: first labels under which it has the domains of countries. `labels`: what look-alikes copy.
    """

    name: str
    kind: str
    names: tuple[Name, ...]
    domains: tuple[str, ...]
    shared: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    open_countries: tuple[str, ...] = ()  # as `countries`, with addresses or pages of anybody
    family: tuple[str, ...] = ()  # "word.ending": domains of its members hold the word beside names of places ("sparkasse-bochum.de")

    @property
    def domain(self) -> str:
        """The one to tell people."""
        return next((each for each in (*self.domains, *self.shared)), f"{self.name}")

    def domain_of(self, label: str) -> str:
        """The one with that first label, or the one to tell."""
        return next((each for each in (*self.domains, *self.shared) if each.partition(".")[0] == label), self.domain)

    def plain(self, label: str) -> bool:
        """Whether the label is an ordinary word, or too short to mean the brand alone."""
        return len(label) <= SHORT or any(name.needs and compact(name.text) == label for name in self.names)


class Brands:
    """The table with its indexes. Immutable once made."""

    def __init__(self, brands: Iterable[Brand]) -> None:
        self.all = tuple(brands)
        self._owners: dict[str, tuple[Brand, bool]] = {}
        self._by_country: dict[str, tuple[Brand, bool]] = {}
        self._by_name: dict[str, list[tuple[Brand, Name]]] = {}
        self._by_skeleton: dict[str, list[tuple[Brand, Name]]] = {}
        self._unspaced: list[tuple[str, Brand]] = []
        self._families = {each: brand for brand in self.all for each in brand.family}
        for brand in self.all:
            for domain in brand.domains:
                self._owners.setdefault(domain, (brand, True))
            for label in brand.countries:
                self._by_country.setdefault(label, (brand, True))
            for label in brand.open_countries:
                self._by_country[label] = (brand, False)
            for name in brand.names:
                self._add_name(brand, name)
        for brand in self.all:
            for domain in brand.shared:
                self._owners.setdefault(domain, (brand, False))

    def _add_name(self, brand: Brand, name: Name) -> None:
        key = compact(name.text)
        if any(_unspaced(letter) for letter in key):
            self._unspaced.append((key, brand))
            return
        self._by_name.setdefault(key, []).append((brand, name))
        if len(key) > SHORT:
            self._by_skeleton.setdefault(skeleton(key), []).append((brand, name))

    def __len__(self) -> int:
        return len(self.all)

    def __iter__(self) -> Iterator[Brand]:
        return iter(self.all)

    def owner(self, host: str) -> tuple[Brand | None, bool]:
        """Whose a host is, and whether nobody else can have addresses or pages there (true of a host that is of no brand, and means nothing)."""
        owners, countries, name = self._owners, self._by_country, host
        while name:
            found = owners.get(name)
            if found is not None:
                return found
            label, _, name = name.partition(".")
            if label in countries and of_country(name):
                return countries[label]
        return self._member(host) if "-" in host else None, True

    def at(self, domain: str) -> tuple[Brand, bool] | None:
        """The same for a domain of a brand itself, not for what is below one."""
        found = self._owners.get(domain)
        if found is not None:
            return found
        label, _, ending = domain.partition(".")
        found = self._by_country.get(label)
        return found if found is not None and of_country(ending) else None

    def _member(self, host: str) -> Brand | None:
        """The brand of whose family a host is. Words of services beside the name are no place."""
        label, _, ending = ".".join(host.split(".")[-2:]).partition(".")
        if "-" not in label:
            return None
        pieces = label.split("-")
        brand = next((found for piece in pieces if (found := self._families.get(f"{piece}.{ending}"))), None)
        return None if brand is None or any(of_service(piece) for piece in pieces) else brand

    def of_domain(self, domain: str) -> Brand | None:
        """The brand that owns a host, shared domains too."""
        return self.owner(domain)[0]

    def is_true(self, brand: Brand, domain: str) -> bool:
        """Whether mail from the domain may use the name of the brand: one of its own, where nobody else has addresses.

        Below a mail provider's domain (reply.yahoo.com) are its own hosts, at it its customers.
        """
        if brand.family and self._member(domain) is brand:
            return True
        whole = domain
        while domain:
            if domain in brand.domains:
                return True
            label, _, ending = domain.partition(".")
            if label in brand.countries and of_country(ending):
                return True
            if domain in brand.shared or (label in brand.open_countries and of_country(ending)):
                return domain != whole and bool(known(domain) & Known.FREEMAIL) and not known(domain) & _EVERYBODYS
            domain = ending
        return False

    def claimed(self, display_name: str) -> Brand | None:
        """The brand that a display name (or subject) says it is of; None where it is of nobody or only looks so. Bounded by MAX_NAME."""
        found = self.claims(display_name)
        return found[0] if found else None

    def claims(self, display_name: str) -> tuple[Brand, ...]:
        """All of them. An address in a name claims the brand that owns its domain."""
        return _claims(self, display_name[:MAX_NAME])

    def _find(self, text: str) -> Iterator[Brand]:
        if "@" in text:
            for domain in _ADDRESS.findall(text):
                owner, exclusive = self.owner(domain.lower())
                if owner is not None and exclusive:
                    yield owner
            text = _ADDRESS_TEXT.sub(" ", text)
        plain = _spelled([word.lower() for word in words(text)[:MAX_WORDS]])
        alike = [skeleton(word) for word in plain]
        for start in range(len(plain)):
            joined = looked = ""
            for end in range(start, min(len(plain), start + MAX_WINDOW)):
                joined, looked = joined + plain[end], looked + alike[end]
                for brand, name in self._by_name.get(joined) or self._by_skeleton.get(looked) or ():
                    if end > start and len(joined) < MIN_JOINED and not name.parted:
                        continue
                    if _enough(name.needs, plain[:start] + plain[end + 1 :]):
                        yield brand
        if self._unspaced and not text.isascii():
            whole = compact(text)
            yield from (brand for key, brand in self._unspaced if key in whole)


def _spelled(words: list[str]) -> list[str]:
    """Five or more letters in a row are a word spelled out ("P a y P a l"); fewer are initials."""
    found: list[str] = []
    run: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1:
            run.append(word)
            continue
        found += ["".join(run)] if len(run) >= MIN_JOINED else run
        run = []
        found.append(word)
    return found[:-1]


def _enough(needs: Needs, beside: list[str]) -> bool:
    if needs is Needs.NOTHING:
        return True
    if not beside:
        return needs is Needs.ALONE
    known = service_words()
    return all(word in known or word.isdigit() for word in beside)


@lru_cache(1 << 12)
def _claims(brands: Brands, text: str) -> tuple[Brand, ...]:
    return tuple(dict.fromkeys(brands._find(text)))


def _unspaced(letter: str) -> bool:
    """Whether it is of a script written without blanks between words (Hangul decomposed)."""
    return (
        "\u0e00" <= letter <= "\u0eff" or "\u1100" <= letter <= "\u11ff" or "\u2e80" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7af"
    )


@lru_cache(1 << 10)
def of_country(suffix: str) -> bool:
    """Whether an ending is that of a country ("de", "co.uk"), under which a brand may have its name, and not one sold to anybody."""
    first, _, last = suffix.rpartition(".")
    if len(last) != 2 or last in _NOT_COUNTRIES or suffix in _NOT_SECOND:
        return False
    return not first or first in _SECOND


def made(
    name: str,
    kind: str,
    domains: Iterable[str],
    also: Iterable[Name] = (),
    needs: Needs = Needs.NOTHING,
    shared: Iterable[str] = (),
    like: Iterable[str] = (),
    family: Iterable[str] = (),
) -> Brand:
    """A brand from what a table says of it. `label.*` in `domains` or `shared`: the domains of countries."""
    names = (Name(name, needs), *also)
    own, common = list(domains), list(shared)
    countries, open_countries = ([each[:-2] for each in some if each.endswith(".*")] for some in (own, common))
    told = {compact(each.text) for each in names}
    distinct = [written for each in names if not each.needs and len(written := compact(each.text)) > SHORT]
    firsts = [each.partition(".")[0] for each in (*own, *common) if "." in each]
    labels = [
        label
        for label in firsts
        if len(label) >= SHORT and ((joined := label.replace("-", "")) in told or any(each in joined for each in distinct))
    ]
    return Brand(
        name,
        kind,
        names,
        tuple(each for each in own if not each.endswith(".*")),
        tuple(each for each in common if not each.endswith(".*")),
        tuple(dict.fromkeys(countries)),
        tuple(dict.fromkeys((*like, *labels))),
        tuple(open_countries),
        tuple(family),
    )


_MARKS = {"=": Needs.ALONE, "~": Needs.SERVICE}


def read(text: str) -> tuple[Brand, ...]:
    """Brands from TOML: a table for each kind, in it the brands by name."""
    found = []
    for kind, brands in tomllib.loads(text).items():
        for name, entry in brands.items():
            also = [each.strip() for each in entry.get("also", "").split("|") if each.strip()]
            names = [Name(each.lstrip("=~"), _MARKS.get(each[0], Needs.NOTHING)) for each in also]
            shared, like = entry.get("shared", "").split(), entry.get("like", "").split()
            found.append(
                made(
                    name,
                    kind,
                    entry["domains"].split(),
                    names,
                    Needs(entry.get("needs", "")),
                    shared,
                    like,
                    entry.get("family", "").split(),
                )
            )
    return tuple(found)


@cache
def table() -> Brands:
    """The packaged brands, loaded once."""
    return Brands(read((DATA / "brands.toml").read_text("utf-8")))
