"""Fetch a list by HTTPS: verified, bounded in size and time, and only when it has changed."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from mailward import __version__
from mailward.reputation.ip.imports import MAX_OCTETS
from mailward.reputation.ip.sources import shown

SILENT_SECONDS = 20.0  # without a single octet
MAX_SECONDS = 600.0  # for the whole list
_CHUNK = 64 << 10
_HEADERS = {"User-Agent": f"mailward/{__version__}", "Accept-Encoding": "identity"}


class DownloadFailed(Exception):  # noqa: N818
    """The text says why, without the query of the address: it may hold an access code. `status` is the server's answer, 0 for none."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is taken, how long that may take, and what is asked for."""

    octets: int
    seconds: float
    accept: str = "*/*"


@dataclass(frozen=True, slots=True)
class Version:
    """What the server calls the state of a list (RFC 9110, 8.8)."""

    etag: str = ""
    modified: str = ""


def download(
    url: str, into: BinaryIO, known: Version, stopping: Callable[[], bool] = lambda: False, bounds: Bounds | None = None
) -> Version | None:
    """Write a list to a file; None when it is still the known version. Certificates are those the system trusts.

    Raises DownloadFailed, also when `stopping` becomes true.
    """
    bounds = bounds or Bounds(MAX_OCTETS, MAX_SECONDS)
    asked = urllib.request.Request(url, headers={**_HEADERS, "Accept": bounds.accept})  # noqa: S310
    if known.etag:
        asked.add_header("If-None-Match", known.etag)
    elif known.modified:
        asked.add_header("If-Modified-Since", known.modified)
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    try:
        with urllib.request.build_opener(secure, _OnlyHttps).open(asked, timeout=SILENT_SECONDS) as answer:
            _copy(answer, into, stopping, bounds)
            return Version(answer.headers.get("ETag", "")[:500], answer.headers.get("Last-Modified", "")[:100])
    except HTTPError as error:
        if error.code == http.HTTPStatus.NOT_MODIFIED:
            return None
        raise DownloadFailed(_status(error.code), error.code) from None
    except URLError as error:
        raise DownloadFailed(_words(error.reason)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadFailed(_words(error)) from None


def _copy(answer: Any, into: BinaryIO, stopping: Callable[[], bool], bounds: Bounds) -> None:
    expected = answer.headers.get("Content-Length", "")
    if expected.isdecimal() and int(expected) > bounds.octets:
        raise DownloadFailed(f"the list is larger than {bounds.octets >> 20} MB")
    octets, deadline = 0, time.monotonic() + bounds.seconds
    while chunk := answer.read1(_CHUNK):
        octets += len(chunk)
        if octets > bounds.octets:
            raise DownloadFailed(f"the list is larger than {bounds.octets >> 20} MB")
        if time.monotonic() > deadline:
            raise DownloadFailed(f"the download takes longer than {bounds.seconds:.0f} seconds")
        if stopping():
            raise DownloadFailed("interrupted, because the service stops")
        into.write(chunk)
    if expected.isdecimal() and octets != int(expected):
        raise DownloadFailed(f"the connection ended after {octets:,} of {int(expected):,} octets")


def _status(code: int) -> str:
    """An answer that is no list. What the server says besides may repeat an address."""
    phrase = http.client.responses.get(code, "")
    return f"the server answers {code} {phrase}".rstrip() + (" and leads in a circle, or to what is not HTTPS" if 300 <= code < 400 else "")


def _words(error: object) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of the server is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return f"the server was silent for {SILENT_SECONDS:.0f} seconds"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"the server's answer cannot be used ({type(error).__name__})"


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows no redirect to anything but HTTPS."""

    max_redirections = 5

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            raise DownloadFailed(f"the server leads to {shown(newurl)[:100]}, which is not HTTPS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
