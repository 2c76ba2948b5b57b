"""HTML made harmless before a parser sees it (docs/decisions/0011-html-is-tamed-before-it-is-parsed.md)."""

from __future__ import annotations

import re

import re2

from mailward.message import limits

_TAGS = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})")
_FORMATTING = frozenset("b big code em font i s small strike strong tt u".split())
_VOID = frozenset("area base br col embed frame hr img input link meta param source track wbr p li dt dd tr td th".split())
_STRIP_FORMATTING = re.compile(r"</?(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])[^<>]{0,2000}>?", re.I)
_STRIP_TAGS = re.compile(r"<[^<>]{0,2000}>?")
_SAFE_TAGS = 700  # so few cannot make a tree that costs much, whatever they are
_REOPENED = 150_000  # elements the parser may have to open again: about 60 MB
_SAFE_CHARS = 8_000  # so little cannot hold attributes that cost much
_ATTRIBUTES = 3_000  # of one element: the parser compares each with all others
_LONG_TAG = re.compile(r"<[a-zA-Z][^>]{4000}")
_QUOTED_END = re.compile(r"=\s*(?:\"[^\">]*|'[^'>]*)>")
_QUOTED_END_FAST = re2.compile(rb"=\s*(?:\"[^\">]*|'[^'>]*)>")
_BETWEEN = re.compile(r"[\s\"']+")


def tame(source: str, findings: list[str]) -> str:
    """Make HTML harmless whose tree would cost quadratic time or memory: very deep nesting, unclosed formatting, elements
    with thousands of attributes. Ordinary documents pass unseen; the rest is bounded by linear scans.
    """
    if len(source) > _SAFE_CHARS and _most_attributes(source) > _ATTRIBUTES:
        findings.append("limit:html_attributes")
        return strip_tags(source)
    tags = source.count("<")
    if tags <= _SAFE_TAGS:
        return source
    if tags > limits.HTML_NODES:
        findings.append("limit:html_nodes")
        source = _cut(source, limits.HTML_NODES)
        tags = limits.HTML_NODES
    deepest, formatting = _nesting(source)
    if formatting * tags > _REOPENED:
        findings.append("limit:html_formatting")
        source = _STRIP_FORMATTING.sub("", source)
        deepest, _ = _nesting(source)
    if deepest > 5 * limits.HTML_DEPTH:
        findings.append("limit:html_depth")
        source = strip_tags(source)
    return source


def strip_tags(source: str) -> str:
    """The text without what looks like tags; linear."""
    return _STRIP_TAGS.sub(" ", source)


def _nesting(source: str) -> tuple[int, int]:
    """Upper bounds of the nesting of elements and of the formatting elements open at once (HTML 13.2.4.3)."""
    depth = deepest = formatting = most = 0
    for slash, tag in _TAGS.findall(source):
        name = tag.lower()
        if name in _FORMATTING:
            formatting = max(0, formatting - 1) if slash else formatting + 1
            most = max(most, formatting)
        if name not in _VOID:
            depth = max(0, depth - 1) if slash else depth + 1
            deepest = max(deepest, depth)
    return deepest, most


def _most_attributes(source: str) -> int:
    """An upper bound of the attributes of one element.

    A tag ends at the first ">" outside quotes; so an element with many attributes shows as a long run without ">", or as runs
    that are joined by a quoted ">" (which always follows "=" and an open quote).
    """
    most = 0
    for m in _LONG_TAG.finditer(source):
        most = max(most, _separators(source, m.start(), m.end()))
    joined = 0
    if _QUOTED_END_FAST.search(source.encode("utf-8", "replace")) is None:
        return most
    for m in _QUOTED_END.finditer(source):
        joined += _separators(source, m.end(), m.end())
    return most + joined


def _separators(source: str, start: int, past: int) -> int:
    """How often one attribute could end between `start` and the next ">" after `past`; slashes as frequent as in base64 do not count."""
    end = source.find(">", past)
    end = len(source) if end < 0 else end
    return len(_BETWEEN.findall(source, start, end)) + max(0, source.count("/", start, end) - (end - start) // 40)


def _cut(source: str, tags: int) -> str:
    at = -1
    for _ in range(tags):
        at = source.find("<", at + 1)
    return source[:at]
