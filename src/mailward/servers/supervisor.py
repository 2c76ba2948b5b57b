"""The first process: binds, loads, forks, and keeps its children alive: workers for mail, and the services. It touches no mail.

Everything large is loaded before the first fork, so that workers share its memory. Signals: SIGTERM and SIGINT drain and
stop, SIGHUP starts new workers with what settings, policy and model say now and drains the old ones.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from mailward.gateway import Gateway, Settings
from mailward.policy import DocumentError
from mailward.quarantine import Vault
from mailward.servers import children, log, upkeep, worker
from mailward.servers.children import Slot, Sockets
from mailward.servers.smtp.service import tls_context
from mailward.storage import StorageError

QUICK_DEATH_SECONDS = 5.0  # a worker that lived shorter is replaced with growing delay
FIRST_DELAY, LAST_DELAY = 0.2, 5.0  # a fork is cheap, and a gateway without workers is worse
KILL_SECONDS = worker.DRAIN_SECONDS + 5.0  # from SIGTERM to SIGKILL
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(slots=True)
class Child:
    """One process below us. A slot that is a number is a worker's: mail is served once all workers are ready."""

    pid: int
    slot: Slot
    generation: int
    started: float
    pipe: int  # readable once it serves, or is dead
    ready: bool = False
    kill_at: float | None = None  # it was told to stop


def serve(settings: Settings, reread: Callable[[], Settings] | None = None) -> int:
    """Run the gateway until SIGTERM. `reread` gives the settings anew on SIGHUP. Returns the exit code."""
    log.configure()
    try:
        supervisor = Supervisor(settings, reread)
    except (OSError, ValueError, DocumentError, StorageError) as error:
        print(f"mailward: {error}", file=sys.stderr)
        return 1
    return supervisor.run()


class Supervisor:
    """Raises OSError, ValueError, DocumentError or StorageError with words for an administrator when it cannot start."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings] | None) -> None:
        self._log = structlog.get_logger("mailward.supervisor")
        self._reread = reread
        self._settings = settings
        self._pid = os.getpid()
        _allow_descriptors()
        _prepare_folder(settings, self._log)
        tls_context(settings)  # a certificate that cannot be read stops us here, not in every worker
        self._sockets = children.bind(settings)
        self._gateway = Gateway.open(settings)
        self._children: dict[int, Child] = {}
        self._generation = 1
        self._due: list[tuple[float, Slot]] = []  # when which slot is filled again
        self._deaths: dict[Slot, int] = {}  # quick deaths in a row of a slot
        self._old: tuple[Settings, Gateway, Sockets] | None = None  # kept until the new generation serves
        self._stopping = self._announced = False
        self._next_upkeep = time.monotonic() + upkeep.FIRST_SECONDS
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        wake_read, wake_write = socket.socketpair()
        for end in (wake_read, wake_write):
            end.setblocking(False)
        for number in SIGNALS:
            signal.signal(number, _noted)
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        self._selector.register(wake_read, selectors.EVENT_READ)
        self._start_generation()
        self._look_if_ready()
        while self._children or not self._stopping:
            for key, _ in self._selector.select(self._pause()):
                if key.fileobj is wake_read:
                    self._signals(set(wake_read.recv(4096)))
                else:
                    self._heard(key.fd)
            self._reap()
            self._look_at_the_clock()
        self._log.info("stopped")
        return 0

    # Workers

    def _start_generation(self) -> None:
        gc.collect()
        gc.freeze()  # what is loaded by now is never looked at by the collector again, so its pages stay shared
        self._deaths.clear()
        self._due.clear()
        for slot in children.slots(self._settings):
            self._fork(slot)

    def _fork(self, slot: Slot) -> None:
        read, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            self._live(slot, write)
        os.close(write)
        self._children[pid] = Child(pid, slot, self._generation, time.monotonic(), read)
        self._selector.register(read, selectors.EVENT_READ)

    def _live(self, slot: Slot, pipe: int) -> None:
        """The rest of a child's life."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for ignored in (signal.SIGINT, signal.SIGHUP):  # of a terminal, sent to all of us; the supervisor answers it
                signal.signal(ignored, signal.SIG_IGN)
            self._selector.close()
            self._close_old_sockets()
            for other in self._children.values():
                with contextlib.suppress(OSError):
                    os.close(other.pipe)
            code = children.run(slot, self._settings, self._gateway, self._sockets, self._pid, lambda: _tell(pipe))
        except BaseException:
            self._log.exception("child_failed", slot=slot)
        finally:
            with contextlib.suppress(Exception):
                sys.stderr.flush()
            os._exit(code)

    def _heard(self, pipe: int) -> None:
        """A child said it is ready, or closed its pipe by dying."""
        self._selector.unregister(pipe)
        child = next((w for w in self._children.values() if w.pipe == pipe), None)
        said = os.read(pipe, 1)
        os.close(pipe)
        if child is None:
            return
        child.pipe = -1
        child.ready = said == b"R"
        self._look_if_ready()

    def _look_if_ready(self) -> None:
        """Mail is served from now on when all workers are ready. The services follow: their sockets are open already."""
        current = [child for child in self._children.values() if child.generation == self._generation and isinstance(child.slot, int)]
        wanted = children.workers(self._settings)
        if len(current) == len(wanted) and all(child.ready for child in current):
            self._all_ready()

    def _all_ready(self) -> None:
        if self._old is not None:
            self._close_old_sockets()
            self._old = None
            self._stop(
                [child for child in self._children.values() if child.generation < self._generation and child.slot != children.UPKEEP]
            )
            self._log.info("reloaded", policy=self._gateway.policy.digest, generation=self._generation)
        if not self._announced:
            self._announced = True
            places, count = self._sockets.places, len(children.workers(self._settings))
            print(f"mailward ready: {places}, {count} workers, process {self._pid}", flush=True)
            self._log.info("ready", places=places, workers=count, policy=self._gateway.policy.digest)
            _notify_systemd("READY=1")

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is not None:
                self._died(child, status)

    def _died(self, child: Child, status: int) -> None:
        if child.pipe >= 0:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
        if child.slot == children.UPKEEP or child.kill_at is not None or self._stopping:
            return
        lived = time.monotonic() - child.started
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.waitstatus_to_exitcode(status)}"
        if self._old is not None and child.generation == self._generation and not child.ready and isinstance(child.slot, int):
            self._log.error("reload_failed", reason=f"a new worker died at once ({how}); the old ones stay")
            self._back_to_old()
            return
        if child.generation < self._generation:
            return  # its successor is there or on its way; if that fails, `_back_to_old` replaces it
        deaths = self._deaths[child.slot] = self._deaths.get(child.slot, 0) + 1 if lived < QUICK_DEATH_SECONDS else 0
        delay = min(LAST_DELAY, FIRST_DELAY * 2 ** (deaths - 2)) if deaths > 1 else 0.0  # the first one is replaced at once
        self._log.error(
            "child_died", slot=child.slot, pid=child.pid, how=how, lived_seconds=round(lived, 1), replaced_in_seconds=round(delay, 1)
        )
        self._due.append((time.monotonic() + delay, child.slot))

    def _stop(self, going: list[Child]) -> None:
        """Ask to drain; SIGKILL follows when that takes too long."""
        for child in going:
            if child.kill_at is None:
                child.kill_at = time.monotonic() + KILL_SECONDS
                _kill(child.pid, signal.SIGTERM)

    # Clock and signals

    def _pause(self) -> float:
        """Seconds until something is due."""
        times = [when for when, _ in self._due] + [w.kill_at for w in self._children.values() if w.kill_at is not None]
        return max(0.0, min([*times, self._next_upkeep, time.monotonic() + 60.0]) - time.monotonic())

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if child.kill_at is not None and child.kill_at < now:
                self._log.warning("child_killed", slot=child.slot, pid=child.pid)
                _kill(child.pid, signal.SIGKILL)
                child.kill_at = now + KILL_SECONDS
        if self._stopping:
            return
        due = [slot for when, slot in self._due if when <= now]
        self._due = [(when, slot) for when, slot in self._due if when > now]
        for slot in due:
            self._fork(slot)
        if now >= self._next_upkeep:
            self._next_upkeep = now + upkeep.EVERY_SECONDS
            self._fork(children.UPKEEP)

    def _signals(self, numbers: set[int]) -> None:
        if numbers & {signal.SIGTERM, signal.SIGINT}:
            self._shut_down()
        elif signal.SIGHUP in numbers and not self._stopping:
            self._reload()

    def _shut_down(self) -> None:
        if self._stopping:  # asked twice: now
            for child in self._children.values():
                _kill(child.pid, signal.SIGKILL)
            return
        self._stopping = True
        self._log.info("stopping", seconds=worker.DRAIN_SECONDS)
        _notify_systemd("STOPPING=1")
        for listens in self._sockets.all:
            listens.close()
        self._stop(list(self._children.values()))

    # Reload

    def _reload(self) -> None:
        """Take up settings, policy and model as they are now; what cannot be used is named in the log and the old stays."""
        if self._old is not None:
            self._log.warning("reload_failed", reason="another reload is under way")
            return
        try:
            settings = self._reread() if self._reread else self._settings
            tls_context(settings)
            gateway = Gateway.open(settings)
            gateway.counters = self._gateway.counters  # go on counting
            sockets = children.bind(settings, (self._settings, self._sockets))
        except Exception as error:  # whatever is wrong with the new, the old goes on serving
            self._log.error("reload_failed", reason=str(error), error=type(error).__name__)
            return
        self._old = (self._settings, self._gateway, self._sockets)
        self._settings, self._gateway, self._sockets = settings, gateway, sockets
        self._generation += 1
        self._start_generation()
        self._look_if_ready()  # nobody to wait for, where no mail is served

    def _close_old_sockets(self) -> None:
        for old in self._old[2].all if self._old is not None else ():
            if old not in self._sockets.all:
                old.close()

    def _back_to_old(self) -> None:
        assert self._old is not None
        self._stop([w for w in self._children.values() if w.generation == self._generation])
        for new in self._sockets.all:
            if new not in self._old[2].all:
                new.close()
        self._settings, self._gateway, self._sockets = self._old
        self._old = None
        left = [child for child in self._children.values() if child.kill_at is None and child.slot != children.UPKEEP]
        for child in left:
            child.generation = self._generation
        filled = {child.slot for child in left}
        for slot in children.slots(self._settings):
            if slot not in filled:
                self._fork(slot)


def _prepare_folder(settings: Settings, logger: structlog.typing.FilteringBoundLogger) -> None:
    """Make the state folder. A full disk stops quarantine, not the gateway."""
    try:
        settings.state_folder.mkdir(parents=True, exist_ok=True)
        Vault(settings.quarantine_folder).prepare()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        logger.error("state_folder_full", folder=str(settings.state_folder), error=str(error))


def _allow_descriptors() -> None:
    """Take as many file descriptors as we may have: a client needs two, and the usual 1,024 are soon used up."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tell(pipe: int) -> None:
    os.write(pipe, b"R")
    os.close(pipe)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _noted(_number: int, _frame: object) -> None:
    """Signals are read from the wake-up socket; a handler has to be there for that."""


def _notify_systemd(state: str) -> None:
    """Tell systemd (Type=notify) if it started us."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(state.encode(), "\0" + place[1:] if place.startswith("@") else place)
