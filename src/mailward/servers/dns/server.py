"""The process that answers our zones."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable

import structlog

from mailward.gateway.settings import Settings
from mailward.reputation.snapshot import FOLLOW_SECONDS
from mailward.servers import listening
from mailward.servers.dns.limits import RateLimit
from mailward.servers.dns.notify import Notifier
from mailward.servers.dns.service import Service
from mailward.servers.dns.tcp import TcpServer
from mailward.servers.dns.udp import UdpPort
from mailward.servers.worker import die_with, loop_factory

REPORT_SECONDS = 300.0  # one line in the log about what was asked


def bind(settings: Settings) -> list[socket.socket]:
    """UDP and TCP sockets on every address of `[dns] listen`; none where that is "". Raises `listening.CannotListen`."""
    if not settings.dns.listen:
        return []
    streams = listening.bind(settings.dns.listen)
    bound = list(streams)
    try:
        for stream in streams:  # the same address and, where the port was left to the system, the same port
            datagrams = socket.socket(stream.family, socket.SOCK_DGRAM)
            bound.append(datagrams)
            datagrams.bind(stream.getsockname())
    except OSError as error:
        for one in bound:
            one.close()
        raise listening.CannotListen(f"{settings.dns.listen} (UDP): {error.strerror}") from error
    return bound


def run(settings: Settings, sockets: list[socket.socket], supervisor: int, ready: Callable[[], None]) -> int:
    """Answer until SIGTERM. `ready` is called when questions are answered. Returns the exit code."""
    if not die_with(supervisor):
        return 0
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(settings, sockets, ready))
    return 0


async def serve(settings: Settings, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
    """Answer on these sockets until SIGTERM. Raises ValueError for a transfer key that cannot be read."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    service, notifier = Service(settings), Notifier(settings.reputation.secondaries)
    rate = RateLimit(settings.reputation.answers_per_second, settings.reputation.unlimited_networks)
    server = TcpServer(service, [one for one in sockets if one.type == socket.SOCK_STREAM])
    await server.start()
    for one in sockets:
        if one.type == socket.SOCK_DGRAM:
            port = UdpPort(one, service, rate)
            loop.add_reader(port.fileno(), port.drain)
    for zone in service.zones:
        notifier.notify(zone)  # who missed a change while we were away
    ready()
    await _follow(service, notifier, stop)
    server.close()
    notifier.close()


async def _follow(service: Service, notifier: Notifier, stop: asyncio.Event) -> None:
    """Take up new snapshots until told to stop."""
    report = time.monotonic() + REPORT_SECONDS
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), FOLLOW_SECONDS)
        for zone in service.follow():
            notifier.notify(zone)
        if stop.is_set() or time.monotonic() >= report:
            report = time.monotonic() + REPORT_SECONDS
            structlog.get_logger("mailward.dns").info("dns_answers", **service.counts)
