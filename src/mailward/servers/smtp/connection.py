"""The octets of one client: lines, message bodies, TLS. Knows where a message ends and nothing else of SMTP.

A message ends at CRLF "." CRLF only. Every other line end around a dot (the trick called SMTP smuggling) is part of the
message, and a message that has one is refused by the session.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from mailward.servers.smtp import limits

END = b"\r\n.\r\n"


class Gone(Exception):  # noqa: N818
    """The client closed the connection, or sent so much that we hang up."""


class Interrupted(Exception):  # noqa: N818
    """Nothing is being read and the server wants to stop."""


class LineTooLong(Exception):  # noqa: N818
    """A command line is longer than allowed; it has been thrown away."""


class BareNewline(Exception):  # noqa: N818
    """A command line does not end with CRLF."""


class TooBig(Exception):  # noqa: N818
    """The message is larger than allowed; it has been read to its end and thrown away."""


class NoRoom(Exception):  # noqa: N818
    """All clients together send more than this process may hold; the message has been read to its end and thrown away."""


@dataclass(slots=True)
class Room:
    """How many octets of messages this process holds, and may hold."""

    limit: int
    taken: int = 0

    def take(self, octets: int) -> bool:
        """Whether there is room for that many more; then they are counted."""
        if self.taken + octets > self.limit:
            return False
        self.taken += octets
        return True


class _Arriving:
    """A message that is being read: what of it is counted in the room, and why it is not kept any more."""

    def __init__(self, limit: int, room: Room) -> None:
        self.limit = limit
        self._room = room
        self._counted = 0
        self.dropped = 0
        self.problem: Exception | None = None

    def refuses(self, size: int) -> bool:
        """Whether what is there has to be thrown away, now that it is `size` octets."""
        if self.problem is None:
            if size > self.limit + len(END):
                self.problem = TooBig()
            elif not self._room.take(size - self._counted):
                self.problem = NoRoom()
            else:
                self._counted = size
                return False
            self.leave()
        return True

    def leave(self) -> None:
        self._room.taken -= self._counted
        self._counted = 0


class Connection(asyncio.Protocol):
    """One client. Reading is by coroutine, one reader at a time."""

    def __init__(self, made: Callable[[Connection], None]) -> None:
        self._made = made
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._in_body = False
        self._interrupted = False
        self.gone = False
        self.tls: ssl.SSLObject | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        first = self._transport is None
        self._transport = transport  # type: ignore[assignment]
        if first:
            self._made(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > limits.READ_BYTES and not self._in_body and not self._paused and self._transport is not None:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    def eof_received(self) -> bool:
        self.gone = True
        self._wake()
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        self.gone = True
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def interrupt(self) -> None:
        """Make the next (or the waiting) `line` raise `Interrupted`, once what the client has already sent is used up."""
        self._interrupted = True
        self._wake()

    async def line(self, timeout: float, *, interruptible: bool = False) -> bytes:
        """Read one command line without its CRLF. Raises `TimeoutError`, `Gone`, `Interrupted`, `LineTooLong`, `BareNewline`."""
        skipping = False
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > limits.COMMAND_BYTES:
                del self._buffer[:]
                skipping = True
            await self._more(timeout, interruptible)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if skipping or len(line) > limits.COMMAND_BYTES:
            raise LineTooLong
        if not line.endswith(b"\r"):
            raise BareNewline
        return line[:-1]

    async def exactly(self, count: int, timeout: float) -> bytes:
        """Read that many octets. Raises `TimeoutError`, `Gone`."""
        while len(self._buffer) < count:
            await self._more(timeout)
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def body(self, limit: int, timeout: float, room: Room) -> bytes:
        """Read a message to its final dot and undo dot-stuffing (RFC 5321 4.5.2).

        At most `limit` octets are kept, however many are sent, and all connections with the same `room` keep no more than it
        allows. `timeout` counts from one arrival to the next. Raises `TimeoutError`, `Gone`, `TooBig`, `NoRoom`.
        """
        while len(self._buffer) < 3:
            await self._more(timeout)
        if self._buffer.startswith(b".\r\n"):
            del self._buffer[:3]
            return b""
        arriving = _Arriving(limit, room)
        self._in_body = True
        try:
            seen = 0
            while (end := self._buffer.find(END, seen)) < 0:
                seen = max(0, len(self._buffer) - len(END) + 1)
                if arriving.refuses(len(self._buffer)):
                    del self._buffer[:seen]
                    arriving.dropped, seen = arriving.dropped + seen, 0
                    if arriving.dropped > limit + limits.FLOOD_BYTES:
                        self.abort()
                        raise Gone
                await self._more(timeout)
        finally:
            self._in_body = False
            arriving.leave()
        return self._taken(end, arriving)

    def _taken(self, end: int, arriving: _Arriving) -> bytes:
        """Take the message off the buffer, or say why it was not kept."""
        refused = arriving.problem is not None or end + 2 > arriving.limit
        with memoryview(self._buffer) as view:
            raw = b"" if refused else bytes(view[: end + 2])
        del self._buffer[: end + len(END)]
        if refused:
            raise arriving.problem or TooBig
        if raw.startswith(b"."):
            raw = raw[1:]
        return raw.replace(b"\r\n.", b"\r\n") if b"\r\n." in raw else raw

    async def write(self, data: bytes, timeout: float) -> None:
        """Send, and wait when the client does not take it. Raises `TimeoutError`, `Gone`."""
        if self._transport is None or self._transport.is_closing():
            raise Gone
        self._transport.write(data)
        if self._writable is not None:
            async with asyncio.timeout(timeout):
                await self._writable

    async def start_tls(self, context: ssl.SSLContext, go: bytes, timeout: float) -> None:
        """Send `go` and shake hands. What came in clear text after STARTTLS is thrown away (RFC 3207 6). Raises `Gone`."""
        if self._transport is None:
            raise Gone
        self._transport.pause_reading()
        self._transport.write(go)
        del self._buffer[:]
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(self._transport, self, context, server_side=True, ssl_handshake_timeout=timeout)
        except (OSError, ssl.SSLError) as error:
            self.abort()
            raise Gone from error
        if upgraded is None:
            raise Gone
        self._transport = upgraded
        self._paused = False
        self.tls = upgraded.get_extra_info("ssl_object")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close without sending what is still waiting to be sent."""
        if self._transport is not None:
            self._transport.abort()

    async def _more(self, timeout: float, interruptible: bool = False) -> None:
        """Wait until something happens."""
        if self.gone:
            raise Gone
        if self._interrupted and interruptible:
            raise Interrupted
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
