"""Pages that come with a message, as its HTML body or as files: what they ask for, and what they hide in script.

Nothing is run. Strings that script would put together are decoded, at most LEVELS deep, and looked at again.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

import re2

from mailward.message import Message, Part

MAX_PAGE = 512 << 10  # octets looked at of one page
MAX_PAGES = 4  # attached pages looked at
MAX_DECODED = 256 << 10  # octets of decoded strings of one page together
MAX_STRINGS = 40  # strings decoded of one page
LEVELS = 2  # a string within a decoded string
_PAGES = (".htm", ".html", ".shtml", ".xhtml", ".xht", ".svg", ".mht", ".mhtml")
_TYPES = frozenset(("text/html", "application/xhtml+xml", "image/svg+xml"))

_SCRIPT = re2.compile(rb"(?i)<script|javascript:|\bon(?:load|error|click|mouseover)\s*=")
_PASSWORD = re2.compile(rb"(?i)type\s*=\s*[\"']?password|\bname\s*=\s*[\"']?(?:pass(?:word|wd)?|pwd|senha|passwort)\b")
_FORM = re2.compile(rb"(?i)<form[^>]{0,400}action\s*=\s*[\"']?https?:|fetch\s*\(|xmlhttprequest|\$\.(?:post|ajax)")
_GO = re2.compile(rb"(?i)(?:window|document|self|top)\.location|location\.(?:href|replace|assign)|http-equiv\s*=\s*[\"']?refresh")
_BUILD = re2.compile(
    rb"(?i)\batob\s*\(|unescape\s*\(|fromcharcode|decodeuricomponent\s*\(|\beval\s*\(|document\.write|\[\s*[\"']constructor|new\s+function\s*\("
)
_SAVE = re2.compile(rb"(?i)new\s+blob\s*\(|createobjecturl|mssaveblob|mssaveoropenblob|\.download\s*=|\bdownload\s*=\s*[\"'][^\"']+\.")
_BASE64 = re2.compile(rb"[A-Za-z0-9+/]{120,}={0,2}")
_PERCENT = re2.compile(rb"(?:%[0-9A-Fa-f]{2}[^%\"'\s]{0,3}){40,}")
_HEX = re2.compile(rb"(?:\\x[0-9A-Fa-f]{2}){20,}")
_CODES = re2.compile(rb"(?:\b\d{2,3}\s*,\s*){30,}\d{2,3}")
_PROGRAM = (b"MZ", b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf", b"\xd0\xcf\x11\xe0", b"CD001", b"%PDF-")


@dataclass(slots=True)
class Pages:
    """What stands in the pages of a message."""

    attached: int = 0  # pages among the attachments
    drawings: int = 0  # of these SVG
    script: bool = False
    password: bool = False  # asks for a password
    form: bool = False  # sends what is typed to somewhere
    redirect: bool = False  # leads away by itself
    builds: bool = False  # puts strings together in script
    smuggles: bool = False  # puts a file together and hands it to the reader
    name: str = ""  # of the first attached page


def look_at_pages(message: Message) -> Pages:
    """Look at the attached pages, and at bodies that hold script or ask for a password."""
    result = Pages(password=message.html.password_inputs > 0, form=message.html.forms > 0 and message.html.inputs > 0)
    for part in attached(message):
        result.attached += 1
        result.drawings += part.content_type == "image/svg+xml" or part.filename.lower().endswith(".svg")
        result.name = result.name or part.filename
        if result.attached <= MAX_PAGES:
            _look(result, part.content[:MAX_PAGE], LEVELS)
    return result


def attached(message: Message) -> Iterator[Part]:
    """The parts that a browser opens as a page when the reader opens them."""
    for part in message.parts:
        if part.filename and not part.is_body and (part.content_type in _TYPES or part.filename.lower().endswith(_PAGES)):
            yield part


def _look(result: Pages, page: bytes, levels: int) -> None:
    if page[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16
        page = page.replace(b"\0", b"")
    result.password |= bool(_PASSWORD.search(page))
    result.form |= bool(_FORM.search(page))
    result.redirect |= bool(_GO.search(page))
    script = bool(_SCRIPT.search(page))
    result.script |= script
    if script:
        builds, saves = bool(_BUILD.search(page)), bool(_SAVE.search(page))
        result.builds |= builds
        result.smuggles |= saves and (builds or bool(_BASE64.search(page)))
    if levels and (script or levels < LEVELS):
        for text in _decoded(page):
            result.smuggles |= script and text.startswith(_PROGRAM) and bool(_SAVE.search(page))
            _look(result, text, levels - 1)


def _decoded(page: bytes) -> Iterator[bytes]:
    """Strings that script could turn into text or files: base64, percent and hex escapes, lists of character codes."""
    room, count = MAX_DECODED, 0
    for pattern, decode in ((_BASE64, _from_base64), (_PERCENT, _from_percent), (_HEX, _from_hex), (_CODES, _from_codes)):
        for match in pattern.finditer(page):
            if count == MAX_STRINGS or room <= 0:
                return
            text = decode(match.group()[: 2 * room])
            count, room = count + 1, room - len(text)
            if len(text) > 30:
                yield text


def _from_base64(text: bytes) -> bytes:
    text = text.rstrip(b"=")
    return binascii.a2b_base64(text[: len(text) - (len(text) % 4 == 1)] + b"==")


_TWO = re.compile(rb"%([0-9A-Fa-f]{2})")


def _from_percent(text: bytes) -> bytes:
    return _TWO.sub(lambda match: bytes((int(match[1], 16),)), text)


def _from_hex(text: bytes) -> bytes:
    return bytes.fromhex(text.replace(b"\\x", b"").decode("ascii"))


def _from_codes(text: bytes) -> bytes:
    return bytes([min(255, int(code)) for code in text.split(b",")])
