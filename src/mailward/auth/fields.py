"""A message as DKIM reads it: header fields and body as bytes, in the canonical forms of RFC 6376 3.4. All in linear time.

Line ends may be CRLF or LF; both are read as CRLF, as the message travelled.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

MAX_FIELDS = 1_000  # header fields read; real mail has under 150
MAX_HEADER = 262_144  # bytes of header read; beyond, a signature over the rest cannot hold

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)(?:\r\n|\Z)")
_BLANKS = re.compile(rb"[ \t]+")


class Form(StrEnum):
    """Canonicalisation algorithms."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


@dataclass(slots=True)
class Field:
    """One header field: `raw` as it stood, `value` behind the colon with its folds."""

    key: str
    raw: bytes
    value: bytes
    _relaxed: bytes = b""

    def canonical(self, form: Form) -> bytes:
        """As it is hashed, with its line end."""
        if form is Form.SIMPLE:
            return self.raw + b"\r\n"
        if not self._relaxed:
            self._relaxed = relaxed(self.key, self.value) + b"\r\n"
        return self._relaxed


def relaxed(key: str, value: bytes) -> bytes:
    """A header field in relaxed form, without line end (RFC 6376 3.4.2)."""
    return key.encode() + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


@dataclass(slots=True)
class Mail:
    """A message taken apart once for all its signatures. `whole` is False where a limit cut the header."""

    fields: tuple[Field, ...]
    body: bytes
    whole: bool
    _bodies: dict[Form, bytes] = field(default_factory=dict)
    _hashes: dict[tuple[Form, str, int | None], bytes] = field(default_factory=dict)

    def all(self, key: str) -> list[Field]:
        return [one for one in self.fields if one.key == key]

    def canonical_body(self, form: Form) -> bytes:
        found = self._bodies.get(form)
        if found is None:
            found = self._bodies[form] = _simple_body(self.body) if form is Form.SIMPLE else _relaxed_body(self.body)
        return found

    def body_hash(self, form: Form, algorithm: str, length: int | None) -> bytes:
        """The hash of the canonical body, of its first `length` bytes where that is a number. Each is worked out once."""
        key = (form, algorithm, length)
        found = self._hashes.get(key)
        if found is None:
            body = self.canonical_body(form)
            made: Callable[[memoryview], hashlib._Hash] = getattr(hashlib, algorithm)
            found = self._hashes[key] = made(memoryview(body)[:length]).digest()
        return found


def take_apart(raw: bytes) -> Mail:
    """Split a message. Never raises: what is no header field ends the header, as for a reader."""
    if raw.startswith((b"From ", b">From ")):  # the separator line of a mailbox file
        raw = raw[raw.find(b"\n") + 1 :]
    head, body = _split(raw)
    whole = len(head) <= MAX_HEADER
    head = _crlf(head[:MAX_HEADER])
    fields: list[Field] = []
    at = 0
    while at < len(head) and len(fields) < MAX_FIELDS:
        found = _FIELD.match(head, at)
        if found is None:
            whole = False
            break
        fields.append(Field(found[1].decode().lower(), found[0].removesuffix(b"\r\n"), found[2]))
        at = found.end()
    return Mail(tuple(fields), body, whole and at >= len(head))


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Header and body at the first empty line."""
    if raw.startswith((b"\r\n", b"\n")):
        return b"", _crlf(raw[raw.find(b"\n") + 1 :])
    ends = [(at, at + len(mark)) for mark in (b"\r\n\r\n", b"\n\n", b"\n\r\n") if (at := raw.find(mark, 0, 2 * MAX_HEADER)) >= 0]
    if not ends:
        return raw[: MAX_HEADER + 1], b""
    end, start = min(ends)
    return raw[:end], _crlf(raw[start:])


def _crlf(text: bytes) -> bytes:
    """All line ends as CRLF."""
    if text.count(b"\n") == text.count(b"\r\n"):
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _simple_body(body: bytes) -> bytes:
    """Without empty lines at its end; one CRLF where nothing is left (RFC 6376 3.4.3)."""
    return _without_last_lines(body) or b"\r\n"


def _relaxed_body(body: bytes) -> bytes:
    """Runs of blanks as one, none at line ends, no empty lines at the end (RFC 6376 3.4.4).

    Halving runs by `replace` is linear whatever the text; a pattern such as `[ \\t]+\\r\\n` is not.
    """
    if b"\t" in body:
        body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    return _without_last_lines(body.removesuffix(b" "))


def _without_last_lines(body: bytes) -> bytes:
    text = body.rstrip(b"\r\n")
    end = len(body)
    if body.count(b"\r", len(text)) == body.count(b"\n", len(text)) and body[len(text) : len(text) + 1] != b"\n":
        end = len(text)  # nothing but line ends
    else:  # single CRs among them, which belong to the text
        short = body[len(text) :].replace(b"\r\n", b"\n\n").replace(b"\r", b"\0")
        end -= len(short) - len(short.rstrip(b"\n"))
    if not end:
        return b""
    return body if body[end:] == b"\r\n" else body[:end] + b"\r\n"
