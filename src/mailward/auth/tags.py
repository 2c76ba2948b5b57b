"""Lists of `tag=value` (RFC 6376 3.2), as signatures, keys and DMARC records write them. Linear time."""

from __future__ import annotations

import re

MAX_TAGS = 100
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FOLDED = re.compile(r"\r\n(?=[ \t])")
_BLANKS = " \t\r\n"


def read(text: str) -> dict[str, str] | None:
    """The tags, values without white space around them; None for what is no such list, or names a tag twice."""
    found: dict[str, str] = {}
    parts = text.split(";", MAX_TAGS + 1)
    if len(parts) > MAX_TAGS:
        return None
    for at, part in enumerate(parts):
        name, equals, value = part.partition("=")
        name = name.strip(_BLANKS)
        if not name and not equals and at == len(parts) - 1:
            break  # the list may end with a semicolon
        if not equals or not _NAME.fullmatch(name) or name in found:
            return None
        found[name] = _FOLDED.sub("", value).strip(_BLANKS)
    return found


def unspaced(value: str) -> str:
    """Without any white space, which base64 and lists may hold."""
    return "".join(value.split())
