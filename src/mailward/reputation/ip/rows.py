"""A table in memory: one row a key, one packed array a column. A million rows of sixty octets are sixty megabytes, not gigabytes.

Keys up to `sorted_rows` are in order and found by bisection; newer ones are in a dictionary until `rebuild` sorts them in.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

RECENT = 65_536  # rows outside the order before they are sorted in; a dictionary entry costs as much as two rows
_LOW = (1 << 64) - 1


class Rows:
    """Keys are unsigned numbers: of 32 bits (code "I"), 64 ("Q"), or 128 (`wide`: an upper and a lower half)."""

    def __init__(self, code: str, columns: Mapping[str, str], *, wide: bool = False) -> None:
        self.keys = array(code)
        self.lows: array[int] | None = array("Q") if wide else None
        self.columns: dict[str, array[Any]] = {name: array(type_) for name, type_ in columns.items()}
        self.sorted_rows = 0
        self._recent: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def crowded(self) -> bool:
        """Whether it is time to `rebuild`."""
        return len(self._recent) > RECENT

    def find(self, key: int) -> int:
        """The row of a key, -1 if there is none."""
        if self.lows is None:
            row = bisect_left(self.keys, key, 0, self.sorted_rows)
            if row < self.sorted_rows and self.keys[row] == key:
                return row
        else:
            high, low, keys, lows = key >> 64, key & _LOW, self.keys, self.lows
            row = bisect_left(range(self.sorted_rows), (high, low), key=lambda at: (keys[at], lows[at]))
            if row < self.sorted_rows and keys[row] == high and lows[row] == low:
                return row
        return self._recent.get(key, -1)

    def add(self, key: int) -> int:
        """A new row of zeros for a key that has none."""
        row = len(self.keys)
        if self.lows is None:
            self.keys.append(key)
        else:
            self.keys.append(key >> 64)
            self.lows.append(key & _LOW)
        for column in self.columns.values():
            column.append(0)
        self._recent[key] = row
        return row

    def rebuild(self, keep: npt.NDArray[np.bool_] | None = None) -> None:
        """Sort everything, and drop the rows that are not to be kept. Row numbers change."""
        rows = np.arange(len(self)) if keep is None else np.flatnonzero(keep)
        keys = self.array("keys")[rows]
        order = rows[np.lexsort((self.array("lows")[rows], keys)) if self.lows is not None else np.argsort(keys, kind="stable")]
        self.keys = _ordered(self.keys, order)
        if self.lows is not None:
            self.lows = _ordered(self.lows, order)
        for name, column in self.columns.items():
            self.columns[name] = _ordered(column, order)
        self._recent.clear()
        self.sorted_rows = len(self.keys)

    def array(self, name: str) -> npt.NDArray[Any]:
        """A copy of a column ("keys" and "lows" too) to compute with."""
        column = self.keys if name == "keys" else self.lows if name == "lows" else self.columns[name]
        assert column is not None
        return np.array(column)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, for saving. Call `rebuild` first: the order is part of it."""
        names = ["keys", *(["lows"] if self.lows is not None else []), *self.columns]
        return {name: self.array(name) for name in names}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up what `arrays` gave. Raises ValueError or KeyError where it does not fit."""
        self.keys = array(self.keys.typecode, arrays["keys"].tobytes())
        if self.lows is not None:
            self.lows = array("Q", arrays["lows"].tobytes())
        self.columns = {name: array(column.typecode, arrays[name].tobytes()) for name, column in self.columns.items()}
        if any(len(column) != len(self.keys) for column in self.columns.values()):
            raise ValueError("its columns differ in length")
        self._recent.clear()
        self.sorted_rows = len(self.keys)


def _ordered(column: array[Any], order: npt.NDArray[np.int64]) -> array[Any]:
    return array(column.typecode, np.frombuffer(column, column.typecode)[order].tobytes() if len(column) else b"")
