"""Addresses in PDF documents (ISO 32000-1): actions, scripts and forms by qpdf, text and codes on pages by PDFium."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
import re2
from pikepdf import Array

from mailward.message.attachments import limits, office, records
from mailward.message.attachments.gathering import Gathering
from mailward.message.attachments.pictures import Pictures

_NESTING = 6  # dictionaries within an object; forms and actions need three
_ITEMS = 2_000  # entries of one dictionary or array that are followed
_PAGE_PIXELS = 1_600  # of the longer side of a page that is drawn
_PAGE_OBJECTS = 2_000  # counted on a page
_MOST_OBJECTS = 20_000  # of a page that is drawn; maps have more, a code has 30,000 at most, drawn as few
_MOST_POINTS = 15_000  # PDF pages are at most 14,400 points wide (ISO 32000-1 C.2)
_LINKS_WITH_TEXT = 200  # of one document
_PICTURED = {pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_SHADING}
_BROKEN = re2.compile(r"(?i)((?:https?|ftp)://[^\s<>\"]+)[ \t]*\r?\n[ \t]*([^\s<>\"]+)(?:[ \t]*\r?\n[ \t]*([^\s<>\"]+))?")
_GOES_ON = re2.compile(r"[/?=&%_0-9#.-]")  # what a word of the next sentence seldom has
_OPEN_END = re2.compile(r"[/?=&%_#.-]$")
_PACKINGS = frozenset({"/FlateDecode", "/LZWDecode", "/RunLengthDecode", "/Fl", "/LZW", "/RL"})
_MOST_PACKED = 1_032  # times what deflate can make smaller
_BLOCK = 1 << 16
_ADDRESSES = ("/URI", "/F", "/UF", "/URL", "/Base")


def look(content: bytes, where: str, gathered: Gathering, pictures: Pictures) -> Iterator[tuple[str, bytes]]:
    """Read a document; gives the files embedded in it. Raises what qpdf and PDFium raise for damaged ones."""
    password = ""
    try:
        document, password = _opened(content, gathered)
        with document:
            if any(_swells(each) for each, _ in zip(document.objects, range(limits.PDF_OBJECTS), strict=False)):
                gathered.note("bytes", "A PDF document has a part that unpacks to more than is read; its pages were left out.")
                yield from _objects(document, {}, where, gathered)
                return
            yield from _objects(document, _texts_on_links(document, content, password), where, gathered)
    except pikepdf.PasswordError:
        gathered.note("encrypted", "A PDF document is locked with a password; it was not looked into.")
        return
    except pikepdf.PdfError:
        gathered.note("damaged", "A PDF document is damaged; only what is in plain sight was read.")
        gathered.text(records.strings(content), where)
    _pages(content, password, where, gathered, pictures)


def _opened(content: bytes, gathered: Gathering) -> tuple[pikepdf.Pdf, str]:
    """A document and the password that fits: none, or one of the message. Raises pikepdf.PasswordError."""
    try:
        return pikepdf.open(BytesIO(content), inherit_page_attributes=False), ""
    except pikepdf.PasswordError:
        for password in gathered.passwords:
            if gathered.late():
                break
            try:
                return pikepdf.open(BytesIO(content), password=password, inherit_page_attributes=False), password
            except pikepdf.PasswordError:
                continue
        raise


def _swells(value: pikepdf.Object) -> bool:
    """Whether a stream unpacks to more than PDFium should be given: when its memory ends, so does the process."""
    if not isinstance(value, pikepdf.Stream):
        return False
    width, height = value.get("/Width", 0), value.get("/Height", 0)
    if isinstance(width, int) and isinstance(height, int) and width * height > limits.PICTURE_PIXELS:
        return True
    filters = value.get("/Filter", Array())
    names = list(filters)[:_ITEMS] if isinstance(filters, Array) else [filters]
    if sum(name in _PACKINGS for name in names) > 1:
        return True
    raw = value.read_raw_bytes() if names and names[0] == "/FlateDecode" else b""
    if len(raw) * _MOST_PACKED < limits.PDF_PAGE_BYTES:
        return False
    most = limits.PDF_STREAM_BYTES if width else limits.PDF_PAGE_BYTES
    unpacker, size = zlib.decompressobj(), 0
    try:
        while raw and size <= most:
            size += len(unpacker.decompress(raw, _BLOCK))
            raw = unpacker.unconsumed_tail
    except zlib.error:
        return False  # nor can PDFium read on
    return size > most


def _objects(document: pikepdf.Pdf, texts: dict[str, str], where: str, gathered: Gathering) -> Iterator[tuple[str, bytes]]:
    """Look into every object, whether a page leads to it or not: so no loop can hold us up, and nothing be out of sight."""
    for count, each in enumerate(document.objects):
        if count >= limits.PDF_OBJECTS:
            gathered.note("objects", f"A PDF document has more than {limits.PDF_OBJECTS} objects; the rest was left out.")
            return
        if gathered.is_full() or (count % 100 == 0 and gathered.late()):
            return
        pending = [(each, 0)]
        while pending:
            value, depth = pending.pop()
            if isinstance(value, Array):
                items = [(item, depth + 1) for item, _ in zip(value, range(_ITEMS), strict=False)]
            elif isinstance(value, (pikepdf.Dictionary, pikepdf.Stream)):
                yield from _dictionary(value, texts, where, gathered)
                items = [(item, depth + 1) for (_, item), _ in zip(value.items(), range(_ITEMS), strict=False)]
            else:
                continue
            if depth < _NESTING:
                pending += [(item, d) for item, d in reversed(items) if not getattr(item, "is_indirect", True)]


def _dictionary(value: pikepdf.Object, texts: dict[str, str], where: str, gathered: Gathering) -> Iterator[tuple[str, bytes]]:
    """An action (ISO 32000-1 12.6), a file specification (7.11), a form in XML (12.7.8) or an embedded file (7.11.4)."""
    for key in _ADDRESSES:
        if key in value and isinstance(value[key], (pikepdf.String, pikepdf.Name)):
            written = str(value[key])
            gathered.link(written, texts.get(written, ""), where)
    if "/JS" in value:
        _script(value["/JS"], where, gathered)
    if "/XFA" in value:
        xfa = value["/XFA"]
        for part in [xfa] if isinstance(xfa, pikepdf.Stream) else list(xfa)[:_ITEMS]:
            if isinstance(part, pikepdf.Stream):
                office.member(_unpacked(part, limits.TEXT_CHARS), where, gathered)
    if isinstance(value, pikepdf.Stream) and value.get("/Type") == "/EmbeddedFile" and (room := gathered.room()):
        yield "embedded", gathered.spend(_unpacked(value, room + 1), room)


def _script(script: pikepdf.Object, where: str, gathered: Gathering) -> None:
    source = _unpacked(script, limits.TEXT_CHARS).decode("utf-8", "replace") if isinstance(script, pikepdf.Stream) else str(script)
    gathered.text(source.replace("\\/", "/").replace("'", "\n").replace('"', "\n"), where)


def _unpacked(stream: pikepdf.Stream, most: int) -> bytes:
    """At most so many bytes of a stream, unpacked by ourselves: qpdf knows no limit. b"" for one packed in a rare way."""
    packing = stream.get("/Filter")
    if isinstance(packing, Array) and len(packing) == 1:
        packing = packing[0]
    raw = stream.read_raw_bytes()
    if packing is None or (isinstance(packing, Array) and not len(packing)):
        return raw[:most]
    return zlib.decompressobj().decompress(raw, most) if packing == "/FlateDecode" else b""


def _texts_on_links(document: pikepdf.Pdf, content: bytes, password: str) -> dict[str, str]:
    """What stands on the links of the first pages, by address."""
    texts: dict[str, str] = {}
    try:
        with pypdfium2.PdfDocument(content, password=password or None) as drawn:
            for number in range(min(len(drawn), limits.PDF_DRAWN, len(document.pages))):
                rectangles = list(_rectangles(document.pages[number].obj))
                if rectangles:
                    page = drawn[number].get_textpage()
                    for address, (left, bottom, right, top) in rectangles:
                        texts.setdefault(address, " ".join(page.get_text_bounded(left, bottom, right, top).split())[: limits.NAME_CHARS])
    except (pikepdf.PdfError, pypdfium2.PdfiumError, ValueError, TypeError, KeyError):
        return texts  # the addresses themselves are found elsewhere
    return texts


def _rectangles(page: pikepdf.Object) -> Iterator[tuple[str, list[float]]]:
    for note, _ in zip(page.get("/Annots", ()), range(_LINKS_WITH_TEXT), strict=False):
        action = note.get("/A") if isinstance(note, pikepdf.Dictionary) else None
        if isinstance(action, pikepdf.Dictionary) and "/URI" in action and len(note.get("/Rect", ())) == 4:
            x1, y1, x2, y2 = (float(side) for side in note["/Rect"])
            yield str(action["/URI"]), [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]


def _pages(content: bytes, password: str, where: str, gathered: Gathering, pictures: Pictures) -> None:
    """Read the text of pages, and the codes on the first ones and the last."""
    chars = limits.TEXT_CHARS
    with pypdfium2.PdfDocument(content, password=password or None) as document:
        count = len(document)
        for number in range(min(count, limits.PDF_PAGES)):
            if gathered.late():
                return
            page = document[number]
            text = page.get_textpage().get_text_range()[:chars]
            chars -= len(text)
            _text(text, where, gathered)
            if number < limits.PDF_DRAWN - 1:
                _codes(page, where, gathered, pictures)
            page.close()
        if count > limits.PDF_PAGES:
            gathered.note("pages", f"A PDF document has more than {limits.PDF_PAGES} pages; the text of the rest was left out.")
        if count >= limits.PDF_DRAWN:
            _codes(document[count - 1], where, gathered, pictures)


def _text(text: str, where: str, gathered: Gathering) -> None:
    """Addresses of a page; what is broken over two or three lines is put together as well."""
    gathered.text(text, where)
    for m in _BROKEN.finditer(text):
        url, *rest = (piece for piece in m.groups() if piece)
        for piece in rest:
            if "://" in piece or not (_GOES_ON.search(piece) or _OPEN_END.search(url)):
                break
            url += piece
            gathered.text(url, where)


def _codes(page: pypdfium2.PdfPage, where: str, gathered: Gathering, pictures: Pictures) -> None:
    width, height = page.get_size()
    if not _is_drawn(page):
        return
    if pdfium.FPDFPage_CountObjects(page.raw) > _MOST_OBJECTS or not 0 < max(width, height) <= _MOST_POINTS:
        gathered.note("pages", "A page of a PDF document is too large or has too many parts; it was not looked at for codes.")
        return
    scale = _PAGE_PIXELS / max(width, height)
    if gathered.late() or not gathered.may_draw(int(width * scale) + 1, int(height * scale) + 1):
        return
    pictures.drawn(page.render(scale=scale, grayscale=True, may_draw_forms=False).to_pil().convert("L"), where)


def _is_drawn(page: pypdfium2.PdfPage) -> bool:
    """Whether a page has a picture, or as many lines and areas as a code drawn with them."""
    paths = 0
    for each, _ in zip(page.get_objects(max_depth=3), range(_PAGE_OBJECTS), strict=False):
        if each.type in _PICTURED:
            return True
        if each.type == pdfium.FPDF_PAGEOBJ_PATH:
            paths += max(1, pdfium.FPDFPath_CountSegments(each.raw) // 5)
            if paths >= limits.PDF_PATHS:
                return True
    return False
