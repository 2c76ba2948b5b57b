"""Bytes to text, whatever charset was declared."""

from __future__ import annotations

import re
from functools import lru_cache

_CODECS = frozenset(
    """ascii utf-8 utf-7 utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257
    cp1258 cp437 cp737 cp775 cp850 cp852 cp855 cp857 cp858 cp860 cp861 cp862 cp863 cp865 cp866 cp869 cp874 cp932 cp949 cp950 koi8-r koi8-u
    koi8-t kz1048 ptcp154 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10 iso8859-11 iso8859-13 iso8859-14
    iso8859-15 iso8859-16 mac-roman mac-cyrillic mac-greek mac-latin2 mac-turkish mac-iceland big5hkscs gb18030 hz euc_jp euc_jisx0213
    euc_jis_2004 shift_jisx0213 shift_jis_2004 johab iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext
    iso2022_kr tis-620""".split()
)
"""Only these: Python also knows codecs that are slow or no charsets at all (punycode, unicode_escape, idna)."""

_ALIASES = {
    "usascii": "ascii", "ascii": "ascii", "ansix341968": "ascii", "iso646us": "ascii", "646": "ascii", "us": "ascii",
    "utf8": "utf-8", "utf8mb4": "utf-8", "unicode11utf8": "utf-8", "utf7": "utf-7", "unicode11utf7": "utf-7",
    "utf16": "utf-16", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "unicode": "utf-16", "ucs2": "utf-16",
    "utf32": "utf-32", "utf32le": "utf-32-le", "utf32be": "utf-32-be",
    "iso88591": "cp1252", "latin1": "cp1252", "l1": "cp1252", "windows1252": "cp1252", "iso88599": "cp1254", "latin5": "cp1254",
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "xgbk": "gb18030", "euccn": "gb18030", "gb23121980": "gb18030", "cp936": "gb18030",
    "windows936": "gb18030", "hzgb2312": "hz",
    "big5": "cp950", "xxbig5": "cp950", "big5hkscs": "big5hkscs", "windows950": "cp950",
    "shiftjis": "cp932", "sjis": "cp932", "xsjis": "cp932", "mskanji": "cp932", "windows31j": "cp932", "windows932": "cp932", "cswindows31j": "cp932",
    "eucjp": "euc_jp", "xeucjp": "euc_jp", "iso2022jp": "iso2022_jp_ext", "iso2022kr": "iso2022_kr",
    "euckr": "cp949", "ksc56011987": "cp949", "ksc5601": "cp949", "uhc": "cp949", "windows949": "cp949", "ksc56011989": "cp949",
    "koi8": "koi8-r", "koi8r": "koi8-r", "koi8u": "koi8-u", "tis620": "tis-620", "windows874": "cp874",
    "iso88598i": "iso8859-8", "iso88598e": "iso8859-8", "iso88596i": "iso8859-6", "macintosh": "mac-roman", "xmacroman": "mac-roman",
}  # fmt: skip

STATEFUL = frozenset({"utf-7", "hz", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_3", "iso2022_jp_ext", "iso2022_kr",
                      "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})  # fmt: skip
_LATIN = frozenset({"cp1252", "ascii"})
_SAMPLE = 4096
_ASCII = bytes(range(128))


@lru_cache(maxsize=512)
def codec(declared: str) -> str:
    """Name the Python codec of a declared charset; "" for an unknown one."""
    plain = declared[:64].strip().lower()
    name = re.sub(r"[^a-z0-9]", "", plain)
    if found := _ALIASES.get(name):
        return found
    if m := re.fullmatch(r"(?:windows|cp|xcp|ibm|cswindows|ms)?-?(\d{3,4})", name):
        name = "cp" + m[1]
    elif m := re.fullmatch(r"(?:iso)?8859(\d{1,2})[a-z]?", name):
        name = "iso8859-" + m[1]
    return next((known for known in (name, plain) if known in _CODECS), "")


def decode(data: bytes, declared: str = "") -> str:
    """Decode text; never raises. UTF-8 wins where it fits, then what was declared, then the most plausible guess."""
    name = codec(declared) if declared else ""
    if name in STATEFUL:
        return data.decode(name, "replace").encode("utf-8", "replace").decode("utf-8")  # UTF-7 can carry lone surrogates
    if data.isascii():
        return data.decode("ascii")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if name and name not in _LATIN and name != "utf-8" and len(data) < 24:
        return _declared(data, name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3 and error.start > 0:  # cut inside a character
            return data.decode("utf-8", "replace")
    if name == "utf-8" and _mostly_utf8(data):
        return data.decode("utf-8", "replace")
    if not name or name in {"ascii", "utf-8"}:
        name = guess(data)
    return _declared(data, name)


def _declared(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return data.decode("latin-1") if name == "cp1252" else data.decode(name, "replace")


def _mostly_utf8(data: bytes) -> bool:
    sample = data[:_SAMPLE]
    bad = sample.decode("utf-8", "replace").count("\ufffd")
    return bad * 10 <= len(sample.translate(None, _ASCII))


_LANGUAGES = (  # codec; stricter codec to try; its usual characters; how much more it is preferred
    ("cp932", "shift_jis", re.compile("[\u3040-\u30ff]"), 0.5),  # kana are about half of Japanese text
    ("gb18030", "gb2312", re.compile("[\u4e00-\u9fa5\u3001\u3002\uff0c\uff01\uff1a]"), 0.0),
    ("cp949", "euc_kr", re.compile("[\uac00-\ud7a3]"), 0.05),
    ("koi8-r", "koi8-r", re.compile("[а-яё]"), 0.0),
    ("cp1251", "cp1251", re.compile("[а-яё]"), 0.0),
)


def guess(data: bytes) -> str:
    """Guess the charset of 8-bit text that is not UTF-8: Western, Chinese, Japanese, Korean or Cyrillic."""
    sample = data[:_SAMPLE]
    high = len(sample.translate(None, _ASCII))
    letters = len(sample.translate(None, b" \t\r\n.,;:!?-=<>/\"'0123456789"))
    if high * 5 < letters or high < 4:
        return "cp1252"
    score, name = max((_plausible(sample, strict, usual, more), name) for name, strict, usual, more in _LANGUAGES)
    return name if score > 0.6 or high * 2 > letters else "cp1252"


def _plausible(sample: bytes, codec_name: str, usual: re.Pattern[str], more: float) -> float:
    """The share of the non-ASCII text that is usual in that charset's language; 0 where too much does not decode."""
    text = sample.decode(codec_name, "replace")
    wide = len(text) - len(text.encode("ascii", "ignore"))
    lost = text.count("\ufffd")
    if not wide or lost * 20 > wide + 20:
        return 0.0
    share = len(usual.findall(text)) / wide
    return share + more if share > 0.2 else share
