"""Real processes for tests: `mailward serve`, a next hop, and a client that talks SMTP line by line."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from mailward import storage
from mailward.gateway import Settings
from mailward.reputation.address import source
from mailward.reputation.evidence import SPOOL, Evidence, EvidenceKind, append, parse
from mailward.reputation.ip.standard import StandardDatabase
from mailward.reputation.snapshot import FOLLOW_SECONDS, Table

SINK = Path(__file__).with_name("sink.py")
EXTENSIONS = ("PIPELINING", "SIZE=10000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
BLOCKED = "blocked.example"  # a sender at this domain is spam in the policies below


def free_port() -> int:
    """A port nobody has, below those the kernel gives to outgoing connections: it stays free while its server is restarted."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(true: Callable[[], Any], seconds: float = 10.0, what: str = "it") -> Any:
    """Wait for something to become true and return it; fail after that many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} seconds for {what}")


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@dataclass
class Kept:
    """A message the next hop accepted."""

    mail: str
    rcpt: list[str]
    told: list[str]
    raw: bytes


@dataclass
class Sink:
    """A next hop process; see sink.py for how it is steered."""

    folder: Path
    port: int = field(default_factory=free_port)
    extensions: tuple[str, ...] = EXTENSIONS
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Sink:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(SINK), str(self.port), str(self.folder), *self.extensions]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        process = self.process
        wait_until(lambda: listens(self.port) or process.poll() is not None, what="the next hop")
        assert process.poll() is None, "the next hop did not start"
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    stop = kill

    @property
    def files(self) -> set[Path]:
        return set(self.folder.glob("*.msg"))

    @property
    def kept(self) -> list[Kept]:
        return [self.read(path) for path in sorted(self.files)]

    @staticmethod
    def read(path: Path) -> Kept:
        head, _, raw = path.read_bytes().partition(b"\n")
        return Kept(**json.loads(head), raw=raw)


@dataclass
class Served:
    """A `mailward serve` process with its own state folder."""

    folder: Path
    next_hop: int | None
    smtp: dict[str, Any] = field(default_factory=dict)
    policy: str = ""
    dns: dict[str, Any] = field(default_factory=lambda: {"listen": "", "servers": ["127.0.0.1:1"]})  # where nobody answers
    console: dict[str, Any] = field(default_factory=lambda: {"listen": ""})
    milter: dict[str, Any] = field(default_factory=lambda: {"listen": ""})
    http: dict[str, Any] = field(default_factory=lambda: {"listen": ""})
    spamd: dict[str, Any] = field(default_factory=lambda: {"listen": ""})
    reputation: dict[str, Any] = field(default_factory=dict)
    urls: dict[str, Any] = field(default_factory=dict)
    workers: int = 2
    state: Path | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> Served:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configure()
        if self.policy and not Path(self.settings.database).exists():
            self.save_policy(self.policy)
        self.run(wait=wait)
        return self

    def run(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log, self.out.open("wb") as out:
            command = [sys.executable, "-m", "mailward", "serve", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=out, stderr=log)
        if wait:
            wait_until(lambda: self.is_ready() or self.process is None or self.process.poll() is not None, 20, "mailward serve")
            assert self.process.poll() is None, self.log.read_text()[-3000:]

    def configure(self) -> None:
        hop = "" if self.next_hop is None else f"127.0.0.1:{self.next_hop}"
        smtp = {"listen": f"127.0.0.1:{self.port}", "next_hop": hop, "hostname": "gw.example.test", "timeout": 20} | self.smtp
        state = {"folder": str(self.state or self.folder / "state")}
        tables = {"state": state, "smtp": smtp, "dns": self.dns, "console": self.console, "reputation": self.reputation}
        tables |= {"milter": self.milter, "http": self.http, "spamd": self.spamd, "urls": self.urls}
        self.config.write_text(tomli_w.dumps({"workers": self.workers, **tables}))

    def save_policy(self, toml: str) -> None:
        store = storage.open(self.settings.storage_url)
        try:
            store.save_policy(toml, "test", "", time.time())
        finally:
            store.close()

    def list_source(self, address: str, database: str = "standard") -> None:
        """Have our own database list an address, as the service itself comes to it; returns when workers can see it."""
        settings, now, found = self.settings, time.time(), source(address)
        assert found is not None
        if database == "standard":
            standard = StandardDatabase(settings.reputation_folder, settings.snapshots_folder)
            standard.promote(found, "bad for days", now, now + 86_400)
            standard.publish(now)
        else:
            append(settings.reputation_folder, [Evidence(now, EvidenceKind.TRAP, found, by="test", detail="trap@example.org")] * 10)
        table = Table(settings.snapshots_folder / f"{database}.ips")
        wait_until(lambda: table.follow(force=True) and table.find(found, time.time(), 2), 30, f"{address} to be listed")
        time.sleep(FOLLOW_SECONDS)  # so often do workers look for a newer file

    def learned(self) -> list[Evidence]:
        """The evidence this gateway has passed on so far."""
        spool = self.settings.reputation_folder / SPOOL
        return [piece for line in spool.read_text().splitlines() if (piece := parse(line))] if spool.exists() else []

    @property
    def config(self) -> Path:
        return self.folder / "mailward.toml"

    @property
    def log(self) -> Path:
        return self.folder / "serve.log"

    @property
    def out(self) -> Path:
        return self.folder / "serve.out"

    @property
    def settings(self) -> Settings:
        return Settings.load(self.config)

    def is_ready(self) -> bool:
        return self.out.exists() and "mailward ready" in self.out.read_text()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def worker_pids(self) -> list[int]:
        return self.pids("smtp")

    def pids(self, name: str = "") -> list[int]:
        """Processes below the supervisor, all or those of one name ("smtp", "ctrl", "dns")."""
        found = []
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if Path(f"/proc/{pid}/comm").read_text().strip() == f"mailward:{name}" or not name:
                        found.append(int(pid))
        return found

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """What was logged; lines that are not ours are left out."""
        found = []
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if not name or event.get("event") == name:
                    found.append(event)
        return found

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.kill()

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def serving(folder: Path, *, sink: tuple[str, ...] | None = EXTENSIONS, **more: Any) -> Iterator[tuple[Served, Sink]]:
    """A gateway with a next hop behind it; `sink=None` leaves the next hop down."""
    hop = Sink(folder / "sink", extensions=sink or ())
    if sink is not None:
        hop.start()
    served = Served(folder / "gateway", hop.port, **more)
    try:
        yield served.start(), hop
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            served.stop()
        hop.stop()


def blocking(action: str, **settings: str) -> str:
    """A policy that does this to mail from BLOCKED and lets everything else pass."""
    more = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    return (
        f'[content_scanning.target]\nlevel = "low"\nblocked_senders = ["{BLOCKED}"]\n\n'
        f'[content_scanning.action]\naction = "{action}"\n{more}'
    )


class Talk:
    """One SMTP client that says exactly what it is told."""

    def __init__(self, port: int, *, greet: bool = True, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if greet:
            self.greeting = self.hear()

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> str:
        """One line; ConnectionError when there is none."""
        while b"\r\n" not in self.buffer:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError(f"closed after {self.buffer!r}")
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode()

    def hear(self) -> str:
        """One whole reply, its lines joined by newlines."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def say(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return self.hear()

    def closed(self) -> bool:
        """Whether the other side has hung up and sent nothing more."""
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def mail(self, sender: str = "a@example.com", to: str = "b@example.org", body: str = "", subject: str = "x") -> str:
        """A whole message after EHLO; the reply to its end, or to the command that was refused."""
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"):
            answer = self.say(line)
            if answer[0] not in "23":
                return answer
        self.send(f"From: {sender or 'daemon@example.com'}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{body}\r\n.\r\n".encode())
        return self.hear()
