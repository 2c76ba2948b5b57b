"""Text in whatever charset."""

from __future__ import annotations

import codecs

import pytest

from mailward.message import charset

_RUSSIAN = "Уважаемые коллеги, приглашаем вас принять участие в семинаре"
_CHINESE = "尊敬的客户您好，我们公司有发票可以代开，请联系我们，谢谢您的支持和合作"
_JAPANESE = "お世話になっております。ご確認のほどよろしくお願いいたします。"
_KOREAN = "안녕하세요 고객님 저희 회사에서 새로운 상품을 안내해 드립니다"
_GERMAN = "Schöne Grüße aus München, wir möchten Sie über die Änderung der Geschäftsbedingungen informieren"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (_RUSSIAN, "koi8-r"),
        (_RUSSIAN, "cp1251"),
        (_CHINESE, "gb18030"),
        (_JAPANESE, "cp932"),
        (_KOREAN, "cp949"),
        (_GERMAN, "cp1252"),
        (_GERMAN, "utf-8"),
        (_RUSSIAN, "utf-8"),
    ],
)
@pytest.mark.parametrize("declared", ["", "us-ascii", "x-unknown", "utf-8"])
def test_text_is_read_whatever_was_declared(text: str, encoding: str, declared: str) -> None:
    """Without a declaration, or with a wrong one, the charset is found from the bytes."""
    assert charset.decode(text.encode(encoding), declared) == text


@pytest.mark.parametrize("declared", ["iso-8859-1", "windows-1252", "iso-8859-15", "koi8-r", "gb2312", "big5"])
def test_long_utf8_wins_over_a_wrong_declaration(declared: str) -> None:
    """Text that is valid UTF-8 over some length is UTF-8."""
    assert charset.decode(_GERMAN.encode(), declared) == _GERMAN


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("ISO-8859-1", "cp1252"),
        ("latin1", "cp1252"),
        ("Windows-1251", "cp1251"),
        ("cp-1251", "cp1251"),
        ("utf8", "utf-8"),
        ("GB2312", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("Shift_JIS", "cp932"),
        ("iso-8859-8-i", "iso8859-8"),
        ("ISO_8859-2", "iso8859-2"),
        ("unicode_escape", ""),
        ("punycode", ""),
        ("idna", ""),
        ("base64", ""),
        ("rot13", ""),
        ("../../x", ""),
        ("\udcff", ""),
        ("x" * 100_000, ""),
    ],
)
def test_declared_names_are_mapped_and_dangerous_codecs_are_not_used(declared: str, codec: str) -> None:
    """Names people use are known; codecs that are no charsets are refused."""
    assert charset.codec(declared) == codec


def test_every_codec_named_exists() -> None:
    """No name in the list of charsets is misspelt."""
    for name in charset._CODECS | set(charset._ALIASES.values()) | charset.STATEFUL:
        codecs.lookup(name)


@pytest.mark.parametrize("declared", ["", "utf-8", "utf-7", "utf-16", "iso-2022-jp", "hz-gb-2312", "gb18030", "big5", "cp1252", "x"])
def test_any_bytes_give_text(declared: str) -> None:
    """No bytes make decoding fail."""
    for data in (b"", b"\xff", bytes(range(256)), b"\x1b$B\xff\xff", b"+AAAA-\xff", b"~{\xff", b"\xff\xfe\x00", b"\xe2\x82"):
        assert isinstance(charset.decode(data, declared), str)
