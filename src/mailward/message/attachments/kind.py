"""What a file is: by its first bytes, which programs go by, then by name and declared type, which people go by."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    ZIP = "zip"  # and what is built of it: Office, OpenDocument
    TAR = "tar"
    STREAM = "stream"  # one packed file: gzip, bzip2, xz
    SEVEN_ZIP = "7zip"
    RAR = "rar"
    RAR5 = "rar5"
    ISO = "iso9660"
    CAB = "cab"
    LHA = "lha"
    CPIO = "cpio"
    RAW = "raw"  # one packed file of a rarer kind: zstd, lz4, lzip, compress
    PDF = "pdf"
    COMPOUND = "compound"  # old Office, Outlook messages, installers (MS-CFB)
    TNEF = "tnef"  # winmail.dat
    STRINGS = "strings"  # a binary file whose addresses stand in it as they are: shortcuts, OneNote
    PICTURE = "picture"
    RTF = "rtf"
    MAIL = "mail"
    HTML = "html"
    CALENDAR = "calendar"  # and address cards: folded lines
    TEXT = "text"
    CLOSED = "closed"  # an archive that is not opened
    OTHER = "other"


LIBARCHIVE = frozenset({Kind.SEVEN_ZIP, Kind.RAR, Kind.RAR5, Kind.ISO, Kind.CAB, Kind.LHA, Kind.CPIO, Kind.RAW})
"""Read by libarchive; the values are its names of the formats."""

_MAGIC = (
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),
    (b"\x1f\x8b", Kind.STREAM),
    (b"BZh", Kind.STREAM),
    (b"\xfd7zXZ\x00", Kind.STREAM),
    (b"7z\xbc\xaf\x27\x1c", Kind.SEVEN_ZIP),
    (b"Rar!\x1a\x07\x00", Kind.RAR),
    (b"Rar!\x1a\x07\x01\x00", Kind.RAR5),
    (b"MSCF\x00\x00\x00\x00", Kind.CAB),
    (b"07070", Kind.CPIO),
    (b"\x28\xb5\x2f\xfd", Kind.RAW),
    (b"\x04\x22\x4d\x18", Kind.RAW),
    (b"LZIP", Kind.RAW),
    (b"\x1f\x9d", Kind.RAW),
    (b"\x60\xea", Kind.CLOSED),  # arj
    (b"%PDF-", Kind.PDF),
    (b"{\\rt", Kind.RTF),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind.COMPOUND),
    (b"\x78\x9f\x3e\x22", Kind.TNEF),
    (b"L\x00\x00\x00\x01\x14\x02\x00", Kind.STRINGS),  # shortcut
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", Kind.STRINGS),  # OneNote
    (b"\x89PNG\r\n", Kind.PICTURE),
    (b"\xff\xd8\xff", Kind.PICTURE),
    (b"GIF8", Kind.PICTURE),
    (b"II*\x00", Kind.PICTURE),
    (b"MM\x00*", Kind.PICTURE),
)
_TYPES = {"message/rfc822": Kind.MAIL, "text/html": Kind.HTML, "application/xhtml+xml": Kind.HTML, "image/svg+xml": Kind.HTML,
          "text/calendar": Kind.CALENDAR, "text/vcard": Kind.CALENDAR, "text/x-vcard": Kind.CALENDAR, "text/directory": Kind.CALENDAR}  # fmt: skip
_ENDINGS = {"eml": Kind.MAIL, "mht": Kind.MAIL, "mhtml": Kind.MAIL, "htm": Kind.HTML, "html": Kind.HTML, "xhtml": Kind.HTML, "shtml": Kind.HTML,
            "hta": Kind.HTML, "svg": Kind.HTML, "ics": Kind.CALENDAR, "vcf": Kind.CALENDAR, "zip": Kind.ZIP}  # fmt: skip
_HTML_STARTS = (b"<html", b"<!doctype html", b"<script", b"<svg", b"<body")
_ISO_AT = 32_769  # ECMA-119 8.1: behind sixteen sectors of 2,048 octets


def kind(name: str, content_type: str, content: bytes) -> Kind:
    """Say how a file is to be read."""
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, found in _MAGIC:
        if start.startswith(magic):
            return found
    if (further := _behind_the_start(content, start)) is not None:
        return further
    by_name = _ENDINGS.get(name.rpartition(".")[2].lower()) or _TYPES.get(content_type)
    if by_name:
        return by_name
    if any(tag in start.lower() for tag in _HTML_STARTS):
        return Kind.HTML
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return Kind.TEXT if content_type.startswith("text/") or wide or b"\x00" not in content[:4096] else Kind.OTHER


def _behind_the_start(content: bytes, start: bytes) -> Kind | None:
    """What tells itself a little later: tar, iso, lha, ace; BMP and WebP; a PDF with something before it."""
    if content[257:262] == b"ustar":
        return Kind.TAR
    if content[_ISO_AT : _ISO_AT + 5] == b"CD001":
        return Kind.ISO
    if content[2:5] == b"-lh" and content[6:7] == b"-":
        return Kind.LHA
    if content[7:14] == b"**ACE**":
        return Kind.CLOSED
    if (content.startswith(b"BM") and content[6:10] == bytes(4)) or (content.startswith(b"RIFF") and content[8:12] == b"WEBP"):
        return Kind.PICTURE
    return Kind.PDF if b"%PDF-1." in start else None  # ISO 32000-1 H.3: within the first 1,024 octets


def picture_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or GIF from its header; None where that does not tell."""
    if content.startswith(b"\x89PNG\r\n") and len(content) >= 24:
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if content.startswith(b"GIF8") and len(content) >= 10:
        return int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    return None
