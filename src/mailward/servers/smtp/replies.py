"""SMTP replies as values, and the ones we give ourselves."""

from __future__ import annotations

from dataclasses import dataclass

from mailward.servers.smtp import limits


@dataclass(frozen=True, slots=True)
class Reply:
    """A code and its lines of text (RFC 5321 4.2). `close`: hang up after it."""

    code: int
    lines: tuple[str, ...]
    close: bool = False

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 300

    @property
    def text(self) -> str:
        return " ".join(self.lines)

    def encode(self) -> bytes:
        last = len(self.lines) - 1
        lines = (f"{self.code}{' ' if n == last else '-'}{line}" for n, line in enumerate(self.lines))
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def reply(text: str, *, close: bool = False) -> Reply:
    """A reply of one line, such as `reply("250 2.0.0 Ok")`. Control characters and excess length are taken out of the text."""
    code, _, rest = text.partition(" ")
    return Reply(int(code), (printable(rest, limits.REPLY_TEXT),), close)


def printable(text: str, length: int) -> str:
    """Text that is safe in one reply line or log field."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "?" for c in text)
    return text[:length]


OK = reply("250 2.0.0 Ok")
GO = reply("354 End data with <CR><LF>.<CR><LF>")
BYE = reply("221 2.0.0 Bye", close=True)
TIMEOUT = reply("421 4.4.2 You have been silent for too long", close=True)
STOPPING = reply("421 4.3.2 mailward is being restarted, try again", close=True)
TOO_MANY = reply("421 4.7.0 Too many connections, try again later", close=True)
TOO_MANY_YOURS = reply("421 4.7.0 Too many connections from your address, try again later", close=True)
TOO_MANY_ERRORS = reply("421 4.7.0 Too many errors", close=True)
TOO_MANY_IDLE = reply("421 4.7.0 Too many commands without mail", close=True)
LINE_TOO_LONG = reply("500 5.5.2 Line too long")
BARE_NEWLINE_COMMAND = reply("521 5.5.2 A command must end with <CR><LF>, a bare <LF> was received", close=True)
BARE_NEWLINE = reply("554 5.6.0 Refused: the message has a bare <CR> or <LF>; lines must end with <CR><LF> (RFC 5321 2.3.8)")
TOO_BIG = reply("552 5.3.4 The message is larger than the limit")
NO_ROOM = reply("452 4.3.1 Too much mail at the same time, try again later")
NO_NEXT_HOP = reply("451 4.4.1 No next hop is set here ([smtp] next_hop), the message cannot be handed on")
CANNOT_HOLD = reply("452 4.3.1 The quarantine cannot be written (disk full?), try again later")
FAILED = reply("451 4.3.0 Something failed here, the message was not accepted; see the log")
NO_PROXY_HEADER = reply("550 5.7.1 This port wants a PROXY protocol header from a trusted address first", close=True)
SHUT = reply("503 5.5.1 You are not let in, see the greeting; only QUIT is left")
SENDER_OK = reply("250 2.1.0 Ok")
NOT_TRUSTED = reply("550 5.7.1 You are not in trusted_proxies")
