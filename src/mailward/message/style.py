"""What CSS says about being seen: colours, sizes, positions. Only inline styles and simple <style> rules are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mailward.message.model import Hidden

_SHEET_CHARS = 100_000
RULES = 2_000
_TINY_PX = 3.0
_FAR_PX = -500.0
_COLOURS = {
    "white": 0xFFFFFF, "black": 0, "red": 0xFF0000, "blue": 0xFF, "green": 0x8000, "yellow": 0xFFFF00, "gray": 0x808080, "grey": 0x808080,
    "silver": 0xC0C0C0, "maroon": 0x800000, "navy": 0x80, "lime": 0xFF00, "aqua": 0xFFFF, "cyan": 0xFFFF, "fuchsia": 0xFF00FF, "magenta": 0xFF00FF,
    "purple": 0x800080, "teal": 0x8080, "olive": 0x808000, "orange": 0xFFA500, "whitesmoke": 0xF5F5F5, "snow": 0xFFFAFA, "ivory": 0xFFFFF0,
    "ghostwhite": 0xF8F8FF, "lightgray": 0xD3D3D3, "lightgrey": 0xD3D3D3, "darkgray": 0xA9A9A9, "dimgray": 0x696969, "pink": 0xFFC0CB,
}  # fmt: skip
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})(?:[\s,/]+([\d.]{1,8})%?)?\s*\)")
_LENGTH = re.compile(r"(-?\d{0,9}(?:\.\d{0,9})?)\s*(px|pt|em|rem|%|vw|vh|in|cm)?")
UNKNOWN = -1  # a background that cannot be compared: an image, a gradient


@dataclass(frozen=True, slots=True)
class Style:
    """`hidden` cannot be undone by descendants; `tiny` (font size) and the colours can. None: not said."""

    hidden: Hidden | None = None
    tiny: bool | None = None
    colour: int | None = None
    background: int | None = None
    image: bool = False


NOTHING = Style()


def colour(text: str) -> int | None:
    """Read a CSS or HTML colour as 0xRRGGBB; None for none, inherit or anything unreadable."""
    text = text.strip().lower()
    if (found := _COLOURS.get(text)) is not None:
        return found
    digits = text[1:] if text.startswith("#") else text
    try:
        if len(digits) in {6, 8}:
            return int(digits[:6], 16)
        if len(digits) in {3, 4}:
            return int("".join(c + c for c in digits[:3]), 16)
    except ValueError:
        pass
    if m := _RGB.match(text):
        if m[4] and m[4].strip("0.") == "":
            return None
        return min(255, int(m[1])) << 16 | min(255, int(m[2])) << 8 | min(255, int(m[3]))
    return None


def near(a: int, b: int) -> bool:
    """Whether two colours can hardly be told apart."""
    return abs((a >> 16) - (b >> 16)) <= 12 and abs((a >> 8 & 255) - (b >> 8 & 255)) <= 12 and abs((a & 255) - (b & 255)) <= 12


def inline(text: str) -> Style:
    """Read a style attribute; linear in its length, of which the first 2,000 characters count."""
    return _cached(text) if len(text) < 400 else declarations(text[:2_000])


@lru_cache(maxsize=4096)
def _cached(text: str) -> Style:
    return declarations(text)


def declarations(text: str) -> Style:
    """Read `name: value; ...`."""
    said: dict[str, str] = {}
    for piece in text.lower().split(";"):
        name, colon, value = piece.partition(":")
        if colon:
            said[name.strip()] = value.replace("!important", "").strip()
    if not said:
        return NOTHING
    background, image = _background(said)
    return Style(_hidden(said), _tiny(said), colour(said["color"]) if "color" in said else None, background, image)


def _background(said: dict[str, str]) -> tuple[int | None, bool]:
    found: int | None = None
    image = False
    for name in ("background", "background-image", "background-color"):
        value = said.get(name)
        if not value:
            continue
        if "url(" in value or "gradient(" in value:
            image = image or "http" in value or "//" in value
            found = UNKNOWN
        elif name != "background-image":
            known = colour(value)
            if known is None and " " in value and "rgb" not in value:
                known = next((c for c in map(colour, value.split()[:8]) if c is not None), None)
            found = known if known is not None and found != UNKNOWN else found
    return found, image


def _hidden(said: dict[str, str]) -> Hidden | None:
    if said.get("display") == "none" or said.get("visibility") in {"hidden", "collapse"} or said.get("mso-hide") == "all":
        return Hidden.DISPLAY
    clipped = said.get("overflow", said.get("overflow-y", "")).startswith(("hidden", "clip"))
    if (
        (clipped and (_zero(said.get("height")) or _zero(said.get("width"))))
        or _zero(said.get("max-height"))
        or _zero(said.get("max-width"))
    ):
        return Hidden.TINY
    if "opacity" in said and _number(said["opacity"], 1.0) < 0.05:
        return Hidden.TINY
    if _px(said.get("text-indent"), 0.0) <= _FAR_PX:
        return Hidden.OFFSCREEN
    if said.get("position") in {"absolute", "fixed"} and min(_px(said.get("left"), 0.0), _px(said.get("top"), 0.0)) <= _FAR_PX:
        return Hidden.OFFSCREEN
    return None


def _tiny(said: dict[str, str]) -> bool | None:
    value = said.get("font-size")
    if value is None and (font := said.get("font")):
        value = next((word.partition("/")[0] for word in font.split()[:6] if word[:1].isdigit()), None)
    if not value or not (value[0].isdigit() or value[0] == "."):
        return None if not value or not value[0].isalpha() else False
    return _px(value, 16.0) < _TINY_PX


def _number(text: str, default: float) -> float:
    try:
        return float(text[:12])
    except ValueError:
        return default


def _zero(value: str | None) -> bool:
    return value is not None and value[:1] in {"0", "."} and _px(value, 1.0) == 0.0


_UNIT = {"px": 1.0, "pt": 1.33, "em": 16.0, "rem": 16.0, "%": 0.16, "vw": 10.0, "vh": 8.0, "in": 96.0, "cm": 38.0}


def _px(value: str | None, default: float) -> float:
    if not value:
        return default
    m = _LENGTH.match(value)
    if m is None or m[1] in {"", "-", ".", "-."}:
        return default
    return _number(m[1], default) * _UNIT.get(m[2] or "px", 1.0)


_SELECTOR = re.compile(r"([a-z][a-z0-9]{0,15})?(?:([.#])([A-Za-z0-9_-]{1,80}))?\Z")


def sheet(text: str) -> dict[str, Style]:
    """Read the rules of a <style> block for `tag`, `.class`, `#id` and `tag.class` that concern visibility.

    Rules inside @media and other blocks are left out: they hide things on small screens only.
    """
    rules: dict[str, Style] = {}
    depth = 0
    selector = ""
    skip = False
    for piece in re.split(r"([{}])", text[:_SHEET_CHARS])[: 2 * RULES]:
        if piece == "{":
            depth += 1
        elif piece == "}":
            depth = max(0, depth - 1)
            skip = skip and depth > 0
        elif depth == 0:
            selector = piece.rpartition("*/")[2].rpartition(";")[2].strip()
            skip = selector.startswith("@")
        elif depth == 1 and not skip:
            _rule(rules, selector, piece)
    return rules


_TELLING = ("display", "visib", "color", "background", "font", "height", "width", "opacity", "indent", "position", "hide")


def _rule(rules: dict[str, Style], selector: str, body: str) -> None:
    lower = body.lower()
    if len(body) > 5_000 or not any(word in lower for word in _TELLING):
        return
    style = declarations(body)
    if style == NOTHING:
        return
    for name in selector.split(",")[:50]:
        if m := _SELECTOR.match(name.strip()):
            rules[(m[1] or "") + (m[2] or "") + (m[3] or "")] = style
