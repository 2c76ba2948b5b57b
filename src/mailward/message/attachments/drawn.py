"""Whether a body may draw a QR code: asked of every message, so it only counts."""

from __future__ import annotations

from mailward.message.model import Message, Part

BLOCKS = "█▀▄▌▐■▓⬛◼▛▜▙▟▚▞▘▝▖▗"  # characters that are drawn with; full ones first
_FEW_BLOCKS = 60  # the smallest code has some 200 dark modules, two of them in a character
_FEW_CELLS = 200  # of a table; the smallest code has 441, or some 200 runs of one colour


def draws(part: Part, message: Message) -> bool:
    """Whether a body has characters that make a picture, a table of that many coloured cells, or a picture within itself."""
    if not message.text.isascii() and sum(map(message.text.count, BLOCKS)) >= _FEW_BLOCKS:
        return True
    if part.content_type != "text/html":
        return False
    if message.html.inline_images and b"data:image/" in part.content:
        return True
    return message.html.tags >= _FEW_CELLS and message.html.tables > 0 and has_cells(part.content)


def has_cells(content: bytes) -> bool:
    """Whether a page has a table that could be a code."""
    source = content.lower()
    return source.count(b"<td") >= _FEW_CELLS and sum(map(source.count, (b"bgcolor", b"background", b"class"))) >= _FEW_CELLS // 2
