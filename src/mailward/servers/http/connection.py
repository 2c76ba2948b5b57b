"""The octets of one HTTP client: h11 says what they mean."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11

from mailward.servers.http import limits
from mailward.servers.http.protocol import Asked, Told, asked
from mailward.servers.smtp.connection import Gone, NoRoom, Room, TooBig
from mailward.servers.spamd.connection import HalfOpen


class HttpConnection(HalfOpen):
    """A connection that is read request by request. h11's `RemoteProtocolError` is raised where the client speaks no HTTP/1."""

    def __init__(self, made: Callable[[Any], None]) -> None:
        super().__init__(made)
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.HEAD_BYTES)

    async def head(self, timeout: float, *, interruptible: bool = True) -> Asked | None:
        """The next request's head, None when the client has ended. `timeout`: until its first octet comes; the rest has `limits.HEAD_SECONDS`.

        Raises `TimeoutError`, `Gone`, `Interrupted` (where nothing is there).
        """
        deadline = 0.0
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if not self._http.trailing_data[0]:
                await self._feed(timeout, interruptible=interruptible)
                continue
            now = asyncio.get_running_loop().time()
            deadline = deadline or now + limits.HEAD_SECONDS
            if deadline <= now:
                raise TimeoutError
            await self._feed(deadline - now)
        if isinstance(event, h11.Request):
            return asked(event.method, event.target, list(event.headers))
        return None

    async def body(self, limit: int, timeout: float, room: Room) -> bytes:
        """The request's body, at most `limit` octets, counted in `room` while it arrives. `timeout` counts from one arrival to the next.

        Raises `TimeoutError`, `Gone`, `TooBig`, `NoRoom`; after the last two the connection is of no more use.
        """
        whole, counted = bytearray(), 0
        self._in_body = True
        try:
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    if self._http.they_are_waiting_for_100_continue:
                        await self._send(h11.InformationalResponse(status_code=100, headers=[]), timeout)
                    await self._feed(timeout)
                elif isinstance(event, h11.Data):
                    size = len(event.data)
                    if len(whole) + size > limit:
                        raise TooBig
                    if not room.take(size):
                        raise NoRoom
                    counted += size
                    whole += event.data
                else:
                    return bytes(whole)
        finally:
            self._in_body = False
            room.taken -= counted

    async def _feed(self, timeout: float, *, interruptible: bool = False) -> None:
        if not self._buffer:
            if self.ended:
                raise Gone
            await self._more(timeout, interruptible)
        if self._buffer:
            self._http.receive_data(bytes(self._buffer))
            self._buffer.clear()

    async def _send(self, event: h11.Event, timeout: float) -> None:
        data = self._http.send(event)
        if data:
            await self.write(data, timeout)

    async def answer(self, told: Told, timeout: float, *, close: bool) -> bool:
        """Send an answer. Whether another request may follow; if not, the client is given a moment to hear the answer. Raises `Gone`, `TimeoutError`."""
        header = [("Server", "mailward"), ("Content-Type", told.kind), ("Content-Length", str(len(told.body))), *told.more]
        if close:
            header.append(("Connection", "close"))
        data = self._http.send(h11.Response(status_code=int(told.status), headers=header, reason=told.status.phrase.encode())) or b""
        data += (self._http.send(h11.Data(data=told.body)) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE and not close:
            await self.write(data, timeout)
            self._http.start_next_cycle()
            return True
        await self.last_word(data, timeout)
        return False

    @property
    def can_answer(self) -> bool:
        return self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE)


async def settled(connection: HttpConnection, told: Told, timeout: float) -> None:
    """Answer a client whose request cannot be carried out, and hang up."""
    try:
        if connection.can_answer:
            await connection.answer(told, timeout, close=True)
    except (Gone, TimeoutError, asyncio.CancelledError):
        connection.abort()
