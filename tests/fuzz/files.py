"""Whole files of each kind, which the fuzzers break, and what holds for whatever comes of them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import can_ada
from tests.message.attachments import made

from mailward.message.attachments import Attachment, Examined, limits
from mailward.message.attachments.examine import examine

FOUND = Path(__file__).parent.parent / "vectors" / "attachments" / "found"
SECONDS = 8.0  # CPU time for one file; the helper gets as much
_URL = "https://evil.example.com/a"
_PAGE = (
    f"<html><p>Dear customer, <a href='{_URL}'>Sign in</a> <script>x = atob('aHR0cHM6Ly9ldmlsLmV4YW1wbGUuY29t')</script></html>".encode()
)


def _tools(name: str, make: Callable[[], bytes]) -> bytes:
    return make() if shutil.which(name) else b""


def seeds() -> dict[str, tuple[str, bytes]]:
    """A name and the content of a sound file, for each kind of file that is looked into."""
    code = made.grey(made.qr(_URL)) if shutil.which("qrencode") else None
    files: dict[str, tuple[str, bytes]] = {
        "html": ("a.html", _PAGE),
        "text": ("a.txt", f"see {_URL} or hxxp://evil[.]example[.]com\n".encode() * 3),
        "calendar": ("a.ics", made.calendar(f"Join {_URL} now")),
        "mail": ("a.eml", made.with_file("a.html", _PAGE)),
        "zip": ("a.zip", made.zipped({"a.html": _PAGE, "b.txt": _PAGE})),
        "docx": ("a.docx", made.docx("Dear customer", _URL)),
        "odt": ("a.odt", made.odt(f'<text:a xlink:href="{_URL}">x</text:a>')),
        "rtf": ("a.rtf", made.rtf("Dear customer", _URL)),
        "tar": ("a.tar", made.tarred({"a.html": _PAGE})),
        "gzip": ("a.html.gz", gzip.compress(_PAGE)),
        "bzip2": ("a.html.bz2", bz2.compress(_PAGE)),
        "xz": ("a.html.xz", lzma.compress(_PAGE)),
        "rar": ("a.rar", made.rar3("a.html", _PAGE)),
        "rar5": ("a.rar", made.rar5("a.html", _PAGE)),
        "cab": ("a.cab", made.cab("a.html", _PAGE)),
        "pdf": ("a.pdf", made.pdf(("Dear customer",), (_URL,))),
        "locked pdf": ("a.pdf", made.pdf(("Dear customer",), (_URL,), password=made.PASSWORD)),
        "doc": ("a.doc", made.libreoffice("doc")),
        "xls": ("a.xls", made.libreoffice("xls")),
        "ppt": ("a.ppt", made.compound({"PowerPoint Document": made.slide(f"see {_URL}")})),
        "Outlook": ("a.msg", made.outlook(f"see {_URL}", {"a.html": _PAGE})),
        "winmail.dat": (
            "winmail.dat",
            made.tnef(f"see {_URL}", {"a.html": _PAGE}, rich=made.packed_rtf(made.rtf("Dear", _URL)), long_names=True),
        ),
        "macros": ("a.doc", made.compound({"Macros/VBA/a": made.macro(f'x = "{_URL}"')})),
        "locked docx": ("a.docx", (made.VECTORS / "locked.docx").read_bytes()),
        "locked doc": ("a.doc", (made.VECTORS / "locked.doc").read_bytes()),
        "locked xls": ("a.xls", (made.VECTORS / "locked.xls").read_bytes()),
        "7z": ("a.7z", _tools("7z", lambda: made.seven_zip({"a.html": _PAGE}))),
        "locked zip": ("a.zip", _tools("7z", lambda: made.locked_zip({"a.html": _PAGE}))),
        "iso": ("a.iso", _tools("genisoimage", lambda: made.iso({"a.html": _PAGE}))),
        "cpio": ("a.cpio", _tools("bsdtar", lambda: made.cpio({"a.html": _PAGE}))),
        "zstandard": ("a.tar.zst", _tools("bsdtar", lambda: made.zstandard(_PAGE))),
    }
    if code:
        files |= {name: (f"a.{name}", made.saved(code, name.upper())) for name in ("png", "jpeg", "gif", "bmp", "webp", "tiff")}
        files["table"] = ("a.html", made.code_table(_URL).encode())
        files["boxes"] = ("a.html", made.code_placed(_URL).encode())
        files["rows of boxes"] = ("a.html", made.code_box_runs(_URL).encode())
        files["svg"] = ("a.svg", made.code_svg_outline(_URL).encode())
        files["letters"] = ("a.txt", made.code_text(_URL, "ASCII").encode())
        files["characters"] = ("a.txt", made.code_text(_URL).encode())
    return {kind: file for kind, file in files.items() if file[1]}


def check(name: str, content: bytes) -> Examined:
    """Look into a file and check what every answer promises."""
    start = time.process_time()
    examined = examine([Attachment(name, "", "", content)], made.ANNOUNCED)
    took = time.process_time() - start
    assert took < SECONDS, f"took {took:.1f} s of CPU"
    assert len(examined.urls) <= limits.URLS
    assert len({finding.name for finding in examined.findings}) == len(examined.findings)
    for one in examined.urls:
        assert str(can_ada.parse(one.url).href) == one.url
        (one.url + one.text + one.found_in + one.unwrapped_from).encode()
    return examined


def keep(name: str, content: bytes) -> Path:
    """Write a find down as a vector."""
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{hashlib.sha256(content).hexdigest()[:12]}-{name}"
    path.write_bytes(content)
    return path
