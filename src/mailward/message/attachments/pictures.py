"""QR codes in pictures: light on dark too, several in one, and one cut over two neighbouring pictures."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise

import zxingcpp
from PIL import Image, ImageFile, ImageOps

from mailward.message.attachments import limits
from mailward.message.attachments.attachment import large_enough
from mailward.message.attachments.gathering import Gathering

ImageFile.LOAD_TRUNCATED_IMAGES = True  # viewers show what is there
Image.MAX_IMAGE_PIXELS = None  # Gathering.may_draw decides
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
_QR = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.MicroQRCode])
_MARGIN = 16  # pixels: codes cut at their edge lack the quiet zone (ISO/IEC 18004 9.1)
_WHITE = 255
_DARK, _LIGHT = 80, 175  # grey values; a code has few between them
_TWO_TONED = 0.9  # share of pixels beyond them
_SIMILAR = 0.04  # difference of sides that are to be put together

_Picture = tuple[str, Image.Image]


class Pictures:
    """The pictures of a message: each is looked at as it comes, halves of codes at the end."""

    def __init__(self, gathered: Gathering) -> None:
        self._gathered = gathered
        self._halves: list[_Picture | None] = []  # in order; None for a picture that is none

    def look(self, content: bytes, where: str) -> None:
        """Read the codes of a picture file. Raises what Pillow raises for damaged ones."""
        with Image.open(BytesIO(content), formats=_FORMATS) as picture:
            if not large_enough(*picture.size):
                return
            if picture.format == "JPEG":
                picture.draft("L", (limits.SEARCHED_SIDE, limits.SEARCHED_SIDE))
            for frame in range(limits.FRAMES):
                if frame and not _goes_on(picture, frame):
                    return
                if self._gathered.late() or not self._gathered.may_draw(*picture.size):
                    return
                self._look(picture, where)

    def drawn(self, picture: Image.Image, where: str) -> bool:
        """Read the codes of a grey picture; whether there were any."""
        contents = _read(picture)
        for each in contents:
            self._gathered.code(each, where)
        return bool(contents)

    def finish(self) -> None:
        """Put neighbours together that may be the halves of a code: side by side and one above the other, in both orders."""
        pairs = [(a, b) for a, b in pairwise(self._halves) if a and b and _are_similar(a[1], b[1])]
        for (where, one), (_, other) in pairs[: limits.PAIRS]:
            if self._gathered.late():
                return
            for first, second in ((one, other), (other, one)):
                if any(self.drawn(joined, where) for joined in _joined(first, second)):
                    break

    def _look(self, picture: Image.Image, where: str) -> None:
        grey, opacity = _grey(picture)
        found = self.drawn(grey, where) or (opacity is not None and self.drawn(opacity, where))
        self._halves.append(None if found or not _is_two_toned(grey) else (where, grey))


def _read(picture: Image.Image) -> list[str]:
    """The contents of the codes in a grey picture."""
    lightest = max(value for value, count in enumerate(picture.histogram()) if count)
    bordered = ImageOps.expand(picture, _MARGIN, lightest)
    return list(dict.fromkeys(code.text for code in zxingcpp.read_barcodes(bordered, formats=_QR) if code.text))


def _goes_on(picture: Image.Image, frame: int) -> bool:
    try:
        picture.seek(frame)
    except (EOFError, OSError, ValueError):
        return False
    return True


def _grey(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The picture on white paper, reduced to the size searched; and its opacity, where a picture is drawn with that."""
    if picture.mode == "P":
        picture = picture.convert("RGBA" if "transparency" in picture.info else "L")
    elif picture.mode in {"1", "LAB", "HSV"}:
        picture = picture.convert("RGB")
    elif picture.mode.startswith(("I", "F")):
        picture = picture.point(lambda value: value * (1 / 256)).convert("L")
    factor = max(1, max(picture.size) // limits.SEARCHED_SIDE)
    if factor > 1:
        picture = picture.reduce(factor)
    if picture.mode not in {"RGBA", "LA", "PA"}:
        return picture.convert("L"), None
    opacity = picture.getchannel("A")
    if opacity.getextrema() == (_WHITE, _WHITE):
        return picture.convert("L"), None
    grey = picture.convert("LA").getchannel("L")
    return Image.composite(grey, Image.new("L", grey.size, _WHITE), opacity), opacity


def _is_two_toned(grey: Image.Image) -> bool:
    histogram = grey.histogram()
    dark, light = sum(histogram[:_DARK]), sum(histogram[_LIGHT:])
    return dark + light >= _TWO_TONED * grey.width * grey.height and min(dark, light) > 0.1 * (dark + light)


def _are_similar(one: Image.Image, other: Image.Image) -> bool:
    return _match(one.width, other.width) or _match(one.height, other.height)


def _match(one: int, other: int) -> bool:
    return abs(one - other) <= max(2, _SIMILAR * max(one, other))


def _joined(first: Image.Image, second: Image.Image) -> list[Image.Image]:
    joined = []
    if _match(first.height, second.height):
        side = Image.new("L", (first.width + second.width, max(first.height, second.height)), _WHITE)
        side.paste(first, (0, 0))
        side.paste(second, (first.width, 0))
        joined.append(side)
    if _match(first.width, second.width):
        above = Image.new("L", (max(first.width, second.width), first.height + second.height), _WHITE)
        above.paste(first, (0, 0))
        above.paste(second, (0, first.height))
        joined.append(above)
    return joined
