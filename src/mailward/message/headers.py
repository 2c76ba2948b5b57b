"""Header fields: splitting, unfolding, encoded words (RFC 2047) and parameters (RFC 2045, 2231)."""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from mailward.message import charset, limits
from mailward.message.model import Header

_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=")
_ESSENTIAL = frozenset(
    "from to cc sender reply-to subject date message-id return-path received content-type content-transfer-encoding content-disposition mime-version".split()
)


def header_end(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Find where the header block of data[start:end] (LF line ends) stops and where its body begins."""
    if data.startswith(b"\n", start):
        return start, start + 1
    at = data.find(b"\n\n", start, end)
    return (end, end) if at < 0 else (at + 1, at + 2)


_FIELD = re.compile(r"^([!-9;-~]+)[ \t]*:(.*)$", re.M)


def split(block: bytes, found: list[str]) -> tuple[list[Header], int]:
    """Split a header block into fields; returns them and the offset of the first line that is none (-1: all are).

    Beyond limits.HEADERS only the fields that decide how a message looks are kept. Defects are appended to `found`.
    """
    text = block[: limits.HEADERS_BYTES].decode("ascii", "surrogateescape")
    if len(block) > limits.HEADERS_BYTES:
        found.append("limit:headers_bytes")
        text = text.rpartition("\n")[0]
    if "\x00" in text:
        found.append("defect:nul")
    if "\r" in text:
        found.append("defect:bare_cr")
        text = text.replace("\r", " ")
    if "\n " in text or "\n\t" in text:  # unfold, keeping every offset
        text = text.replace("\n ", "\x00 ").replace("\n\t", "\x00\t")
    rest = -1
    start = text.find("\n") + 1 if text.startswith("From ") else 0  # a mailbox separator
    pairs = _FIELD.findall(text, start) if start or not text.startswith("From ") else []
    if len(pairs) + (start > 0) != text.count("\n") + (text[-1:] not in {"", "\n"}):
        pairs, rest = _by_line(text, found)
    if len(pairs) > limits.HEADERS:
        found.append("limit:headers")
        pairs = pairs[: limits.HEADERS] + _essential(pairs[limits.HEADERS :])
    if len(text) > limits.HEADER_BYTES:
        if any(len(value) > limits.HEADER_BYTES for _, value in pairs):
            found.append("limit:header_bytes")
        pairs = [(name, value[: limits.HEADER_BYTES]) for name, value in pairs]
    return [Header(name, name.lower(), value.replace("\x00", "").strip()) for name, value in pairs], rest


def _by_line(text: str, found: list[str]) -> tuple[list[tuple[str, str]], int]:
    """The fields up to the first line that is none, and where that line begins; mailbox separators and empty lines are passed over."""
    pairs: list[tuple[str, str]] = []
    offset = 0
    for line in text.split("\n"):
        if m := _FIELD.match(line):
            pairs.append((m[1], m[2]))
        elif line and not line.startswith(("From ", ">From ")):
            found.append("defect:no_header")
            return pairs, offset
        offset += len(line) + 1
    return pairs, -1


def _essential(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    first: dict[str, tuple[str, str]] = {}
    for pair in pairs:
        key = pair[0].lower()
        if key in _ESSENTIAL:
            first.setdefault(key, pair)
    return list(first.values())


def eight_bit(text: str, declared: str = "") -> str:
    """Turn surrogate escapes (raw 8-bit bytes) into characters."""
    if text.isascii():
        return text
    return charset.decode(text.encode("utf-8", "surrogateescape"), declared)


def decode_words(raw: str) -> str:
    """Decode RFC 2047 encoded words and raw 8-bit; white space between adjacent words is dropped; never raises.

    Words of one charset that follow each other are joined before decoding, since many mailers cut inside a character.
    """
    if "=?" not in raw:
        return eight_bit(raw)
    out: list[str] = []
    pending = bytearray()
    pending_charset = ""
    at = 0
    for count, m in enumerate(_WORD.finditer(raw)):
        if count >= limits.ENCODED_WORDS:
            break
        gap = raw[at : m.start()]
        name = m[1].partition("*")[0].lower()
        data = _word_bytes(m[2], m[3])
        if pending and (name != pending_charset or not (gap == "" or gap.isspace())):
            out.append(charset.decode(bytes(pending), pending_charset))
            pending.clear()
            if not gap.isspace():
                out.append(eight_bit(gap))
        elif not pending and gap and not (count and gap.isspace()):
            out.append(eight_bit(gap))
        pending += data
        pending_charset = name
        at = m.end()
    if pending:
        out.append(charset.decode(bytes(pending), pending_charset))
    out.append(eight_bit(raw[at:]))
    return "".join(out).replace("\x00", "")


def _word_bytes(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return base64(data) if encoding in "bB" else binascii.a2b_qp(data.replace(b"\n", b""), header=True)


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(sorted(set(range(256)) - set(_ALPHABET) - {ord("=")}))


def base64(data: bytes) -> bytes:
    """Decode base64 as mail clients do: junk is skipped, missing padding is added, concatenated texts are read on."""
    clean = data.translate(None, _NOT_BASE64)
    body = clean.rstrip(b"=")
    if b"=" not in body:
        return _quads(body)
    pieces = [piece for piece in body.split(b"=", 1000) if piece]
    pieces[-1] = pieces[-1].replace(b"=", b"") if pieces else b""
    return b"".join(map(_quads, pieces))


def _quads(clean: bytes) -> bytes:
    over = len(clean) & 3
    if over == 1:
        clean = clean[:-1]
    elif over:
        clean += b"=" * (4 - over)
    return binascii.a2b_base64(clean)


_PARAM = re.compile(r';?\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))', re.S)


def parameters(raw: str) -> tuple[str, dict[str, str]]:
    """Split `value; name=value; ...` into the lower-case value and its parameters, RFC 2231 continuations joined, words decoded."""
    head, semicolon, tail = raw.partition(";")
    value = first_word(head)
    if not semicolon or "=" not in tail:
        return value, {}
    plain: dict[str, str] = {}
    extended: dict[str, list[tuple[int, bool, str]]] = {}
    for m in _PARAM.finditer(tail[: limits.HEADER_BYTES]):
        key = m[1].lower()
        text = re.sub(r"\\(.)", r"\1", m[2]) if m[2] is not None and "\\" in m[2] else m[2] if m[2] is not None else m[3].strip()
        if "*" in key:
            name, _, rest = key.partition("*")
            number = rest.rstrip("*")
            extended.setdefault(name, []).append((int(number) if number.isdecimal() and len(number) < 5 else 0, key.endswith("*"), text))
        else:
            plain.setdefault(key, decode_words(text))
    for name, pieces in extended.items():
        plain[name] = _rfc2231(pieces)
    return value, plain


def first_word(head: str) -> str:
    head = head.partition("(")[0] if "(" in head else head
    word = head.split(None, 1)
    return word[0].strip("\"',").lower() if word else ""


def _rfc2231(pieces: list[tuple[int, bool, str]]) -> str:
    pieces.sort(key=lambda piece: piece[0])
    name = ""
    data = bytearray()
    for index, (_, encoded, text) in enumerate(pieces[:1000]):
        if index == 0 and encoded and text.count("'") >= 2:
            name, _, text = text.split("'", 2)
        raw = text.encode("utf-8", "surrogateescape")
        data += unquote_to_bytes(raw) if encoded else raw
    return decode_words(charset.decode(bytes(data), name).replace("\x00", ""))


@lru_cache(maxsize=512)
def _short_parameters(raw: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    value, params = parameters(raw)
    return value, tuple(params.items())


def cached_parameters(raw: str) -> tuple[str, dict[str, str]]:
    """As `parameters`, remembering the short values that come again and again."""
    if len(raw) > 60:
        return parameters(raw)
    value, params = _short_parameters(raw)
    return value, dict(params)
