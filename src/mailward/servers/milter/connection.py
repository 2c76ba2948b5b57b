"""The octets of one mail server that asks by milter: packets in, answers out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mailward.servers.milter import limits
from mailward.servers.milter.protocol import Reader
from mailward.servers.smtp.connection import Connection
from mailward.servers.smtp.limits import READ_BYTES


class PacketConnection(Connection):
    """A connection that is read packet by packet."""

    def __init__(self, made: Callable[[Any], None]) -> None:
        super().__init__(made)
        self.reader = Reader()

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        if self.reader.waiting > limits.PACKET_BYTES + READ_BYTES and not self._paused and self._transport is not None:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    async def packet(self, timeout: float, *, interruptible: bool = False) -> tuple[int, bytes]:
        """Code and data of the next packet. `timeout`: until its first octet comes; the rest has to follow in `limits.PACKET_SECONDS`.

        Raises `TimeoutError`, `Gone`, `Interrupted` (where nothing of a packet is there), `Problem`.
        """
        deadline = 0.0
        while (got := self.reader.next()) is None:
            if not self.reader.begun:
                await self._more(timeout, interruptible)
                continue
            now = asyncio.get_running_loop().time()
            deadline = deadline or now + limits.PACKET_SECONDS
            if deadline <= now:
                raise TimeoutError
            await self._more(deadline - now)
        return got

    def sign_of_life(self, octets: bytes) -> None:
        """Send something small now, if anybody is there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)
