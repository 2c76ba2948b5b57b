"""The MIME tree and which parts are shown."""

from __future__ import annotations

import pytest

from mailward.message import Message, limits, parse


def _tree(m: Message) -> list[tuple[int, int, str, bool]]:
    return [(p.depth, p.parent, p.content_type, p.is_body) for p in m.parts]


def _multi(kind: str, *parts: str, boundary: str = "b") -> str:
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n{body}--{boundary}--\n'


_PLAIN = "Content-Type: text/plain\n\nplain words"
_HTML = "Content-Type: text/html\n\n<p>html words</p>"


def test_parts_come_depth_first() -> None:
    """Containers stand before their children, children in their order."""
    m = parse(_multi("mixed", _multi("alternative", _PLAIN, _HTML, boundary="c"), "Content-Type: image/gif\n\nGIF89a").encode())
    assert _tree(m) == [
        (0, -1, "multipart/mixed", False),
        (1, 0, "multipart/alternative", False),
        (2, 1, "text/plain", False),
        (2, 1, "text/html", True),
        (1, 0, "image/gif", False),
    ]
    assert m.text == "html words"


@pytest.mark.parametrize(
    ("first", "second", "hidden"),
    [
        (_PLAIN, _HTML, ""),
        (_HTML, _PLAIN, ""),
        ("Content-Type: text/plain\n\n" + " ".join(f"other{i}" for i in range(30)), _HTML, " ".join(f"other{i}" for i in range(30))),
        ("Content-Type: text/plain\n\n" + "html words " * 15, _HTML, ""),
        ("Content-Type: text/plain\n\nhtml words " + " ".join(f"http://a.test/{i}" for i in range(50)), _HTML, ""),
        (
            "Content-Type: text/plain; charset=utf-8\n\n" + "尊敬的客户您好我们公司有发票可以代开请联系" * 8,
            _HTML,
            "尊敬的客户您好我们公司有发票可以代开请联系" * 8,
        ),
    ],
)
def test_of_alternatives_the_html_is_shown(first: str, second: str, hidden: str) -> None:
    """Of multipart/alternative the HTML is the text; the plain form is hidden text only where it says something else."""
    m = parse(_multi("alternative", first, second).encode())
    assert m.text == "html words"
    assert m.hidden_text == hidden


def test_an_empty_html_alternative_is_not_shown() -> None:
    """Where the HTML form is empty the plain one is the text."""
    m = parse(_multi("alternative", _PLAIN, "Content-Type: text/html\n\n ").encode())
    assert m.text == "plain words"


def test_a_long_plain_alternative_does_not_crowd_out_the_html() -> None:
    """The text of the HTML is read whatever the length of the plain form."""
    m = parse(_multi("alternative", "Content-Type: text/plain\n\n" + "word " * limits.TEXT_CHARS, _HTML).encode())
    assert m.text == "html words"


def test_of_two_html_alternatives_the_last_is_shown() -> None:
    """Programs show the last form they understand."""
    m = parse(_multi("alternative", "Content-Type: text/html\n\none", "Content-Type: text/html\n\ntwo").encode())
    assert m.text == "two"


def test_an_embedded_message_belongs_to_the_text() -> None:
    """The text of a forwarded message follows the outer text, its alternatives are chosen on their own."""
    inner = "Content-Type: message/rfc822\n\nSubject: inner\n" + _multi("alternative", _PLAIN, _HTML, boundary="c")
    m = parse(_multi("mixed", "Content-Type: text/plain\n\nouter", inner).encode())
    assert m.text == "outer\ninner\nhtml words"
    assert [p.content_type for p in m.parts][2:4] == ["message/rfc822", "multipart/alternative"]


def test_an_encoded_embedded_message_is_opened() -> None:
    """A base64 message/rfc822 is against the standard but read."""
    m = parse(b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKaGVsbG8K")
    assert m.text == "x\nhello"


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        ("Content-Type: text/plain", True),
        ("Content-Type: text/plain; name=a.txt", False),
        ("Content-Type: text/plain\nContent-Disposition: inline", True),
        ("Content-Type: text/plain\nContent-Disposition: inline; filename=a.txt", False),
        ("Content-Type: text/plain\nContent-Disposition: attachment", False),
        ("Content-Type: text/calendar", False),
        ("Content-Type: image/png", False),
        ("Content-Type: nonsense", True),
        ("X: y", True),
    ],
)
def test_which_further_parts_are_shown(head: str, shown: bool) -> None:
    """Text files and attachments behind the body are not the text; what has no readable type is text (RFC 2045 5.2)."""
    m = parse(_multi("mixed", _PLAIN, head + "\n\nfurther").encode())
    assert ("further" in m.text) is shown
    assert m.parts[2].is_body is shown


def test_a_single_named_text_is_still_the_body() -> None:
    """A name on the only text does not hide it: programs show it."""
    assert parse(b"Content-Type: text/html; name=x.html\n\n<b>seen</b>").text == "seen"


@pytest.mark.parametrize(
    ("head", "filename"),
    [
        ('Content-Disposition: attachment; filename="a b.pdf"', "a b.pdf"),
        ("Content-Type: application/pdf; name=a.pdf", "a.pdf"),
        ("Content-Type: application/pdf; name=a.pdf\nContent-Disposition: attachment; filename=b.exe", "b.exe"),
        ("Content-Disposition: attachment; filename*=utf-8''%E2%82%AC.pdf", "€.pdf"),
        ('Content-Disposition: attachment; filename="=?utf-8?q?=E2=82=AC.pdf?="', "€.pdf"),
        ('Content-Disposition: attachment; filename="C:\\\\Temp\\\\a.pdf"', "a.pdf"),
        ('Content-Disposition: attachment; filename="../../etc/passwd"', "passwd"),
        ("Content-Disposition: attachment", ""),
    ],
)
def test_file_names_are_decoded_and_carry_no_path(head: str, filename: str) -> None:
    """Names come from Content-Disposition, else from Content-Type; encodings of both kinds are undone."""
    assert parse((head + "\n\nx").encode()).parts[0].filename == filename


@pytest.mark.parametrize(
    ("body", "types"),
    [
        ("--b\n\none\n--b\n\ntwo\n--b--\n", 2),
        ("--b\n\none\n--b\n\ntwo\n", 2),  # never closed
        ("preamble\n--b  \n\none\n--b--\nepilogue\n", 1),
        ("--b\n\none\n--bb\nstill one\n--b--\n", 1),
        ("x--b\n\none\n", 0),
        ("--b--\n", 0),
        ("", 0),
        ("--b\n--b\n--b--\n", 2),
        ("\n--b\n\none\n--b--", 1),
    ],
)
def test_delimiter_lines(body: str, types: int) -> None:
    """A delimiter stands alone at the start of a line; nothing is lost where the closing one is missing."""
    m = parse(("Content-Type: multipart/mixed; boundary=b\n\n" + body).encode())
    assert len(m.parts) - 1 == types


def test_a_multipart_without_usable_boundary_is_read_as_text() -> None:
    """What cannot be taken apart is judged as text, and said so."""
    m = parse(b"Content-Type: multipart/mixed\n\nvisit http://spam.test/")
    assert m.text == "visit http://spam.test/"
    assert [link.url for link in m.links] == ["http://spam.test/"]
    assert "defect:boundary" in {f.name for f in m.findings}


def test_a_missing_boundary_is_taken_from_the_body() -> None:
    """A multipart that forgot to name its boundary is opened by the lines that look like one."""
    m = parse(b"Content-Type: multipart/mixed\n\n--zz\nContent-Type: text/html\n\n<b>x</b>\n--zz--\n")
    assert [p.content_type for p in m.parts] == ["multipart/mixed", "text/html"]


def test_digest_parts_are_messages() -> None:
    """In multipart/digest a part without a type is a message (RFC 2046 5.1.5)."""
    m = parse(_multi("digest", "\nSubject: one\n\nfirst", "\nSubject: two\n\nsecond").encode())
    assert [p.content_type for p in m.parts] == ["multipart/digest", "message/rfc822", "text/plain", "message/rfc822", "text/plain"]
    assert m.text == "one\nfirst\ntwo\nsecond"


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        ("base64", "aGVsbG8=", b"hello"),
        ("BASE64", "aGVs\nbG8=\n", b"hello"),
        ("quoted-printable", "a=3Db=\nc", b"a=bc"),
        ("quoted-printable", "a=ZZb", b"a=ZZb"),
        ("7bit", "hello", b"hello"),
        ("x-unknown", "hello", b"hello"),
        ("base64;", "aGVsbG8=", b"hello"),
        ("base64 (comment)", "aGVsbG8=", b"hello"),
        ("x-uuencode", "begin 644 x\n%:&5L;&\\\n`\nend\n", b"hello"),
    ],
)
def test_transfer_encodings(encoding: str, body: str, content: bytes) -> None:
    """Content is decoded as declared; an unknown encoding is none."""
    (part,) = parse(f"Content-Transfer-Encoding: {encoding}\n\n{body}".encode()).parts
    assert part.content.rstrip(b"\n") == content
    assert part.size == len(part.content)


def test_limits_on_parts_and_depth_are_findings() -> None:
    """More parts or deeper nesting than is read is said, and the rest is left out."""
    many = parse(_multi("mixed", *([_PLAIN] * (limits.PARTS + 10))).encode())
    assert len(many.parts) == limits.PARTS
    assert "limit:parts" in {f.name for f in many.findings}
    deep = parse(("Content-Type: message/rfc822\n\n" * (limits.DEPTH + 10) + "\nhi").encode())
    assert max(p.depth for p in deep.parts) == limits.DEPTH
    assert "limit:depth" in {f.name for f in deep.findings}


def test_large_content_is_cut_and_its_size_told() -> None:
    """A part beyond the limit keeps its beginning and its true size."""
    body = b"x" * (limits.PART_BYTES + 100)
    m = parse(b"Content-Type: application/octet-stream\n\n" + body)
    assert len(m.parts[0].content) == limits.PART_BYTES
    assert m.parts[0].size == len(body)
    assert [f.name for f in m.findings] == ["limit:part_bytes"]


def test_every_finding_has_a_sentence() -> None:
    """No finding is shown as a bare name."""
    m = parse(b"\x00bad\r header: x\nContent-Type: multipart/x\n\n--\n" + b"Received: x\n" * 200)
    assert m.findings
    assert all(f.detail.endswith(".") and " " in f.detail for f in m.findings)
