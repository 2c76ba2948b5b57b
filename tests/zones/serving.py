"""Real name servers for tests: our DNS process, rbldnsd, named, NSD, unbound; and tables for them to serve."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import dns.message
import dns.query
import dns.rcode
import numpy as np
import tomli_w
from tests.e2e.running import wait_until

from mailward.gateway.settings import Settings
from mailward.gateway.zones import own_zones
from mailward.reputation.address import source
from mailward.reputation.listing import Database, ListingKind
from mailward.reputation.snapshot import DYNAMIC_FILE, LEVEL_COLUMNS, STANDARD_FILE, write
from mailward.reputation.zone.export import rbldnsd
from mailward.reputation.zone.zone import Zone

STANDARD, DYNAMIC = "std.rep.internal", "dyn.rep.internal"
LOOKUP = "https://rep.example.com/lookup"
_SERVE = Path(__file__).with_name("serve.py")


def program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def free_port() -> int:
    """A port that is free by TCP and by UDP."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True)
class Row:
    """One listing of a test: "192.0.2.1", "192.0.2.0/24" or "192.0.2.1-192.0.2.9"."""

    where: str
    kind: ListingKind = ListingKind.KNOWN_SOURCE
    until: int = 0
    count: int = 0
    reason: str = "seen by spam traps"
    untils: tuple[int, ...] = ()  # dynamic: at level 1 to 4
    since: int = 1_700_000_000

    def ends(self) -> tuple[int, int, int]:
        import ipaddress

        if "/" in self.where:
            network = ipaddress.ip_network(self.where)
            return network.version, int(network[0]), int(network[-1])
        first, _, last = self.where.partition("-")
        start, end = source(first), source(last or first)
        assert start is not None
        assert end is not None
        return start.version, start.number, end.number


def publish(path: Path, rows: Iterable[Row], serial: int = 1) -> None:
    """Write a snapshot with these listings."""
    parts: dict[int, list[tuple[int, int, Row]]] = {4: [], 6: []}
    rows = list(rows)
    for row in rows:
        version, first, last = row.ends()
        parts[version].append((first, last, row))
    texts = sorted({row.reason for row in rows})
    dynamic = any(row.untils for row in rows) or path.name == DYNAMIC_FILE
    columns = {version: _columns(version, sorted(part, key=lambda one: one[0]), texts, dynamic) for version, part in parts.items()}
    write(path, columns[4], columns[6], texts, serial, time.time())


def _columns(version: int, part: Sequence[tuple[int, int, Row]], texts: list[str], dynamic: bool) -> dict[str, Any]:
    low = (1 << 64) - 1
    found: dict[str, Any] = {
        "kind": [row.kind.number for _, _, row in part],
        "since": [row.since for _, _, row in part],
        "count": [row.count for _, _, row in part],
        "reason": [texts.index(row.reason) for _, _, row in part],
    }
    if version == 4:
        found |= {"start": [first for first, _, _ in part], "end": [last for _, last, _ in part]}
    else:
        for name, shift in (("start", 0), ("end", 1)):
            found[name] = np.array([one[shift] >> 64 for one in part], dtype="<u8")
            found[f"{name}_low"] = np.array([one[shift] & low for one in part], dtype="<u8")
    if dynamic:
        found |= {name: [row.untils[at] if row.untils else row.until for _, _, row in part] for at, name in enumerate(LEVEL_COLUMNS)}
    else:
        found["until"] = [row.until for _, _, row in part]
    return found


class Server:
    """A process that is stopped at the end of a `with` block."""

    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass
class Serving(Server):
    """Our DNS process with a state folder of its own. `reputation` are settings of that table."""

    folder: Path
    reputation: dict[str, Any] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.snapshots.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "mailward.toml"
        self.log = self.folder / "dns.log"
        self.configure()

    def configure(self) -> None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        tables = {
            "state": {"folder": str(self.folder / "state")},
            "dns": {"listen": f"{host}:{self.port}"},
            "reputation": {"lookup_url": LOOKUP, **self.reputation},
        }
        self.config.write_text(tomli_w.dumps(tables))

    @property
    def snapshots(self) -> Path:
        return self.folder / "state" / "snapshots"

    @property
    def settings(self) -> Settings:
        return Settings.load(self.config)

    def zones(self) -> tuple[Zone, Zone]:
        return own_zones(self.settings)

    def publish(self, database: Database, rows: Iterable[Row], serial: int = 1) -> None:
        publish(self.snapshots / (STANDARD_FILE if database is Database.STANDARD else DYNAMIC_FILE), rows, serial)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, str(_SERVE), str(self.config)], stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", self.log.read_text()


@dataclass
class Program(Server):
    """A foreign server in the foreground, up when it answers for the zone."""

    folder: Path
    port: int = field(default_factory=free_port)
    zone: str = STANDARD

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self.log = self.folder / f"{type(self).__name__.lower()}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder)
        wait_until(lambda: self.process is None or self.process.poll() is not None or self.up(), 60, type(self).__name__)
        assert self.process.poll() is None, self.log.read_text()[-3000:]

    def up(self) -> bool:
        with contextlib.suppress(Exception):
            return query(self.port, self.zone, "SOA").rcode() == dns.rcode.NOERROR
        return False


class Rbldnsd(Program):
    """rbldnsd serving the export of a zone."""

    def __init__(self, folder: Path, zone: Zone) -> None:
        super().__init__(folder, zone=zone.name)
        self.file = folder / "rbldnsd.data"
        with self.file.open("w") as file:
            file.writelines(rbldnsd(zone, time.time()))
        self.file.chmod(0o644)

    def command(self) -> list[str]:
        path = program("rbldnsd")
        assert path is not None
        return [
            path,
            "-n",
            "-u",
            "nobody",
            "-b",
            f"127.0.0.1/{self.port}",
            "-w",
            str(self.folder),
            f"{self.zone}:combined:{self.file.name}",
        ]


def query(port: int, name: str, kind: str = "A", *, tcp: bool = False, timeout: float = 3.0, **more: Any) -> dns.message.Message:
    """Ask a server on this machine."""
    asked = dns.message.make_query(name, kind, **more)
    ask = dns.query.tcp if tcp else dns.query.udp
    return ask(asked, "127.0.0.1", port=port, timeout=timeout)


def asks(port: int, name: str, kind: str = "A") -> tuple[str, list[str]]:
    """The response code and the records, sorted, as text without their TTL."""
    answer = query(port, name, kind)
    return dns.rcode.to_text(answer.rcode()), sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)
