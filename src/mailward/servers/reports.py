"""Reports of people that come by the network: stored one by one, made to count together."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from mailward import storage
from mailward.gateway import Gateway
from mailward.learning import feedback
from mailward.message import Envelope, parse
from mailward.storage import Storage, StorageError

PUBLISH_SECONDS = 1.0  # reports that come within this time are made to count together: that replays all reports there are
LOCK = "reports.lock"

Result = TypeVar("Result")
log = structlog.get_logger("mailward.reports")


class Reports:
    """One a worker. A thread of its own does the work, one report after the other."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._thread = ThreadPoolExecutor(1, "reports")
        self._due: asyncio.TimerHandle | None = None

    async def add(self, raw: bytes, kind: str, who: str, envelope: Envelope) -> None:
        """Report a message as "ham" or "spam"; it is stored on return, and counts a second later. Raises StorageError."""
        await self._beside(self._add, raw, kind, who, envelope)
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(PUBLISH_SECONDS, self._publish_soon)

    async def take_back(self, raw: bytes) -> bool:
        """Undo the newest report of that message that counts. False where there is none. Raises StorageError."""
        return await self._beside(self._take_back, raw)

    async def count(self) -> int:
        """How many reports count, 0 where nobody can tell."""
        try:
            return await self._beside(self._count)
        except StorageError:
            return 0

    async def _beside(self, work: Callable[..., Result], *given: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def close(self) -> None:
        """Return when every stored report counts."""
        if self._due is not None:
            self._due.cancel()
            self._publish_soon()
        self._thread.shutdown()

    def _publish_soon(self) -> None:
        self._due = None
        self._thread.submit(self._publish)

    def _add(self, raw: bytes, kind: str, who: str, envelope: Envelope) -> None:
        with self._opened() as store:
            feedback.report(store, self._gateway, raw, kind, who, envelope)

    def _take_back(self, raw: bytes) -> bool:
        message_id = parse(raw).message_id
        with self._opened() as store, self._locked():
            found = [report.id for report in store.reports() if report.message_id == message_id] if message_id else []
            return bool(found) and feedback.undo(store, self._gateway, found[-1])

    def _count(self) -> int:
        with self._opened() as store:
            return sum(1 for _ in store.reports())

    def _publish(self) -> None:
        try:
            with self._opened() as store, self._locked():
                feedback.publish(store, self._gateway)
        except Exception as error:  # the reports are stored: the next one makes them count
            log.exception("reports_not_published", error=str(error))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Storage]:
        store = storage.open(self._gateway.settings.storage_url)
        try:
            yield store
        finally:
            store.close()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time, or the model of one that read fewer reports could take the place of a newer one."""
        with (self._gateway.settings.state_folder / LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
