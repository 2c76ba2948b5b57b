"""The HTTP side of a worker: who may connect, and a session for each who does."""

from __future__ import annotations

import socket

from mailward.gateway.settings import Http
from mailward.servers.http.connection import HttpConnection
from mailward.servers.http.session import WAY_IN, Session
from mailward.servers.reports import Reports
from mailward.servers.smtp.client import Client
from mailward.servers.smtp.reception import Reception
from mailward.servers.smtp.service import Service

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_NOT_YOU = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class HttpServer:
    """Serves sockets that listen already and may be shared with other workers."""

    def __init__(self, service: Service, settings: Http, reports: Reports, sockets: list[socket.socket]) -> None:
        self._service = service
        self._settings = settings
        self._reports = reports
        self._reception = Reception(sockets, HttpConnection, self._serve, self._refusal, service.log)

    def start(self) -> None:
        """Accept from now on."""
        self._reception.start()

    async def drain(self, seconds: float) -> int:
        """Stop accepting, let requests under way be answered, and hang up on who is left after `seconds`: how many those were."""
        return await self._reception.drain(seconds)

    async def _serve(self, connection: HttpConnection, client: Client) -> None:
        await Session(connection, client, self._service, self._reports, self._settings).run()

    def _refusal(self, client: Client, connections: int, _of_client: int) -> bytes | None:
        if not self._settings.client_networks.match(client.address):
            self._service.log.warning("client_not_allowed", way_in=WAY_IN, client=client.address)
            return _NOT_YOU
        return _BUSY if connections >= self._settings.max_connections else None
