"""DNS lists as an administrator names them: a zone, and the return codes that count.

    zen.spamhaus.org                        a well-known list; its codes come from the catalogue
    list.example.org=127.0.0.[2..4]         any list, with its codes as Postfix writes them
    off list.example.org=127.0.0.2          kept and shown, not asked

A code is four numbers; any of them may be a choice in brackets, `[2..4;9]`. Several codes stand side by side, with `;` or `,`
between them. Codes that no list may use for "listed" are refused here, so that nothing downstream can ever take them for one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from mailward.policy.addresses import canonical_domain

MAX_CODES = 32  # no list has half as many
_ZONE = re.compile(r"(?!.{200})([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{1,63}")
_OCTET = re.compile(r"[0-9]{1,3}|\[[0-9]{1,3}(?:\.\.[0-9]{1,3})?(?:;[0-9]{1,3}(?:\.\.[0-9]{1,3})?){0,20}\]")
_CODE = re.compile(rf"({_OCTET.pattern})\.({_OCTET.pattern})\.({_OCTET.pattern})\.({_OCTET.pattern})")

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Codes:
    """One code of Postfix's grammar: for each of the four octets the ranges it may lie in."""

    text: str
    octets: tuple[tuple[Range, ...], ...]

    def holds(self, address: tuple[int, ...]) -> bool:
        return all(_inside(octet, ranges) for octet, ranges in zip(address, self.octets, strict=True))


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One DNS list. `zone` never holds an access code: those are host settings."""

    zone: str
    codes: tuple[Codes, ...]
    on: bool = True
    domains: bool = False  # it lists domains that stand in URLs (RFC 5782, 3), not addresses

    def counts(self, address: tuple[int, ...]) -> bool:
        """Whether an A record, as four octets, is one of the codes that mean "listed"."""
        return any(codes.holds(address) for codes in self.codes)

    def __str__(self) -> str:
        """The entry as `read_entry` reads it; codes are left out where they are those of the catalogue."""
        known = catalogue().get(self.zone)
        codes = "" if known is not None and known.codes == self.codes else "=" + ";".join(codes.text for codes in self.codes)
        return f"{'' if self.on else 'off '}{self.zone}{codes}"


@dataclass(frozen=True, slots=True)
class KnownList:
    """A public list of the catalogue. Being known switches nothing on: only the policy does."""

    zone: str
    name: str
    codes: tuple[Codes, ...]
    database: str  # where it belongs in the policy: "standard" (long-lived), "dynamic" (hours), or "domains" (it lists domains)
    terms: str  # who may ask, how much, at what price
    site: str
    lookup: str = ""  # the list's own page about an address, which takes the place of {ip}; "" where there is none to link to
    access_code: bool = False  # it answers nobody without one
    meanings: Mapping[str, str] = field(default_factory=dict)  # what a code says: "127.0.0.2" -> "..."
    test: str = "test"  # of a list of domains: the one that is always listed (RFC 5782, 5)


def read_entry(text: str, *, domains: bool = False) -> ListEntry:
    """Read one entry of a list of addresses, or of domains. Raises ValueError that says what is wrong and what to write."""
    rest = text.strip()
    on = not re.match(r"off\s", rest)
    name, equals, codes = rest.removeprefix("off" if not on else "").partition("=")
    zone = read_zone(name)
    _refuse_access_code(zone)
    known = catalogue().get(zone)
    if known is not None and (known.database == "domains") is not domains:
        listed, setting = ("addresses", "email_reputation.target") if domains else ("domains", "web_reputation.target.domain_lists")
        raise ValueError(f"{zone} lists {listed}; name it in {setting}")
    if equals:
        return ListEntry(zone, read_codes(codes), on, domains)
    if known is None:
        raise ValueError(f"{zone} is not in the catalogue of known lists; name the return codes that mean listed: {zone}=127.0.0.2")
    return ListEntry(zone, known.codes, on, domains)


def read_zone(text: str) -> str:
    """The name of a zone in its one form. Raises ValueError."""
    name = canonical_domain(text)
    if not _ZONE.fullmatch(name):
        raise ValueError(f"{text.strip()!r} is no zone name; write one such as list.example.org")
    return name


def read_codes(text: str) -> tuple[Codes, ...]:
    """Read return codes, such as `127.0.0.[2..4];127.0.0.9`. Raises ValueError."""
    found: list[Codes] = []
    at = 0
    text = re.sub(r"\s", "", text)
    while match := _CODE.match(text, at):
        found.append(_code(match))
        at = match.end()
        if at == len(text):
            return tuple(found)
        if text[at] not in ";," or len(found) == MAX_CODES:
            break
        at += 1
    raise ValueError(
        f"{text[:100]!r} are no return codes; write them as 127.0.0.2 or 127.0.0.[2..4;9], at most {MAX_CODES} with ; between them"
    )


def never_listed(address: tuple[int, ...]) -> bool:
    """Answers that no list may use for "listed": outside 127/8 (RFC 5782, 2.1), 127.0.0.1 (5), and 127.255.255.0/24 (refusals, limits)."""
    return address[0] != 127 or address[:3] == (127, 255, 255) or address in ((127, 0, 0, 0), (127, 0, 0, 1))


def _code(match: re.Match[str]) -> Codes:
    code = Codes(match[0], tuple(_ranges(octet) for octet in match.groups()))
    forbidden = ((127, 0, 0, 0), (127, 0, 0, 1), (127, 255, 255, 0), (127, 255, 255, 255))
    refusals = all(_inside(octet, ranges) for octet, ranges in zip((127, 255, 255), code.octets[:3], strict=True))
    if code.octets[0] != ((127, 127),) or refusals or any(code.holds(address) for address in forbidden):
        raise ValueError(f"{match[0]} cannot mean listed: codes lie in 127.0.0.0/8, without 127.0.0.0, 127.0.0.1 and 127.255.255.0/24")
    return code


def _ranges(octet: str) -> tuple[Range, ...]:
    ranges = []
    for part in octet.strip("[]").split(";"):
        first, _, last = part.partition("..")
        low, high = int(first), int(last or first)
        if low > high or high > 255:
            raise ValueError(f"{octet} is no octet of a return code; numbers go from 0 to 255, the smaller first")
        ranges.append((low, high))
    return tuple(ranges)


def _inside(octet: int, ranges: tuple[Range, ...]) -> bool:
    return any(low <= octet <= high for low, high in ranges)


def _refuse_access_code(zone: str) -> None:
    """A zone with its access code in front would be shown in replies and logs; it is refused without repeating it."""
    for known in catalogue().values():
        if zone.endswith(f".{known.zone}"):
            raise ValueError(
                f'write {known.zone} alone; its access code belongs into mailward.toml: [dns] access_codes = ["{known.zone}=CODE"]'
            )


@cache
def catalogue() -> Mapping[str, KnownList]:
    """The well-known public lists by zone, in the order of the catalogue."""
    rows = tomllib.loads((resources.files("mailward.policy") / "data" / "dns_lists.toml").read_text("utf-8"))
    return {zone: KnownList(zone=zone, **{**row, "codes": read_codes(row["codes"])}) for zone, row in rows.items()}
