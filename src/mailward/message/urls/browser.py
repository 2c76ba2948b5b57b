"""Reading an address as a browser does (WHATWG URL Standard, by can_ada)."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urljoin

import can_ada

from mailward.message import limits, links

_SCHEME = re.compile(r"(?i)[a-z][a-z0-9+.-]*:")  # one class repeated never backtracks, and costs less to call than re2
_OPENED = ("http:", "https:", "ftp:")
_DROPPED = str.maketrans("", "", "\t\n\r")


def read(written: str) -> str:
    """The normalised form of an address with a scheme; "" where no browser would open it as http, https or ftp.

    Hosts are lower-case A-labels (UTS 46), numbers of any base are IPv4 addresses, backslashes are slashes; at most
    limits.URL_LENGTH characters, longer ones are cut behind the host.
    """
    href = _href(written)
    if len(href) > limits.URL_LENGTH:
        cut = _href(href[: limits.URL_LENGTH])
        return cut if host(cut) == host(href) else ""
    return href


def host(url: str) -> str:
    """The host of a normalised URL, "" for none."""
    return str(can_ada.parse(url).hostname) if url else ""


def resolve(written: str, base: str = "") -> str:
    """Read the target of an HTML element: relative ones against a normalised `base`; "" where there is nothing to open."""
    written = written.strip("\x00\x01\x02\x03\x04\x05\x06\x07\x08 \t\n\r\x0b\x0c").translate(_DROPPED)
    scheme = _SCHEME.match(written)
    if scheme and scheme.group(0).lower() in _OPENED:
        return read(written)
    if not written or written.startswith("#"):
        return ""
    if written.replace("\\", "/").startswith("//"):
        return read("https:" + written)
    if links.urls(written) == [written]:  # a host without a scheme: mail clients put one there
        return read("http://" + written)
    return _joined(written, base) if base and not scheme else ""


def unescaped(written: str) -> str:
    """What an address leads to once entities in it are decoded again, where that is another host; "" otherwise."""
    plain = unescape(written)
    if plain == written:
        return ""
    again = read(plain)
    return again if host(again) != host(read(written)) else ""


def _joined(written: str, base: str) -> str:
    try:
        return read(urljoin(base, written.replace("\\", "/")))
    except ValueError:  # unbalanced brackets
        return ""


def _href(written: str) -> str:
    try:
        parsed = can_ada.parse(written)
    except ValueError:  # refused by browsers too
        return ""
    except TypeError:  # lone surrogates, which a browser replaces
        return _href(written.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return str(parsed.href) if parsed.protocol in _OPENED else ""
