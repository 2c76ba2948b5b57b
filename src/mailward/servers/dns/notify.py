"""Tells secondaries of a new serial (NOTIFY, RFC 1996), again and again until they confirm or the next one comes."""

from __future__ import annotations

import asyncio
import socket

import dns.flags
import dns.message
import dns.opcode
import structlog

from mailward.gateway.settings import host_and_port
from mailward.reputation.zone.apex import Served

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds for an answer, each time


class Notifier:
    """Belongs to one event loop."""

    def __init__(self, secondaries: tuple[str, ...]) -> None:
        self._secondaries = secondaries
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._log = structlog.get_logger("mailward.dns")

    def notify(self, zone: Served) -> None:
        """Tell all secondaries; what was under way for the zone is given up."""
        for place in self._secondaries:
            task = self._under_way.get((zone.name, place))
            if task is not None:
                task.cancel()
            self._under_way[zone.name, place] = asyncio.get_running_loop().create_task(self._tell(zone.name, zone.serial, place))

    def close(self) -> None:
        for task in self._under_way.values():
            task.cancel()

    async def _tell(self, zone: str, serial: int, place: str) -> None:
        query = dns.message.make_query(zone, "SOA", flags=dns.flags.AA)
        query.set_opcode(dns.opcode.NOTIFY)
        for seconds in WAITS:
            try:
                if await _confirmed(query, place, seconds):
                    self._log.info("secondary_notified", zone=zone, serial=serial, secondary=place)
                    return
            except OSError as error:
                self._log.debug("notify_failed", secondary=place, error=str(error))
                await asyncio.sleep(seconds)
        self._log.warning("secondary_silent", zone=zone, serial=serial, secondary=place, remedy="It asks by itself after the refresh time.")


async def _confirmed(query: dns.message.Message, place: str, seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    host, port = host_and_port(place)
    family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
    with socket.socket(family, kind, protocol) as asking:
        asking.setblocking(False)
        asking.connect(address)
        await loop.sock_sendall(asking, query.to_wire())
        try:
            async with asyncio.timeout(seconds):
                while True:
                    heard = await loop.sock_recv(asking, 4096)
                    if heard[:2] == query.id.to_bytes(2, "big") and len(heard) >= 12 and heard[2] & 0xF8 == 0xA0:
                        return True
        except TimeoutError:
            return False
