"""Header fields: splitting, encoded words, parameters."""

from __future__ import annotations

import pytest

from mailward.message import headers, limits, parse


def test_order_case_and_folding_are_kept() -> None:
    """Fields stand in their order, names keep their case, a folded value is one value."""
    m = parse(b"B: 1\r\na: x\r\n  y\r\n\tz\r\nB: 2\r\n\r\nbody")
    assert [(h.name, h.key, h.raw) for h in m.headers] == [("B", "b", "1"), ("a", "a", "x  y\tz"), ("B", "b", "2")]
    assert m.get("b") == "1"
    assert m.get_all("b") == ["1", "2"]


def test_eight_bit_values_keep_their_bytes() -> None:
    """A raw 8-bit value keeps its bytes as surrogate escapes and is decoded on demand."""
    m = parse("Subject: Grüße\n\n".encode())
    raw = m.get("subject")
    assert raw is not None
    assert raw.encode("ascii", "surrogateescape") == "Grüße".encode()
    assert m.subject == "Grüße"


@pytest.mark.parametrize(
    ("raw", "names", "text"),
    [
        (b"", [], ""),
        (b"\n", [], ""),
        (b"\nbody only", [], "body only"),
        (b"Subject: x", ["subject"], ""),
        (b"Subject: x\n", ["subject"], ""),
        (b"From a@b Mon Nov 23 10:00:00 2026\nSubject: x\n\nhi", ["subject"], "hi"),
        (b"Subject: x\nno header line\nTo: y\n\nhi", ["subject"], "no header line\nTo: y\nhi"),
        (b" starts folded\nSubject: x\n\nhi", [], "starts folded\nSubject: x\nhi"),
        (b"Subject : x\n\nhi", ["subject"], "hi"),
        (b":x\nSubject: y\n\nhi", [], ":x\nSubject: y\nhi"),
        (b"Subject: a\rb\n\nhi", ["subject"], "hi"),
        (b"Subject: x\rTo: y\r\rhi", ["subject", "to"], "hi"),
        (b"Subject:\x00 a\x00b\n\nhi", ["subject"], "hi"),
        (b"\x00", [], ""),
        (b"\xff\xfe", [], ""),
    ],
)
def test_broken_headers_still_give_a_message(raw: bytes, names: list[str], text: str) -> None:
    """Whatever stands where headers should be, there is a message; the body begins at the first line that is no field."""
    m = parse(raw)
    assert [h.key for h in m.headers] == names
    assert m.text == text
    assert m.size == len(raw)


def test_crlf_and_lf_give_the_same_message() -> None:
    """The same mail from a file (LF) and from the wire (CRLF) is the same message but for its size."""
    raw = (
        b'Subject: x\nContent-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/html\n\n<p>a\n<p>b\n'
        b"--b\nContent-Transfer-Encoding: quoted-printable\n\nline =\nx\n--b--\n"
    )
    one, other = parse(raw), parse(raw.replace(b"\n", b"\r\n"))
    assert one.parts == other.parts
    assert (one.text, one.headers, one.links, one.html) == (other.text, other.headers, other.links, other.html)


def test_fields_that_decide_are_read_beyond_the_limit() -> None:
    """Thousands of fields in front cannot hide sender, subject and content type."""
    many = b"".join(b"X-%d: y\n" % i for i in range(limits.HEADERS + 50))
    m = parse(many + b"From: a@example.org\nSubject: late\nContent-Type: text/html\n\n<b>x</b>")
    assert m.subject == "late"
    assert m.from_[0].addr == "a@example.org"
    assert m.parts[0].content_type == "text/html"
    assert "limit:headers" in {f.name for f in m.findings}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?=\t  =?utf-8?q?_b?= c", "a b c"),
        ("x =?utf-8?q?a?= y", "x a y"),
        ("=?utf-8?B?4oI=?= =?utf-8?B?rA==?=", "€"),  # cut inside a character
        ("=?iso-8859-1?q?=80?=", "€"),  # Windows text declared as Latin-1
        ("=?us-ascii?q?Gr=C3=BC?=", "Grü"),
        ("=?x-unknown?q?Gr=C3=BC?=", "Grü"),
        ("=?utf-8*de?q?Gr=C3=BC?=", "Grü"),
        ("=?gb2312?B?xOO6ww==?=", "你好"),
        ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
        ("=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),  # padding missing
        ("=?utf-8?B?!!!?=", ""),
        ("=?utf-8?q?never ended", "=?utf-8?q?never ended"),
        ("=?utf-8?x?y?=", "=?utf-8?x?y?="),
        ("=?utf-8?q?with spaces inside?=", "with spaces inside"),
        ("=?punycode?q?x?=", "x"),
        ("a=?utf-8?q?b?=c", "abc"),
    ],
)
def test_encoded_words(raw: str, text: str) -> None:
    """Encoded words (RFC 2047) are read as people's programs do, broken ones as far as possible."""
    assert headers.decode_words(raw) == text


@pytest.mark.parametrize(
    ("raw", "value", "wanted"),
    [
        ("text/plain", "text/plain", {}),
        ('TEXT/HTML; Charset="utf-8"', "text/html", {"charset": "utf-8"}),
        ("text/plain; charset=utf-8; name=a b.txt", "text/plain", {"charset": "utf-8", "name": "a b.txt"}),
        ('text/plain;; charset = "a;b"', "text/plain", {"charset": "a;b"}),
        (r'x; name="a\"b"', "x", {"name": 'a"b'}),
        ('x; name="never ended', "x", {"name": "never ended"}),
        ("x; name*=utf-8''%e2%82%ac.pdf", "x", {"name": "€.pdf"}),
        ("x; name*0=abc; name*1=def", "x", {"name": "abcdef"}),
        ("x; name*1=def; name*0=abc", "x", {"name": "abcdef"}),
        ("x; name*0*=utf-8''%E2%82; name*1*=%AC; name*2=.pdf", "x", {"name": "€.pdf"}),
        ("x; name==?utf-8?q?=E2=82=AC?=.pdf", "x", {"name": "€.pdf"}),
        ("text/plain (a comment); charset=x", "text/plain", {"charset": "x"}),
        ("", "", {}),
        (";", "", {}),
        ("; charset=x", "", {"charset": "x"}),
        ("x; name*99999999=a", "x", {"name": "a"}),
    ],
)
def test_parameters(raw: str, value: str, wanted: dict[str, str]) -> None:
    """Parameters (RFC 2045, 2231) with continuations, charsets, quotes and mistakes."""
    assert headers.parameters(raw) == (value, wanted)


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"aGVsbG8=", b"hello"),
        (b"aGVs\nbG8", b"hello"),
        (b"aG!Vs bG8===", b"hello"),
        (b"aGVsbG8=aGVsbG8=", b"hellohello"),
        (b"a", b""),
        (b"", b""),
        (b"====", b""),
        (b"\xff\xfe", b""),
    ],
)
def test_base64_is_read_as_far_as_it_goes(data: bytes, decoded: bytes) -> None:
    """Junk is skipped, padding is not needed, texts put behind each other are all read."""
    assert headers.base64(data) == decoded
