"""One worker process: the sockets it inherited, the gateway it shares, one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from mailward.gateway import Gateway, Settings
from mailward.servers.http import HttpServer
from mailward.servers.milter import MilterServer
from mailward.servers.reports import Reports
from mailward.servers.smtp import Service, SmtpServer
from mailward.servers.spamd import SpamdServer

DRAIN_SECONDS = 30.0  # for messages under way when the worker is told to stop
CLOSE_SECONDS = 15  # for what is left after draining: storing the last records
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class WaysIn:
    """The sockets of everything that brings messages."""

    smtp: tuple[socket.socket, ...] = ()
    milter: tuple[socket.socket, ...] = ()
    http: tuple[socket.socket, ...] = ()
    spamd: tuple[socket.socket, ...] = ()


def run(settings: Settings, gateway: Gateway, sockets: WaysIn, supervisor: int, ready: Callable[[], None]) -> int:
    """Serve until SIGTERM, then drain. `ready` is called when connections are accepted. Returns the exit code."""
    if not die_with(supervisor):
        return 0
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(settings, gateway, sockets, ready))
        signal.alarm(CLOSE_SECONDS)  # whatever hangs from here on, the process ends
    gateway.close()
    return 0


def die_with(supervisor: int) -> bool:
    """Have the kernel send us SIGTERM when the supervisor dies, however it dies. False when it is dead already."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    return os.getppid() == supervisor


async def _serve(settings: Settings, gateway: Gateway, sockets: WaysIn, ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    service = Service(settings, gateway)
    reports = Reports(gateway)
    servers = (
        SmtpServer(service, list(sockets.smtp)),
        MilterServer(service, settings.milter, list(sockets.milter)),
        HttpServer(service, settings.http, reports, list(sockets.http)),
        SpamdServer(service, settings.spamd, reports, list(sockets.spamd)),
    )
    for server in servers:
        server.start()
    ready()
    await stop.wait()
    left = sum(await asyncio.gather(*[server.drain(DRAIN_SECONDS) for server in servers]))
    if left:
        structlog.get_logger().warning("drain_cut_short", connections=left, seconds=DRAIN_SECONDS)
    reports.close()
    service.close()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is present, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
