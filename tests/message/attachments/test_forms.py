"""Forms of addresses in every container: each cell of these tables is one generated message."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Collection
from urllib.parse import quote

import pikepdf
import pytest
from PIL import ImageOps
from tests.message.attachments import made

from mailward.message import parse
from mailward.message.attachments import Examined, packed, worth
from mailward.message.attachments.examine import examine
from mailward.message.attachments.kind import LIBARCHIVE, kind
from mailward.message.urls import urls_of

_TARGET = "https://evil.example.com/a?b=c"
_REWRITTEN = f"https://nam02.safelinks.protection.outlook.com/?url={quote(_TARGET, safe='')}&amp;data=05"
_LONG = "https://evil.example.com/" + "a" * 48

_LINKS = {  # as they stand in XML: what is written, what a browser opens
    "plain": ("https://evil.example.com/a", "https://evil.example.com/a"),
    "upper case": ("HTTPS://EVIL.Example.COM/a", "https://evil.example.com/a"),
    "IDN": ("https://bücher.example.com/a", "https://xn--bcher-kva.example.com/a"),
    "percent": ("http://ev%69l.example.com/a", "http://evil.example.com/a"),
    "decimal IP": ("http://3221225985/a", "http://192.0.2.1/a"),
    "hex IP": ("http://0xc0.0x0.0x2.0x1/a", "http://192.0.2.1/a"),
    "rewritten": (_REWRITTEN, _TARGET),
    "entities": ("https:&#x2F;&#47;evil.example&#46;com/a", "https://evil.example.com/a"),
    "credentials": ("http://bank.example@evil.example.com/a", "http://bank.example@evil.example.com/a"),
    "program": ("ms-word:ofe|u|https://evil.example.com/a", "https://evil.example.com/a"),
}
_TEXTS = {  # plain text
    "plain": ("https://evil.example.com/a", "https://evil.example.com/a"),
    "no scheme": ("www.evil.example.com/a", "http://www.evil.example.com/a"),
    "hxxp": ("hxxps://evil.example.com/a", "https://evil.example.com/a"),
    "brackets": ("https://evil[.]example[.]com/a", "https://evil.example.com/a"),
    "IDN": ("https://bücher.example.com/a", "https://xn--bcher-kva.example.com/a"),
    "percent": ("http://ev%69l.example.com/a", "http://evil.example.com/a"),
    "octal IP": ("http://0300.0.02.01/a", "http://192.0.2.1/a"),
    "rewritten": (made.plain(_REWRITTEN), _TARGET),
    "wrapped line": (f"{_LONG}/\nlogin?x=1", f"{_LONG}/login?x=1"),
}
_CODES = {name: _TEXTS[name] for name in ("plain", "no scheme", "IDN", "octal IP", "rewritten")}

Container = Callable[[str], tuple[str, bytes]]


def _page(form: str) -> bytes:
    return f'<html><meta charset="utf-8"><p>Dear customer, <a href="{form}">Sign in here</a></p></html>'.encode()


def _note(form: str) -> bytes:
    return f"Dear customer,\nplease open\n{form}\ntoday\n".encode()


def _sheet(value: str) -> str:
    return f"<sst><si><t>{value}</t></si></sst>"


_HOLD_LINKS: dict[str, Container] = {
    "html": lambda form: ("a.html", _page(form)),
    "svg": lambda form: ("a.svg", f'<svg xmlns="http://www.w3.org/2000/svg"><a href="{form}"><text>x</text></a></svg>'.encode()),
    "html in mail": lambda form: ("a.eml", made.mail(_page(form).decode(), "html")),
    "pdf link": lambda form: ("a.pdf", made.pdf(("Sign in here",), (made.plain(form),))),
    "docx": lambda form: ("a.docx", made.docx("Dear customer", form)),
    "xlsx": lambda form: ("a.xlsx", made.ooxml("xl", "worksheets/sheet1.xml", "<c/>", form)),
    "xlsx formula": lambda form: ("a.xlsx", made.ooxml("xl", "worksheets/sheet1.xml", f'<c><f>HYPERLINK("{form}","x")</f></c>')),
    "pptx": lambda form: ("a.pptx", made.ooxml("ppt", "slides/slide1.xml", '<a:hlinkClick r:id="rId1"/>', form)),
    "odt": lambda form: ("a.odt", made.odt(f'<text:a xlink:href="{form}">Sign in here</text:a>')),
    "rtf": lambda form: ("a.rtf", made.rtf("Dear customer", made.plain(form))),
    "zip": lambda form: ("a.zip", made.zipped({"a.html": _page(form)})),
    "zip in zip": lambda form: ("a.zip", made.zipped({"b.zip": made.zipped({"a.html": _page(form)})})),
    "7z": lambda form: ("a.7z", made.seven_zip({"a.html": _page(form)})),
    "iso": lambda form: ("a.iso", made.iso({"a.html": _page(form)})),
    "locked zip": lambda form: ("a.zip", made.locked_zip({"a.html": _page(form)})),
    "AES zip": lambda form: ("a.zip", made.locked_zip({"a.html": _page(form)}, "AES256")),
    "rar": lambda form: ("a.rar", made.rar3("a.html", _page(form))),
    "rar5": lambda form: ("a.rar", made.rar5("a.html", _page(form))),
    "winmail.dat": lambda form: ("winmail.dat", made.tnef("see the file", {"a.html": _page(form)})),
    "winmail.dat, by properties": lambda form: ("winmail.dat", made.tnef("see the file", {"a page.html": _page(form)}, long_names=True)),
    "winmail.dat, its page": lambda form: ("winmail.dat", made.tnef(page=_page(form))),
    "winmail.dat, its rich text": lambda form: ("winmail.dat", made.tnef(rich=made.packed_rtf(made.rtf("Dear", made.plain(form))))),
    "Outlook": lambda form: ("a.msg", made.outlook("see the file", {"a.html": _page(form)})),
}
_HOLD_TEXT: dict[str, Container] = {
    "txt": lambda form: ("a.txt", _note(form)),
    "txt in UTF-16": lambda form: ("a.txt", _note(form).decode().encode("utf-16")),
    "html text": lambda form: ("a.html", f"<html><meta charset=utf-8><p>please open</p><p>{form}</p></html>".encode()),
    "pdf text": lambda form: ("a.pdf", made.pdf(("Dear customer, please open", *form.split("\n"), "today"))),
    "locked pdf": lambda form: ("a.pdf", made.pdf(("Dear customer, please open", *form.split("\n"), "today"), password=made.PASSWORD)),
    "docx text": lambda form: ("a.docx", made.docx(form.replace("&", "&amp;"))),
    "xlsx text": lambda form: ("a.xlsx", made.ooxml("xl", "sharedStrings.xml", _sheet(form.replace("&", "&amp;")))),
    "odt text": lambda form: ("a.odt", made.odt(form.replace("&", "&amp;"))),
    "rtf text": lambda form: ("a.rtf", made.rtf(form)),
    "calendar": lambda form: ("a.ics", made.calendar(f"Join\n{form}\nnow")),
    "address card": lambda form: ("a.vcf", f"BEGIN:VCARD\r\nNOTE:{form}\r\nEND:VCARD\r\n".encode()),
    "mail": lambda form: ("a.eml", made.mail(_note(form).decode())),
    "winmail.dat, its text": lambda form: ("winmail.dat", made.tnef(_note(form).decode())),
    "Outlook text": lambda form: ("a.msg", made.outlook(_note(form).decode())),
    "tar": lambda form: ("a.tar", made.tarred({"a.txt": _note(form)})),
    "gzip": lambda form: ("a.txt.gz", gzip.compress(_note(form))),
    "bzip2": lambda form: ("a.txt.bz2", bz2.compress(_note(form))),
    "xz": lambda form: ("a.txt.xz", lzma.compress(_note(form))),
    "cpio": lambda form: ("a.cpio", made.cpio({"a.txt": _note(form)})),
    "cab": lambda form: ("a.cab", made.cab("a.txt", _note(form))),
    "iso by xorriso": lambda form: ("a.iso", made.iso_by_xorriso({"a.txt": _note(form)})),
    "tar in 7z": lambda form: ("a.7z", made.seven_zip({"a.tar": made.tarred({"a.txt": _note(form)})})),
}
_NOT_BROKEN = {"docx text", "xlsx text", "odt text", "html text", "address card"}  # white space is folded there, or ends the field


def _halves(form: str, upright: bool) -> bytes:
    code = made.grey(made.qr(form))
    one, other = (
        ((0, 0, code.width, code.height // 2), (0, code.height // 2, code.width, code.height))
        if upright
        else ((0, 0, code.width // 2, code.height), (code.width // 2, 0, code.width, code.height))
    )
    return made.zipped({"1.png": made.saved(code.crop(one)), "2.png": made.saved(code.crop(other))})


def _after_blank_pages(last: bytes) -> bytes:
    document = pikepdf.open(io.BytesIO(made.pdf(("x",), pages=6)))
    document.pages.extend(pikepdf.open(io.BytesIO(last)).pages)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _data(form: str) -> bytes:
    return b'<html><img src="data:image/png;base64,' + base64.b64encode(made.qr(form)) + b'"></html>'


_HOLD_CODES: dict[str, Container] = {
    "png": lambda form: ("a.png", made.qr(form)),
    "no margin": lambda form: ("a.png", made.qr(form, "-m", "0")),
    "jpeg": lambda form: ("a.jpg", made.saved(made.grey(made.qr(form)), "JPEG")),
    "gif": lambda form: ("a.gif", made.saved(made.grey(made.qr(form)), "GIF")),
    "bmp": lambda form: ("a.bmp", made.saved(made.grey(made.qr(form)), "BMP")),
    "webp": lambda form: ("a.webp", made.saved(made.grey(made.qr(form)), "WEBP")),
    "inverted": lambda form: ("a.png", made.saved(ImageOps.invert(made.grey(made.qr(form))))),
    "coloured": lambda form: ("a.png", made.saved(ImageOps.colorize(made.grey(made.qr(form)), "#c81e1e", "#142878"))),
    "rotated": lambda form: ("a.png", made.saved(made.grey(made.qr(form, "-s", "6")).rotate(30, expand=True, fillcolor=255))),
    "halves side by side": lambda form: ("a.zip", _halves(form, upright=False)),
    "halves above": lambda form: ("a.zip", _halves(form, upright=True)),
    "pdf": lambda form: ("a.pdf", made.pdf(picture=made.qr(form))),
    "pdf, drawn": lambda form: ("a.pdf", made.pdf(drawing=made.code_paths(form, at_once=False))),
    "pdf, drawn at once": lambda form: ("a.pdf", made.pdf(drawing=made.code_paths(form, at_once=True))),
    "pdf, seventh page": lambda form: ("a.pdf", _after_blank_pages(made.pdf(picture=made.qr(form)))),
    "docx": lambda form: ("a.docx", made.docx(media={"image1.png": made.qr(form)})),
    "xlsx": lambda form: ("a.xlsx", made.zipped({"[Content_Types].xml": made.TYPES, "xl/media/image1.png": made.qr(form)})),
    "odt": lambda form: ("a.odt", made.zipped({"mimetype": b"x", "content.xml": b"<x/>", "Pictures/1.png": made.qr(form)})),
    "doc": lambda form: ("a.doc", made.compound({"WordDocument": b"x", "Data": b"x" * 68 + made.qr(form) + b"more"})),
    "ppt": lambda form: (
        "a.ppt",
        made.compound({"PowerPoint Document": b"", "Pictures": b"x" * 25 + made.qr(form) + b"x" * 25 + made.qr(form)}),
    ),
    "rtf": lambda form: ("a.rtf", b"{\\rtf1 {\\pict\\pngblip\n" + made.qr(form).hex("\n", 64).encode() + b"}}"),
    "7z": lambda form: ("a.7z", made.seven_zip({"a.png": made.qr(form)})),
    "mail": lambda form: ("a.eml", made.with_file("a.png", made.qr(form), declared="image/png")),
    "zip": lambda form: ("a.zip", made.zipped({"a.png": made.qr(form)})),
    "html table": lambda form: ("a.html", f"<html>{made.code_table(form)}</html>".encode()),
    "html table of runs": lambda form: ("a.html", f"<html>{made.code_runs(form)}</html>".encode()),
    "svg": lambda form: ("a.svg", made.code_text(form, "SVG").encode()),
    "svg, rings": lambda form: ("a.svg", made.code_svg_outline(form).encode()),
    "html boxes": lambda form: ("a.html", f"<html>{made.code_placed(form)}</html>".encode()),
    "letters": lambda form: ("a.txt", made.code_text(form, "ASCII").encode()),
    "characters": lambda form: ("a.txt", made.code_text(form).encode()),
    "characters in html": lambda form: ("a.html", f"<html><meta charset=utf-8><pre>{made.code_text(form)}</pre></html>".encode()),
    "data": lambda form: ("a.html", _data(form)),
}


def _cells(containers: dict[str, Container], forms: dict[str, tuple[str, str]], without: Collection[str] = ()) -> list[object]:
    return [
        pytest.param(container, written, url, id=f"{name}-{form}")
        for name, container in containers.items()
        for form, (written, url) in forms.items()
        if form != "wrapped line" or name not in without
    ]


def _look(container: Container, written: str) -> tuple[str, Examined]:
    """From the message on, as the gateway does it."""
    name, content = container(written)
    if kind(name, "", content) in LIBARCHIVE and not packed.available:
        pytest.skip("needs the Debian package libarchive13")
    message = parse(made.with_file(name, content))
    return name, examine(worth(message), message.text)


@pytest.mark.parametrize(("container", "written", "url"), _cells(_HOLD_LINKS, _LINKS))
def test_links(container: Container, written: str, url: str) -> None:
    """What a browser would open from a link is found in every file that can hold one."""
    name, examined = _look(container, written)
    assert url in [one.url for one in examined.urls]
    assert all(one.found_in.startswith(f"attachment:{name}") for one in examined.urls)
    assert examined.findings == ()


@pytest.mark.parametrize(("container", "written", "url"), _cells(_HOLD_TEXT, _TEXTS, _NOT_BROKEN))
def test_texts(container: Container, written: str, url: str) -> None:
    """What a person would type from a text is found in every file that can hold one."""
    name, examined = _look(container, written)
    assert url in [one.url for one in examined.urls]
    assert all(one.found_in.startswith(f"attachment:{name}") for one in examined.urls)
    assert examined.findings == ()


@pytest.mark.parametrize(("container", "written", "url"), _cells(_HOLD_CODES, _CODES))
def test_codes(container: Container, written: str, url: str) -> None:
    """What a telephone would open from a QR code is found in every picture and drawing."""
    name, examined = _look(container, written)
    one = next(one for one in examined.urls if one.url == url)
    assert one.found_in.startswith(f"attachment:{name}")
    assert one.found_in.endswith(":qr")
    assert examined.findings == ()


_BODIES = {
    "html table": ("html", lambda form: made.code_table(form)),
    "boxes in rows": (
        "html",
        lambda form: "<div>" + made.code_boxes(form, "<div>", '<i style="background:{}"></i>', "</div>") + "</div>",
    ),
    "boxes in rows, by class": (
        "html",
        lambda form: (
            "<style>.d{float:left;background:#000} .l{float:left}</style><div>"
            + made.code_boxes(form, "<div class='r'>", "<div class='{}'></div>", "</div>", "d", "l")
            + "</div>"
        ),
    ),
    "boxes and breaks": (
        "html",
        lambda form: "<p>" + made.code_boxes(form, "", '<span style="background-color:{}">&nbsp;</span>', "<br>") + "</p>",
    ),
    "boxes in a grid": (
        "html",
        lambda form: '<div style="display:grid">' + made.code_boxes(form, "", '<div style="background: {}"></div>', "") + "</div>",
    ),
    "boxes of runs": ("html", lambda form: made.code_box_runs(form)),
    "boxes with places": ("html", lambda form: made.code_placed(form)),
    "shadows": ("html", lambda form: made.code_shadows(form)),
    "svg": ("html", lambda form: "<p>scan</p>" + made.code_text(form, "SVG")),
    "svg of runs": ("html", lambda form: "<p>scan</p>" + made.program("qrencode", "-t", "SVG", "--rle", "-o", "-", form).decode()),
    "svg, a pen": ("html", lambda form: "<p>scan</p>" + made.program("qrencode", "-t", "SVG", "--svg-path", "-o", "-", form).decode()),
    "svg, one square": ("html", lambda form: made.code_svg_use(form)),
    "svg, one path": ("html", lambda form: made.code_svg_path(form)),
    "svg, rings": ("html", lambda form: made.code_svg_outline(form)),
    "svg as a picture": (
        "html",
        lambda form: f'<img src="data:image/svg+xml;base64,{base64.b64encode(made.code_svg_path(form).encode()).decode()}">',
    ),
    "letters in html": ("html", lambda form: f"<pre>{made.code_text(form, 'ASCII')}</pre>"),
    "letters": ("text", lambda form: made.code_text(form, "ASCII")),
    "letters, dark paper": ("text", lambda form: made.code_text(form, "ASCIIi")),
    "other letters": ("text", lambda form: made.code_text(form, "ASCII").replace("#", "X")),
    "classes": ("html", lambda form: "<style>td.d{background:#000}</style>" + made.code_table(form, '<td class="{}">&nbsp;', "d", "l")),
    "html table of runs": ("html", lambda form: made.code_runs(form)),
    "characters in html": ("html", lambda form: f"<pre>{made.code_text(form)}</pre>"),
    "entities": (
        "html",
        lambda form: "<br>".join("".join(f"&#{ord(char)};" for char in line) for line in made.code_text(form).split("\n")),
    ),
    "data": ("html", lambda form: _data(form).decode()),
    "characters": ("text", lambda form: made.code_text(form)),
    "characters, dark paper": ("text", lambda form: made.code_text(form, "UTF8i")),
    "squares": ("text", lambda form: made.code_text(form, "ASCII").replace("##", "⬛").replace("  ", "⬜")),
}


@pytest.mark.parametrize(("written", "url"), _CODES.values(), ids=_CODES)
@pytest.mark.parametrize("name", _BODIES)
def test_codes_drawn_in_the_body(name: str, written: str, url: str) -> None:
    """A code that is drawn in the text of the message itself is an address of the message."""
    place, draw = _BODIES[name]
    message = parse(made.mail(f"Please scan\n{draw(written)}\nwith your telephone", "html" if place == "html" else "plain"))
    assert url not in [one.url for one in urls_of(message)]
    found = {one.url: one.found_in for one in examine(worth(message)).urls}
    assert found[url] == f"{place}:qr"


@pytest.mark.parametrize("name", ["html", "html in mail", "pdf link", "docx", "odt"])
def test_the_text_on_a_link(name: str) -> None:
    """What a person read before the click is kept."""
    _, examined = _look(_HOLD_LINKS[name], _TARGET)
    assert [one.text for one in examined.urls if one.url == _TARGET] == ["Sign in here"]


@pytest.mark.parametrize("name", ["doc", "xls", "ppt"])
def test_old_office(name: str) -> None:
    """Documents LibreOffice saved: the link, an address without a scheme, and one beyond Latin-1 (not in slides, which had none)."""
    examined = _look(lambda _: (f"a.{name}", made.libreoffice(name)), "")[1]
    more = {"doc": ["https://xn--bcher-kva.example.net/x"], "xls": ["https://wide.example.net/x"], "ppt": []}[name]
    assert [one.url for one in examined.urls] == ["https://bad.example.com/login?x=1", "http://www.text.example.org/path/a", *more]
    assert examined.findings == ()


def test_there_is_a_table() -> None:
    """The issue wants at least 60 cells."""
    cells = (
        len(_HOLD_LINKS) * len(_LINKS) + len(_HOLD_TEXT) * len(_TEXTS) - len(_NOT_BROKEN) + (len(_HOLD_CODES) + len(_BODIES)) * len(_CODES)
    )
    assert cells == 723
