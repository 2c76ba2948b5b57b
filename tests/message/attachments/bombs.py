"""Messages whose files are built to hurt: what each costs is tested here and measured by benchmarks/attachments.py."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable

import pikepdf
from pikepdf import Array, Dictionary, Name
from PIL import Image
from tests.message.attachments import made

_GIGABYTE = 1 << 30


def _zip_of_zeros(total: int, count: int = 1) -> bytes:
    """Zeros, each file packed by deflate a thousandfold."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(count):
            with archive.open(f"{i}.txt", "w", force_zip64=True) as file:
                for _ in range(total // count >> 20):
                    file.write(bytes(1 << 20))
    return out.getvalue()


def _nested(content: bytes, depth: int, width: int) -> bytes:
    for _ in range(depth):
        content = made.zipped({f"{i}.zip": content for i in range(width)})
    return content


def _overlapping(count: int = 1_000) -> bytes:
    """Every entry of the directory leads to the same packed megabytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.txt", bytes(8 << 20))
        archive.filelist += [archive.filelist[0]] * (count - 1)
    return out.getvalue()


def _quine() -> bytes:
    """A gzip file that unpacks to nearly itself, again and again, would need a fixed point; towers of gzip come close."""
    content = b"https://evil.example.com/"
    for _ in range(200):
        content = gzip.compress(content)
    return content


def _greedy_7z() -> bytes:
    """An archive whose one file needs a dictionary of 1 GB, it says (7zFormat.txt: method 21 is LZMA2, then one octet of properties)."""
    content = bytearray(made.seven_zip({"a.txt": bytes(1 << 20)}, "-m0=LZMA2"))
    at = content.rindex(b"\x21\x21\x01") + 3
    content[at] = 36
    header = bytes(content[32 + int.from_bytes(content[12:20], "little") :])
    content[28:32] = zlib.crc32(header).to_bytes(4, "little")
    content[8:12] = zlib.crc32(content[12:32]).to_bytes(4, "little")
    return bytes(content)


def _many_files(count: int) -> bytes:
    return made.zipped({f"{i}.html": b"<a href='https://evil.example.com/'>x</a>" for i in range(count)})


def _saved(document: pikepdf.Pdf) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _pdf_with_loops() -> bytes:
    document = pikepdf.open(io.BytesIO(made.pdf(("x",), ("https://evil.example.com/",))))
    document.Root.Pages.Kids.append(document.Root.Pages)
    outlines = document.Root.Outlines = document.make_indirect(Dictionary(Type=Name.Outlines))
    outlines.First = outlines.Last = outlines.Next = outlines
    form = document.make_stream(b"/F Do", Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 100, 100])
    form.Resources = Dictionary(XObject=Dictionary(F=form))
    page = document.Root.Pages.Kids[0]
    page.Resources.XObject = Dictionary(F=form)
    page.Contents = document.make_stream(b"/F Do " * 1000)
    return _saved(document)


def _pdf_with_bombs() -> bytes:
    """Streams that unpack to gigabytes: a script, a page, a picture."""
    document = pikepdf.open(io.BytesIO(made.pdf(("x",))))
    packed = zlib.compress(bytes(200 << 20), 9)

    def stream(**values: object) -> pikepdf.Stream:
        return document.make_stream(packed, Filter=Name.FlateDecode, **values)

    document.Root.OpenAction = document.make_indirect(Dictionary(S=Name.JavaScript, JS=stream()))
    page = document.pages[0]
    page.Contents = Array([stream(), stream(), document.make_stream(b"q 1 0 0 1 0 0 cm /I Do Q")])
    page.Resources.XObject = Dictionary(I=stream(
        Type=Name.XObject, Subtype=Name.Image, Width=20000, Height=10000, ColorSpace=Name.DeviceGray, BitsPerComponent=8))  # fmt: skip
    return _saved(document)


def _deep_pdf() -> bytes:
    return b"%PDF-1.7\n1 0 obj\n" + b"[" * 200_000 + b"]" * 200_000 + b"\nendobj\ntrailer<</Root 1 0 R>>\n"


def _pdf_with_lines(count: int) -> bytes:
    document = pikepdf.Pdf.new()
    for _ in range(5):
        page = document.add_blank_page(page_size=(595, 842))
        page.Contents = document.make_stream(b"0 0 m 595 842 l 10 10 400 400 re S " * count)
    return _saved(document)


def _relations(count: int) -> bytes:
    return made.zipped({
        "[Content_Types].xml": made.TYPES,
        "word/document.xml": b"<w:document/>",
        "word/_rels/document.xml.rels": made.relations(*(f"https://h{i}.example.com/" for i in range(count))),
    })  # fmt: skip


def _noise(width: int, height: int, mode: str = "L") -> Image.Image:
    """Squares of chance: the worst for a search of codes."""
    small = Image.effect_noise((width // 4, height // 4), 120).point(lambda value: 255 if value > 128 else 0)
    return small.resize((width, height), Image.Resampling.NEAREST).convert(mode)


def _blank_png(width: int, height: int) -> bytes:
    """A picture that says it is larger than it is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x06\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")


def _addresses(count: int) -> bytes:
    return "".join(f"https://h{i}.example.com/path?x={i}\n" for i in range(count)).encode()


def _cells(rows: int) -> bytes:
    return b"<html>" + (b"<table>" + b"<tr>" + b"<td bgcolor=black>" * 200) * rows


def _rich_winmail() -> bytes:
    """A rich text that says it is 2 GB, of runs that repeat what comes before; and files that begin and never end."""
    runs = bytearray()
    written = 207  # octets of the dictionary
    for i in range(40_000):
        runs += (b"\x00" + b"aaaaaaaa") if i % 8 == 0 else (b"\xff" + b"".join(_back(written + 17 * n) for n in range(8)))
        written += 8 if i % 8 == 0 else 8 * 17
    rich = len(runs).to_bytes(4, "little") + (1 << 31).to_bytes(4, "little") + b"LZFu" + bytes(4) + bytes(runs)
    return made.tnef(rich=rich) + made._tnef_attribute(2, 0x69002, bytes(14)) * 20_000


def _back(written: int) -> bytes:
    return (((written - 8) % 4096) << 4 | 15).to_bytes(2, "big")


def _looping_compound() -> bytes:
    """A file table whose chains lead back into themselves."""
    content = bytearray(made.compound({"WordDocument": b"https://evil.example.com/ " * 1000, "Data": bytes(8000)}))
    table = 512 * (1 + int.from_bytes(content[76:80], "little"))
    content[table : table + 40] = (3).to_bytes(4, "little") * 10
    return bytes(content)


BOMBS: dict[str, Callable[[], list[tuple[str, bytes]]]] = {
    "zip of 1 GB": lambda: [("a.zip", _zip_of_zeros(_GIGABYTE))],
    "zip of 1 GB in 100 files": lambda: [("a.zip", _zip_of_zeros(_GIGABYTE, 100))],
    "zips in zips, 16 wide, 5 deep": lambda: [("a.zip", _nested(_zip_of_zeros(16 << 20), 4, 16))],
    "overlapping zip": lambda: [("a.zip", _overlapping())],
    "gzip in gzip, 200 deep": lambda: [("a.gz", _quine())],
    "gzip of 1 GB": lambda: [("a.txt.gz", gzip.compress(bytes(_GIGABYTE), 1))],
    "bzip2 of 1 GB": lambda: [("a.txt.bz2", b"".join([bz2.compress(bytes(64 << 20))] * 16))],
    "xz of 512 MB": lambda: [("a.txt.xz", lzma.compress(bytes(_GIGABYTE // 2), preset=0))],
    "7z of 1 GB": lambda: [("a.7z", made.seven_zip({f"{i}.txt": bytes(64 << 20) for i in range(16)}, "-mx=1"))],
    "7z asking for 1 GB of memory": lambda: [("a.7z", _greedy_7z())],
    "zip of 10,000 files": lambda: [("a.zip", _many_files(10_000))],
    "tar of 10,000 files": lambda: [("a.tar", made.tarred({f"{i}.txt": b"https://evil.example.com/" for i in range(10_000)}))],
    "7z of 10,000 files": lambda: [("a.7z", made.seven_zip({f"{i}.txt": b"https://evil.example.com/" for i in range(10_000)}, "-mx=1"))],
    "iso of 10,000 files": lambda: [("a.iso", made.iso({f"{i}.txt": b"x" for i in range(10_000)})[: 8 << 20])],
    "50 locked zips": lambda: [("a.zip", made.locked_zip({"a.html": b"x" * 1000}, "AES256", "unknown"))] * 50,
    "pdf with loops": lambda: [("a.pdf", _pdf_with_loops())],
    "pdf with streams of 1 GB": lambda: [("a.pdf", _pdf_with_bombs())],
    "pdf with 10,000 links": lambda: [("a.pdf", made.pdf(("x",), tuple(f"https://h{i}.example.com/" for i in range(10_000))))],
    "pdf with 5,000 pages": lambda: [("a.pdf", made.pdf(("https://evil.example.com/",), pages=5_000))],
    "pdf 200,000 deep": lambda: [("a.pdf", _deep_pdf())],
    "pdf with 500,000 lines": lambda: [("a.pdf", _pdf_with_lines(100_000))],
    "docx with 100,000 relations": lambda: [("a.docx", _relations(100_000))],
    "20 megapixels": lambda: [("a.png", made.saved(_noise(5472, 3648, "RGBA")))],
    "20 megapixels, jpeg": lambda: [("a.jpg", made.saved(_noise(5472, 3648, "RGB"), "JPEG", quality=30, progressive=True))],
    "10 times 12 megapixels": lambda: [("a.png", made.saved(_noise(4000, 3000)))] * 10,
    "60,000 x 60,000": lambda: [("a.png", _blank_png(60_000, 60_000))],
    "100 pictures": lambda: [("a.png", made.saved(_noise(600, 400)))] * 100,
    "50,000 addresses": lambda: [("a.txt", _addresses(50_000))],
    "50,000 addresses in html": lambda: [("a.html", b"<html>" + b"".join(b"<a href='%s'>x</a>" % each for each in _addresses(50_000).split()))],
    "table of a million cells": lambda: [("a.html", _cells(2_000))],
    "svg of paths": lambda: [("a.svg", b"<svg>" + b'<path d="%s"/>' % (b"M0 0H9V9H0ZM1 1L2 3L8 8z" * 40_000) + b"</svg>")] * 10,
    "svg of rings": lambda: [("a.svg", b"<svg>" + b'<path d="%s"/>' % (b"M0 0H900V900H0ZM1 1L2 3L800 800z" * 5_000) + b"</svg>")] * 10,
    "boxes": lambda: [("a.html", b"<div style='left:1px;top:2px;width:3px;height:4px;background:red'></div>" * 60_000)] * 5,
    "rows of boxes": lambda: [("a.html", (b"<div>" + b'<i style="width:99999px;background:#000"></i>' * 100 + b"</div>") * 3_000)],
    "characters": lambda: [("a.txt", ("█▀▄ " * 100 + "\n").encode() * 2_000)],
    "compound file with loops": lambda: [("a.doc", _looping_compound())],
    "winmail.dat of packed text": lambda: [("winmail.dat", _rich_winmail())] * 20,
    "rtf of braces": lambda: [("a.rtf", b"{\\rtf1" + b"{\\field" * 500_000)],
    "xml of open links": lambda: [("a.docx", made.docx("<w:hyperlink>" * 80_000))],
    "calendar of folds": lambda: [("a.ics", b"BEGIN:VCALENDAR\r\nDESCRIPTION:" + b"h\r\n " * 1_000_000)],
}  # fmt: skip
