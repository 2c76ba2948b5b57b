"""Whether a body may draw a QR code: asked of every message, so it only counts."""

from __future__ import annotations

import re2

from mailward.message.model import Message, Part

BLOCKS = "█▀▄▌▐■▓⬛◼▛▜▙▟▚▞▘▝▖▗"  # characters that are drawn with; full ones first
_FEW_BLOCKS = 60  # the smallest code has some 200 dark modules, two of them in a character
LETTERS = ("##", "@@", "XX")  # that are drawn with, a module each
_FEW_LETTERS = 100  # the smallest code has some 200 dark modules
_FEW_CELLS = 200  # of a table; the smallest code has 441, or some 200 runs of one colour
_EMPTY = (b'"></', b"'></", b"&nbsp;</")  # how boxes end that have nothing in them
_SHAPES = (b"<rect", b"<use", b"<polygon", b"<path")
_FEW_SHAPES = 60
_PATH = re2.compile(rb"(?i)\sd=[\"'][MHVLZ0-9,.\s-]{400}")
_SHADOWS = re2.compile(rb"(?i)box-shadow\s{0,5}:[^;{}\"']{400}")
_FEW_BYTES = 1_500  # of a page that draws one with less than a picture
_FEW_BOXES = 90  # boxes with a place or nothing in them; the smallest code has some 100 dark runs


def draws(part: Part, message: Message) -> bool:
    """Whether a body has characters that make a picture, a table of that many coloured cells, or a picture within itself."""
    if not message.text.isascii() and sum(map(message.text.count, BLOCKS)) >= _FEW_BLOCKS:
        return True
    if any(message.text.count(pair) >= _FEW_LETTERS for pair in LETTERS):
        return True
    if part.content_type != "text/html":
        return False
    if message.html.inline_images and b"data:image/" in part.content:
        return True
    if len(part.content) < _FEW_BYTES:
        return False
    tags = message.html.tags
    if tags >= _FEW_CELLS and message.html.tables > 0 and has_cells(part.content):
        return True
    return (tags >= _FEW_BOXES and has_boxes(part.content)) or has_shapes(part.content)


def has_cells(content: bytes) -> bool:
    """Whether a page has a table that could be a code."""
    source = content.lower()
    return source.count(b"<td") >= _FEW_CELLS and sum(map(source.count, (b"bgcolor", b"background", b"class"))) >= _FEW_CELLS // 2


def has_boxes(content: bytes) -> bool:
    """Whether a page has so many boxes with nothing in them, or with a place, that they could be a code."""
    if sum(map(content.count, _EMPTY)) >= _FEW_BOXES:
        return True
    return b"absolute" in content and content.count(b"left:") >= _FEW_BOXES


def has_shapes(content: bytes) -> bool:
    """Whether a page has SVG with as many shapes as a code, or a long straight path; or a box with as many shadows."""
    if b"<svg" in content and (sum(map(content.count, _SHAPES)) >= _FEW_SHAPES or _PATH.search(content)):
        return True
    return b"box-shadow" in content and _SHADOWS.search(content) is not None
