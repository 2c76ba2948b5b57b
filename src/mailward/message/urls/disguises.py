"""Addresses nobody would call one at first sight: repaired by a reader, broken over lines, inside data: and javascript:."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import unquote, unquote_to_bytes

import re2

from mailward.message import html, limits, links
from mailward.message.domains import top_level_domains
from mailward.message.urls import browser

_SUSPECT = re2.compile(
    r"(?i)h(?:xx|\*\*|__|tx|xt)p|fxp|[\[({]\s?(?:\.|dot)\s?[\])}]|[\[(]:[\])]|(?:ht|f)tps?:\\\\"
    r"|[\x{FF01}-\x{FF5E}。｡․]|[^\x00-\x7f][\p{L}\p{M}\p{N}_-]*\.[\p{L}\p{M}\p{N}_-]|[\p{L}\p{M}\p{N}_-]\.[\p{L}\p{M}\p{N}_.-]*[^\x00-\x7f]"
)  # what every disguise has; cheap beside looking for the whole
_DOT = r"(?:[.。．｡․]|\s?[\[({]\s?(?:\.|[dD][oO][tT])\s?[\])}]\s?)"
_SCHEME = (
    r"(?:[hｈ](?:tt|ｔｔ|xx|\*\*|__|tx|xt)[pｐ][sｓ]?|f[tx]p|https?)"
    r"\s?(?:[:：]|\[:\]|\(:\)|\[:)\s?(?://|\\\\|／／|/／|／/)\]?"
)
_DISGUISED = re2.compile(
    rf"(?i)(?:({_SCHEME})[^\s<>\"'{{}}|^`]+(?:{_DOT}[^\s<>\"'{{}}|^`]+)*"
    rf"|[\p{{L}}\p{{M}}\p{{N}}_-]+(?:{_DOT}[\p{{L}}\p{{M}}\p{{N}}_-]+)+(?:[:/?#／][^\s<>\"'{{}}|^`]*)?)"
)
_DOTS = re2.compile(_DOT)
_WRITTEN_SCHEME = re2.compile(rf"(?i)^({_SCHEME})")
_FULL_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)} | {ord(dot): "." for dot in "。｡․"}
_BRACKETED = re2.compile(r"(?i)<\s?((?:https?|ftp)://[^\s<>\"]+(?:\n[^\s<>\"]+){1,20})>")
_WRAPPED = re2.compile(r"(?i)^(.*?)((?:https?|ftp)://[^\s<>\"]+)\n([^\s<>\"]+)")
_ENDS_A_URL = re.compile(r"[\s<>\"]")
_LINE = range(70, 81)  # where mail programs and editors wrap
_GOES_ON = re2.compile(r"^[A-Za-z0-9/?=&%._#-]*[A-Za-z0-9]")
_MARKED = re2.compile(r"[/?=&%_0-9]")  # what a word of the sentence does not have
_SENTENCE = re2.compile(r"^[^\x00-\x7f]*[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}](?:www\.|[A-Za-z0-9-]{3,}\.)")
_LITERAL = re2.compile(r"(?i)[\"'`]\s*((?:https?:|ftp:)?(?://|\\/\\/)[^\"'`\s]+)")
_WITHIN = re2.compile(r"(?i)https?://.+")
_NOT_OPENED = ("mailto:", "tel:", "sms:", "cid:", "mid:", "callto:")
_DATA_LINKS = 50


def plain(written: str) -> Iterator[str]:
    """The readings of an address found in text: whole, and as far as it is ASCII (`http://a.example。Next`)."""
    whole = written if "://" in written[:8] else "http://" + written
    if not whole.isascii():
        cut = next(i for i, char in enumerate(whole) if char > "\x7f")
        if links.urls(whole[:cut]) and _is_known(browser.host(url := browser.read(whole[:cut].rstrip(".,;:!?")))):
            yield url
    yield browser.read(whole)


def repaired(text: str) -> Iterator[tuple[str, str]]:
    """URLs and how they stood, of what people are told to repair (`hxxps://a[.]example`), of IDN hosts and broken lines."""
    if _SUSPECT.search(text.encode("utf-8", "replace")):
        for m in _DISGUISED.finditer(text):
            if url := _repair(m.group(0), m.group(1)):
                yield url, m.group(0)
    if "://" in text and "\n" in text:
        yield from _broken(text)


def inside(written: str) -> Iterator[str]:
    """The URLs within `data:text/html`, `javascript:` and schemes of programs (`ms-word:ofe|u|https://...`)."""
    scheme = written[:20].partition(":")[0].lower().strip()
    if scheme == "data":
        yield from _of_data(written)
    elif scheme in {"javascript", "vbscript"}:
        for m in _LITERAL.finditer(unquote(written)):
            yield browser.resolve(m.group(1).replace("\\/", "/"))
    elif not written.lower().startswith(_NOT_OPENED) and (m := _WITHIN.search(written)):
        yield browser.read(m.group(0))


def _repair(written: str, scheme: str | None) -> str:
    """The URL meant by a disguised one; "" where it is plain (found elsewhere) or no address."""
    if len(written) > limits.URL_LENGTH:
        return ""
    text = written
    if scheme:
        ftp = scheme[0] in "fF"
        text = text[len(scheme) :].replace("\\", "/")
    end = min((i for i in map(text.find, "/?#／") if i >= 0), default=len(text))
    name, rest = text[:end], text[end:]
    if not name.isascii() or any(map(name.__contains__, "[({")):
        name = _DOTS.sub(".", name)
    name, rest = name.translate(_FULL_WIDTH).strip(), rest.translate(_FULL_WIDTH)
    if scheme:
        secure = "s" in scheme.translate(_FULL_WIDTH).lower()
        repaired = f"{'ftp' if ftp else 'https' if secure else 'http'}://{name}{rest}"
    else:
        repaired = name + rest
    if repaired == written:
        return _bare_idn(name, rest) if not scheme and not name.isascii() else ""
    if scheme or name.isascii():
        found = links.urls(repaired)
        return browser.read(found[0] if "://" in found[0][:8] else "http://" + found[0]) if found else ""
    return _bare_idn(name, rest)


def _bare_idn(name: str, rest: str) -> str:
    """A host with letters beyond ASCII and no scheme: only below a known top-level domain, and no abbreviation (`г.Москва`)."""
    if _SENTENCE.match(name):  # a script without spaces goes over into an address
        name = name.lstrip("".join(char for char in name if char > "\x7f"))
    labels = name.partition(":")[0].lower().split(".")
    if len(labels[-2:][0]) < 2 or len(name) > 253:
        return ""
    url = browser.read(f"http://{name}{rest}".rstrip(".,;:!?)"))
    return url if _is_known(browser.host(url)) else ""


def _is_known(host: str) -> bool:
    return host.rpartition(".")[2] in top_level_domains()


def _broken(text: str) -> Iterator[tuple[str, str]]:
    """URLs that go on in the next line: within <...>, or where the line ends where programs wrap."""
    if "<" in text:
        for m in _BRACKETED.finditer(text):
            yield browser.read(m.group(1).replace("\n", "")), m.group(1)
    for m in _wrapped(text):
        before, url, more = m.group(1), m.group(2), m.group(3)
        if _GOES_ON.search(more) and _MARKED.search(more) and "://" not in more:
            if len(before) + len(url) == 76:  # a soft line break (RFC 2045 6.7) of a part nobody decoded
                url = url.removesuffix("=")
            yield browser.read((url + more)[: limits.URL_LENGTH].rstrip(".,;:!?)")), f"{url}\n{more}"


def _wrapped(text: str) -> Iterator[re2._Match[str]]:
    """Lines as long as programs make them that end in a URL, with what stands first in the next line; that one is not looked at again."""
    at = text.find("://")
    while at >= 0 and (end := text.find("\n", at)) >= 0:
        start = text.rfind("\n", 0, at) + 1
        if not _ENDS_A_URL.search(text, text.rfind("://", at, end), end):
            following = text.find("\n", end + 1) + 1 or len(text)
            if end - start in _LINE and (m := _WRAPPED.match(text[start:following])):
                yield m
            end = max(end, following - 1)
        at = text.find("://", end)


def _of_data(written: str) -> Iterator[str]:
    head, comma, body = written.partition(",")
    if not comma or ("html" not in head.lower() and "svg" not in head.lower()):
        return
    data = unquote_to_bytes(body.encode("utf-8", "replace"))
    if "base64" in head.lower():
        try:
            data = b64decode(data[: len(data) // 4 * 4])
        except binascii.Error:
            return
    source = data.decode("utf-8", "replace")
    page = html.read(source, _DATA_LINKS)
    for link in page.links:
        yield browser.resolve(link.url)
    for m in _LITERAL.finditer(source):  # scripts: location = "..."
        yield browser.resolve(m.group(1).replace("\\/", "/"))
