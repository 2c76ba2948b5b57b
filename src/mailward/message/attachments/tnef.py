"""winmail.dat: what Outlook puts the attachments and the formatted body of a message into (MS-OXTNEF), and its packed rich text (MS-OXRTFCP)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from mailward.message.attachments import limits, texts
from mailward.message.attachments.gathering import Gathering

_START = 6  # octets: what tells the kind, and a key
_ATTRIBUTE = 9  # octets before its data: level, number, length
_CHECKSUM = 2  # octets behind it; wrong ones are common, and Outlook passes over them
_PR_SUBJECT, _PR_BODY, _PR_RTF, _PR_HTML, _PR_DATA, _PR_NAME, _PR_LONG_NAME = 0x0037, 0x1000, 0x1009, 0x1013, 0x3701, 0x3704, 0x3707
_MULTIPLE = 0x1000  # bit of a type
_NAMED = 0x8000  # from here on a property has a name
_OBJECT, _WIDE = 0x000D, 0x001F
_VARIABLE = {_OBJECT, 0x001E, _WIDE, 0x0102}  # objects, strings in octets and in UTF-16, octets
_FIXED = {0x0002: 4, 0x0003: 4, 0x0004: 4, 0x000A: 4, 0x000B: 4, 0x0005: 8, 0x0006: 8, 0x0007: 8, 0x0014: 8, 0x0040: 8, 0x0048: 16}
_INTERFACE = 16  # octets before the data of an object
_PROPERTIES = 5_000  # of one message or file; Outlook writes some eighty

_RTF_HEADER = 16  # octets: packed size, size, kind, checksum
_PACKED = b"LZFu"
UNPACKED_BYTES = 4 * limits.TEXT_CHARS  # of a rich text: a second of work
_RING = 4_096
_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier"
    b"{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)

Entry = tuple[str, bytes]


class _Attribute(IntEnum):
    BODY = 0x2800C
    MESSAGE = 0x69003
    BEGINS = 0x69002  # a file
    TITLE = 0x18010
    DATA = 0x6800F
    FILE = 0x69005


class _Property(NamedTuple):
    kind: int
    value: bytes

    @property
    def text(self) -> str:
        return self.value.decode("utf-16-le" if self.kind == _WIDE else "cp1252", "replace").rstrip("\0")


def look(content: bytes, where: str, gathered: Gathering) -> Iterator[Entry]:
    """Read the message that is packed in; gives its files, rich text and the messages within it. What is cut off is left out."""
    name, data = "", b""
    for number, value in _attributes(content, gathered):
        match number:
            case _Attribute.BEGINS:
                yield from _file(name, data, gathered)
                name, data = "", b""
            case _Attribute.TITLE:
                name = name or value.decode("cp1252", "replace").rstrip("\0")
            case _Attribute.DATA:
                data = value
            case _Attribute.BODY:
                gathered.text(value.decode("cp1252", "replace"), where)
            case _Attribute.MESSAGE:
                yield from _message(properties(value), where, gathered)
            case _Attribute.FILE:
                found = properties(value)
                known = found.get(_PR_LONG_NAME) or found.get(_PR_NAME)
                name = known.text if known else name
                data = data or _content(found.get(_PR_DATA))
    yield from _file(name, data, gathered)


def _attributes(content: bytes, gathered: Gathering) -> Iterator[tuple[int, bytes]]:
    at = _START
    while at + _ATTRIBUTE <= len(content):
        number = int.from_bytes(content[at + 1 : at + 5], "little")
        size = int.from_bytes(content[at + 5 : at + 9], "little")
        start = at + _ATTRIBUTE
        at = start + size + _CHECKSUM
        if start + size > len(content):
            gathered.note("damaged", "A file of Outlook (winmail.dat) is damaged; parts of it were left out.")
        yield number, content[start : start + size]


def _file(name: str, data: bytes, gathered: Gathering) -> Iterator[Entry]:
    if data and (room := gathered.room()):
        yield name or "attachment", gathered.spend(data, room)


def _message(found: dict[int, _Property], where: str, gathered: Gathering) -> Iterator[Entry]:
    for number in (_PR_SUBJECT, _PR_BODY):
        if number in found:
            gathered.text(found[number].text, where)
    if _PR_HTML in found:
        page = found[_PR_HTML]
        texts.page(page.text.encode() if page.kind == _WIDE else page.value, "", where, gathered)
    if _PR_RTF in found:
        yield from _file("body.rtf", rich_text(found[_PR_RTF].value), gathered)


def _content(found: _Property | None) -> bytes:
    if found is None:
        return b""
    return found.value[_INTERFACE:] if found.kind == _OBJECT else found.value


def properties(data: bytes) -> dict[int, _Property]:
    """The properties of a message or a file by their number, the first value of each; as far as they can be read."""
    found: dict[int, _Property] = {}
    at = 4
    for _ in range(min(_number(data, 0), _PROPERTIES)):
        kind, number = _number(data, at, 2), _number(data, at + 2, 2)
        at += 4
        if number >= _NAMED:
            named = _number(data, at + 16)
            at += 24 + (_padded(_number(data, at + 20)) if named else 0)
        single = kind & ~_MULTIPLE
        count = 1
        if kind & _MULTIPLE or single in _VARIABLE:
            count = _number(data, at)
            at += 4
        if single not in _VARIABLE and single not in _FIXED:
            break  # of which size nobody knows
        for each in range(count):
            if at >= len(data):
                return found
            size = _FIXED.get(single, -1)
            if size < 0:
                size, at = _number(data, at), at + 4
            if each == 0:
                found.setdefault(number, _Property(single, data[at : at + size]))
            at += _padded(size)
    return found


def _number(data: bytes, at: int, size: int = 4) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _padded(size: int) -> int:
    return size + -size % 4


def rich_text(packed: bytes) -> bytes:
    """Unpack a rich text, at most UNPACKED_BYTES of it; b"" for what is none. What is damaged ends it."""
    body = packed[_RTF_HEADER:]
    most = min(_number(packed, 4), UNPACKED_BYTES)
    kind = packed[8:12]
    if kind == b"MELA":  # not packed
        return body[:most]
    if kind != _PACKED:
        return b""
    out, at = bytearray(_DICTIONARY), 0
    most += len(out)
    while at < len(body) and len(out) < most:
        control, at = body[at], at + 1
        for bit in range(8):
            if not control >> bit & 1:
                out += body[at : at + 1]
                at += 1
                continue
            reference, at = int.from_bytes(body[at : at + 2], "big"), at + 2
            back = (len(out) - (reference >> 4)) % _RING
            if not back or back > len(out):  # the end, or before the beginning
                return bytes(out[len(_DICTIONARY) : most])
            length = (reference & 15) + 2
            piece = out[len(out) - back : len(out) - back + length]
            out += (piece * (length // len(piece) + 1))[:length]  # where it reaches its own end it repeats
    return bytes(out[len(_DICTIONARY) : most])
