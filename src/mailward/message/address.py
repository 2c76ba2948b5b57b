"""Mailboxes of From, To, Cc and alike (RFC 5322 3.4), and what is left of broken ones."""

from __future__ import annotations

import re
from functools import lru_cache

import can_ada

from mailward.message import limits
from mailward.message.headers import decode_words, eight_bit
from mailward.message.model import Address

_SIMPLE = re.compile(r'(?:"([^"\\]{0,200})"|([^"<>,;:()\\@\[\]]{0,200}))[ \t]*<([^<>@\s",;:()\\]{1,200})@([A-Za-z0-9.-]{1,253})>')
_BARE = re.compile(r"([^<>@\s\",;:()\\\[\]]{1,200})@([A-Za-z0-9.-]{1,253})")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\[\]]*\]|\\.|[^"(),<>;:\\\[]+|.', re.S)
_FIND = re.compile(r"([^<>@\s\",;:()\\\[\]]{1,200})@([^<>@\s\",;:()\\\[\]]{1,253})")


def domain_name(raw: str) -> str:
    """Lower case, without a trailing dot, U-labels as A-labels; what cannot be encoded stays as it is."""
    name = raw.strip().rstrip(".").lower()[:1000]
    return name if name.isascii() else _a_label(name)


@lru_cache(maxsize=1024)
def _a_label(name: str) -> str:
    try:
        return can_ada.idna_encode(name).decode("ascii") or name
    except (ValueError, UnicodeError):
        return name


def addresses(raw: str) -> tuple[Address, ...]:
    """Read a mailbox list; groups are flattened, comments become display names where there is none. Never raises."""
    raw = raw.strip() if raw.isascii() else eight_bit(raw).strip()
    if not raw:
        return ()
    if len(raw) < 500:
        if m := _SIMPLE.fullmatch(raw):
            return (Address(_display(m[1] if m[1] is not None else m[2]), m[3], domain_name(m[4])),)
        if m := _BARE.fullmatch(raw):
            return (Address("", m[1], domain_name(m[2])),)
    found = _read(raw)
    if not any(a.domain for a in found) and "@" not in raw and "=?" in raw:
        found = _read(decode_words(raw)) or found
    return found


def _display(raw: str) -> str:
    return " ".join(decode_words(raw).split())


def _read(raw: str) -> tuple[Address, ...]:
    out: list[Address] = []
    phrase: list[str] = []
    comment: list[str] = []
    angle: list[str] | None = None
    depth = 0
    spec: str | None = None

    def flush() -> None:
        nonlocal angle, spec
        if angle is not None:
            spec = spec if spec is not None else "".join(angle)
        mailbox = _mailbox(phrase, "".join(comment), spec)
        if mailbox is not None:
            out.append(mailbox)
        phrase.clear()
        comment.clear()
        angle, spec = None, None

    for m in _TOKEN.finditer(raw):
        token = m[0]
        if depth:
            depth += (token == "(") - (token == ")")
            if depth:
                comment.append(token)
        elif token == "(":
            depth = 1
        elif angle is not None and spec is None:
            if token == ">":
                spec = "".join(angle)
            elif token == "<":
                phrase.extend(("<", *angle))
                angle = []
            elif token in ",;" and any("@" in piece for piece in angle):
                flush()
            else:
                angle.append(token)
        elif token == "<":
            angle = []
        elif token in ",;":
            flush()
            if len(out) >= limits.ADDRESSES:
                return tuple(out)
        elif token == ":" and not any("@" in piece for piece in phrase):
            phrase.clear()  # the name of a group
        else:
            phrase.append(token)
    flush()
    return tuple(out)


def _mailbox(phrase: list[str], comment: str, spec: str | None) -> Address | None:
    if spec is not None:
        local, domain = _addr_spec(spec)
        if not local and not domain and not phrase:
            return None
        return Address(_unquoted(phrase) or _display(comment), local, domain)
    text = "".join(phrase).strip()
    if not text:
        return None
    if m := _find(text):
        local, domain = _addr_spec(text) if " " not in text and "\t" not in text else (m[1], domain_name(_decoded(m[2])))
        return Address(_display(comment) or _rest(text, m), local, domain)
    if '"' in text and "@" in text:
        local, domain = _addr_spec(text)
        return Address(_display(comment), local, domain)
    text = _unquoted(phrase)
    if "=?" in "".join(phrase) and (m := _find(text)):
        return Address(" ".join((text[: m.start()] + text[m.end() :]).replace("<", " ").replace(">", " ").split()), m[1], domain_name(m[2]))
    words = text.split()
    return Address("", text, "") if len(words) == 1 else Address(text, "", "")


def _find(text: str) -> re.Match[str] | None:
    """The first address inside other text; looked for around the first "@" only, so that long text costs little."""
    at = text.find("@")
    return _FIND.search(text, max(0, at - 200)) if at >= 0 else None


def _rest(text: str, m: re.Match[str]) -> str:
    return _display((text[: m.start()] + " " + text[m.end() :]).replace('"', ""))


def _unquoted(phrase: list[str]) -> str:
    pieces = [re.sub(r"\\(.)", r"\1", p[1:-1]) if len(p) > 1 and p[0] == '"' and p[-1] == '"' else p for p in phrase]
    return _display("".join(pieces))


def _decoded(text: str) -> str:
    return decode_words(text) if "=?" in text or not text.isascii() else text


def _addr_spec(spec: str) -> tuple[str, str]:
    spec = _decoded(spec.strip()[:1000])
    if spec.startswith("@") and ":" in spec:
        spec = spec.partition(":")[2]  # an obsolete source route
    if spec.lower().startswith("mailto:"):
        spec = spec[7:]
    local, at, domain = spec.rpartition("@")
    if not at:
        return spec.strip(), ""
    local = local.strip()
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return local, domain_name("".join(domain.split()))
