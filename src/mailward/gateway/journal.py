"""What is remembered of every message, on its way to the storage."""

from __future__ import annotations

from pathlib import Path

from mailward import storage
from mailward.gateway.background import Background
from mailward.storage import Record, Storage

ROOM = 20_000  # records kept while the storage cannot be written; at 4 KB each 80 MB


class Journal(Background[Record]):
    """Records, written in batches by a thread that has the only connection of its process."""

    def __init__(self, url: str) -> None:
        self._url = url
        super().__init__("records", "the storage", ROOM)

    def _reset(self) -> None:
        super()._reset()
        self._storage: Storage | None = None

    def write(self, batch: list[Record]) -> None:
        if self._storage is None:
            Path(self._url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            self._storage = storage.open(self._url)
        self._storage.save_records(batch)

    def finish(self) -> None:
        if self._storage is not None:
            self._storage.close()
            self._storage = None
