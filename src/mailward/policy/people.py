"""Lists of people with their addresses, and of brands with their domains."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mailward.policy.addresses import canonical_address, canonical_domain
from mailward.policy.lists import DomainList, EntryList, SenderList
from mailward.policy.problems import EntryError

MAX_HIGH_PROFILE = 500
MAX_NAME = 100  # characters of one name
MAX_NAMES = 10  # of one person or brand
MAX_ADDRESSES = 50  # of one person, and domains of one brand

_ADDRESS = re.compile(r"<([^<>]*)>")
_WORD = re.compile(r"[^\W\d_]+")
_NEEDS_ONE_WORD = re.compile(r"[^\x00-\u024f]")  # outside of Latin scripts a whole name may be one word


@dataclass(frozen=True, slots=True)
class Person:
    """`names`: the first is the one to show. `addresses` are canonical."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnBrand:
    """`names`: the first is the one to show. `domains`: with all below them."""

    names: tuple[str, ...]
    domains: tuple[str, ...]


class PeopleList(EntryList):
    """People: `Erika Muster <erika@example.com> <erika.muster@example.net>`; other names after a `|`; addresses may be missing.

    A person is known by the first name of an entry: one entry a person.
    """

    __slots__ = ()
    what = "people"

    @staticmethod
    def read(entry: str) -> tuple[str, str]:
        person = _person(entry)
        shown = " | ".join(person.names) + "".join(f" <{address}>" for address in person.addresses)
        return shown, person.names[0].casefold()

    def people(self) -> tuple[Person, ...]:
        """The entries as values."""
        return _people(self.entries)

    def knowing(self, person: Person, address: str) -> PeopleList:
        """The list in which the address is one of that person's. Raises EntryError for what is no address."""
        (entry,) = SenderList([address]).entries
        shown = " | ".join(person.names) + "".join(f" <{each}>" for each in (*person.addresses, entry))
        key = self.key(person.names[0])
        return PeopleList(shown if self.key(each) == key else each for each in self.entries)


class BrandList(EntryList):
    """Brands: `Contoso Bank: contoso.com contoso-mail.net`; other names after a `|`."""

    __slots__ = ()
    what = "brands"

    @staticmethod
    def read(entry: str) -> tuple[str, str]:
        brand = _brand(entry)
        return f"{' | '.join(brand.names)}: {' '.join(brand.domains)}", brand.names[0].casefold()

    def brands(self) -> tuple[OwnBrand, ...]:
        """The entries as values."""
        return tuple(_brand(entry) for entry in self.entries)


@lru_cache(maxsize=16)
def _people(entries: tuple[str, ...]) -> tuple[Person, ...]:
    return tuple(_person(entry) for entry in entries)


def _person(entry: str) -> Person:
    written, _, rest = entry.partition("<")
    names = _names(entry, written)
    for name in names:
        if len(_WORD.findall(name)) < 2 and not _NEEDS_ONE_WORD.search(name):
            raise EntryError(f"{name!r} is one word, which many people are called", "Write first and last name: Erika Muster.")
    found = _ADDRESS.findall(f"<{rest}") if rest else []
    if _ADDRESS.sub("", f"<{rest}" if rest else "").strip(" ,;"):
        raise EntryError(
            f"{entry!r} has something beside names and addresses", "Write Erika Muster <erika@example.com> <erika@example.net>."
        )
    if len(found) > MAX_ADDRESSES:
        raise EntryError(f"{entry!r} has {len(found)} addresses", f"Name at most {MAX_ADDRESSES}.")
    return Person(names, tuple(dict.fromkeys(_address(each) for each in found)))


def _address(text: str) -> str:
    address = canonical_address(text)
    if "@" not in address or address.startswith("*"):
        raise EntryError(f"{text!r} is no address", "Write user@example.com.")
    return SenderList.normalise(address)


def _brand(entry: str) -> OwnBrand:
    written, colon, rest = entry.partition(":")
    domains = tuple(dict.fromkeys(canonical_domain(each) for each in rest.replace(",", " ").split()))
    if not colon or not domains:
        raise EntryError(f"{entry!r} names no domain", "Write Contoso Bank: contoso.com contoso-mail.net.")
    if len(domains) > MAX_ADDRESSES:
        raise EntryError(f"{entry!r} has {len(domains)} domains", f"Name at most {MAX_ADDRESSES}.")
    for domain in domains:
        if "*" in domain:
            raise EntryError(f"{domain!r} has a * in it", "Write the domain alone: example.com stands for all below it too.")
        DomainList.normalise(domain)
    return OwnBrand(_names(entry, written), domains)


def _names(entry: str, written: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(" ".join(each.split()).strip('"') for each in written.split("|")))
    if not all(names) or any(ord(letter) < 32 for letter in written):
        raise EntryError(f"{entry!r} has no name", "Begin with the name.")
    if len(names) > MAX_NAMES or any(len(name) > MAX_NAME for name in names):
        raise EntryError(f"{entry!r} is too long", f"At most {MAX_NAMES} names of {MAX_NAME} characters.")
    if not all(_WORD.search(name) for name in names):
        raise EntryError(f"{entry!r} has a name without letters", "Begin with the name.")
    return names
