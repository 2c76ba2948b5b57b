"""The text of old Office documents: records of Excel (MS-XLS) and PowerPoint (MS-PPT), strings of Word, macros (MS-OVBA)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import re2

from mailward.message.attachments import limits

_SST, _CONTINUE, _LABEL, _STRING, _FORMULA = 0x00FC, 0x003C, 0x0204, 0x0207, 0x0006  # MS-XLS 2.3
_FILEPASS = b"\x2f\x00"
_BEFORE_FILEPASS = {b"\x86\x00", b"\x5b\x00"}  # WriteProtect, FileSharing (MS-XLS 2.1.7.20.3)
_URL_MONIKER = bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b")  # {79EAC9E0-BAF9-11CE-8C82-00AA004BA90B}, MS-OSHARED 2.3.7.6
_TEXT_CHARS, _TEXT_BYTES, _CSTRING = 0x0FA0, 0x0FA8, 0x0FBA  # MS-PPT 2.13.24
_SHORT = 6  # characters; a string that is shorter holds no address
_NARROW = re2.compile(rb"[\x09\x0a\x0d\x20-\x7e]{%d,}" % _SHORT)
_WIDE = re2.compile(rb"(?:[\x09\x0a\x0d\x20-\x7e]\x00){%d,}" % _SHORT)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\ufffd]+")
_ATTRIBUTE = b"\x00Attribut"  # how the source of a macro begins


def strings(content: bytes) -> str:
    """The runs of ASCII characters in one octet and in two, a line each."""
    found = [m.group(0).decode("ascii") for m in _NARROW.finditer(content)]
    found += [m.group(0)[::2].decode("ascii") for m in _WIDE.finditer(content)]
    return "\n".join(found)


def document(content: bytes) -> str:
    """The text of a Word stream, its pieces in either coding (MS-DOC 2.4.1); what is no text becomes lines."""
    return "\n".join(_CONTROL.sub("\n", content.decode(name, "replace")) for name in ("cp1252", "utf-16-le"))


def monikers(content: bytes) -> Iterator[str]:
    """The addresses of URL monikers: length in octets, then UTF-16 ended by zero."""
    at = content.find(_URL_MONIKER)
    while at >= 0:
        start = at + len(_URL_MONIKER) + 4
        size = min(int.from_bytes(content[start - 4 : start], "little"), 4_096)
        yield content[start : start + size].decode("utf-16-le", "replace").partition("\x00")[0]
        at = content.find(_URL_MONIKER, start)


def is_locked(workbook_stream: bytes) -> bool:
    """Whether an Excel workbook has a FILEPASS record (MS-XLS 2.4.117), which follows its first one."""
    at = 4 + int.from_bytes(workbook_stream[2:4], "little")
    while workbook_stream[at : at + 2] in _BEFORE_FILEPASS:
        at += 4 + int.from_bytes(workbook_stream[at + 2 : at + 4], "little")
    return workbook_stream[at : at + 2] == _FILEPASS


def workbook(content: bytes) -> str:
    """The strings of an Excel workbook."""
    pieces: list[str] = []
    shared: list[bytes] = []
    at, last = 0, 0
    while at + 4 <= len(content):
        record = int.from_bytes(content[at : at + 2], "little")
        size = int.from_bytes(content[at + 2 : at + 4], "little")
        body = content[at + 4 : at + 4 + size]
        if record == _SST or (record == _CONTINUE and last == _SST):
            shared.append(body)
            record = _SST
        elif record in {_LABEL, _STRING, _FORMULA}:
            pieces.append(strings(body))
        last = record
        at += 4 + size
    pieces += _shared_strings(shared)
    return "\n".join(pieces)


def _shared_strings(records: list[bytes]) -> Iterator[str]:
    """The strings of an SST record and those that continue it (MS-XLS 2.4.265, 2.5.293)."""
    data, starts = b"".join(records), list(accumulate(map(len, records)))
    at, chars = 8, 0
    while at + 3 <= len(data) and chars < limits.TEXT_CHARS:
        count, flags = int.from_bytes(data[at : at + 2], "little"), data[at + 2]
        at += 3
        runs = int.from_bytes(data[at : at + 2], "little") if flags & 8 else 0
        at += 2 if flags & 8 else 0
        extra = int.from_bytes(data[at : at + 4], "little") if flags & 4 else 0
        at += 4 if flags & 4 else 0
        text, at = _characters(data, at, count, flags, starts)
        at += 4 * runs + extra
        chars += len(text)
        yield text


def _characters(data: bytes, at: int, count: int, flags: int, starts: list[int]) -> tuple[str, int]:
    """So many characters; where a record continues, an octet says anew whether they are wide."""
    pieces = []
    while count > 0 and at < len(data):
        width = 2 if flags & 1 else 1
        end = starts[bisect_right(starts, at)]
        taken = min(count, max(1, (end - at) // width))
        pieces.append(data[at : at + taken * width].decode("utf-16-le" if width == 2 else "latin-1", "replace"))
        at += taken * width
        count -= taken
        if count and at == end and at < len(data):
            flags = data[at]
            at += 1
    return "".join(pieces), at


def presentation(content: bytes) -> str:
    """The texts of a PowerPoint stream. Containers are entered by going on behind their header (MS-PPT 2.3.1)."""
    pieces: list[str] = []
    at = 0
    while at + 8 <= len(content):
        version = content[at] & 0x0F
        record = int.from_bytes(content[at + 2 : at + 4], "little")
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8
        if version == 0x0F:
            continue
        if record in {_TEXT_CHARS, _CSTRING}:
            pieces.append(content[at : at + size].decode("utf-16-le", "replace"))
        elif record == _TEXT_BYTES:
            pieces.append(content[at : at + size].decode("latin-1"))
        at += size
    return "\n".join(pieces)


def macro(content: bytes) -> str:
    """The source in a module stream (MS-OVBA 2.4.1), "" for none."""
    begins = content.find(_ATTRIBUTE) - 3
    if begins < 0 or content[begins] != 1:
        return ""
    out = bytearray()
    at = begins + 1
    while at + 2 <= len(content) and len(out) < limits.TEXT_CHARS:
        header = int.from_bytes(content[at : at + 2], "little")
        end = min(at + (header & 0x0FFF) + 3, len(content))
        if header & 0x8000:
            _chunk(content, at + 2, end, out)
        else:
            out += content[at + 2 : end]
        at = end
    return out.decode("latin-1")


def _chunk(content: bytes, at: int, end: int, out: bytearray) -> None:
    """Literals, and copies of what stands up to 4,096 octets before (MS-OVBA 2.4.1.3.5)."""
    start = len(out)
    while at < end:
        flags = content[at]
        at += 1
        for bit in range(8):
            if at >= end:
                return
            if not flags >> bit & 1:
                out.append(content[at])
                at += 1
                continue
            token = int.from_bytes(content[at : at + 2], "little")
            at += 2
            bits = max(4, (len(out) - start - 1).bit_length())
            length, offset = (token & (0xFFFF >> bits)) + 3, (token >> (16 - bits)) + 1
            if offset > len(out) - start:
                return
            for _ in range(length):
                out.append(out[-offset])
