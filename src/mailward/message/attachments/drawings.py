"""QR codes that are no pictures: drawn with the cells of a table, with boxes, in SVG, or with characters."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from html import unescape
from itertools import groupby
from math import isqrt
from urllib.parse import unquote_to_bytes

import re2
from PIL import Image, ImageColor
from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailward.message import charset, html
from mailward.message.attachments import drawn, limits, shapes
from mailward.message.attachments.pictures import Pictures
from mailward.message.tame import tame

_QUARTERS = {  # upper left, upper right, lower left, lower right
    "█": "1111", "■": "1111", "▓": "1111", "⬛": "1111", "◼": "1111", "▀": "1100", "▄": "0011", "▌": "1010", "▐": "0101", "▘": "1000", "▝": "0100",
    "▖": "0010", "▗": "0001", "▛": "1110", "▜": "1101", "▙": "1011", "▟": "0111", "▚": "1001", "▞": "0110",
}  # fmt: skip
_PALETTE = "".join(_QUARTERS) + "⬜□◻░ \u00a0\u3000"
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufe0e\ufe0f\ufeff]")
_FEW_ROWS = 10  # lines of characters; the smallest code takes 11, two modules in each
_FEW_DRAWN = 4  # block characters in a line of a code
_MODULES = 21  # of a side of the smallest code
_SCALE = 4  # pixels of a module
_QUIET = 4  # modules around a code (ISO/IEC 18004 9.1)
_BREAK = re.compile(r"(?i)<br\b[^<>]*>|</(?:p|div|tr|li|pre|h[1-6])\s*>")
_TAG = re.compile(r"<[^<>]*>")
_BACKGROUND = re2.compile(r"(?i)background(?:-color)?\s{0,5}:\s{0,5}([^;!\"'}]{1,60})")
_RULE = re2.compile(r"\.([A-Za-z_][\w-]{0,60})[^{}]{0,100}\{([^{}]{0,500})\}")
_DATA = re2.compile(r"(?i)data:(image/[a-z+.-]{2,20})((?:;[a-z0-9=-]{1,30}){0,5}),([^\"'\s)>]{20,})")

Grid = list[list[int]]  # grey values, rows of one length


def look(content: bytes, declared: str, where: str, pictures: Pictures) -> None:
    """Read the codes drawn in a page or a text."""
    source = charset.decode(content[: limits.TEXT_CHARS], declared or html.meta_charset(content))
    blocks = "&#" in source or any(block in source for block in drawn.BLOCKS)
    letters = any(pair in source for pair in drawn.LETTERS)
    if blocks or letters:
        text = (
            source
            if "<" not in source
            else unescape(_TAG.sub("", _BREAK.sub("\n", source.replace("\n", " ") if "<pre" not in source.lower() else source)))
        )
        for grid in _letters(text) if letters else ():
            pictures.drawn(_picture(grid, _SCALE // 2, _SCALE), where)
        for grid in _blocks(text):
            for width in (_SCALE // 2, _SCALE):  # half as wide as high, as in print; and square, as emojis are
                if pictures.drawn(_picture(grid, width, _SCALE), where):
                    break
    if drawn.has_cells(content):
        for grid in _tables(source):
            pictures.drawn(_picture(grid, _SCALE, _SCALE), where)
    boxes = drawn.has_boxes(content)
    if boxes:
        for grid in _rows_of_boxes(source):
            pictures.drawn(_picture(grid, _SCALE, _SCALE), where)
    if boxes or drawn.has_shapes(content):
        for picture in shapes.pictures(source):
            pictures.drawn(_framed(picture), where)


def data_pictures(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Type and bytes of the pictures that stand in a page themselves (RFC 2397)."""
    if b"data:image/" not in content:
        return
    found = _DATA.finditer(content.decode("latin-1"))
    for m, _ in zip(found, range(limits.DATA_PICTURES), strict=False):
        data = unquote_to_bytes(m.group(3))
        try:
            yield m.group(1).lower(), b64decode(data[: len(data) // 4 * 4]) if "base64" in m.group(2).lower() else data
        except binascii.Error:
            continue


def _blocks(text: str) -> Iterator[Grid]:
    """Neighbouring lines with block characters; four cells a character."""
    lines = [_INVISIBLE.sub("", line)[: limits.GRID] for line in text.expandtabs(8).splitlines()]
    count = 0
    for is_drawn, group in groupby(lines, _is_drawn):
        rows = list(group)[: limits.GRID]
        if is_drawn and len(rows) >= _FEW_ROWS and (count := count + 1) <= limits.DRAWINGS:
            width = max(map(len, rows))
            cells = [[_QUARTERS.get(char, "0000") for char in row.ljust(width)] for row in rows]
            yield [[0 if cell[half + side] == "1" else 255 for cell in row for side in (0, 1)] for row in cells for half in (0, 2)]


def _letters(text: str) -> Iterator[Grid]:
    """Neighbouring lines of one letter and spaces; a cell a character, two a module."""
    lines = [line[: limits.GRID] for line in text.replace("\u00a0", " ").expandtabs(8).splitlines()]
    count = 0
    for letter in drawn.LETTERS:
        for is_drawn, group in groupby(lines, partial(_is_lettered, letter[0])):
            rows = list(group)[: limits.GRID]
            if is_drawn and sum(letter in row for row in rows) >= _MODULES and (count := count + 1) <= limits.DRAWINGS:
                width = max(map(len, rows))
                yield [[0 if char == letter[0] else 255 for char in row.ljust(width)] for row in rows]


def _is_lettered(letter: str, line: str) -> bool:
    return not line.strip(letter + " ")


def _is_drawn(line: str) -> bool:
    """Whether a line is part of a drawing: nothing else stands in it, or enough of it."""
    return sum(char in _QUARTERS for char in line) >= _FEW_DRAWN or bool(line.strip() and not line.strip(_PALETTE))


def _tables(source: str) -> Iterator[Grid]:
    root = LexborHTMLParser(tame(source[: limits.TEXT_CHARS], [])).root
    if root is None:
        return
    classes = {m.group(1): colour for m in _RULE.finditer(source) if (colour := _background(m.group(2))) is not None}
    count = 0
    for body in root.css("tbody"):
        rows = [[child for child in row.iter() if child.tag in {"td", "th"}] for row in body.iter() if row.tag == "tr"]
        if len(rows) < _MODULES or max(map(len, rows)) < _FEW_DRAWN or (count := count + 1) > limits.DRAWINGS:
            continue
        paper = _colour(body.parent, classes) if body.parent else None
        yield _grid(rows[: limits.GRID], classes, 255 if paper is None else paper)


def _grid(rows: list[list[LexborNode]], classes: dict[str, int], paper: int) -> Grid:
    grid: Grid = []
    for cells in rows:
        ground = _colour(cells[0].parent, classes) if cells and cells[0].parent else None
        values: list[int] = []
        for cell in cells:
            value = _cell(cell, classes)
            values += [value if value is not None else ground if ground is not None else paper] * _span(cell)
        grid.append(values[: limits.GRID])
    width = max(map(len, grid))
    return [row + [paper] * (width - len(row)) for row in grid]


def _rows_of_boxes(source: str) -> Iterator[Grid]:
    """Boxes side by side: in rows, each a box of its own or ended by a line break, or as many in each row as there are rows."""
    root = LexborHTMLParser(tame(source[: limits.TEXT_CHARS], [])).root
    if root is None:
        return
    classes = shapes.rules(source)
    count = 0
    for node in root.css("div, section, p, span, center, td, body, pre"):
        children = list(node.iter())
        if len(children) < _MODULES:
            continue
        rows = _in_rows(children)
        if len(rows) >= _MODULES and max(map(len, rows)) >= _FEW_DRAWN and (count := count + 1) <= limits.DRAWINGS:
            yield _grid_of_boxes(rows[: limits.GRID], classes)


def _in_rows(children: list[LexborNode]) -> list[list[LexborNode]]:
    if any(child.tag == "br" for child in children):
        return [list(group) for is_break, group in groupby(children, lambda child: child.tag == "br") if not is_break]
    inner = [list(child.iter()) for child in children]
    if sum(len(each) >= _FEW_DRAWN for each in inner) >= _MODULES:
        return inner
    side = isqrt(len(children))
    return [children[at : at + side] for at in range(0, side * side, side)] if side >= _MODULES and side * side == len(children) else []


def _grid_of_boxes(rows: list[list[LexborNode]], classes: dict[str, dict[str, str]]) -> Grid:
    styles = [[_style(cell, classes) for cell in row] for row in rows]
    widths = [[shapes.number(style.get("width", "")) or 0.0 for style in row] for row in styles]
    unit = min((width for row in widths for width in row if width > 0), default=0.0)
    grid: Grid = []
    for row, sides in zip(styles, widths, strict=True):
        values: list[int] = []
        for style, side in zip(row, sides, strict=True):
            grey = shapes.background(style)
            values += [255 if grey is None else grey] * (min(round(side / unit), limits.GRID) if side and unit else 1)
        grid.append(values[: limits.GRID])
    width = max(1, *map(len, grid))
    return [row + [255] * (width - len(row)) for row in grid]


def _style(node: LexborNode, classes: dict[str, dict[str, str]]) -> dict[str, str]:
    attributes = node.attributes
    found: dict[str, str] = {}
    for name in (attributes.get("class") or "").split()[:5]:
        found |= classes.get(name, {})
    return found | shapes.declared(attributes.get("style") or "")


def _span(cell: LexborNode) -> int:
    written = cell.attributes.get("colspan") or "1"
    return min(int(written), limits.GRID) if written.isdecimal() and len(written) < 5 else 1


def _cell(cell: LexborNode, classes: dict[str, int]) -> int | None:
    """The grey of a cell, or of the one element in it."""
    if (value := _colour(cell, classes)) is not None:
        return value
    child = next(cell.iter(), None)
    return _colour(child, classes) if child else None


def _colour(node: LexborNode, classes: dict[str, int]) -> int | None:
    attributes = node.attributes
    if (value := _background(attributes.get("style") or "")) is not None:
        return value
    if (value := _grey(attributes.get("bgcolor") or "")) is not None:
        return value
    return next((classes[name] for name in (attributes.get("class") or "").split()[:5] if name in classes), None)


def _background(style: str) -> int | None:
    return next((grey for m in _BACKGROUND.finditer(style) if (grey := _grey(m.group(1))) is not None), None)


def _grey(colour: str) -> int | None:
    try:
        red, green, blue = ImageColor.getrgb(colour.strip().lower())[:3]
    except ValueError:
        return None
    return (red * 299 + green * 587 + blue * 114) // 1000


def _picture(grid: Grid, width: int, height: int) -> Image.Image:
    """A drawing as a picture with a quiet zone."""
    flat = Image.frombytes("L", (len(grid[0]), len(grid)), bytes(value for row in grid for value in row))
    return _framed(flat.resize((flat.width * width, flat.height * height), Image.Resampling.NEAREST))


def _framed(picture: Image.Image) -> Image.Image:
    framed = Image.new("L", (picture.width + 2 * _QUIET * _SCALE, picture.height + 2 * _QUIET * _SCALE), 255)
    framed.paste(picture, (_QUIET * _SCALE,) * 2)
    return framed
