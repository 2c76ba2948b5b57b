"""A console as it is served: a real uvicorn in a thread, with databases on disk."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from mailward import console
from mailward.console.access import TOKEN_FILE
from mailward.gateway.settings import Settings
from mailward.reputation import evidence
from mailward.reputation.address import source
from mailward.reputation.evidence import Evidence, EvidenceKind
from mailward.reputation.ip.keeper import Keeper
from mailward.reputation.ip.standard import StandardDatabase

NODE_TOKEN = "node-two-token-0123456789"


@dataclass(slots=True)
class Served:
    """A console on a port of its own."""

    settings: Settings
    url: str

    @property
    def token(self) -> str:
        return (self.settings.state_folder / TOKEN_FILE).read_text().strip()

    @property
    def operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def node(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {NODE_TOKEN}"}

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False, **options)

    def observe(self, address: str, kind: EvidenceKind = EvidenceKind.SPAM, count: int = 1, by: str = "gateway", detail: str = "") -> None:
        """Evidence as the gateway gives it."""
        found = source(address)
        assert found is not None
        evidence.append(self.settings.reputation_folder, [Evidence(time.time(), kind, found, by=by, detail=detail)] * count)

    def keep(self) -> None:
        """What the control process does: learn and publish."""
        standard = StandardDatabase(self.settings.reputation_folder, self.settings.snapshots_folder)
        standard.publish_if_due(time.time())
        with Keeper(self.settings.reputation_folder, self.settings.snapshots_folder, standard) as keeper:
            keeper.catch_up(force=True)
            keeper.save(time.time())


def settings_in(folder: Path, **tables: Any) -> Settings:
    return Settings.model_validate({"state": {"folder": str(folder)}, **tables})


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    config = console.config(settings)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield Served(settings, f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start consoles; each keyword is a table of the settings."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(folder: str = "state", **tables: Any) -> Served:
            return stack.enter_context(serving(settings_in(tmp_path / folder, **tables)))

        yield start


@pytest.fixture
def served(serve: Serve) -> Served:
    return serve(reputation={"node_tokens": [f"node2:{NODE_TOKEN}"]})
