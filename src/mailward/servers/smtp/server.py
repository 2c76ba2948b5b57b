"""The SMTP side of a worker: who may connect, and a session for each who does."""

from __future__ import annotations

import socket

from mailward.servers.smtp import replies
from mailward.servers.smtp.client import Client
from mailward.servers.smtp.connection import Connection
from mailward.servers.smtp.reception import Reception
from mailward.servers.smtp.service import Service
from mailward.servers.smtp.session import Session


class SmtpServer:
    """Serves sockets that listen already and may be shared with other workers."""

    def __init__(self, service: Service, sockets: list[socket.socket]) -> None:
        self._service = service
        self._reception = Reception(sockets, Connection, self._serve, self._refusal, service.log)

    def start(self) -> None:
        """Accept from now on."""
        self._reception.start()

    async def drain(self, seconds: float) -> int:
        """Stop accepting, let messages under way end, and hang up on who is left after `seconds`: how many those were."""
        self._service.draining = True
        return await self._reception.drain(seconds)

    async def _serve(self, connection: Connection, client: Client) -> None:
        await Session(connection, client, self._service).run()

    def _refusal(self, client: Client, connections: int, of_client: int) -> bytes | None:
        """Why this connection is one too many. Trusted proxies bring the connections of everybody and count only in total."""
        settings = self._service.settings
        if connections >= settings.max_connections:
            return replies.TOO_MANY.encode()
        if of_client >= settings.max_connections_per_client and not self._service.trusts(client.address):
            return replies.TOO_MANY_YOURS.encode()
        return None
