"""The spamd side of a worker: who may connect, and a session for each who does."""

from __future__ import annotations

import socket

from mailward.gateway.settings import Spamd
from mailward.servers.reports import Reports
from mailward.servers.smtp.client import Client
from mailward.servers.smtp.reception import Reception
from mailward.servers.smtp.service import Service
from mailward.servers.spamd.connection import HalfOpen
from mailward.servers.spamd.protocol import Exit, Refused, refusal
from mailward.servers.spamd.session import Session

NOT_YOU = refusal(Refused(Exit.NOPERM, "You are not in client_networks ([spamd])"))
TOO_MANY = refusal(Refused(Exit.TEMPFAIL, "Too many connections, try again later"))


class SpamdServer:
    """Serves sockets that listen already and may be shared with other workers."""

    def __init__(self, service: Service, settings: Spamd, reports: Reports, sockets: list[socket.socket]) -> None:
        self._service = service
        self._settings = settings
        self._reports = reports if settings.allow_tell else None
        self._reception = Reception(sockets, HalfOpen, self._serve, self._refusal, service.log)

    def start(self) -> None:
        """Accept from now on."""
        self._reception.start()

    async def drain(self, seconds: float) -> int:
        """Stop accepting, let requests under way be answered, and hang up on who is left after `seconds`: how many those were."""
        return await self._reception.drain(seconds)

    async def _serve(self, connection: HalfOpen, client: Client) -> None:
        settings = self._settings
        await Session(connection, client, self._service, self._reports, settings.max_size, float(settings.timeout)).run()

    def _refusal(self, client: Client, connections: int, _of_client: int) -> bytes | None:
        if not self._settings.client_networks.match(client.address):
            self._service.log.warning("client_not_allowed", way_in="spamd", client=client.address)
            return NOT_YOU
        return TOO_MANY if connections >= self._settings.max_connections else None
