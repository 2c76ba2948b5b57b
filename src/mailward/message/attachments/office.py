"""Addresses in Office documents: OOXML and OpenDocument members, and RTF. Read by pattern: no entity of a document is ever expanded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import unescape
from types import MappingProxyType

import re2

from mailward.message import charset
from mailward.message.attachments import limits
from mailward.message.attachments.gathering import Gathering

_ATTRIBUTE = re2.compile(r"""(?i)[\s:](target|href|instr|src|url|formula|location|action|id)\s{0,5}=\s{0,5}(?:"([^"]*)"|'([^']*)')""")
_LINK = re2.compile(r"<(w:hyperlink|text:a)\b([^>]*)>")
_LINKS = 1_000  # whose text is read
_LINK_CHARS = 2_000  # behind its start within which a link has to end
_RELATION = re2.compile(r"<Relationship\b[^>]*>")
_QUOTED = re2.compile(r"""(\w+)\s{0,5}=\s{0,5}["']([^"']*)["']""")
_LINE_END = re.compile(r"</(?:\w+:)?(?:p|h|si|c|row|tr|sp|table-cell)>|<(?:\w+:)?br\b[^<>]*>")
_TAG = re.compile(r"<[^<>]*>")
_HYPERLINK = re2.compile(r"""(?i)HYPERLINK\s{0,20}\(?\s{0,20}["“]([^"”]+)""")
# These are linear as they stand, and `re` replaces ten times as fast as re2.
_RTF_BYTE = re.compile(r"\\'([0-9a-fA-F]{2})")
_RTF_CHAR = re.compile(r"\\u(\d{1,5}) ?\??")
_RTF_LINE = re.compile(r"\\(?:par|line|cell|row|sect)\b ?")
_RTF_WORD = re.compile(r"\\[a-zA-Z]{1,32}-?\d{0,10} ?|\\\*|[{}\r\n]")


def is_document(names: set[str]) -> bool:
    """Whether the entries of a zip archive are those of a document (ECMA-376 part 2, ODF 1.3 part 2)."""
    return "[Content_Types].xml" in names or {"mimetype", "content.xml"} <= names


def members(files: list[tuple[str, bytes]], where: str, gathered: Gathering) -> None:
    """Read the XML members of a document, each with the targets its relationships name; those that nothing leads to come last."""
    relations = {name: dict(_relations(content)) for name, content in files if name.endswith(".rels")}
    for name, content in sorted(files, key=lambda file: file[0] in relations):
        folder, _, base = name.rpartition("/")
        member(content, where, gathered, relations.get(f"{folder}/_rels/{base}.rels", {}))


def member(content: bytes, where: str, gathered: Gathering, targets: Mapping[str, str] = MappingProxyType({})) -> None:
    """Read one XML member: links with their text, attributes with addresses, fields, formulas and text."""
    source = charset.decode(content[: 2 * limits.TEXT_CHARS])[: limits.TEXT_CHARS]
    for m, _ in zip(_LINK.finditer(source), range(_LINKS), strict=False):
        for attribute in _ATTRIBUTE.finditer(m.group(2)):
            written = unescape(attribute.group(2) or attribute.group(3) or "")
            if "://" in (target := targets.get(written, written))[:12]:
                inside = source[m.end() : m.end() + _LINK_CHARS].partition(f"</{m.group(1)}>")[0]
                gathered.link(target, " ".join(unescape(_TAG.sub("", inside)).split())[: limits.NAME_CHARS], where)
    for m in _ATTRIBUTE.finditer(source):
        _value(unescape(m.group(2) or m.group(3) or ""), where, gathered)
        if gathered.is_full():
            return
    text = unescape(_TAG.sub("", _LINE_END.sub("\n", source)))
    fields(text, where, gathered)
    gathered.text(text, where)


def _relations(content: bytes) -> Iterator[tuple[str, str]]:
    for m in _RELATION.finditer(content[: limits.TEXT_CHARS].decode("utf-8", "replace")):
        values = {name.lower(): unescape(value) for name, value in _QUOTED.findall(m.group(0))}
        yield values.get("id", ""), values.get("target", "")


def _value(value: str, where: str, gathered: Gathering) -> None:
    if "://" in value[:12] or value.startswith("\\\\"):
        gathered.link(value, "", where)
    elif "://" in value:  # a field or a formula
        fields(value, where, gathered)
        gathered.text(value, where)


def fields(text: str, where: str, gathered: Gathering) -> None:
    """Keep the targets of HYPERLINK fields and formulas that stand in a text."""
    for m in _HYPERLINK.finditer(text):
        gathered.link(m.group(1), "", where)


def rtf(content: bytes, where: str, gathered: Gathering) -> None:
    """Read a rich text: HYPERLINK fields, templates and text (RTF 1.9.1)."""
    source = content[: limits.TEXT_CHARS].decode("latin-1")
    source = _RTF_BYTE.sub(lambda m: chr(int(m.group(1), 16)), source)
    source = _RTF_CHAR.sub(lambda m: chr(int(m.group(1))) if int(m.group(1)) < 0xD800 else "", source)
    text = _RTF_WORD.sub("", _RTF_LINE.sub("\n", source))
    fields(text, where, gathered)
    gathered.text(text, where)
