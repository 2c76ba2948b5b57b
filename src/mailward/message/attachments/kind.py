"""What a file is: by its first bytes, which programs go by, then by name and declared type, which people go by."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    ZIP = "zip"  # and what is built of it: Office, OpenDocument
    TAR = "tar"
    STREAM = "stream"  # one packed file: gzip, bzip2, xz
    RTF = "rtf"
    MAIL = "mail"
    HTML = "html"
    CALENDAR = "calendar"  # and address cards: folded lines
    TEXT = "text"
    CLOSED = "closed"  # an archive that is not opened
    OTHER = "other"


_MAGIC = (
    (b"PK\x03\x04", Kind.ZIP), (b"PK\x05\x06", Kind.ZIP), (b"\x1f\x8b", Kind.STREAM), (b"BZh", Kind.STREAM), (b"\xfd7zXZ\x00", Kind.STREAM),
    (b"{\\rt", Kind.RTF), (b"Rar!\x1a\x07", Kind.CLOSED), (b"7z\xbc\xaf\x27\x1c", Kind.CLOSED), (b"%PDF-", Kind.OTHER),
)  # fmt: skip
_TYPES = {"message/rfc822": Kind.MAIL, "text/html": Kind.HTML, "application/xhtml+xml": Kind.HTML, "image/svg+xml": Kind.HTML,
          "text/calendar": Kind.CALENDAR, "text/vcard": Kind.CALENDAR, "text/x-vcard": Kind.CALENDAR, "text/directory": Kind.CALENDAR}  # fmt: skip
_ENDINGS = {"eml": Kind.MAIL, "mht": Kind.MAIL, "mhtml": Kind.MAIL, "htm": Kind.HTML, "html": Kind.HTML, "xhtml": Kind.HTML, "shtml": Kind.HTML,
            "hta": Kind.HTML, "svg": Kind.HTML, "ics": Kind.CALENDAR, "vcf": Kind.CALENDAR, "zip": Kind.ZIP}  # fmt: skip
_HTML_STARTS = (b"<html", b"<!doctype html", b"<script", b"<svg", b"<body")


def kind(name: str, content_type: str, content: bytes) -> Kind:
    """Say how a file is to be read."""
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, found in _MAGIC:
        if start.startswith(magic):
            return found
    if content[257:262] == b"ustar":
        return Kind.TAR
    by_name = _ENDINGS.get(name.rpartition(".")[2].lower()) or _TYPES.get(content_type)
    if by_name:
        return by_name
    if any(tag in start.lower() for tag in _HTML_STARTS):
        return Kind.HTML
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return Kind.TEXT if content_type.startswith("text/") or wide or b"\x00" not in content[:4096] else Kind.OTHER
