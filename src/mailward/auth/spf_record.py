"""Read an SPF record (RFC 7208 4.6, 5, 6, 12) and expand its macros (section 7). Pure and of linear time."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from mailward.auth.model import Outcome

MAX_RECORD = 4_096  # characters; a record beyond 450 is advised against (RFC 7208 3.4), and the longest sensible ones have 2,000
MAX_NAME = 253  # characters of a domain name in text form
MAX_EXPANDED = 2_048  # characters of a name or text before it is cut to what the DNS takes

QUALIFIERS = {"+": Outcome.PASS, "-": Outcome.FAIL, "~": Outcome.SOFTFAIL, "?": Outcome.NEUTRAL}
LOOKUP_MECHANISMS = frozenset({"include", "a", "mx", "ptr", "exists"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_DIRECTIVE = re.compile(r"([-+?~]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?![A-Za-z0-9._-])(.*)", re.I | re.S)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)", re.S)
_LENGTHS = re.compile(r"(.*?)(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?", re.S)
_IP4 = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3})(?:/(0|[1-9][0-9]?))?")
_IP6 = re.compile(r"([0-9A-Fa-f:.]+)(?:/(0|[1-9][0-9]{0,2}))?")
_EXPAND = r"%(?:[%_-]|\{[slodiphcrtvSLODIPHCRTV]\d{0,3}[rR]?[-.+,/_=]*\})"
_STRING = re.compile(rf"(?:[!-$&-~]|{_EXPAND})*")
_TEXT = re.compile(rf"(?:[ -$&-~]|{_EXPAND})*")  # of an explanation, blanks allowed
_MACRO = re.compile(_EXPAND)
_TOP = re.compile(r"(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])\.?")
_EXPLAIN_ONLY = frozenset("crtCRT")


class BadRecord(ValueError):  # noqa: N818
    """The record breaks the grammar: `permerror`. The text says where."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One directive. `domain` is a macro string, "" for the current domain."""

    name: str
    outcome: Outcome  # of a match
    domain: str = ""
    network: Network | None = None  # of ip4 and ip6
    v4_length: int = 32
    v6_length: int = 128


@dataclass(frozen=True, slots=True)
class Record:
    mechanisms: tuple[Mechanism, ...]
    redirect: str | None
    exp: str | None


def is_spf(text: str) -> bool:
    """Whether a TXT record is one of SPF version 1 (RFC 7208 4.5)."""
    return text[:6].lower() == "v=spf1" and (len(text) == 6 or text[6] == " ")


@lru_cache(2048)
def read(text: str) -> Record:
    """Read a record that `is_spf`. Raises BadRecord for any error of grammar anywhere in it (RFC 7208 4.6)."""
    if len(text) > MAX_RECORD:
        raise BadRecord("the record is too long")
    if not text.isascii():
        raise BadRecord("the record is not ASCII")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in text[6:].split(" "):
        if not term:
            continue
        found = _DIRECTIVE.fullmatch(term)
        if found:
            mechanisms.append(_mechanism(found[2].lower(), QUALIFIERS[found[1] or "+"], found[3], term))
            continue
        named = _MODIFIER.fullmatch(term)
        if named is None:
            raise BadRecord(f"unknown term {term[:60]!r}")
        _modifier(named[1].lower(), named[2], modifiers)
    return Record(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


def _modifier(name: str, value: str, modifiers: dict[str, str]) -> None:
    if name in ("redirect", "exp"):
        if name in modifiers:
            raise BadRecord(f"{name}= stands there twice")
        modifiers[name] = _domain_spec(value, f"{name}={value}")
    elif not _STRING.fullmatch(value) or not _macros_hold(value, explaining=False):
        raise BadRecord(f"bad macro in {name[:60]}=")


def _mechanism(name: str, outcome: Outcome, rest: str, term: str) -> Mechanism:
    if name == "all":
        if rest:
            raise BadRecord(f"all takes no argument: {term[:60]!r}")
        return Mechanism(name, outcome)
    if name in ("ip4", "ip6"):
        return Mechanism(name, outcome, network=_network(name, rest, term))
    domain, v4, v6 = rest, "32", "128"
    if name in ("a", "mx"):
        domain, v4, v6 = _lengths(rest, term)
    if domain:
        if domain[0] != ":":
            raise BadRecord(f"bad argument in {term[:60]!r}")
        domain = _domain_spec(domain[1:], term)
    elif name in ("include", "exists"):
        raise BadRecord(f"{name} needs a domain")
    return Mechanism(name, outcome, domain, None, int(v4), int(v6))


def _lengths(rest: str, term: str) -> tuple[str, str, str]:
    """Split a dual CIDR length off the end; any other slash is part of the domain."""
    found = _LENGTHS.fullmatch(rest)
    assert found is not None
    v4, v6 = found[2] or "32", found[3] or "128"
    if int(v4) > 32 or int(v6) > 128:
        raise BadRecord(f"bad length in {term[:60]!r}")
    return found[1], v4, v6


def _network(name: str, rest: str, term: str) -> Network:
    pattern, made = (_IP4, ipaddress.IPv4Network) if name == "ip4" else (_IP6, ipaddress.IPv6Network)
    found = pattern.fullmatch(rest[1:]) if rest[:1] == ":" else None
    if found is None:
        raise BadRecord(f"bad address in {term[:60]!r}")
    try:
        return made(f"{found[1]}/{found[2]}" if found[2] else found[1], strict=False)
    except ValueError:
        raise BadRecord(f"bad address in {term[:60]!r}") from None


def _domain_spec(text: str, term: str) -> str:
    """A macro string that ends in a top label or a macro (RFC 7208 7.1)."""
    if not _STRING.fullmatch(text) or not _macros_hold(text, explaining=False) or not text:
        raise BadRecord(f"bad domain in {term[:60]!r}")
    macros = list(_MACRO.finditer(text))
    if macros and macros[-1].end() == len(text):
        return text
    _, dot, top = text.removesuffix(".").rpartition(".")
    if not dot or not _TOP.fullmatch(top):
        raise BadRecord(f"bad domain in {term[:60]!r}")
    return text


def _macros_hold(text: str, *, explaining: bool) -> bool:
    """Whether no macro keeps 0 labels, or is one that only explanations may use."""
    for found in _MACRO.finditer(text):
        if found[0][1] != "{":
            continue
        if found[0][2] in _EXPLAIN_ONLY and not explaining:
            return False
        digits = re.sub(r"\D", "", found[0])
        if digits and not int(digits):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Values:
    """What macros stand for (RFC 7208 7.2). `validated`: the client's validated name, "unknown" where there is none."""

    ip: Address
    sender: str  # local@domain
    domain: str
    helo: str
    validated: str = "unknown"
    receiver: str = "unknown"
    now: int = 0

    def of(self, letter: str) -> str:
        local, _, sender_domain = self.sender.rpartition("@")
        v4 = self.ip.version == 4
        match letter:
            case "s":
                return self.sender
            case "l":
                return local
            case "o":
                return sender_domain
            case "d":
                return self.domain
            case "i":
                return str(self.ip) if v4 else ".".join(self.ip.exploded.replace(":", "").upper())
            case "p":
                return self.validated
            case "v":
                return "in-addr" if v4 else "ip6"
            case "h":
                return self.helo
            case "c":
                return str(self.ip)
            case "r":
                return self.receiver
            case _:
                return str(self.now)


def needs_validated_name(text: str) -> bool:
    """Whether a macro string asks for %{p}."""
    return any(found[0][2:3] in ("p", "P") for found in _MACRO.finditer(text) if found[0][1] == "{")


def expand(text: str, values: Values) -> str:
    """Expand every macro of a checked macro string."""
    return _MACRO.sub(lambda found: _expanded(found[0], values), text)[:MAX_EXPANDED] if "%" in text else text


def expand_name(text: str, values: Values) -> str:
    """Expand to a domain name, leftmost labels dropped until it fits into the DNS (RFC 7208 7.3)."""
    name = expand(text, values).rstrip(".") if text.endswith(".") else expand(text, values)
    while len(name) > MAX_NAME and "." in name:
        name = name.partition(".")[2]
    return name


def expand_text(text: str, values: Values) -> str | None:
    """Expand an explanation (RFC 7208 6.2); None where it breaks the grammar."""
    if len(text) > MAX_RECORD or not _TEXT.fullmatch(text) or not _macros_hold(text, explaining=True):
        return None
    return expand(text, values)


def _expanded(macro: str, values: Values) -> str:
    if macro[1] != "{":
        return {"%": "%", "_": " ", "-": "%20"}[macro[1]]
    letter, rest = macro[2], macro[3:-1]
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    after = rest[len(digits) :]
    backwards = after[:1] in ("r", "R")
    delimiters = after[1:] if backwards else after
    value = values.of(letter.lower())
    if digits or backwards or delimiters:
        parts = re.split(f"[{re.escape(delimiters or '.')}]", value)
        parts = parts[::-1] if backwards else parts
        value = ".".join(parts[-int(digits) :] if digits else parts)
    return quote(value, safe="-._~") if letter.isupper() else value
