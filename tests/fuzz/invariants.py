"""What holds for every message, whatever the bytes were. Shared by the fuzzers."""

from __future__ import annotations

import time
from dataclasses import fields, is_dataclass
from pathlib import Path

import msgspec

from mailward.message import Header, Message, limits
from mailward.message.origin import envelope_from_trace, origin
from mailward.message.parse import read

FOUND = Path(__file__).parent.parent / "vectors" / "found"
SECONDS = 3.0  # CPU time for one input of at most some 100 kB: more is a hang


class BrokenPromiseError(AssertionError):
    """An invariant does not hold."""


def check(raw: bytes) -> Message:
    """Parse without the net underneath and check what every message promises."""
    start = time.process_time()
    message = read(raw)
    envelope = envelope_from_trace(message)
    origin(message, envelope, ["192.0.2.0/24"])
    took = time.process_time() - start
    if took > SECONDS:
        raise BrokenPromiseError(f"took {took:.1f} s of CPU")
    _bounded(message)
    _tree(message)
    _encodable(message, "message")
    _encodable(envelope, "envelope")
    return message


def _hold(condition: bool, what: str) -> None:
    if not condition:
        raise BrokenPromiseError(what)


def _bounded(m: Message) -> None:
    _hold(len(m.text) <= limits.TEXT_CHARS and len(m.hidden_text) <= limits.TEXT_CHARS, "text too long")
    _hold(len(m.links) <= limits.LINKS, "too many links")
    _hold(len({(link.url, link.text) for link in m.links}) == len(m.links), "a link twice")
    _hold(all(len(link.url) <= limits.URL_LENGTH for link in m.links), "URL too long")
    _hold(len(m.received) <= limits.RECEIVED, "too many hops")
    _hold(all(len(boxes) <= limits.ADDRESSES for boxes in (m.from_, m.to, m.cc, m.sender, m.reply_to)), "too many addresses")
    _hold(sum(len(p.content) for p in m.parts) <= limits.TOTAL_BYTES, "too much content")
    _hold("\u200b" not in m.text and "\x00" not in m.text, "invisible characters in the text")


def _tree(m: Message) -> None:
    _hold(1 <= len(m.parts) <= limits.PARTS, "number of parts")
    _hold(m.parts[0].parent == -1 and m.parts[0].depth == 0, "root")
    for i, part in enumerate(m.parts[1:], 1):
        _hold(0 <= part.parent < i and part.depth == m.parts[part.parent].depth + 1 <= limits.DEPTH, "parent")
        _hold("/" in part.content_type and part.content_type == part.content_type.lower(), "content type")
        _hold("/" not in part.filename, "a path in a file name")


def _encodable(value: object, where: str) -> None:
    """Every text but raw header fields can be written as UTF-8."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise BrokenPromiseError(f"{where} is no text: {error}") from error
    elif isinstance(value, Header):
        return
    elif is_dataclass(value) or isinstance(value, msgspec.Struct):
        names = [f.name for f in fields(value)] if is_dataclass(value) else value.__struct_fields__
        for name in names:
            _encodable(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, tuple):
        for item in value:
            _encodable(item, where)


def keep(raw: bytes, name: str) -> Path:
    """Write a find down as a vector."""
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{name}.eml"
    path.write_bytes(raw)
    return path
