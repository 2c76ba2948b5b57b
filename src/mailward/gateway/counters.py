"""What was judged since the start, counted in a piece of memory that all workers share.

The memory is anonymous: make the counters before forking. Each process adds to a row of its own, chosen by its number, so that no lock is
needed; a worker that dies leaves its row behind. In the rare case that two living processes share a row, a count may be missed.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator
from itertools import product

import numpy as np

from mailward.policy import Action
from mailward.scan.verdict import Kind

ROWS = 256
WAYS_IN = ("smtp", "milter", "http", "spamd", "file")
_KINDS, _ACTIONS = tuple(Kind), tuple(Action)
_CELLS = {cell: at for at, cell in enumerate(product(WAYS_IN, _KINDS, _ACTIONS))}
_MICROSECONDS, _REFUSED = len(_CELLS), len(_CELLS) + 1
_WIDTH = len(_CELLS) + 2


class Counters:
    """One a machine, made by the process that forks the others."""

    def __init__(self) -> None:
        self.started = time.time()
        self._memory = mmap.mmap(-1, ROWS * _WIDTH * 8)
        self._cells = memoryview(self._memory).cast("Q")

    def _add(self, cell: int, number: int) -> None:
        at = (os.getpid() % ROWS) * _WIDTH + cell
        self._cells[at] += number

    def judged(self, way_in: str, kind: Kind, action: Action, milliseconds: float) -> None:
        """A message was judged; `milliseconds` of work, without waiting for the DNS."""
        self._add(_CELLS[way_in if way_in in WAYS_IN else "file", kind, action], 1)
        self._add(_MICROSECONDS, int(milliseconds * 1000))

    def refused(self) -> None:
        """A connection or its recipients were refused before a message."""
        self._add(_REFUSED, 1)

    def _sums(self) -> list[int]:
        sums: list[int] = np.frombuffer(self._memory, np.uint64).reshape(ROWS, _WIDTH).sum(axis=0).tolist()
        return sums

    def messages(self) -> Iterator[tuple[str, Kind, Action, int]]:
        """Way in, verdict, action and number, where there were any."""
        sums = self._sums()
        for (way_in, kind, action), at in _CELLS.items():
            if sums[at]:
                yield way_in, kind, action, sums[at]

    def seconds(self) -> float:
        """Of work spent on judging."""
        return self._sums()[_MICROSECONDS] / 1e6

    def refusals(self) -> int:
        return self._sums()[_REFUSED]
