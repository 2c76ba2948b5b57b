"""Files that stand whole within others which do not say where: pictures in old Office documents, objects in rich text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import re2

from mailward.message.attachments import limits

_BEGINNINGS = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff[\xdb\xe0\xe1\xee]|\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|PK\x03\x04")
_PNG_END = b"IEND\xae\x42\x60\x82"
_JPEG_END = b"\xff\xd9"
_HEX = re2.compile(rb"[0-9a-fA-F][0-9a-fA-F\s]{400,}")


def within(content: bytes) -> Iterator[bytes]:
    """Pictures, compound files and zip archives, from where they begin to their end or the next one's beginning."""
    starts = [m.start() for m, _ in zip(_BEGINNINGS.finditer(content), range(limits.CARVED), strict=False)]
    for start, following in pairwise([*starts, len(content)]):
        if content.startswith(b"PK", start):
            yield content[start:]
            return  # its entries begin so too
        ending = _PNG_END if content.startswith(b"\x89PNG", start) else _JPEG_END if content.startswith(b"\xff\xd8", start) else b""
        end = content.rfind(ending, start, following) if ending else -1
        yield content[start : end + len(ending)] if end >= 0 else content[start:following]


def within_hexadecimal(content: bytes) -> Iterator[bytes]:
    """The same of what is written in hexadecimal digits, as rich text does (RTF 1.9.1: \\pict, \\objdata)."""
    for m, _ in zip(_HEX.finditer(content), range(limits.CARVED), strict=False):
        digits = b"".join(m.group(0).split())
        yield from within(bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii")))
