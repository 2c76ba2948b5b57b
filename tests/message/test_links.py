"""Links in HTML and in plain sight."""

from __future__ import annotations

import pytest

from mailward.message import Link, limits, parse
from mailward.message.links import urls


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see http://a.test/x, or (https://b.test/y).", ["http://a.test/x", "https://b.test/y"]),
        ("<http://a.test/>", ["http://a.test/"]),
        ("HTTP://A.TEST", ["HTTP://A.TEST"]),
        ("http://a.test/x(1)", ["http://a.test/x(1)"]),
        ("http://[2001:db8::1]/x", ["http://[2001:db8::1]/x"]),
        ("http://user@a.test:8080/?q=1#f", ["http://user@a.test:8080/?q=1#f"]),
        ("http://bücher.example/ü", ["http://bücher.example/ü"]),
        ("www.example.com", ["www.example.com"]),
        ("go to example.com now", ["example.com"]),
        ("example.com/login?x=1", ["example.com/login?x=1"]),
        ("EXAMPLE.COM", ["EXAMPLE.COM"]),
        ("mail ann@example.com", []),
        ("report.py and notes.md", []),
        ("end.Next sentence", []),
        ("version 1.2.3 costs 3.50", []),
        ("pdata.info->x list.info[0]", []),
        ("http://a.test/ http://a.test/", ["http://a.test/"]),
        ("ftp://a.test/x", ["ftp://a.test/x"]),
        ("http://", []),
        ("", []),
        ("..." * 1000, []),
    ],
)
def test_urls_in_text(text: str, found: list[str]) -> None:
    """URLs with and without a scheme are found, trimmed as mail programs do."""
    assert urls(text) == found


def _links(html: str) -> list[tuple[str, str, str, bool]]:
    m = parse(b"Content-Type: text/html\n\n" + html.encode())
    return [(link.url, link.text, link.tag, link.visible) for link in m.links]


@pytest.mark.parametrize(
    ("html", "wanted"),
    [
        ('<a href=" http://a.test/?a=1&amp;b=2 ">click <b>here</b></a>', [("http://a.test/?a=1&b=2", "click here", "a", True)]),
        ('<a href="http://a.test/"><img src="http://i.test/x.gif" alt="Shop now"></a>',
         [("http://a.test/", "Shop now", "a", True), ("http://i.test/x.gif", "Shop now", "img", True)]),
        ('<a href="http://a.test/"></a>', [("http://a.test/", "", "a", True)]),
        ('<div style="display:none"><a href="http://a.test/">x</a></div>', [("http://a.test/", "x", "a", False)]),
        ('<a href="#top">x</a><a>y</a><a href="">z</a>', []),
        ('<a href="mailto:a@b.test">m</a>', [("mailto:a@b.test", "m", "a", True)]),
        ('<form action="http://f.test/p"><input></form>', [("http://f.test/p", "", "form", True)]),
        ('<iframe src="http://fr.test/">', [("http://fr.test/", "", "iframe", True)]),
        ('<map><area href="http://m.test/"></map>', [("http://m.test/", "", "area", True)]),
        ('<meta http-equiv="refresh" content="0; URL=http://r.test/">', [("http://r.test/", "", "meta", True)]),
        ('<base href="http://b.test/">', [("http://b.test/", "", "base", True)]),
        ('<p style="background:url(http://c.test/x.png)">y', [("http://c.test/x.png", "", "css", True)]),
        ('<script src="http://s.test/x.js"></script>', [("http://s.test/x.js", "", "script", True)]),
        ('<img src="cid:1"><img src="data:image/gif;base64,AA">', []),
        ("http://plain.test/x", [("http://plain.test/x", "", "text", True)]),
        ('<a href="http://a.test/">http://bank.test/</a>', [("http://a.test/", "http://bank.test/", "a", True), ("http://bank.test/", "", "text", True)]),
        ('<a href="http://a.test/">http://a.test/</a>', [("http://a.test/", "http://a.test/", "a", True)]),
        ('<a href="http://a.test/">x</a><a href="http://a.test/">x</a><a href="http://a.test/">y</a>',
         [("http://a.test/", "x", "a", True), ("http://a.test/", "y", "a", True)]),
    ],
)  # fmt: skip
def test_links_in_html(html: str, wanted: list[tuple[str, str, str, bool]]) -> None:
    """Every target is kept with what stands on it and whether it can be seen."""
    assert _links(html) == wanted


def test_where_a_link_was_found() -> None:
    """Links of the subject, of plain text and of HTML are told apart; those of attachments are not read here."""
    m = parse(
        b"Subject: win at http://s.test/\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee http://t.test/\n"
        b"--b\nContent-Type: text/html\n\n<a href='http://h.test/'>x</a>\n"
        b"--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nhttp://file.test/\n--b--\n"
    )
    assert m.links == (
        Link("http://s.test/", "", "text", "subject", True),
        Link("http://t.test/", "", "text", "text", True),
        Link("http://h.test/", "x", "a", "html", True),
    )


def test_links_are_limited_in_number_and_length() -> None:
    """No more links are kept than the limit says, none longer."""
    many = parse(b"Content-Type: text/html\n\n" + b"".join(b"<a href='http://a.test/%d'>x</a>" % i for i in range(limits.LINKS + 100)))
    assert len(many.links) == limits.LINKS
    assert "limit:links" in {f.name for f in many.findings}
    (long,) = parse(b"Content-Type: text/html\n\n<a href='http://a.test/" + b"x" * 5_000 + b"'>x</a>").links
    assert len(long.url) == limits.URL_LENGTH
