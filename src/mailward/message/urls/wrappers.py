"""Targets written inside of other URLs: rewriters of mail gateways, trackers, open redirects. Nothing is asked, only decoded."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from itertools import islice
from urllib.parse import parse_qs, unquote

import re2

from mailward.message import links
from mailward.message.urls import browser

_TARGETS = 5  # targets read of one URL
_COLON, _SLASH = r"(?::|%3a|%253a)", r"(?:/|\\|%2f|%252f|%5c|%255c)"
_WHOLE = re2.compile(rf"(?i)(?:[=/?&#;,|!~*(]|%3d|%2f|%3f|%26)((?:https?|ftp){_COLON}{_SLASH}{{1,2}}[^\s]+)")
_QUERY = re2.compile(
    rf"(?i)[?&](?:url|u|q|to|link|target|dest|destination|redirect|redirect_url|redirect_uri|goto|next|return|r|go|out|href|adurl)="
    rf"({_SLASH}{{2}}[^&#]+|www\.[^&#]+)"
)
_BASE64_STARTS = ("aHR0c", "SFRUU", "ZnRwO")  # of http, HTTP and ftp:
_BASE64 = re2.compile(rf"((?:{'|'.join(_BASE64_STARTS)})[A-Za-z0-9+/_-]{{6,}})")


def targets(url: str) -> Iterator[str]:
    """The URLs (normalised) a browser could be sent on to from a normalised one, as far as it tells them itself; at most five."""
    return islice(dict.fromkeys(target for target in _all(url) if target and target != url), _TARGETS)


def _all(url: str) -> Iterator[str]:
    start = url.find("//") + 2
    end = url.find("/", start)
    rest = url[end:]
    if len(rest) < 6:
        return
    host = url[start:end].rpartition("@")[2]
    for ending, reader in _KNOWN.items():
        if ending in host:
            found = reader(rest)
            if found:
                yield browser.resolve(found)
                return
    lowered = rest.lower()  # most addresses hold nothing of the kind, and looking for words is far cheaper than for patterns
    if "http" in lowered or "ftp" in lowered:
        for m in _WHOLE.finditer(rest):
            yield _whole(m.group(1), in_query="?" in rest[: m.start(1)])
    if "=" in rest:
        for m in _QUERY.finditer(rest):
            yield browser.resolve(unquote(m.group(1)))
    if any(start in rest for start in _BASE64_STARTS):
        for m in _BASE64.finditer(rest):
            yield browser.read(_base64(m.group(1)))


def _whole(text: str, in_query: bool) -> str:
    """A target as it stands in a path (all that follows is part of it) or in a query (up to the next parameter)."""
    if in_query:
        text = text.partition("&")[0]
    if "://" not in text[:8]:
        text = text.partition("/RK=")[0]  # Yahoo
        for _ in range(2):  # encoded once or twice
            text = unquote(text)
            if "://" in text[:8]:
                break
    return browser.read(text)


def _base64(text: str) -> str:
    try:
        data = urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))
    except binascii.Error:
        return ""
    return data.decode("utf-8", "replace").partition("\x00")[0]


def _proofpoint(rest: str) -> str:
    """URL Defense v2 (`u=` with - for % and _ for /) and v3 (`/v3/__URL__;characters!`); v1 is plain."""
    if "/v3/" in rest:
        return _proofpoint_v3(rest)
    if "/v2/" in rest:
        return unquote(_parameter(rest, "u").replace("-", "%").replace("_", "/"))
    return ""


_V3 = re2.compile(r"v3/__(.+?)__;([A-Za-z0-9_=-]*)!")
_V3_RUN = re2.compile(r"\*\*[A-Za-z0-9_-]|\*")
_V3_LENGTHS = {char: n for n, char in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 2)}


def _proofpoint_v3(rest: str) -> str:
    m = _V3.search(rest)
    if m is None:
        return ""
    characters = iter(_base64(m.group(2)))
    out, at, written = [], 0, unquote(m.group(1))
    for mark in _V3_RUN.finditer(written):
        length = _V3_LENGTHS[mark.group(0)[2]] if len(mark.group(0)) == 3 else 1
        out += [written[at : mark.start()], *islice(characters, length)]
        at = mark.end()
    return "".join(out) + written[at:]


def _parameter(rest: str, name: str) -> str:
    return parse_qs(rest.partition("?")[2].partition("#")[0]).get(name, [""])[0]


def _mimecast(rest: str) -> str:
    """Only the host stands in the query."""
    domain = _parameter(rest, "domain")
    return f"https://{domain}/" if links.urls(domain) == [domain] else ""


def _amp(rest: str) -> str:
    """`/amp/s/host/path` and `/amp/host/path`."""
    amp, found, target = rest.partition("/amp/")
    if amp or not found:
        return ""
    return "https://" + target[2:] if target.startswith("s/") else "http://" + target


_KNOWN: dict[str, Callable[[str], str]] = {
    "urldefense.": _proofpoint,
    "mimecast": _mimecast,
    "google.": _amp,
}
