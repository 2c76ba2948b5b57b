"""Questions by TCP (RFC 7766): many on a connection, each with its length before it; and zone transfers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Iterator

import structlog

from mailward.reputation.zone import transfer, wire
from mailward.reputation.zone.answerer import read
from mailward.reputation.zone.keys import Signer
from mailward.reputation.zone.wire import Question, Rcode
from mailward.servers.dns import limits
from mailward.servers.dns.service import Service


class TcpServer:
    """Serves connections on sockets that listen already."""

    def __init__(self, service: Service, sockets: list[socket.socket]) -> None:
        self._service, self._sockets = service, sockets
        self._servers: list[asyncio.Server] = []
        self._clients: Counter[str] = Counter()
        self._transfers = 0
        self._log = structlog.get_logger("mailward.dns")

    async def start(self) -> None:
        for listening in self._sockets:
            self._servers.append(await asyncio.start_server(self._connected, sock=listening, limit=limits.MAX_QUERY))

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = str((writer.get_extra_info("peername") or ("",))[0])
        full = self._clients.total() >= limits.MAX_CONNECTIONS or self._clients[host] >= limits.MAX_CONNECTIONS_PER_CLIENT
        self._clients[host] += 1
        try:
            if not full:
                await self._talk(reader, writer, host)
        except (OSError, EOFError, TimeoutError):
            pass  # the client is gone, or too slow
        except Exception:
            self._log.exception("connection_failed", client=host)
        finally:
            self._clients[host] -= 1
            self._clients += Counter()  # forgets those without a connection
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        while True:
            async with asyncio.timeout(limits.IDLE_SECONDS):
                size = int.from_bytes(await reader.readexactly(2), "big")
                if size > limits.MAX_QUERY:
                    return
                data = await reader.readexactly(size)
            self._service.counts["tcp"] += 1
            question = read(data)
            if isinstance(question, Question) and question.type in (wire.AXFR, wire.IXFR):
                await self._transfer(writer, data, question, host)
                continue
            answer = self._service.answer(data, host, time.time(), udp=False)
            if answer is None:
                return
            await _send(writer, answer)

    async def _transfer(self, writer: asyncio.StreamWriter, data: bytes, question: Question, host: str) -> None:
        allowed = self._service.may_transfer(data, question, host)
        if allowed is None or self._transfers >= limits.MAX_TRANSFERS:
            rcode = Rcode.SERVFAIL if allowed else Rcode.NOTAUTH if question.signed else Rcode.REFUSED
            await _send(writer, wire.reply(question, rcode, wire.TCP_PAYLOAD, ours=False))
            return
        zone, signer = allowed
        self._transfers += 1
        try:
            started, count, serial = time.monotonic(), 0, zone.serial
            stream = transfer.messages(zone, question, time.time(), transfer.known_serial(data, question))
            for message in _signed(stream, signer):
                await _send(writer, message)
                await asyncio.sleep(0)  # others wait for answers meanwhile
                count += len(message)
        finally:
            self._transfers -= 1
        seconds = round(time.monotonic() - started, 1)
        self._log.info("zone_transferred", zone=zone.name, serial=serial, client=host, octets=count, seconds=seconds)


def _signed(stream: Iterator[bytes], signer: Signer | None) -> Iterator[bytes]:
    return stream if signer is None else (signer.sign(message, more=True) for message in stream)


async def _send(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(len(message).to_bytes(2, "big") + message)
    async with asyncio.timeout(limits.IDLE_SECONDS):
        await writer.drain()
