"""The milter protocol, version 6, as values and octets. Opens nothing and waits for nothing.

A packet is its length in four octets (big endian, the code counts), a code of one octet, and data. There is no RFC: what Sendmail's
libmilter does is the protocol (include/libmilter/mfdef.h of Sendmail 8.14 and later), and Postfix speaks it too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum, IntFlag

import msgspec

from mailward.servers.milter import limits

VERSION = 6  # that we speak
OLDEST = 2  # that we understand; Sendmail has spoken it since 2001

_HEADER = ord("L")
_LENGTH = struct.Struct(">I")
_THREE = struct.Struct(">III")


class Code(IntEnum):
    """What a mail server tells us (SMFIC_*)."""

    ABORT = ord("A")
    BODY = ord("B")
    CONNECT = ord("C")
    MACRO = ord("D")
    END = ord("E")  # of the message; may bring the last piece of the body
    HELO = ord("H")
    QUIT_NEW = ord("K")  # this client is done, the next one comes by the same connection
    HEADER = ord("L")
    MAIL = ord("M")
    END_HEADER = ord("N")
    NEGOTIATE = ord("O")
    QUIT = ord("Q")
    RCPT = ord("R")
    DATA = ord("T")
    UNKNOWN = ord("U")  # an SMTP command the mail server does not know


class Actions(IntFlag):
    """What a milter may do with a message (SMFIF_*)."""

    ADD_HEADERS = 0x01  # and insert them
    CHANGE_BODY = 0x02
    ADD_RCPT = 0x04
    DELETE_RCPT = 0x08
    CHANGE_HEADERS = 0x10
    QUARANTINE = 0x20
    CHANGE_FROM = 0x40
    ADD_RCPT_PARAMETERS = 0x80
    SET_MACROS = 0x100


class Steps(IntFlag):
    """What a milter need not be told (NO_), need not answer (SILENT_), or understands (SMFIP_*)."""

    NO_CONNECT = 0x01
    NO_HELO = 0x02
    NO_MAIL = 0x04
    NO_RCPT = 0x08
    NO_BODY = 0x10
    NO_HEADERS = 0x20
    NO_END_HEADER = 0x40
    SILENT_HEADER = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP = 0x400  # the rest of a body need not be sent
    REJECTED_RCPT = 0x800  # recipients the mail server itself refuses are told, too
    SILENT_CONNECT = 0x1000
    SILENT_HELO = 0x2000
    SILENT_MAIL = 0x4000
    SILENT_RCPT = 0x8000
    SILENT_DATA = 0x10000
    SILENT_UNKNOWN = 0x20000
    SILENT_END_HEADER = 0x40000
    SILENT_BODY = 0x80000
    LEADING_SPACE = 0x100000  # header values are handed over with the blank behind the colon
    ALL = 0x1FFFFF


class Stage(IntEnum):
    """When macros are sent, as SETSYMLIST counts (SMFIM_*)."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    END = 5
    END_HEADER = 6


class Problem(ValueError):  # noqa: N818
    """The other side does not keep to the protocol; the text says how."""


class Offer(msgspec.Struct, frozen=True):
    """NEGOTIATE: what the mail server speaks and allows."""

    version: int
    actions: Actions
    steps: Steps


class Macros(msgspec.Struct, frozen=True):
    """Values of the mail server's macros for the command that follows."""

    code: int
    values: Mapping[str, str]


class Connect(msgspec.Struct, frozen=True):
    """A client has connected to the mail server. `family`: "4", "6", "L" (a socket file) or "U" (not known)."""

    name: str
    family: str
    port: int
    address: str


class Helo(msgspec.Struct, frozen=True):
    name: str


class Mail(msgspec.Struct, frozen=True):
    """MAIL FROM: the path without brackets, and the parameters as they were sent."""

    path: str
    parameters: tuple[str, ...]


class Rcpt(msgspec.Struct, frozen=True):
    """RCPT TO: the path without brackets, and the parameters as they were sent."""

    path: str
    parameters: tuple[str, ...]


class Field(msgspec.Struct, frozen=True):
    """One header field; continuation lines are separated by LF."""

    name: bytes
    value: bytes


class Body(msgspec.Struct, frozen=True):
    """A piece of the body, with the line ends of SMTP."""

    piece: bytes


class End(msgspec.Struct, frozen=True):
    """The end of the message, with the last piece of its body."""

    piece: bytes


class Plain(msgspec.Struct, frozen=True):
    """A command that says no more than its code: ABORT, DATA, END_HEADER, QUIT, QUIT_NEW, UNKNOWN."""

    code: Code


Command = Offer | Macros | Connect | Helo | Mail | Rcpt | Field | Body | End | Plain


class Reader:
    """Octets in, packets out. Holds at most one packet that is not complete, of at most `limits.PACKET_BYTES`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0

    def feed(self, octets: bytes) -> None:
        self._buffer += octets

    @property
    def begun(self) -> bool:
        """Whether there are octets that were not taken as a packet yet."""
        return len(self._buffer) > self._at

    @property
    def waiting(self) -> int:
        """How many octets were not taken yet."""
        return len(self._buffer) - self._at

    def next(self) -> tuple[int, bytes] | None:
        """Code and data of the next packet, None where it is not complete. Raises `Problem`."""
        left = len(self._buffer) - self._at
        if left < 4:
            self._tidy()
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, self._at)
        if not 1 <= length <= limits.PACKET_BYTES:
            raise Problem(f"a packet of {length} octets")
        if left < 4 + length:
            self._tidy()
            return None
        start, self._at = self._at + 4, self._at + 4 + length
        with memoryview(self._buffer) as view:
            return view[start], bytes(view[start + 1 : self._at])

    def _tidy(self) -> None:
        if self._at:
            del self._buffer[: self._at]
            self._at = 0


def command(code: int, data: bytes) -> Command:
    """The value of a packet. Raises `Problem` where code or data are none of the protocol."""
    if code == _HEADER:  # most packets are
        name, value = _texts(data, 2)
        return Field(name, value)
    match code:
        case Code.BODY:
            return Body(data)
        case Code.MACRO:
            return _macros(data)
        case Code.RCPT:
            return Rcpt(*_path(data))
        case Code.MAIL:
            return Mail(*_path(data))
        case Code.CONNECT:
            return _connect(data)
        case Code.HELO:
            return Helo(_readable(data.partition(b"\0")[0]))
        case Code.END:
            return End(data)
        case Code.NEGOTIATE:
            return _offer(data)
        case Code.ABORT | Code.DATA | Code.END_HEADER | Code.QUIT | Code.QUIT_NEW | Code.UNKNOWN:
            return Plain(Code(code))
    raise Problem(f"a command of code {code}")


def _texts(data: bytes, count: int) -> list[bytes]:
    """So many texts, each with a NUL behind it."""
    parts = data.split(b"\0")
    if len(parts) != count + 1 or parts[-1]:
        raise Problem(f"{count} texts with a NUL behind each were expected")
    return parts[:-1]


def _readable(text: bytes) -> str:
    """A text for people and comparisons: control characters become `?`, what is no UTF-8 is kept as Latin-1 reads it."""
    try:
        words = text[: 4 * limits.TEXT].decode("utf-8")
    except UnicodeDecodeError:
        words = text[: limits.TEXT].decode("latin-1")
    return "".join(c if c.isprintable() else "?" for c in words[: limits.TEXT]) if not words.isprintable() else words[: limits.TEXT]


def _path(data: bytes) -> tuple[str, tuple[str, ...]]:
    if not data.endswith(b"\0"):
        raise Problem("an address without an end")
    first, *more = [_readable(text) for text in data[:-1].split(b"\0", 20)]
    return first.removeprefix("<").removesuffix(">"), tuple(more)


def _macros(data: bytes) -> Macros:
    """Names come as `{name}`, single letters as `j` or `{j}`; they are kept without braces."""
    if not data or len(data) > limits.MACRO_BYTES:
        raise Problem(f"macros of {len(data)} octets")
    parts = data[1:].split(b"\0")
    if parts.pop():
        raise Problem("macros without an end")
    if len(parts) % 2:
        raise Problem("a macro without a value")
    names = [_readable(name).removeprefix("{").removesuffix("}") for name in parts[::2]]
    return Macros(data[0], dict(zip(names, map(_readable, parts[1::2]), strict=True)))


def _connect(data: bytes) -> Connect:
    """Name NUL family, and for families with an address: port (two octets), address NUL."""
    name, nul, rest = data.partition(b"\0")
    family = chr(rest[0]) if rest else ""
    if not nul or family not in ("4", "6", "L", "U"):
        raise Problem("a connection of no known kind")
    if family == "U":
        return Connect(_readable(name), family, 0, "")
    if len(rest) < 4 or not rest.endswith(b"\0"):
        raise Problem("a connection without an address")
    return Connect(_readable(name), family, int.from_bytes(rest[1:3], "big"), _readable(rest[3:-1]))


def _offer(data: bytes) -> Offer:
    if len(data) < _THREE.size:
        raise Problem("a negotiation that is too short")
    version, actions, steps = _THREE.unpack_from(data)
    return Offer(version, Actions(actions & 0x1FF), Steps(steps & Steps.ALL))


# Answers


class Answer(IntEnum):
    """What we tell a mail server (SMFIR_*). Those that take data have a function below."""

    ADD_RCPT = ord("+")
    DELETE_RCPT = ord("-")
    ACCEPT = ord("a")
    REPLACE_BODY = ord("b")
    CONTINUE = ord("c")
    DISCARD = ord("d")
    ADD_HEADER = ord("h")
    INSERT_HEADER = ord("i")
    CHANGE_HEADER = ord("m")
    PROGRESS = ord("p")
    QUARANTINE = ord("q")
    REJECT = ord("r")
    SKIP = ord("s")
    TEMPFAIL = ord("t")
    REPLY_CODE = ord("y")


def packet(code: int, data: bytes = b"") -> bytes:
    """The octets of a packet."""
    return _LENGTH.pack(len(data) + 1) + bytes((code,)) + data


CONTINUE = packet(Answer.CONTINUE)
DISCARD = packet(Answer.DISCARD)
TEMPFAIL = packet(Answer.TEMPFAIL)
PROGRESS = packet(Answer.PROGRESS)


def negotiated(version: int, actions: Actions, steps: Steps, macros: Mapping[Stage, str]) -> bytes:
    """The answer to an offer. `macros`: the names wanted at each stage, sent only where `actions` has SET_MACROS."""
    lists = b"".join(_LENGTH.pack(stage) + names.encode("ascii") + b"\0" for stage, names in macros.items())
    return packet(Code.NEGOTIATE, _THREE.pack(version, actions, steps) + (lists if actions & Actions.SET_MACROS else b""))


def reply_code(code: int, text: str) -> bytes:
    """An SMTP reply of our own, 4xx or 5xx. A mail server takes `%` for the beginning of a pattern, so it is doubled."""
    if not 400 <= code <= 599:
        raise ValueError(f"{code} is no code of a refusal")
    return packet(Answer.REPLY_CODE, f"{code} {text.replace('%', '%%')}".encode("utf-8", "replace").replace(b"\0", b"?") + b"\0")


def insert_header(index: int, name: bytes, value: bytes) -> bytes:
    """Put a field before the one at that place, counted from 0 with what the mail server itself has put on top."""
    return packet(Answer.INSERT_HEADER, _LENGTH.pack(index) + _field(name, value))


def add_header(name: bytes, value: bytes) -> bytes:
    """Put a field below all others."""
    return packet(Answer.ADD_HEADER, _field(name, value))


def change_header(index: int, name: bytes, value: bytes) -> bytes:
    """Give another value to the field that is number `index` (from 1) of that name; an empty one takes it out."""
    return packet(Answer.CHANGE_HEADER, _LENGTH.pack(index) + _field(name, value))


def _field(name: bytes, value: bytes) -> bytes:
    if b"\0" in name or b"\0" in value or b"\r" in value:
        raise ValueError("NUL and CR cannot stand in a header field here")
    return name + b"\0" + value + b"\0"


def quarantine(reason: str) -> bytes:
    """Have the mail server itself hold the message."""
    return packet(Answer.QUARANTINE, reason.encode("utf-8", "replace").replace(b"\0", b"?") + b"\0")


def joined(answers: Iterable[bytes]) -> bytes:
    """Many answers as one piece to send."""
    return b"".join(answers)
