"""Addresses in HTML, plain text, calendars and address cards."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from html import unescape
from urllib.parse import unquote

import re2

from mailward.message import charset, html
from mailward.message.attachments import limits
from mailward.message.attachments.gathering import Gathering

_SCRIPTED = re2.compile(r"""(?i)\b(atob|unescape|decodeURI(?:Component)?)\(\s{0,20}["'`]([^"'`]{8,})["'`]""")
_SCRIPTED_COUNT = 20
_FOLDED = re.compile(r"\r?\n[ \t]")  # RFC 5545 3.1, RFC 6350 3.2
_ESCAPED = re.compile(r"\\([nN,;\\])")


def plain(content: bytes, declared: str, where: str, gathered: Gathering) -> None:
    gathered.text(_decoded(content, declared), where)


def calendar(content: bytes, declared: str, where: str, gathered: Gathering) -> None:
    """Unfold and unescape the lines, then read them as text."""
    lines = _FOLDED.sub("", _decoded(content, declared))
    gathered.text(_ESCAPED.sub(lambda m: "\n" if m.group(1) in "nN" else m.group(1), lines), where)


def page(content: bytes, declared: str, where: str, gathered: Gathering) -> None:
    """Links and text as a person sees them, then what stands in the source, where scripts go on to."""
    source = _decoded(content, declared or html.meta_charset(content))
    read = html.read(source)
    for link in read.links:
        gathered.link(link.url, link.text, where)
    gathered.text(read.visible, where)
    for found in list(_SCRIPTED.finditer(source))[:_SCRIPTED_COUNT]:
        _source(_unscripted(found.group(1), found.group(2)), where, gathered)
    _source(source, where, gathered)


def _source(source: str, where: str, gathered: Gathering) -> None:
    quoted = "\n".join(line for line in source.replace('"', "\n").replace("'", "\n").split("\n") if "://" in line)
    for piece in quoted.split("\n"):
        gathered.text(unescape(piece), where)


def _unscripted(function: str, written: str) -> str:
    if function.lower() != "atob":
        return unquote(written)
    try:
        return b64decode(written + "=" * (-len(written) % 4)).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _decoded(content: bytes, declared: str) -> str:
    return charset.decode(content[: 2 * limits.TEXT_CHARS], declared)[: limits.TEXT_CHARS]
