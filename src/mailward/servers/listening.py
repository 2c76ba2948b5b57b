"""Sockets that the supervisor binds and the workers share."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from functools import cache
from pathlib import Path

from mailward.gateway.settings import UNIX, host_and_port

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
    """Listen on every address of `host:port`, or on `unix:/path`; on a socket that was handed over where there is one. Raises `CannotListen`."""
    if place.startswith(UNIX):
        return [_bind_file(Path(place.removeprefix(UNIX)))]
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


def _bind_file(path: Path) -> socket.socket:
    """Listen on a socket file, for its owner and the group of its folder. One that nobody listens on any more is replaced."""
    for handed in handed_over():
        if handed.family == socket.AF_UNIX and handed.getsockname() == str(path):
            return handed.dup()
    until = time.monotonic() + BIND_SECONDS
    while _is_served(path):
        if time.monotonic() > until:
            raise CannotListen(f"{UNIX}{path}: {os.strerror(errno.EADDRINUSE)}")
        time.sleep(0.05)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()
        listening.bind(str(path))
        with contextlib.suppress(PermissionError):
            os.chown(path, -1, path.parent.stat().st_gid)
        path.chmod(0o660)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListen(f"{UNIX}{path}: {error.strerror}") from error
    return listening


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
        probe.connect(str(path))
        return True
    return False


def name(listening: socket.socket) -> str:
    """The address as `host:port`, or `unix:/path`."""
    if listening.family == socket.AF_UNIX:
        return f"{UNIX}{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
