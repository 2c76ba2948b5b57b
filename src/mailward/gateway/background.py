"""Write things in the background, many at a time, so that no mail waits for the disk.

A disk that is full or a database that is locked costs what was to be written, never mail: it is kept for another try
while there is room, then dropped and counted, and the log says so at most once a minute.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, TypeVar

from mailward.storage import StorageError

EVERY_SECONDS = 0.5  # how long a thing may wait
BATCH = 200  # things that are written at once, without waiting
COMPLAIN_SECONDS = 60.0

log = logging.getLogger("mailward.gateway")
Item = TypeVar("Item")


class Background(ABC, Generic[Item]):
    """A queue and one thread. The thread starts with the first thing, in the process that adds it, so forking before is safe.

    `what` names the things in the log, `where` the place they go to; `room` is how many are kept while that cannot be written.
    """

    def __init__(self, what: str, where: str, room: int) -> None:
        self._what, self._where, self._room = what, where, room
        self.dropped = 0  # lost so far
        self._complained = float("-inf")
        self._reset()

    @abstractmethod
    def write(self, batch: list[Item]) -> None:
        """Write all or none. Raises OSError or StorageError; runs in the background thread."""

    def finish(self) -> None:
        """What is to be done at the end of the thread."""

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._waiting: deque[Item] = deque()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._writing = False
        self._urgent = False
        self._closing = False
        self._rounds = 0

    def add(self, item: Item) -> None:
        """Hand over one thing; never waits for the disk."""
        if self._pid != os.getpid():
            self._reset()  # the parent's thread and connection are not ours
        with self._change:
            if len(self._waiting) >= self._room:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(item)
            if self._thread is None:
                self._start()
            elif len(self._waiting) >= BATCH:
                self._change.notify_all()

    def flush(self, timeout: float = 10.0) -> None:
        """Wait until what was added before is stored, or one try to store it has failed."""
        if self._pid != os.getpid() or self._thread is None:
            return
        with self._change:
            goal = self._rounds + (2 if self._writing else 1)
            self._urgent = True
            self._change.notify_all()
            self._change.wait_for(lambda: self._rounds >= goal or (not self._waiting and not self._writing), timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Flush and end the thread."""
        if self._pid != os.getpid() or self._thread is None:
            return
        thread = self._thread
        with self._change:
            self._closing = True
            self._change.notify_all()
        thread.join(timeout)
        if not thread.is_alive():
            self._reset()

    def _start(self) -> None:
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=self._what, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closing or self._urgent or len(self._waiting) >= BATCH, EVERY_SECONDS)
                self._urgent = False
                closing = self._closing
                batch = list(self._waiting)
                self._waiting.clear()
                self._writing = True
            written = not batch or self._written(batch)
            with self._change:
                self._writing = False
                self._rounds += 1
                if not written:
                    self._keep(batch)
                self._change.notify_all()
            if closing:
                break
            if not written:
                time.sleep(EVERY_SECONDS)  # a database that refuses is not asked in a tight loop
        self.finish()

    def _written(self, batch: list[Item]) -> bool:
        try:
            self.write(batch)
        except (StorageError, OSError) as error:
            self._complain(error, len(batch))
            return False
        return True

    def _keep(self, batch: list[Item]) -> None:
        """Put a batch that could not be written back in front, as far as there is room."""
        room = max(0, self._room - len(self._waiting))
        self.dropped += max(0, len(batch) - room)
        self._waiting.extendleft(reversed(batch[len(batch) - room :] if room else []))

    def _complain(self, error: Exception, count: int) -> None:
        now = time.monotonic()
        if now - self._complained >= COMPLAIN_SECONDS:
            self._complained = now
            log.error(
                "%d %s wait because %s cannot be written: %s (%d dropped so far)", count, self._what, self._where, error, self.dropped
            )
