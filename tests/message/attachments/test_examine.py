"""Addresses inside attachments, made here; hostile ones too."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
import time
import zipfile

import pytest

from mailward.message import parse
from mailward.message.attachments import Attachment, Examined, worth
from mailward.message.attachments.examine import examine

_URL = "https://bad.example.com/login"


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def _tar(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _look(name: str, content: bytes, kind: str = "application/octet-stream") -> Examined:
    return examine([Attachment(name, kind, "", content)])


def _names(examined: Examined) -> list[str]:
    return [finding.name for finding in examined.findings]


_PAGE = f"<html><a href='{_URL}'>Sign in</a></html>".encode()
_RELS = f"""<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1"
 Type="http://schemas.openxmlformats.org/x" Target="{_URL}" TargetMode="External"/></Relationships>""".encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", _PAGE),
        ("a.htm", f"<script>location = '{_URL}'</script>".encode()),
        ("a.html", b"<script>location=atob('" + base64.b64encode(_URL.encode()) + b"')</script>"),
        ("a.svg", f"<svg xmlns='http://www.w3.org/2000/svg'><a xlink:href='{_URL}'/></svg>".encode()),
        ("a.txt", f"Go to {_URL} now".encode()),
        ("a.txt", f"Go to {_URL} now".encode("utf-16")),
        ("a.url", f"[InternetShortcut]\r\nURL={_URL}\r\n".encode()),
        ("a.ics", f"DESCRIPTION:Join\\n{_URL[:20]}\r\n {_URL[20:]}\\nnow\r\n".encode()),
        ("a.vcf", f"BEGIN:VCARD\r\nURL:{_URL}\r\nEND:VCARD".encode()),
        ("a.eml", b"Subject: x\n\n" + _URL.encode()),
        ("a.zip", _zip({"in/a.html": _PAGE})),
        ("a.jpg", _zip({"a.html": _PAGE})),
        ("a.tar", _tar("a.html", _PAGE)),
        ("a.tgz", gzip.compress(_tar("a.html", _PAGE), mtime=0)),
        ("a.html.gz", gzip.compress(_PAGE, mtime=0)),
        ("a.docx", _zip({"[Content_Types].xml": b"<Types/>", "word/_rels/document.xml.rels": _RELS})),
        (
            "a.docx",
            _zip({
                "[Content_Types].xml": b"<Types/>",
                "word/document.xml": f"<w:p><w:r><w:t>{_URL[:14]}</w:t></w:r><w:r><w:t>{_URL[14:]}</w:t></w:r></w:p>".encode(),
            }),
        ),
        ("a.xlsx", _zip({"[Content_Types].xml": b"<Types/>", "xl/s.xml": f'<c><f>HYPERLINK("{_URL}","x")</f></c>'.encode()})),
        ("a.odt", _zip({"mimetype": b"x", "content.xml": f'<text:a xlink:href="{_URL}">x</text:a>'.encode()})),
        ("a.doc", b'{\\rtf1{\\field{\\*\\fldinst{HYPERLINK "' + _URL.encode() + b'"}}{\\fldrslt x}}}'),
    ],
)  # fmt: skip
def test_an_address_is_found(name: str, content: bytes) -> None:
    """In every kind of file that is read, and nothing else: no namespace of XML is taken for an address."""
    examined = _look(name, content)
    assert [url.url for url in examined.urls] == [_URL]
    assert examined.urls[0].found_in.startswith(f"attachment:{name}")
    assert examined.findings == ()


def test_the_text_on_a_link_is_kept() -> None:
    """What a person read before the click."""
    assert _look("a.html", _PAGE).urls[0].text == "Sign in"


def test_a_bomb_is_read_to_the_limit() -> None:
    """A gigabyte of zeros costs eight megabytes, and is a finding."""
    started = time.process_time()
    examined = _look("a.zip", _zip({f"{n}.txt": bytes(9 << 20) for n in range(10)}))
    assert _names(examined) == ["attachment:bytes"]
    assert time.process_time() - started < 5


def test_many_entries_are_not_opened() -> None:
    """An archive of 10,001 files is not even listed."""
    assert _names(_look("a.zip", _zip({f"{n}": b"" for n in range(10_001)}))) == ["attachment:entries"]


def test_a_tower_of_archives_ends() -> None:
    """What is packed more than five times is left out, and that is a finding."""
    content = _PAGE
    for _ in range(6):
        content = _zip({"a.zip" if content != _PAGE else "a.html": content})
    examined = _look("a.zip", content)
    assert examined.urls == ()
    assert _names(examined) == ["attachment:depth"]


def test_entries_that_share_bytes_are_told() -> None:
    """Two directory entries that lead to one file, as in overlapping zip bombs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", _URL)
        archive.filelist.append(archive.filelist[0])
    assert "attachment:overlap" in _names(_look("a.zip", out.getvalue()))


def test_a_locked_archive_is_told() -> None:
    """A password keeps us out."""
    content = bytearray(_zip({"a.html": _PAGE}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert _names(_look("a.zip", bytes(content))) == ["attachment:encrypted"]


@pytest.mark.parametrize("cut", [5, 30, 60, -30, -5])
def test_a_damaged_archive_is_a_finding(cut: int) -> None:
    """Whatever is cut off, nothing is raised."""
    assert _names(_look("a.zip", _zip({"a.html": _PAGE})[:cut])) == ["attachment:damaged"]


def test_entities_are_not_expanded() -> None:
    """A document type of a document defines nothing."""
    xml = b'<!DOCTYPE a [<!ENTITY a "https://bad.example.com/">]><w:p><w:t>&a;</w:t></w:p>'
    examined = _look(
        "a.docx", _zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": xml.replace(b'"https://bad.example.com/"', b'"x"')})
    )
    assert examined.urls == ()


def test_only_attachments_are_worth_it() -> None:
    """A message of text and HTML needs no helper; an attached page does, a photograph does not."""

    def mail(*parts: str) -> bytes:
        return ("Content-Type: multipart/mixed; boundary=b\n\n" + "".join(f"--b\n{part}\n" for part in parts) + "--b--\n").encode()

    text, page = "Content-Type: text/plain\n\nhello", "Content-Type: text/html\n\n<p>hello"
    photo = "Content-Type: image/png; name=a.png\n\nPNG"
    attached = "Content-Type: text/html; name=a.html\nContent-Disposition: attachment\n\n<p>x"
    assert worth(parse(mail(text, page, photo))) == ()
    assert [each.name for each in worth(parse(mail(text, attached)))] == ["a.html"]
