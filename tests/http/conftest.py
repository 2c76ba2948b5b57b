"""A gateway that is asked by HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.running import Served, blocking, free_port, serving

CLEAN = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: lunch\r\nMessage-ID: <lunch@example.com>\r\n\r\nAt noon?\r\n"
BLOCKED_FROM = "x@blocked.example"


@contextmanager
def asking(folder: Path, policy: str = blocking("junk"), **settings: Any) -> Iterator[Served]:
    """`mailward serve` with nothing but HTTP, and no SMTP."""
    place = {"listen": f"127.0.0.1:{free_port()}", "timeout": 5}
    with serving(folder, sink=None, smtp={"listen": ""}, policy=policy, http=place | settings) as (served, _):
        yield served


def port(served: Served) -> int:
    return int(served.http["listen"].rpartition(":")[2])
