"""What one mail server has said so far, and what has to be done next. Pure: commands in, duties out; nothing is sent and nothing awaited.

A connection brings one client of the mail server after the other (QUIT_NEW lies between two), each client brings messages, and whatever is
under way may be aborted at any moment. The raw message is put together again as the mail server took it: names, values with their blanks,
and line ends of SMTP, so that signatures still hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from mailward.message import Envelope
from mailward.servers.milter import limits
from mailward.servers.milter.protocol import (
    OLDEST,
    VERSION,
    Actions,
    Body,
    Code,
    Command,
    Connect,
    End,
    Field,
    Helo,
    Macros,
    Mail,
    Offer,
    Plain,
    Problem,
    Rcpt,
    Stage,
    Steps,
    negotiated,
)
from mailward.servers.smtp.client import Client, canonical
from mailward.servers.smtp.connection import Room

WAY_IN = "milter"

WANTED = Actions.ADD_HEADERS | Actions.CHANGE_HEADERS | Actions.QUARANTINE | Actions.SET_MACROS
MACROS = {
    Stage.CONNECT: "j {daemon_name} {client_resolve}",
    Stage.MAIL: "i {auth_authen} {tls_version}",
    Stage.RCPT: "{rcpt_mailer}",
    Stage.END: "i",
}
_STEPS = (
    Steps.NO_UNKNOWN
    | Steps.NO_DATA
    | Steps.SILENT_HELO
    | Steps.SILENT_MAIL
    | Steps.SILENT_HEADER
    | Steps.SILENT_END_HEADER
    | Steps.SILENT_BODY
    | Steps.LEADING_SPACE
)
_SILENT = {
    Code.CONNECT: Steps.SILENT_CONNECT,
    Code.HELO: Steps.SILENT_HELO,
    Code.MAIL: Steps.SILENT_MAIL,
    Code.DATA: Steps.SILENT_DATA,
    Code.UNKNOWN: Steps.SILENT_UNKNOWN,
    Code.HEADER: Steps.SILENT_HEADER,
    Code.END_HEADER: Steps.SILENT_END_HEADER,
    Code.BODY: Steps.SILENT_BODY,
}


class Due(Enum):
    """What has to be done after a command."""

    NOTHING = auto()  # nor is an answer awaited
    CONTINUE = auto()  # answer that the mail server shall go on
    OFFER = auto()  # answer with `Session.answer`
    CLIENT = auto()  # a client has connected
    SENDER = auto()  # a message begins
    RECIPIENT = auto()  # answer whether the message may go to `Session.recipient`
    REJECTED = auto()  # the mail server itself refuses `Session.recipient`, whatever we answer
    MESSAGE = auto()  # answer what becomes of `Session.received()`
    ABORTED = auto()  # the message under way is not sent
    NEXT_CLIENT = auto()
    END = auto()  # close the connection


class Trouble(Enum):
    """Why a message is not there as a whole."""

    TOO_BIG = auto()  # larger than the limit: only its header is kept
    HEAD = auto()  # its header is too large
    NO_ROOM = auto()  # all mail servers together send more than this process may hold


@dataclass(frozen=True, slots=True)
class Received:
    """A message at its end. `raw` is its first `head` octets, the header, where there is a `trouble`; `size` is that of all of it."""

    raw: bytes
    head: int
    size: int
    trouble: Trouble | None
    envelope: Envelope
    queue_id: str
    server: str  # the mail server, and its listener
    body_8bit: bool
    smtputf8: bool
    tls: bool
    refused: int  # recipients we refused


@dataclass(slots=True)
class _Message:
    sender: Mail
    recipients: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    raw: bytearray = field(default_factory=bytearray)
    head: int = -1  # octets of the header with its empty line; -1 until it has ended
    size: int = 0
    counted: int = 0  # octets taken of the room
    trouble: Trouble | None = None


class Session:
    """One connection of a mail server. `limit`: octets of the largest message kept; `room`: shared by all connections.

    `answers_connect`: whether a client may be refused as soon as it connects; if not, nobody waits for us there.
    """

    def __init__(self, limit: int, room: Room, *, answers_connect: bool) -> None:
        self._limit = limit
        self._room = room
        self._answers_connect = answers_connect
        self._macros: dict[int, dict[str, str]] = {}
        self._message: _Message | None = None
        self._negotiated = False
        self.actions = Actions(0)
        self.steps = Steps(0)
        self._quiet: frozenset[Code] = frozenset()  # commands nobody awaits an answer to
        self._leading_space = False
        self.answer = b""
        self.client = Client(None)
        self.connected = False
        self.recipient = ""

    # What is known

    @property
    def busy(self) -> bool:
        """Whether a message is under way."""
        return self._message is not None

    @property
    def sender(self) -> str:
        return self._message.sender.path if self._message else ""

    @property
    def tls(self) -> bool:
        return bool(self.macro("tls_version"))

    @property
    def refused(self) -> dict[str, str]:
        """What was said to recipients that we refused."""
        return self._message.refused if self._message else {}

    def macro(self, name: str) -> str:
        """A macro as it was said last, "" if it was not."""
        return next((values[name] for values in reversed(self._macros.values()) if name in values), "")

    def full(self) -> bool:
        """Whether the message has as many recipients as it may have."""
        return self._message is not None and len(self._message.recipients) >= limits.RECIPIENTS

    def accept(self) -> None:
        """The recipient may be reached."""
        if self._message is not None:
            self._message.recipients.append(self.recipient)

    def refuse(self, said: str) -> None:
        """The recipient may not be reached, and is told so."""
        if self._message is not None and len(self._message.refused) < limits.RECIPIENTS:
            self._message.refused[self.recipient] = said

    def received(self) -> Received:
        """The message whose end has just been told. It stays counted in the room until `done`."""
        message = self._message
        assert message is not None
        raw = bytes(message.raw)
        message.raw = bytearray()
        words = [word.upper() for word in message.sender.parameters]
        return Received(
            raw=raw,
            head=message.head,
            size=message.size,
            trouble=message.trouble,
            envelope=Envelope(
                client_ip=self.client.address,
                client_name=self.client.name,
                helo=self.client.helo,
                mail_from=message.sender.path,
                rcpt_to=tuple(message.recipients),
                authenticated=self.client.login is not None,
                way_in=WAY_IN,
            ),
            queue_id=self.macro("i"),
            server=" ".join(filter(None, (self.macro("j"), self.macro("daemon_name")))),
            body_8bit="BODY=8BITMIME" in words,
            smtputf8="SMTPUTF8" in words,
            tls=self.tls,
            refused=len(message.refused),
        )

    def done(self) -> None:
        """Forget the message under way."""
        if self._message is not None:
            self._room.taken -= self._message.counted
            self._message = None
        self._forget(Code.MAIL, Code.RCPT, Code.DATA, Code.HEADER, Code.END_HEADER, Code.BODY, Code.END)

    def _forget(self, *codes: Code) -> None:
        for code in codes:
            self._macros.pop(code, None)

    # What is said

    def take(self, command: Command) -> Due:
        """Take up a command. Raises `Problem` where it cannot be said now; then the connection is of no more use."""
        if not self._negotiated and not (isinstance(command, Offer) or (isinstance(command, Plain) and command.code is Code.QUIT)):
            raise Problem(f"{type(command).__name__} before the negotiation")
        match command:
            case Field(name, value):
                return self._header(name, value)
            case Macros(code, values):
                self._macros.pop(code, None)
                self._macros[code] = dict(values)
                return Due.NOTHING
            case Body(piece):
                return self._body(piece)
            case Rcpt(path):
                return self._rcpt(path)
            case Mail():
                return self._mail(command)
            case End(piece):
                return self._end(piece)
            case Connect():
                return self._connect(command)
            case Helo(name):
                self.client = _with_helo(self.client, name)
                return self._silent(Code.HELO)
            case Offer():
                return self._offer(command)
            case Plain(code):
                return self._plain(code)

    def _offer(self, offer: Offer) -> Due:
        if self._negotiated:
            raise Problem("a second negotiation")
        if offer.version < OLDEST:
            raise Problem(f"version {offer.version} of the protocol; {OLDEST} to {VERSION} are understood")
        self._negotiated = True
        self.actions = WANTED & offer.actions
        steps = _STEPS | (Steps(0) if self._answers_connect else Steps.SILENT_CONNECT)
        if Actions.SET_MACROS in self.actions:  # a macro tells who refused a recipient
            steps |= Steps.REJECTED_RCPT
        self.steps = steps & offer.steps
        self._quiet = frozenset(code for code, step in _SILENT.items() if step in self.steps)
        self._leading_space = Steps.LEADING_SPACE in self.steps
        self.answer = negotiated(min(offer.version, VERSION), self.actions, self.steps, MACROS)
        return Due.OFFER

    def _silent(self, code: Code) -> Due:
        return Due.NOTHING if code in self._quiet else Due.CONTINUE

    def answers(self, code: Code) -> bool:
        """Whether the mail server waits for an answer to that command."""
        return self._silent(code) is Due.CONTINUE

    def _connect(self, said: Connect) -> Due:
        if self.connected:
            raise Problem("a second client")
        self.connected = True
        resolved = self.macro("client_resolve").upper() in ("", "OK")
        named = said.name and not said.name.startswith("[") and said.name.lower() != "unknown"
        self.client = Client(
            address=_address(said) if said.family in ("4", "6") else None,
            name=said.name if resolved and named else "",
            port=str(said.port) if said.port else None,
            local=said.family in ("L", "U"),
        )
        return Due.CLIENT

    def _mail(self, said: Mail) -> Due:
        self._discard()
        self._message = _Message(said)
        self.client = _with_login(self.client, self.macro("auth_authen") or None)
        return Due.SENDER

    def _discard(self) -> None:
        """Forget the message, not the macros of the command that comes now."""
        if self._message is not None:
            self._room.taken -= self._message.counted
            self._message = None

    def _rcpt(self, path: str) -> Due:
        if self._message is None or self._message.size:
            raise Problem("a recipient without a sender")
        self.recipient = path
        rejected = Steps.REJECTED_RCPT in self.steps and self.macro("rcpt_mailer") == "error"
        return Due.REJECTED if rejected else Due.RECIPIENT

    def _header(self, name: bytes, value: bytes) -> Due:
        message = self._message
        if message is None or message.head >= 0:
            raise Problem("a header field without a message")
        if b"\n" in value:
            value = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        between = b":" if self._leading_space or not value else b": "
        self._keep(message, b"%b%b%b\r\n" % (name, between, value))
        return self._silent(Code.HEADER)

    def _end_header(self) -> Due:
        if self._message is None or self._message.head >= 0:
            raise Problem("the end of a header without a message")
        self._close_header(self._message)
        return self._silent(Code.END_HEADER)

    def _close_header(self, message: _Message) -> None:
        self._keep(message, b"\r\n")
        message.head = len(message.raw)

    def _body(self, piece: bytes) -> Due:
        if self._message is None:
            raise Problem("a body without a message")
        if self._message.head < 0:
            self._close_header(self._message)
        self._keep(self._message, piece)
        return self._silent(Code.BODY)

    def _end(self, piece: bytes) -> Due:
        if self._message is None:
            raise Problem("an end without a message")
        if self._message.head < 0:
            self._close_header(self._message)
        self._keep(self._message, piece)
        return Due.MESSAGE

    def _keep(self, message: _Message, piece: bytes) -> None:
        """Put octets behind the message, as long as they may be kept."""
        message.size += len(piece)
        if message.trouble is not None:
            return
        if message.head < 0 and message.size > limits.HEAD_BYTES:
            self._cut(message, Trouble.HEAD, 0)
        elif message.size > self._limit and message.head >= 0:
            self._cut(message, Trouble.TOO_BIG, message.head)
        elif not self._room.take(len(piece)):
            self._cut(message, Trouble.NO_ROOM, 0)
        else:
            message.counted += len(piece)
            message.raw += piece

    def _cut(self, message: _Message, trouble: Trouble, left: int) -> None:
        del message.raw[left:]
        self._room.taken -= message.counted - left
        message.counted = left
        message.trouble = trouble

    def _plain(self, code: Code) -> Due:
        match code:
            case Code.END_HEADER:
                return self._end_header()
            case Code.ABORT:
                return Due.ABORTED
            case Code.QUIT:
                return Due.END
            case Code.QUIT_NEW:
                return Due.NEXT_CLIENT
            case _:
                return self._silent(code)

    def next_client(self) -> None:
        """Forget the client and whatever it said."""
        self.done()
        self._macros.clear()
        self.client = Client(None)
        self.connected = False


def _address(said: Connect) -> str | None:
    try:
        return canonical(said.address[5:] if said.address.lower().startswith("ipv6:") else said.address)
    except ValueError:
        return None


def _with_helo(client: Client, name: str) -> Client:
    return Client(client.address, client.name, name[:255], client.port, login=client.login, local=client.local)


def _with_login(client: Client, login: str | None) -> Client:
    return Client(client.address, client.name, client.helo, client.port, login=login, local=client.local)
