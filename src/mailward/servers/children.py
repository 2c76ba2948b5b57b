"""The processes below the supervisor: what each is called, which sockets it serves, and what it does with its life."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from mailward.gateway import Gateway, Settings
from mailward.servers import listening, upkeep, worker
from mailward.servers.dns import server as dns
from mailward.servers.worker import WaysIn

CONTROL, DNS, UPKEEP = "ctrl", "dns", "upkeep"
_PR_SET_NAME = 15

Slot = int | str  # a worker's number, or the name of a service; UPKEEP is no slot that has to be filled


@dataclass(frozen=True, slots=True)
class Sockets:
    """Everything bound, by way in. The supervisor binds, the children serve."""

    smtp: tuple[socket.socket, ...] = ()
    milter: tuple[socket.socket, ...] = ()
    http: tuple[socket.socket, ...] = ()
    spamd: tuple[socket.socket, ...] = ()
    dns: tuple[socket.socket, ...] = ()
    console: tuple[socket.socket, ...] = ()

    @property
    def all(self) -> tuple[socket.socket, ...]:
        return (*self.smtp, *self.milter, *self.http, *self.spamd, *self.dns, *self.console)

    @property
    def ways_in(self) -> WaysIn:
        """What workers serve."""
        return WaysIn(self.smtp, self.milter, self.http, self.spamd)

    @property
    def places(self) -> str:
        """Where we listen, in words."""
        ways = (
            ("SMTP", self.smtp),
            ("milter", self.milter),
            ("HTTP", self.http),
            ("spamd", self.spamd),
            ("DNS", self.dns),
            ("console", self.console),
        )
        return ", ".join(f"{name} on {' and '.join(dict.fromkeys(map(listening.name, bound)))}" for name, bound in ways if bound)


def bind(settings: Settings, old: tuple[Settings, Sockets] | None = None) -> Sockets:
    """Bind what the settings name; what `old` has bound at the same place is taken over. Raises `CannotListen` or ValueError."""
    if not any(place for place, _ in _ways(settings).values()):
        raise ValueError('nothing to serve: every table of the settings has listen = ""')
    before = {name: place for name, (place, _) in _ways(old[0]).items()} if old else {}
    bound: dict[str, tuple[socket.socket, ...]] = {}
    made: list[socket.socket] = []
    try:
        for name, (place, binds) in _ways(settings).items():
            if old and before[name] == place:
                bound[name] = getattr(old[1], name)
            elif place:
                bound[name] = tuple(binds())
                made.extend(bound[name])
    except (OSError, ValueError):
        for each in made:
            each.close()
        raise
    return Sockets(**bound)


def _ways(settings: Settings) -> dict[str, tuple[str, Callable[[], list[socket.socket]]]]:
    """Where each way in listens, and how it is bound. The names are those of `Sockets`."""
    return {
        "smtp": (settings.smtp.listen, lambda: listening.bind(settings.smtp.listen)),
        "milter": (settings.milter.listen, lambda: listening.bind(settings.milter.listen)),
        "http": (settings.http.listen, lambda: listening.bind(settings.http.listen)),
        "spamd": (settings.spamd.listen, lambda: listening.bind(settings.spamd.listen)),
        "dns": (settings.dns.listen, lambda: dns.bind(settings)),
        "console": (settings.console.listen, lambda: listening.bind(settings.console.listen)),
    }


def workers(settings: Settings) -> list[int]:
    """The slots of workers, which serve every way in: one for each core unless the settings say how many."""
    if not any(way.listen for way in (settings.smtp, settings.milter, settings.http, settings.spamd)):
        return []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return list(range(settings.workers or cores or 1))


def slots(settings: Settings) -> list[Slot]:
    """What has to run. Control always does: it keeps the reputation databases."""
    return [*workers(settings), CONTROL, *([DNS] if settings.dns.listen else [])]


def run(slot: Slot, settings: Settings, gateway: Gateway, sockets: Sockets, supervisor: int, ready: Callable[[], None]) -> int:
    """The life of a child. Returns its exit code."""
    _call_it("smtp" if isinstance(slot, int) else slot)
    match slot:
        case "upkeep":
            return upkeep.run(settings, gateway, supervisor)
        case "ctrl":
            from mailward.servers import control  # brings the web libraries, which nobody else needs

            return control.run(settings, gateway, list(sockets.console), supervisor, ready)
        case "dns":
            return dns.run(settings, list(sockets.dns), supervisor, ready)
        case _:
            return worker.run(settings, gateway, sockets.ways_in, supervisor, ready)


def _call_it(name: str) -> None:
    """Show the process under that name in `ps` and `top`, where the system can; it takes 15 letters."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, f"mailward:{name}"[:15].encode(), 0, 0, 0)
