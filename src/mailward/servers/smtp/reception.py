"""Where connections come in, whatever is spoken on them: accepted, counted, let go."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from mailward.servers.smtp.client import Client, canonical
from mailward.servers.smtp.connection import Connection
from mailward.servers.smtp.service import client_group

REST_SECONDS = 0.5  # without accepting after the system refused (no file descriptors left)

Spoken = TypeVar("Spoken", bound=Connection)


class Reception(Generic[Spoken]):
    """Serves sockets that listen already and may be shared with other workers.

    `connection` makes one that calls what it is given once it is connected. `serve` talks to one client and raises nothing.
    `refusal` says why a connection is one too many, in the octets it hears before we hang up (none where the protocol has no words
    for it), or None; it is given the client, the number of all connections, and of those of that client.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        connection: Callable[[Callable[[Any], None]], Spoken],
        serve: Callable[[Spoken, Client], Coroutine[Any, Any, None]],
        refusal: Callable[[Client, int, int], bytes | None],
        log: Any,
    ) -> None:
        self._sockets = sockets
        self._connection = connection
        self._serve = serve
        self._refusal = refusal
        self._log = log
        self._sessions: dict[asyncio.Task[None], Connection] = {}
        self._arriving: set[asyncio.Task[tuple[asyncio.Transport, Spoken]]] = set()
        self._clients: Counter[str] = Counter()
        self._draining = False
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Accept from now on."""
        for listening in self._sockets:
            listening.setblocking(False)
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    async def drain(self, seconds: float) -> int:
        """Stop accepting, let messages under way end, and hang up on who is left after `seconds`: how many those were."""
        self._draining = True
        for listening in self._sockets:
            self._loop.remove_reader(listening.fileno())
            listening.close()
        for connection in self._sessions.values():
            connection.interrupt()
        until = self._loop.time() + seconds
        while self._sessions or self._arriving:  # who was accepted a moment ago is not a session yet
            if self._loop.time() >= until:
                return await self._cut_short()
            await asyncio.wait({*self._sessions, *self._arriving}, timeout=until - self._loop.time())
        return 0

    async def _cut_short(self) -> int:
        """Hang up on everybody. A cancelled session may miss that (Python 3.11's `wait_for`), a closed connection it cannot miss."""
        left = len(self._sessions)
        for task, connection in self._sessions.items():
            connection.abort()
            task.cancel()
        for arriving in self._arriving:
            arriving.cancel()
        await asyncio.wait({*self._sessions, *self._arriving}, timeout=1)
        return left

    def _accept(self, listening: socket.socket) -> None:
        """Take one connection; another worker may have been faster. One at a time, so that workers share the load."""
        try:
            accepted, address = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._log.error("accept_failed", error=str(error))
            self._loop.remove_reader(listening.fileno())
            self._loop.call_later(REST_SECONDS, self._accept_again, listening)
            return
        client = Client(address=_peer(address), port=str(address[1]) if len(address) > 1 else None)
        refusal = self._refusal(client, len(self._sessions), self._clients[client_group(client.address)])
        if refusal is not None:
            _turn_away(accepted, refusal)
            return
        accepted.setblocking(False)
        with contextlib.suppress(OSError):
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(lambda: self._connection(lambda made: self._begin(made, client)), accepted)
        )
        self._arriving.add(task)
        task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[tuple[asyncio.Transport, Spoken]]) -> None:
        self._arriving.discard(task)
        if not task.cancelled():
            task.exception()  # the client went away before we could greet; nothing to tell anybody

    def _accept_again(self, listening: socket.socket) -> None:
        if not self._draining:
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    def _begin(self, connection: Spoken, client: Client) -> None:
        group = client_group(client.address)
        self._clients[group] += 1
        task = self._loop.create_task(self._serve(connection, client))
        self._sessions[task] = connection
        if self._draining:
            connection.interrupt()

        def end(task: asyncio.Task[None]) -> None:
            del self._sessions[task]
            self._clients[group] -= 1
            if not self._clients[group]:
                del self._clients[group]
            connection.close()

        task.add_done_callback(end)


def _turn_away(accepted: socket.socket, refusal: bytes) -> None:
    with accepted, contextlib.suppress(OSError):
        accepted.setblocking(False)
        accepted.send(refusal)


def _peer(address: tuple[str, int] | tuple[str, int, int, int]) -> str | None:
    with contextlib.suppress(ValueError, IndexError):
        return canonical(address[0].partition("%")[0])
    return None
