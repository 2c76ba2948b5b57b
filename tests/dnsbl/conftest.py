"""Name servers for the tests of DNS lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dnsbl.nameserver import NameServer, running

from mailward.gateway.lists import Reputation
from mailward.gateway.settings import Settings


@pytest.fixture
def nameserver() -> Iterator[NameServer]:
    with running() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, nameserver: NameServer) -> Callable[..., Settings]:
    """Settings that ask the name server, with a short time-out; further [dns] settings by name."""

    def make(**dns: Any) -> Settings:
        return Settings.model_validate({"dns": {"servers": [nameserver.place], "timeout": 0.5, **dns}, "state": {"folder": str(tmp_path)}})

    return make


@pytest.fixture
def reputation(settings: Callable[..., Settings]) -> Reputation:
    return Reputation(settings())
