"""One worker process: the sockets it inherited, the gateway it shares, one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Callable

import structlog

from mailward.gateway import Gateway, Settings
from mailward.servers.smtp import Service, SmtpServer

DRAIN_SECONDS = 30.0  # for messages under way when the worker is told to stop
CLOSE_SECONDS = 15  # for what is left after draining: storing the last records
_PR_SET_PDEATHSIG = 1


def run(settings: Settings, gateway: Gateway, sockets: list[socket.socket], supervisor: int, ready: Callable[[], None]) -> int:
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


async def _serve(settings: Settings, gateway: Gateway, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    service = Service(settings, gateway)
    server = SmtpServer(service, sockets)
    server.start()
    ready()
    await stop.wait()
    left = await server.drain(DRAIN_SECONDS)
    if left:
        structlog.get_logger().warning("drain_cut_short", connections=left, seconds=DRAIN_SECONDS)
    service.close()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is present, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
