"""Sockets that the supervisor binds and the workers share."""

from __future__ import annotations

import errno
import os
import socket
import time
from functools import cache

from mailward.gateway.settings import host_and_port

BACKLOG = 512  # connections that wait while all workers are busy; they survive the death of a worker
_FIRST_HANDED = 3  # SD_LISTEN_FDS_START
BIND_SECONDS = 3.0  # the workers of a supervisor that was just killed need a moment to let go


class CannotListen(OSError):  # noqa: N818
    """An address cannot be bound; the text says which and why."""


@cache
def handed_over() -> tuple[socket.socket, ...]:
    """The stream sockets that systemd holds for us (sd_listen_fds(3)): they stay open, and connections wait, while we are restarted."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return ()
    count = os.environ.get("LISTEN_FDS", "")
    given = [socket.socket(fileno=number) for number in range(_FIRST_HANDED, _FIRST_HANDED + int(count))] if count.isdecimal() else []
    for each in given:
        os.set_inheritable(each.fileno(), False)
    return tuple([each for each in given if each.type == socket.SOCK_STREAM])


def bind(place: str) -> list[socket.socket]:
    """Listen on every address of `host:port`, on a socket that was handed over where there is one. Raises `CannotListen`."""
    host, port = host_and_port(place)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise CannotListen(f"{place}: {error.strerror}") from error
    return [_bind(family, address, place) for family, address in dict.fromkeys((f, a) for f, _, _, _, a in found)]


def _bind(family: int, address: tuple[object, ...], place: str) -> socket.socket:
    for handed in handed_over():
        if handed.family == family and handed.getsockname()[:2] == address[:2]:
            return handed.dup()
    until = time.monotonic() + BIND_SECONDS
    while True:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise CannotListen(f"{place}: {error.strerror}") from error
            time.sleep(0.05)
        else:
            return listening


def name(listening: socket.socket) -> str:
    """The address as `host:port`."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
