"""`Received` lines (RFC 5321 4.4) as sendmail, Postfix, Exim, qmail, Exchange, Gmail and others write them."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from mailward.message.headers import eight_bit
from mailward.message.model import Hop

_LENGTH = 2_000  # longer lines are only seen in attacks
_TOKEN = re.compile(r"[()]|[^\s()]+")
_IPV4 = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.])")
_BRACKET = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]{2,45})(?:%\w{1,16})?\]", re.I)
_BARE_V6 = re.compile(r"(?<![\w:.])((?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|\d{1,3}(?:\.\d{1,3}){3})?)(?![\w:.])")
_HELO = re.compile(r"\b(?:helo|ehlo)[ =]\[?([^\s()\[\]]{1,255})", re.I)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253})\Z")
_COMMON = re.compile(  # Postfix, sendmail, Gmail: from HELO (NAME [IP] ...) ... by HOST (...) with PROTOCOL
    r"from\s+([^\s()]{1,255})\s+\((?:([^\s()\[\]]{1,255})\s)?\[(?:IPv6:)?([0-9A-Fa-f:.]{2,45})\](?:\s\(may\sbe\sforged\))?\)"
    r"(?:\s+\((?:using|No\sclient|authenticated|Authenticated)[^()]{0,200}(?:\([^()]{0,100}\)[^()]{0,200}){0,3}\)){0,4}"
    r"\s+by\s+([^\s()]{1,255})\s+(?:\([^()]{0,100}\)\s+){0,2}with\s+(?!id\s)([^\s()]{1,30})"
)
_CLAUSES = frozenset({"from", "by", "with", "via", "id", "for"})


@lru_cache(maxsize=4096)
def canonical_ip(text: str) -> str | None:
    """The canonical text form of an address, v4-mapped v6 as v4; None where it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


def read(raw: str) -> Hop:
    """Read one Received value; what cannot be read stays empty. Linear in the length, which is limited."""
    if not raw.isascii():
        raw = eight_bit(raw[:_LENGTH])
    if m := _COMMON.match(raw, 0, _LENGTH):
        helo, name, ip, by, protocol = m.groups()
        if (address := canonical_ip(ip)) is not None and helo[0] != "[" and (name or "(Exim " not in raw):
            return Hop(helo.rstrip("."), _host(name) if name else "", address, by.rstrip(".;").lower(), _protocol(protocol))
    raw = raw[:_LENGTH]
    words, info = _clauses(raw.rpartition(";")[0] or raw)  # the date is of no use here
    source = words.get("from", "")
    address = _address(info) or _address(source)
    helo = _helo(source, info)
    by = words.get("by", "").strip("[];,").rstrip(".").lower()
    name = _host(source) if "(Exim " in raw and source[:1] != "[" else _name(source, info, address)
    return Hop(
        helo, name, address, by, _protocol(words.get("with", ""))
    )  # Exim writes the verified name first, or the bare address if it has none


def _protocol(word: str) -> str:
    """`with Microsoft SMTP Server` and `with ESMTP/TLS/cipher` name their protocol in their own ways."""
    name = word.partition("/")[0].strip(";,").upper()
    return "MICROSOFT SMTP" if name == "MICROSOFT" else name


def _clauses(raw: str) -> tuple[dict[str, str], str]:
    """The first word after each clause keyword, and the rest of the "from" clause (further words and comments) as one text."""
    words: dict[str, str] = {}
    rest: list[str] = []
    clause = ""
    depth = 0
    for token in _TOKEN.findall(raw):
        if token == "(":
            depth += 1
        elif token == ")":
            depth = max(0, depth - 1)
        elif depth == 0:
            lower = token.lower()
            if lower in _CLAUSES and lower not in words:
                clause = lower
                words[clause] = ""
                continue
            if clause and not words[clause]:
                words[clause] = token
                continue
            if clause != "from" and token[-1] == ";":
                break
        if clause == "from":
            rest.append(token)
    return words, " ".join(rest)


def _address(text: str) -> str | None:
    if not text:
        return None
    for pattern in (_BRACKET, _IPV4, _BARE_V6):
        for m in pattern.finditer(text):
            if found := canonical_ip(m[1]):
                return found
    return None


def _helo(source: str, info: str) -> str:
    if info and (m := _HELO.search(info)):
        return m[1].rstrip(".")
    return source.strip("[];,").rstrip(".") if not source.lower().startswith("[ipv6:") else source[6:].rstrip("]")


def _name(source: str, info: str, address: str | None) -> str | None:
    """The verified name: in front of the bracketed address (sendmail, Postfix, Gmail), or the first word (qmail, Exim).

    "" where the writer looked and found none, None where the line does not tell (Exchange writes the bare address, others nothing).
    """
    tokens = [t for t in info.split() if t not in {"(", ")"}]
    for index, token in enumerate(tokens):
        if token.startswith("[") and index and tokens[index - 1] not in {"from", ")"}:
            return _host(tokens[index - 1])
    if address and _HELO.search(info) and canonical_ip(source.strip("[]")) is None:
        return _host(source)
    if address and tokens and tokens[0].startswith("[") and "helo=" in info.lower():
        return _host(source)
    return "" if address and _BRACKET.search(info + source) else None


def _host(token: str) -> str:
    name = token.rpartition("@")[2].rpartition("=")[2].rstrip(".;,").lower()
    if name in {"unknown", "localhost", "helo", "ehlo", "(", "port"} or "." not in name or not _HOST.match(name):
        return "localhost" if name == "localhost" else ""
    return "" if canonical_ip(name) else name
