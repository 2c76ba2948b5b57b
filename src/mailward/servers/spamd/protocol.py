"""spamd's protocol 1.5 (spamd/PROTOCOL of SpamAssassin) and the dialect that Exim speaks to rspamd, as values and octets.

A request is a line `METHOD SPAMC/1.5`, header lines, an empty line and a message. An answer is a line with an exit code of
sysexits.h, header lines, an empty line and a body. `RSPAMC` instead of `SPAMC` marks rspamd's dialect: the header says more of the envelope, and
the answer has an action.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from mailward.servers.spamd import limits

_LINE = re.compile(r"([A-Za-z_]{1,20})(?: (R?SPAMC)/(\d{1,3})\.(\d{1,3}))?\s*\Z")


class Method(StrEnum):
    """What can be asked."""

    CHECK = "CHECK"
    SYMBOLS = "SYMBOLS"
    REPORT = "REPORT"
    REPORT_IFSPAM = "REPORT_IFSPAM"
    PROCESS = "PROCESS"
    HEADERS = "HEADERS"
    TELL = "TELL"
    PING = "PING"
    SKIP = "SKIP"  # "never mind": the connection is closed without a word


class Exit(IntEnum):
    """How an answer begins (sysexits.h; EX_TIMEOUT is SpamAssassin's)."""

    OK = 0
    USAGE = 64
    DATAERR = 65
    UNAVAILABLE = 69
    SOFTWARE = 70
    IOERR = 74
    TEMPFAIL = 75
    PROTOCOL = 76
    NOPERM = 77
    TIMEOUT = 79


class Refused(Exception):  # noqa: N818
    """A request that is not carried out; the exit code, and words for the log of the client."""

    def __init__(self, code: Exit, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """What stands above the message. Header names are lower case; `version` is (1, 5)."""

    method: Method
    version: tuple[int, int]
    rspamd: bool
    header: dict[str, list[str]]

    def get(self, name: str) -> str:
        """The first header of that lower-case name, "" if there is none."""
        return self.header.get(name, [""])[0]

    @property
    def length(self) -> int | None:
        """Octets of the message as sent, None where the client does not say: then it ends with the connection. Raises `Refused`."""
        text = self.get("content-length")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= limits.LENGTH_DIGITS):
            raise Refused(Exit.PROTOCOL, "Content-length is no number")
        return int(text)


def request(line: bytes, header: list[bytes]) -> Request:
    """Read the first line and the header lines of a request. Raises `Refused`."""
    found = _LINE.match(line.decode("ascii", "replace"))
    if found is None or found[1].upper() not in Method.__members__:
        raise Refused(Exit.PROTOCOL, "Bad header line: expected a method and SPAMC/1.5")
    version = (int(found[3]), int(found[4])) if found[2] else (1, 0)
    values: dict[str, list[str]] = {}
    for field in header:
        name, colon, value = field.decode("utf-8", "replace").partition(":")
        if not colon:
            raise Refused(Exit.PROTOCOL, "Bad header line: a header is Name: value")
        values.setdefault(name.strip().lower(), []).append(value.strip())
    return Request(Method(found[1].upper()), version, found[2] == "RSPAMC", values)


def plain(request: Request, sent: bytes, limit: int) -> bytes:
    """The message as it was before the client compressed it, at most `limit` octets. Raises `Refused`."""
    method = request.get("compress").lower()
    if not method:
        return sent
    if method != "zlib":
        raise Refused(Exit.UNAVAILABLE, "Compress: only zlib is known here")
    unpacking = zlib.decompressobj()
    try:
        message = unpacking.decompress(sent, limit + 1)
    except zlib.error:
        raise Refused(Exit.DATAERR, "The message cannot be decompressed") from None
    if len(message) > limit:
        raise too_big(limit)
    if not unpacking.eof:
        raise Refused(Exit.DATAERR, "The compressed message has no end")
    return message


def too_big(limit: int) -> Refused:
    return Refused(Exit.DATAERR, f"The message is larger than the limit of {limit} octets")


def answer(header: list[str], body: bytes = b"", *, code: Exit = Exit.OK, word: str = "EX_OK", name: str = "SPAMD/1.1") -> bytes:
    """The octets of an answer."""
    lines = [f"{name} {int(code)} {word}", *header, "", ""]
    return "\r\n".join(lines).encode("utf-8", "replace") + body


def refusal(refused: Refused) -> bytes:
    """The octets of an answer that says no."""
    return answer([], code=refused.code, word=str(refused))


PONG = b"SPAMD/1.5 0 PONG\r\n"
