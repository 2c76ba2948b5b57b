"""Correspondents, conversations and names as they are learned. Numbers, no files; what is oldest goes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mailward.reputation.acquaintance.observation import Observation
from mailward.reputation.ip.rows import Rows

DAY = 86_400
MAX_SENDERS, MAX_MESSAGES, MAX_NAMES = 1_000_000, 1_000_000, 50_000
SENDER_DAYS, MESSAGE_DAYS, NAME_DAYS = 730, 60, 365  # kept since they were last seen
KEPT_SHARE = 0.9  # of the most, when there are too many
NAME_TIMES = 3  # messages that have to bear a name before it counts: a test, a slip and a borrowed account are not learned
WROTE, WRITTEN_TO = 1, 2  # bits of a sender: mail of it was delivered here; one of our users wrote to it

_SEEN = {"last": "I"}
_MOST = 255


class Book:
    """Belongs to one process. Times in whole seconds since 1970; 0 for never."""

    def __init__(self) -> None:
        self.senders = Rows("Q", {**_SEEN, "how": "B"})
        self.messages = Rows("Q", _SEEN)
        self.names = Rows("Q", {**_SEEN, "times": "B"})
        self.incoming_since = self.outgoing_since = self.outgoing_last = 0
        self.messages_since = 0  # those seen before may be forgotten already

    def learn(self, piece: Observation) -> None:
        now = int(piece.time)
        if piece.outgoing:
            self.outgoing_since = min(self.outgoing_since or now, now)
            self.outgoing_last = max(self.outgoing_last, now)
        if piece.wrote:
            self.incoming_since = min(self.incoming_since or now, now)
        for keys, how in ((piece.wrote, WROTE), (piece.written_to, WRITTEN_TO)):
            for key in keys:
                row = _seen(self.senders, key, now)
                self.senders.columns["how"][row] |= how
        for key in piece.messages:
            _seen(self.messages, key, now)
        times = self.names.columns["times"]
        for key in piece.names:
            row = _seen(self.names, key, now)
            times[row] = min(_MOST, times[row] + 1)
        self._make_room()

    def _make_room(self) -> None:
        for rows, most in ((self.senders, MAX_SENDERS), (self.messages, MAX_MESSAGES), (self.names, MAX_NAMES)):
            if rows.crowded or len(rows) > most:
                oldest = _sorted(rows, most)
                if rows is self.messages:
                    self.messages_since = max(self.messages_since, oldest)

    def forget(self, now: float) -> None:
        """Drop what was not seen for longer than it is kept."""
        for rows, days in ((self.senders, SENDER_DAYS), (self.messages, MESSAGE_DAYS), (self.names, NAME_DAYS)):
            rows.rebuild(rows.array("last") >= max(0, int(now) - days * DAY))

    @property
    def threads_since(self) -> int:
        """Since when every message that our users sent is remembered, or was until its time was over; 0: none was seen."""
        return max(self.outgoing_since, self.messages_since) if self.outgoing_since else 0

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, for saving."""
        found: dict[str, npt.NDArray[Any]] = {}
        for name, rows in self._parts().items():
            rows.rebuild()
            found |= {f"{name}_{column}": values for column, values in rows.arrays().items()}
        since = [self.incoming_since, self.outgoing_since, self.outgoing_last, self.messages_since]
        return {**found, "since": np.array(since, np.uint64)}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up what `state` gave. Raises ValueError, KeyError or IndexError where it does not fit."""
        for name, rows in self._parts().items():
            rows.restore({column: arrays[f"{name}_{column}"] for column in ("keys", *rows.columns)})
        since = arrays["since"]
        self.incoming_since, self.outgoing_since, self.outgoing_last, self.messages_since = (int(since[at]) for at in range(4))

    def _parts(self) -> dict[str, Rows]:
        return {"senders": self.senders, "messages": self.messages, "names": self.names}


def _seen(rows: Rows, key: int, now: int) -> int:
    """The row of a key, made where there is none, with when it was seen last."""
    row = rows.find(key)
    if row < 0:
        row = rows.add(key)
    last = rows.columns["last"]
    last[row] = max(last[row], now)
    return row


def _sorted(rows: Rows, most: int) -> int:
    """Sort, and drop the oldest where there are too many; since when all are still there, 0 where none was dropped."""
    if len(rows) <= most:
        rows.rebuild()
        return 0
    kept = int(most * KEPT_SHARE)
    newest = np.argsort(rows.array("last"), kind="stable")[-kept:]
    keep = np.zeros(len(rows), np.bool_)
    keep[newest] = True
    rows.rebuild(keep)
    return int(rows.array("last").min())
