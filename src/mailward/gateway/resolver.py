"""Questions to the DNS: bounded in number and time, each asked once, answers remembered for all workers (aiodns, c-ares)."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar, cast

import aiodns
import pycares
from aiodns.error import DNSError

from mailward.gateway.dnscache import DnsCache
from mailward.reputation.dnsbl.reading import MAX_ADDRESSES, NOTHING, Failure, Response

CHANNEL_QUESTIONS = 20_000  # c-ares keeps answers without bound, up to an hour: a channel is replaced before that hurts (about 10 MB)
CHANNEL_SECONDS = 60.0
TRIES = 2  # the second waits twice as long as the first

_FAILURES: Mapping[int, Failure] = MappingProxyType(
    {
        pycares.errno.ARES_ETIMEOUT: Failure.TIME_OUT,
        pycares.errno.ARES_ESERVFAIL: Failure.SERVFAIL,
        pycares.errno.ARES_EREFUSED: Failure.REFUSED,
        pycares.errno.ARES_ECONNREFUSED: Failure.NO_SERVER,
        pycares.errno.ARES_EBADRESP: Failure.GARBAGE,
        pycares.errno.ARES_EFORMERR: Failure.GARBAGE,
    }
)
Read = TypeVar("Read")
Asked = asyncio.Future[pycares.DNSResult]

_NO_SUCH_NAME = (pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA)


ERRORS = (pycares.AresError, OSError, RuntimeError, ValueError)  # no sockets left, a server that is no address


class DnsResolver:
    """Asks the DNS. Make it before forking; it opens sockets with its first question, in the loop that asks.

    `servers` are host:port, none means those of the system. `timeout` in seconds for one question with its repetition;
    `in_flight` questions are under way at most, whoever comes later waits. Without a cache every question goes out.
    """

    def __init__(self, servers: Sequence[str], timeout: float, in_flight: int, cache: DnsCache | None = None) -> None:
        self._servers = list(servers)
        self._timeout = timeout
        self._in_flight = in_flight
        self._cache = cache
        self._channel: _Channel | None = None

    def cached(self, name: str) -> Response | None:
        """What is remembered of an earlier answer."""
        return self._cache.get(name) if self._cache is not None else None

    def remember(self, name: str, response: Response) -> None:
        """Keep an answer as long as it says."""
        if self._cache is not None:
            self._cache.put(name, response)

    async def ask(self, name: str, *, hold: bool = False) -> Response:
        """The A records of a name. Never raises (but when cancelled).

        The answer is remembered; with `hold` only where it has no addresses, and the caller says `remember` once it believes them.
        """
        found = self.cached(name)
        if found is not None:
            return found
        try:
            response = await self._open().ask(name, "A", _response)
        except ERRORS:
            return Response(failure=Failure.OTHER)
        if not (hold and response.addresses):
            self.remember(name, response)
        return response

    async def query(self, name: str, kind: str, read: Callable[[str, Asked], Read]) -> Read:
        """Whatever `read` makes of the records of another type, without a memory. Raises ERRORS where nothing could be asked."""
        return await self._open().ask(name, kind, read)

    async def close(self) -> None:
        """Give up what is under way."""
        if self._channel is not None and self._channel.loop is asyncio.get_running_loop():
            await self._channel.dns.close()
        self._channel = None

    def _open(self) -> _Channel:
        """A channel of this loop that is not too old. What is under way in an old one is answered still; then it is gone."""
        loop, old = asyncio.get_running_loop(), self._channel
        if old is not None and old.loop is loop and old.asked < CHANNEL_QUESTIONS and loop.time() < old.made + CHANNEL_SECONDS:
            return old
        dns = _LoopResolver(self._servers or None, loop, timeout=max(self._timeout / 3, 0.05), tries=TRIES)
        places = old.places if old is not None and old.loop is loop else asyncio.Semaphore(self._in_flight)
        self._channel = _Channel(dns, loop, loop.time(), places)
        return self._channel


class _LoopResolver(aiodns.DNSResolver):
    """aiodns without its thread: the event loop watches the sockets of c-ares, which costs less (docs/decisions/0050).

    Should aiodns do this otherwise one day, the method below is not called any more, and the thread is back.
    """

    def _make_channel(self, **options: Any) -> tuple[bool, pycares.Channel]:
        me = weakref.ref(self)  # the channel must not keep its owner alive

        def changed(socket: int, readable: bool, writable: bool) -> None:
            owner = me()
            if owner is not None:
                owner._sock_state_cb(socket, readable, writable)

        return False, pycares.Channel(sock_state_cb=changed, timeout=self._timeout, **options)


@dataclass(slots=True)
class _Channel:
    """One channel of c-ares: its sockets, and what is asked through it."""

    dns: aiodns.DNSResolver
    loop: asyncio.AbstractEventLoop
    made: float
    places: asyncio.Semaphore
    asked: int = 0
    under_way: dict[tuple[str, str], asyncio.Future[Any]] = field(default_factory=dict)

    async def ask(self, name: str, kind: str, read: Callable[[str, Asked], Read]) -> Read:
        """What `read` makes of the answer; one function for each record type."""
        answer = self.under_way.get((name, kind))
        if answer is None:
            await self.places.acquire()
            answer = self.under_way.get((name, kind))  # somebody may have asked while we waited
            if answer is not None:
                self.places.release()
        return cast(Read, await asyncio.shield(answer or self._send(name, kind, read)))

    def _send(self, name: str, kind: str, read: Callable[[str, Asked], Any]) -> asyncio.Future[Any]:
        self.asked += 1
        answer: asyncio.Future[Any] = self.loop.create_future()

        def answered(asked: Asked) -> None:
            self.places.release()
            self.under_way.pop((name, kind), None)
            answer.set_result(read(name, asked))

        self.under_way[name, kind] = answer
        try:
            self.dns.query_dns(name, kind).add_done_callback(answered)
        except BaseException:
            self.places.release()
            del self.under_way[name, kind]
            raise
        return answer


def _response(name: str, asked: Asked) -> Response:
    error = None if asked.cancelled() else asked.exception()
    if asked.cancelled() or error is not None:
        number = error.args[0] if isinstance(error, DNSError) else None
        return NOTHING if number in _NO_SUCH_NAME else Response(failure=_FAILURES.get(number or 0, Failure.OTHER))
    return _addresses(name, asked.result().answer)


def _addresses(name: str, records: Sequence[pycares.DNSRecord]) -> Response:
    """The A records at the name, or at the end of its aliases; records of other names are not looked at."""
    if len(records) > 2 * MAX_ADDRESSES:
        return Response(failure=Failure.TOO_MANY)
    names = {name.lower()}
    addresses, ttl = [], 1 << 31
    for record in records:
        if record.name.lower() not in names:
            continue
        ttl = min(ttl, record.ttl)
        if isinstance(record.data, pycares.CNAMERecordData):
            names.add(record.data.cname.lower())
        elif isinstance(record.data, pycares.ARecordData):
            addresses.append(tuple(map(int, record.data.addr.split("."))))
    if len(addresses) > MAX_ADDRESSES:
        return Response(failure=Failure.TOO_MANY)
    if not addresses:
        return Response(failure=Failure.ALIAS) if len(names) > 1 else NOTHING
    return Response(tuple(addresses), ttl=ttl)
