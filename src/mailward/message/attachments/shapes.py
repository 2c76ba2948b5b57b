"""Rectangles and straight paths, as SVG and CSS draw codes with them, painted one over the other. Curves and turned shapes are left out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import re2
from PIL import Image, ImageChops, ImageColor, ImageDraw

from mailward.message.attachments import limits

_SCALE = 4  # pixels of a module
_MODULES = 300  # of a side; more, and the smallest shape is no module
_SIDE = 1_200  # pixels
_FAR = 1e5
_SHAPES = 12_000  # of one page; a code of 97 modules a side, with 660 characters, has half as many
_AREA = 100_000_000  # pixels that the parts of paths enclose, each by itself; an ordinary code has some 20,000
_PLACES = 20  # of boxes in one direction, by their class or each for itself
_FEW = 60  # shapes, or parts of a path, that a code has at least

_SVG = re2.compile(r"(?is)<svg\b(.*?)</svg\s*>")
_TAG = re2.compile(r"(?i)<(rect|path|use|polygon)\b([^<>]*)>")
_ATTRIBUTE = re2.compile(r"""(?i)([a-z][\w:-]{0,30})\s{0,5}=\s{0,5}(?:"([^"]*)"|'([^']*)')""")
_DECLARED = re.compile(  # linear as it stands, and `re` finds short matches five times as fast
    r"(?i)([a-z-]{1,30})\s{0,5}:\s{0,5}([^;{}]{1,80})"
)
_MOVED = re2.compile(r"(?i)^\s{0,5}translate\(\s{0,5}([-\d.e]{1,20})(?:[\s,]{1,5}([-\d.e]{1,20}))?")
_STEP = re2.compile(r"[A-Za-z]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?")
_SHADOWS = re2.compile(r"(?i)box-shadow\s{0,5}:\s{0,5}([^;{}\"']{400,})")
_SHADOW = re2.compile(
    r"(?i)(?:(#[0-9a-f]{3,8}|rgba?\([^)]{1,40}\)|[a-z]{3,20})\s{1,5})?(-?[\d.]{1,10})(?:px|r?em)?\s{1,5}(-?[\d.]{1,10})(?:px|r?em)?"
    r"(?:\s{1,5}[\d.]{1,10}(?:px|r?em)?){0,2}(?:\s{1,5}(#[0-9a-f]{3,8}|rgba?\([^)]{1,40}\)|[a-z]{3,20}))?\s{0,5}(?:,|$)"
)
_BOX = re2.compile(r"(?i)<(?:div|span|p|td|i|b|a|em|li)\b([^<>]*\b(?:style|class)\b[^<>]*)>")

Point = tuple[float, float]


class Shape(NamedTuple):
    """A grey, and polygons that together enclose what has it (even-odd)."""

    grey: int
    polygons: list[list[Point]]


def pictures(source: str) -> Iterator[Image.Image]:
    """The drawings in the source of a page: each SVG, shadows, and boxes that say where they are."""
    left = _SHAPES
    for drawing in _drawings(source):
        shapes: list[Shape] = []
        for shape in drawing:
            shapes.append(shape)
            left -= len(shape.polygons)
            if left <= 0:
                return
        yield from _painted(shapes)


def _drawings(source: str) -> Iterator[Iterator[Shape]]:
    for m, _ in zip(_SVG.finditer(source), range(limits.DRAWINGS), strict=False):
        yield _svg(m.group(1))
    for m, _ in zip(_SHADOWS.finditer(source), range(limits.DRAWINGS), strict=False):
        yield _shadows(m.group(1))
    if min(source.count("left"), source.count("top")) >= _PLACES:
        yield _boxes(source)


def grey_of(colour: str) -> int | None:
    """The grey of a colour as CSS writes it; None for none, transparent ones too."""
    try:
        red, green, blue, *opacity = ImageColor.getrgb(colour.strip().lower())
    except ValueError:
        return None
    return None if opacity and not opacity[0] else (red * 299 + green * 587 + blue * 114) // 1000


def number(text: str) -> float | None:
    """A length in pixels or without a unit; None for any other."""
    try:
        found = float(text.strip().lower().removesuffix("px"))
    except ValueError:
        return None
    return found if abs(found) < _FAR else None


def declared(style: str) -> dict[str, str]:
    """The declarations of a style, their names in small letters."""
    return {m.group(1).lower(): m.group(2).strip() for m in _DECLARED.finditer(style)}


def attributes(tag: str) -> dict[str, str]:
    """The quoted attributes of a tag, their names in small letters."""
    return {m.group(1).lower(): m.group(2) or m.group(3) or "" for m in _ATTRIBUTE.finditer(tag)}


# SVG


def _svg(source: str) -> Iterator[Shape]:
    known: dict[str, tuple[str, dict[str, str]]] = {}
    for m, _ in zip(_TAG.finditer(source), range(_SHAPES), strict=False):
        tag, values = m.group(1).lower(), attributes(m.group(2))
        values = {**values, **declared(values.get("style", ""))}
        if tag == "use":
            target, used = known.get((values.get("href") or values.get("xlink:href") or "").removeprefix("#"), ("", {}))
            moved = {"x": str((number(values.get("x", "0")) or 0) + (number(used.get("x", "0")) or 0)),
                     "y": str((number(values.get("y", "0")) or 0) + (number(used.get("y", "0")) or 0))}  # fmt: skip
            tag, values = target, {**values, **used, **moved}
        elif "id" in values:
            known[values["id"]] = tag, values
        yield from _shapes(tag, values)


def _shapes(tag: str, values: dict[str, str]) -> Iterator[Shape]:
    fill, stroke = values.get("fill", "black"), grey_of(values.get("stroke", "none"))
    grey = grey_of(fill)
    right, down = _moved(values.get("transform", ""))
    polygons: list[list[Point]] = []
    if tag == "rect":
        sides = [number(values.get(name, "0")) for name in ("x", "y", "width", "height")]
        if None in sides:
            return
        x, y, width, height = (side or 0 for side in sides)
        polygons = [_rectangle(x, y, x + width, y + height)] if width and height else []
    elif tag == "polygon":
        numbers = [float(m.group(0)) for m in _STEP.finditer(values.get("points", "")) if not m.group(0).isalpha()]
        polygons = [list(zip(numbers[::2], numbers[1::2], strict=False))]
    elif tag == "path":
        lines = _path(values.get("d", ""))
        if stroke is not None:
            width = number(values.get("stroke-width", "1")) or 1.0
            yield from (Shape(stroke, [_shifted(line, right, down)]) for line in _stroked(lines, width))
            return
        polygons = [line for line in lines if len(line) > 2]
    if grey is not None and polygons:
        yield Shape(grey, [_shifted(polygon, right, down) for polygon in polygons])


def _shifted(polygon: list[Point], right: float, down: float) -> list[Point]:
    return [(x + right, y + down) for x, y in polygon]


def _moved(transform: str) -> Point:
    m = _MOVED.search(transform)
    if m is None:
        return 0.0, 0.0
    return number(m.group(1)) or 0.0, number(m.group(2) or "0") or 0.0


def _path(written: str) -> list[list[Point]]:
    """The lines of a path, as far as they are straight; what comes behind a curve is left out."""
    lines: list[list[Point]] = []
    x = y = 0.0
    command, numbers = "", list[float]()
    for m in _STEP.finditer(written):
        step = m.group(0)
        if step.isalpha():
            command, numbers = step, []
            if command in "Zz" and lines:
                x, y = lines[-1][0]
            elif command not in "MmLlHhVvZz":
                return lines
            continue
        numbers.append(float(step))
        if command in "HhVv" or len(numbers) == 2:
            dx, dy = numbers[0], numbers[-1]
            numbers = []
            match command:
                case "H":
                    x = dx
                case "h":
                    x += dx
                case "V":
                    y = dy
                case "v":
                    y += dy
                case "M" | "L":
                    x, y = dx, dy
                case _:
                    x, y = x + dx, y + dy
            if abs(x) > _FAR or abs(y) > _FAR or len(lines) > _SHAPES:
                return lines
            if command in "Mm":
                lines.append([(x, y)])
                command = "L" if command == "M" else "l"
            elif lines:
                lines[-1].append((x, y))
    return lines


def _stroked(lines: list[list[Point]], width: float) -> Iterator[list[Point]]:
    """What a pen of that width draws along the upright and level parts of lines."""
    half = width / 2
    for line in lines:
        for (x, y), (to_x, to_y) in pairwise(line):
            if y == to_y:
                yield _rectangle(min(x, to_x), y - half, max(x, to_x), y + half)
            elif x == to_x:
                yield _rectangle(x - half, min(y, to_y), x + half, max(y, to_y))


# CSS


def _shadows(written: str) -> Iterator[Shape]:
    found = []
    for m, _ in zip(_SHADOW.finditer(written), range(_SHAPES), strict=False):
        x, y = number(m.group(2)), number(m.group(3))
        grey = grey_of(m.group(1) or m.group(4) or "black")
        if x is not None and y is not None and grey is not None:
            found.append((x, y, grey))
    across = sorted({x for x, _, _ in found})
    step = min((b - a for a, b in pairwise(across)), default=0.0)
    if step > 0:
        yield from (Shape(grey, [_rectangle(x, y, x + step, y + step)]) for x, y, grey in found)


def _boxes(source: str) -> Iterator[Shape]:
    """Boxes with a place, a size and a colour, of their own or by their class."""
    classes = rules(source)
    for m, _ in zip(_BOX.finditer(source), range(_SHAPES), strict=False):
        values = attributes(m.group(1))
        style: dict[str, str] = {}
        for name in values.get("class", "").split()[:5]:
            style |= classes.get(name, {})
        style |= declared(values.get("style", ""))
        sides = [number(style.get(name, "")) for name in ("left", "top", "width", "height")]
        grey = background(style)
        if grey is not None and None not in sides:
            x, y, width, height = (side or 0 for side in sides)
            if width > 0 and height > 0:
                yield Shape(grey, [_rectangle(x, y, x + width, y + height)])


_RULE = re2.compile(r"\.([A-Za-z_][\w-]{0,60})[^{}]{0,100}\{([^{}]{0,500})\}")


def rules(source: str) -> dict[str, dict[str, str]]:
    """What a page declares for its classes."""
    return {m.group(1): declared(m.group(2)) for m in _RULE.finditer(source)}


def background(style: dict[str, str]) -> int | None:
    """The grey of the background that a style declares."""
    for word in (style.get("background-color", ""), *style.get("background", "").split(" ")):
        if word and (grey := grey_of(word)) is not None:
            return grey
    return grey_of(style.get("background", ""))


# Painting


def _rectangle(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _painted(shapes: Sequence[Shape]) -> Iterator[Image.Image]:
    """The shapes as a picture, where they are enough for a code."""
    if sum(len(shape.polygons) for shape in shapes) < _FEW:
        return
    bounds = [[_bounds(polygon) for polygon in shape.polygons] for shape in shapes]
    everything = [each for some in bounds for each in some]
    left, top = min(each[0] for each in everything), min(each[1] for each in everything)
    side = max(max(each[2] for each in everything) - left, max(each[3] for each in everything) - top)
    smallest = min((min(right - x, bottom - y) for x, y, right, bottom in everything if right > x and bottom > y), default=0.0)
    if side <= 0 or smallest <= 0 or not math.isfinite(side):
        return
    scale = min(_SCALE / smallest if side / smallest <= _MODULES else math.inf, _SIDE / side)
    enclosed = sum(_area(box) for boxes in bounds if len(boxes) > 1 for box in boxes) * scale**2
    if enclosed > _AREA:
        return
    picture = Image.new("L", (math.ceil(side * scale),) * 2, 255)
    pen = ImageDraw.Draw(picture)
    for shape, boxes in zip(shapes, bounds, strict=True):
        if len(boxes) == 1 and _is_rectangle(shape.polygons[0], boxes[0]):
            x, y, right, bottom = _pixels(boxes[0], left, top, scale)
            pen.rectangle((x, y, right - 1, bottom - 1), fill=shape.grey)
        else:
            mask = Image.new("1", picture.size)
            for polygon, box in zip(shape.polygons, boxes, strict=True):
                _enclose(mask, [((x - left) * scale, (y - top) * scale) for x, y in polygon], _pixels(box, left, top, scale))
            picture.paste(shape.grey, (0, 0), mask)
    yield picture


def _enclose(mask: Image.Image, polygon: list[Point], box: tuple[int, int, int, int]) -> None:
    """Add a polygon within that box to what is filled; where something is already, take it out (even-odd)."""
    if _is_rectangle(polygon, _bounds(polygon)):
        piece = Image.new("1", (box[2] - box[0], box[3] - box[1]), 1)
    else:
        piece = Image.new("1", (box[2] - box[0], box[3] - box[1]))
        ImageDraw.Draw(piece).polygon([(x - box[0] - 0.5, y - box[1] - 0.5) for x, y in polygon], fill=1)
    mask.paste(ImageChops.logical_xor(piece, mask.crop(box)), box[:2])


def _bounds(polygon: list[Point]) -> tuple[float, float, float, float]:
    across, down = [x for x, _ in polygon], [y for _, y in polygon]
    return (min(across), min(down), max(across), max(down)) if polygon else (0.0, 0.0, 0.0, 0.0)


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _is_rectangle(polygon: list[Point], box: tuple[float, float, float, float]) -> bool:
    return len(polygon) in (4, 5) and all(x in (box[0], box[2]) and y in (box[1], box[3]) for x, y in polygon)


def _pixels(box: tuple[float, float, float, float], left: float, top: float, scale: float) -> tuple[int, int, int, int]:
    """The pixels of a rectangle, at least one each way."""
    x, y = round((box[0] - left) * scale), round((box[1] - top) * scale)
    return x, y, max(x + 1, round((box[2] - left) * scale)), max(y + 1, round((box[3] - top) * scale))
