"""One client of spamd: it says what it wants, may then close its half of the connection, and still has to hear the answer."""

from __future__ import annotations

import asyncio
import contextlib

from mailward.servers.smtp.connection import Connection, Gone, NoRoom, Room, TooBig
from mailward.servers.spamd import limits


class CutShort(Exception):  # noqa: N818
    """The client ended before it had sent as much as it said."""


class HalfOpen(Connection):
    """A connection that is answered after its client has said everything."""

    ended = False  # the client sends nothing more

    def eof_received(self) -> bool:
        self.ended = True
        self._wake()
        return True

    async def message(self, length: int | None, limit: int, timeout: float, room: Room) -> bytes:
        """Read `length` octets, or to the end where it is None. At most `limit` are kept, counted in `room` while they arrive.

        `timeout` counts from one arrival to the next. Raises `TimeoutError`, `Gone`, `CutShort`, `TooBig`, `NoRoom`; the last two once the rest
        has been read and thrown away, or `limits.FLOOD_BYTES` of it, so that the client hears the answer.
        """
        refused: TooBig | NoRoom | None = None
        counted = dropped = 0
        self._in_body = True
        try:
            while True:
                size = len(self._buffer)
                if refused is None and max(size, length or 0) > limit:
                    refused = TooBig()
                elif refused is None and not room.take(size - counted):
                    refused = NoRoom()
                elif refused is None:
                    counted = size
                if refused is not None:
                    dropped += size
                    self._buffer.clear()
                if dropped > limits.FLOOD_BYTES or (self.ended if length is None else len(self._buffer) + dropped >= length):
                    break
                if self.ended:
                    raise CutShort
                await self._more(timeout)
        finally:
            self._in_body = False
            room.taken -= counted
        whole = bytes(self._buffer if length is None else self._buffer[:length])
        self._buffer.clear()
        if refused is not None:
            raise refused
        return whole

    async def last_word(self, answer: bytes, timeout: float) -> None:
        """Send the answer. Then what the client still sends is thrown away for a moment: closing at once would take the answer from it.

        Raises `TimeoutError`, `Gone`.
        """
        await self.write(answer, timeout)
        if self._transport is None or self.ended:
            return
        self._transport.write_eof()
        dropped = 0
        with contextlib.suppress(Gone, TimeoutError):
            async with asyncio.timeout(limits.LINGER_SECONDS):
                while dropped <= limits.FLOOD_BYTES:
                    dropped += len(self._buffer)
                    self._buffer.clear()
                    await self._more(timeout)

    async def _more(self, timeout: float, interruptible: bool = False) -> None:
        if self.ended:
            raise Gone
        await super()._more(timeout, interruptible)
