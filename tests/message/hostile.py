"""Messages built to hurt: every kind of measures.md "Hostile input", and those that hurt an HTML parser. Deterministic.

`generators()` maps a name to a function that builds the message; other rooms use them too.
"""

from __future__ import annotations

import base64
import io
import random
import struct
import textwrap
import zipfile
import zlib
from collections.abc import Callable

_HEAD = (
    "Received: from client.example.test (client.example.test [203.0.113.7]) by mx.example.org with ESMTP id 1;\n"
    " Mon, 23 Nov 2026 10:00:00 +0000\nFrom: Alice <alice@example.test>\nTo: bob@example.org\n"
    "Date: Mon, 23 Nov 2026 10:00:00 +0000\nMessage-ID: <{0}@example.test>\nSubject: hostile {0}\nMIME-Version: 1.0\n"
)
_WORDS = "the quick brown fox jumps over a lazy dog meeting invoice report please find attached monthly figures".split()
_TEXT = "Content-Type: text/plain; charset=utf-8\n\n"
_HTML = "Content-Type: text/html; charset=utf-8\n\n"


def _message(name: str, rest: str) -> bytes:
    return (_HEAD.format(name) + rest).encode("utf-8", "surrogateescape")


def _words(length: int) -> str:
    chosen = random.Random(7)
    text = " ".join(chosen.choice(_WORDS) for _ in range(length // 5))
    return textwrap.fill(text[:length], 72, break_long_words=False) if length < 200_000 else text[:length].replace(" the ", "\nthe ")


def _base64(data: bytes) -> str:
    return base64.encodebytes(data).decode("ascii")


def _mixed(name: str, parts: list[str]) -> bytes:
    body = "".join(f"--BB\n{part}\n" for part in parts)
    return _message(name, f'Content-Type: multipart/mixed; boundary="BB"\n\n{body}--BB--\n')


def _attached(filename: str, data: bytes, kind: str = "application/octet-stream") -> str:
    return (
        f'Content-Type: {kind}; name="{filename}"\nContent-Transfer-Encoding: base64\n'
        f'Content-Disposition: attachment; filename="{filename}"\n\n{_base64(data)}'
    )


def big_attachments() -> bytes:
    chosen = random.Random(7)
    return _mixed("big", [_TEXT + _words(20_000), *(_attached(f"d{i}.bin", chosen.randbytes(1_850_000)) for i in range(4))])


def long_text() -> bytes:
    return _message("text", _TEXT + _words(10_000_000))


def one_text_line() -> bytes:
    return _message("line", _TEXT + "a" * 10_000_000 + "\n")


def nested_multiparts() -> bytes:
    opening = "".join(f'Content-Type: multipart/mixed; boundary="b{i}"\n\n--b{i}\n' for i in range(1000))
    return _message("nest", opening + "Content-Type: text/plain\n\nhello\n" + "".join(f"--b{i}--\n" for i in reversed(range(1000))))


def nested_messages() -> bytes:
    levels = "".join(
        f"Content-Type: message/rfc822\n\nFrom: a{i}@example.test\nSubject: level {i}\nMIME-Version: 1.0\n" for i in range(300)
    )
    return _message("rfc822", levels + "Content-Type: text/plain\n\nhi\n")


def nested_encoded_messages() -> bytes:
    inner = b"Subject: innermost\n\nhi\n"
    for _ in range(40):
        inner = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(inner)
    return inner


def many_parts() -> bytes:
    return _mixed("parts", [f"{_TEXT}part {i}\n" for i in range(10_000)])


def false_boundaries() -> bytes:
    return _message("false", 'Content-Type: multipart/mixed; boundary="B"\n\n--B\n\nx\n' + "--Bx\n" * 2_000_000)


def many_headers() -> bytes:
    return _message("headers", "".join(f"X-H{i}: value {i}\n" for i in range(100_000)) + "\nbody\n")


def long_header() -> bytes:
    return _message("longheader", "X-Long: " + "a" * 1_000_000 + "\n\nbody\n")


def folded_header() -> bytes:
    return _message("folded", "X-Folded: a\n" + " b\n" * 300_000 + "\nbody\n")


def many_received() -> bytes:
    lines = "".join(
        f"Received: from h{i}.example.test ([203.0.113.{i % 250}]) by x{i}.example.org with SMTP; Mon, 23 Nov 2026 10:00:00 +0000\n"
        for i in range(20_000)
    )
    return lines.encode() + _message("received", "\nbody\n")


def nasty_received() -> bytes:
    lines = [
        "from " + "(" * 1_900, "from a (" + "a " * 900 + "[", "from " + "a." * 900, "from x (" + "[1.2.3." * 250, "from " + ":" * 1_900,
        "from x (using " + "(" * 1_800, "from a " + "(No client (" * 150 + ") by x", "by " + ";" * 1_900, "from [" + "f:" * 900,
    ]  # fmt: skip
    return "".join(f"Received: {line}\n" for line in lines * 11).encode() + _message("nasty", "\nbody\n")


def many_recipients() -> bytes:
    many = ",\n ".join(f"u{i}@example.org" for i in range(50_000))
    return _message("recipients", "\nbody\n").replace(b"To: bob@example.org", f"To: {many}".encode())


def nasty_addresses() -> bytes:
    values = ['"' * 60_000, "(" * 60_000, "<" * 60_000, '"\\' * 30_000, "a@" * 30_000, ":;" * 30_000, "\\" * 60_000, "[" * 60_000, "a b " * 15_000,
              "=?utf-8?q?" * 6_000, "@" * 60_000, " " * 60_000 + "x", '"a" ' * 15_000 + "<"]  # fmt: skip
    keys = ("From", "To", "Cc", "Sender", "Reply-To", "Return-Path")
    return "".join(f"{keys[i % 6]}: {value}\n" for i, value in enumerate(values[:6])).encode() + b"\nbody\n"


def more_nasty_addresses() -> bytes:
    values = ["\\" * 60_000, "[" * 60_000, "a b " * 15_000, "=?utf-8?q?" * 6_000, "@" * 60_000, " " * 60_000 + "x"]
    keys = ("From", "To", "Cc", "Sender", "Reply-To", "Return-Path")
    return "".join(f"{key}: {value}\n" for key, value in zip(keys, values, strict=True)).encode() + b"\nbody\n"


def many_encoded_words() -> bytes:
    many = "\n ".join(f"=?utf-8?B?{base64.b64encode(f'word{i} '.encode()).decode()}?=" for i in range(50_000))
    return _message("words", "\nbody\n").replace(b"Subject: hostile words", f"Subject: {many}".encode())


def many_parameters() -> bytes:
    many = "".join(f"; name*{i}*=utf-8''a%20" for i in range(3_000))
    return _message("parameters", f"Content-Type: text/plain{many}\n\nbody\n")


def nasty_parameters() -> bytes:
    return _message(
        "quotes", 'Content-Type: text/plain; name="' + '\\"' * 30_000 + "\nContent-Disposition: attachment; " + "a=" * 30_000 + "\n\nbody\n"
    )


def many_urls_in_text() -> bytes:
    return _message("urls", _TEXT + "".join(f"http://h{i}.example{i % 997}.com/p/{i}?q={i}\n" for i in range(50_000)))


def many_urls_in_html() -> bytes:
    links = "".join(f'<a href="http://h{i}.example{i % 997}.com/p/{i}">link {i}</a><br>\n' for i in range(50_000))
    return _message("links", f"{_HTML}<html><body>{links}</body></html>\n")


def one_html_line() -> bytes:
    chosen = random.Random(7)
    cells = "".join(
        f'<td style="color:#{i % 4096:03x}">{chosen.choice(_WORDS)} <b>{chosen.choice(_WORDS)}</b></td>' for i in range(240_000)
    )
    return _message("oneline", f"{_HTML}<html><body><table><tr>{cells[:10_000_000]}\n")


def nested_html() -> bytes:
    return _message(
        "div", f"Content-Type: text/html\nContent-Transfer-Encoding: base64\n\n{_base64(b'<html><body>' + b'<div>' * 1_000_000)}"
    )


def at_signs() -> bytes:
    return _message("at", _TEXT + "a@a.b" * 400_000 + "\n")


def dots() -> bytes:
    return _message("dots", _TEXT + "a." * 1_000_000 + " " + "http://" * 100_000 + "\n")


def angles() -> bytes:
    return _message("angles", _HTML + "<" * 2_000_000 + "\n")


def broken_base64() -> bytes:
    return _message("base64", "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + "QUFB=!" * 1_666_666 + "\n")


def soft_line_breaks() -> bytes:
    return _message("soft", "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + "=\n" * 2_500_000)


def many_large_texts() -> bytes:
    return _mixed("texts", [_TEXT + "word " * 160_000] * 40)


def many_html_bombs() -> bytes:
    bomb = "<p>" + "".join(f"<i id={i}>" for i in range(345)) + "<p>x" * 345
    return _mixed("bombs", [f"{_HTML}{bomb}"] * 450)


def many_html_with_attributes() -> bytes:
    names = " ".join(f"{i:x}" for i in range(1_700))
    return _mixed("attributes", [f"{_HTML}<p {names}>x"] * 450)


def many_hidden_texts() -> bytes:
    return _mixed("hidden", [f"{_HTML}<p hidden>{'word ' * 20_000}</p>"] * 300)


def _html(name: str, body: str) -> Callable[[], bytes]:
    return lambda: _message(name, _HTML + body)


def _zeros(megabytes: int) -> bytes:
    """A zip file with one member of that many zero bytes, built from one compressed block that repeats."""
    chunk = bytes(1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(chunk)
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(chunk) + packer.flush(zlib.Z_FULL_FLUSH)
    data = block * megabytes + packer.flush()
    crc = 0
    for _ in range(megabytes):
        crc = zlib.crc32(chunk, crc)
    size = megabytes << 20
    name = b"zeros.bin"
    fields = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, crc, len(data), size & 0xFFFFFFFF, len(name), 0)
    local = b"PK\x03\x04" + fields + name + data
    central = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    return local + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


def zip_bomb() -> bytes:
    return _mixed("bomb", [_TEXT + "see attached\n", _attached("invoice.zip", _zeros(1024), "application/zip")])


def nested_zip_bomb() -> bytes:
    inner = _zeros(1024)
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(50):
            archive.writestr(f"inner{i}.zip", inner)
    return _mixed("bombs", [_TEXT + "see attached\n", _attached("invoice.zip", outer.getvalue(), "application/zip")])


def many_zip_entries() -> bytes:
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        for i in range(20_000):
            archive.writestr(f"f{i}.txt", b"")
    return _mixed("entries", [_TEXT + "see attached\n", _attached("many.zip", outer.getvalue(), "application/zip")])


def generators() -> dict[str, Callable[[], bytes]]:
    """Every hostile message by name."""
    plain = (
        big_attachments, long_text, one_text_line, nested_multiparts, nested_messages, nested_encoded_messages, many_parts, false_boundaries,
        many_headers, long_header, folded_header, many_received, nasty_received, many_recipients, nasty_addresses, more_nasty_addresses,
        many_encoded_words, many_parameters, nasty_parameters, many_urls_in_text, many_urls_in_html, one_html_line, nested_html, at_signs, dots, angles,
        broken_base64, soft_line_breaks, many_large_texts,
        many_html_bombs, many_html_with_attributes, many_hidden_texts, zip_bomb, nested_zip_bomb, many_zip_entries,
    )  # fmt: skip
    html = {
        "html_formatting": "<p>" + "".join(f"<b id={i}>" for i in range(20_000)) + "<p>x" * 20_000,
        "html_formatting_in_cells": "<table><tr>" + "".join(f"<td><font size={i}></td></b>" for i in range(9_000)) + "<p>x" * 20_000,
        "html_few_formatting": "<p>" + "".join(f"<i id={i}>" for i in range(345)) + "<p>x" * 345,
        "html_attributes": "<a " + " ".join(f"a{i}" for i in range(150_000)) + ">x",
        "html_attributes_slashes": "<a/" + "/".join(f"a{i}" for i in range(150_000)) + ">x",
        "html_attributes_quoted": "<a " + " ".join(f'a{i}=">"' for i in range(100_000)) + ">x",
        "html_attributes_unspaced": "<a " + "".join(f"a{i}='>'" for i in range(100_000)) + ">x",
        "html_attributes_base64": '<a ="data:image/png;base64,' + "/".join(f"{i:039d}" for i in range(25_000)) + '">x',
        "html_attributes_on_body": "".join(f"<body a{i}=1>" for i in range(48_000)),
        "html_lists": "<ul><li>" * 100_000,
        "html_options": "<select>" + "<option>" * 100_000,
        "html_spans": "<span>" * 100_000,
        "html_custom": "<x-y>" * 150_000,
        "html_closings": "<div>" * 20_000 + "</p>" * 20_000,
        "html_comments": "<!--" * 200_000,
        "html_comment_ends": "<!--" + "-!>" * 300_000,
        "html_entities": "&amp" * 250_000,
        "html_styles": "<style>" + "a{color:red}" * 80_000 + "</style>",
        "html_style_braces": "<style>" + "{" * 900_000,
        "html_long_style": '<p style="' + "color:red;" * 100_000 + '">x',
        "html_many_styles": "".join(f'<p style="color:#{i:06x};font-size:{i}px">x</p>' for i in range(20_000)),
        "html_classes": "<style>.a{color:red}</style>" + ('<p class="' + "a " * 400 + '">') * 1_000,
        "html_nested_links": '<a href="http://example.test/">' * 30_000,
        "html_images_in_link": '<a href="http://example.test/">' + '<img alt="word">' * 40_000,
        "html_links_around_text": '<div><a href="http://example.test/">' * 2_000 + "x" * 500_000,
        "html_refresh": '<meta http-equiv=refresh content="' + "url " * 200_000 + '">',
        "html_zero_width": "\u200b" * 300_000 + "a\u200c" * 100_000,
        "html_tables": "<table><tr><td>" * 60_000,
        "html_svg": "<svg><foreignObject>" * 40_000,
        "html_templates": "<template><b>" * 60_000,
        "html_rgb": '<p style="color:' + "rgb(1,1,1 " * 90_000 + '">x',
    }  # fmt: skip
    return {build.__name__: build for build in plain} | {name: _html(name, body) for name, body in html.items()}
