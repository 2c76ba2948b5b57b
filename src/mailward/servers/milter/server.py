"""The milter side of a worker: which mail servers may connect, and a dialogue with each that does."""

from __future__ import annotations

import socket

from mailward.gateway.settings import Milter
from mailward.servers.milter.connection import PacketConnection
from mailward.servers.milter.dialogue import Dialogue
from mailward.servers.milter.session import WAY_IN
from mailward.servers.smtp.client import Client
from mailward.servers.smtp.reception import Reception
from mailward.servers.smtp.service import Service


class MilterServer:
    """Serves sockets that listen already and may be shared with other workers."""

    def __init__(self, service: Service, settings: Milter, sockets: list[socket.socket]) -> None:
        self._service = service
        self._settings = settings
        self._reception = Reception(sockets, PacketConnection, self._serve, self._refusal, service.log)

    def start(self) -> None:
        """Accept from now on."""
        self._reception.start()

    async def drain(self, seconds: float) -> int:
        """Stop accepting, let messages under way be answered, and hang up on who is left after `seconds`: how many those were."""
        return await self._reception.drain(seconds)

    async def _serve(self, connection: PacketConnection, _mail_server: Client) -> None:
        settings = self._settings
        await Dialogue(connection, self._service, settings.max_size, float(settings.timeout), settings.quarantine).run()

    def _refusal(self, client: Client, connections: int, _of_client: int) -> bytes | None:
        """The protocol has no words for a connection that is one too many: we hang up, and the mail server does what it was told to do then."""
        if client.address is not None and not self._settings.client_networks.match(client.address):  # a socket file has its own rights
            self._service.log.warning("client_not_allowed", way_in=WAY_IN, client=client.address)
            return b""
        if connections < self._settings.max_connections:
            return None
        self._service.log.warning("too_many_connections", way_in=WAY_IN, client=client.address, connections=connections)
        return b""
