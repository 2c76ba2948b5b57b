"""The table of the standard database in the making: many lists, promoted sources and exceptions become disjoint rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mailward.policy.lists import Network
from mailward.reputation import snapshot
from mailward.reputation.ip.decisions import Decision
from mailward.reputation.ip.listfile import Pieces
from mailward.reputation.ip.ranges import Numbers, exactness, flatten, joined, numbers
from mailward.reputation.listing import ListingKind
from mailward.reputation.lists import About

_CUT = 1 << 60  # above every entry
_RANK = np.zeros(256, np.int64)  # of kinds, where two entries are as exact
_RANK[[ListingKind.DYNAMIC_SPACE.number, ListingKind.EMERGING_THREAT.number, ListingKind.KNOWN_SOURCE.number]] = 1, 2, 3
_LAST = (1 << 32) - 1  # sorts "for ever" behind all times
_NAMES = tuple(snapshot.ROW_COLUMNS)


@dataclass(frozen=True, slots=True)
class _Part:
    """Ranges of one origin, with the values of their rows."""

    first: Numbers
    last: Numbers
    precedence: npt.NDArray[np.int64]
    row: dict[str, npt.NDArray[Any]]


class Composition:
    """Takes entries and cuts, then gives the columns of a snapshot (`snapshot.write`) and its texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._parts: dict[int, list[_Part]] = {4: [], 6: []}

    def add_list(self, about: About, texts: tuple[str, ...], v4: Pieces, v6: Pieces) -> None:
        """Every entry's reason begins with where the list comes from."""
        base = len(self.texts)
        self.texts += [f"{about.source}: {text}" if text else about.source for text in texts]
        for version, pieces in ((4, v4), (6, v6)):
            row = {
                "kind": pieces.kind,
                "since": pieces.since,
                "until": about.expires,
                "count": 0,
                "reason": pieces.text + np.uint32(base),
            }
            self._add(version, pieces.first, pieces.last, pieces.exact, row)

    def add_source(self, promoted: Decision) -> None:
        first, last = _ends(promoted.addresses)
        kind = ListingKind.KNOWN_SOURCE.number
        row = {"kind": kind, "since": promoted.time, "until": promoted.until, "count": promoted.count, "reason": len(self.texts)}
        self.texts.append(promoted.reason)
        self._add(promoted.addresses.version, first, last, exactness(first, last), row)

    def cut_network(self, network: Network) -> None:
        self.cut(network.version, *_ends(network))

    def cut(self, version: int, first: Numbers, last: Numbers) -> None:
        """Take ranges out, whoever lists them."""
        self._parts[version].append(_Part(first, last, np.full(len(first[0]), _CUT), {name: _filled(first, 0) for name in _NAMES}))

    def _add(self, version: int, first: Numbers, last: Numbers, exact: npt.NDArray[Any], row: Mapping[str, Any]) -> None:
        columns = {name: _filled(first, value) for name, value in row.items()}
        until = np.where(columns["until"] == snapshot.FOREVER, _LAST, columns["until"]).astype(np.int64)
        precedence = (exact.astype(np.int64) << 40) + (_RANK[columns["kind"]] << 36) + until
        self._parts[version].append(_Part(first, last, precedence, columns))

    def columns(self, version: int) -> dict[str, npt.NDArray[Any]]:
        """Disjoint, sorted rows of one family. Takes the entries with it: this is asked once."""
        parts, self._parts[version] = self._parts[version], []
        if not parts:
            return {}
        first, last = joined([part.first for part in parts]), joined([part.last for part in parts])
        precedence = np.concatenate([part.precedence for part in parts])
        first, last, owner = flatten(first, last, precedence)
        kept = precedence[owner] < _CUT
        names = ("start", "start_low", "end", "end_low") if version == 6 else ("start", "end")
        columns = {name: column[kept] for name, column in zip(names, (*first, *last), strict=True)}
        owner = owner[kept]
        return {**columns, **{name: np.concatenate([part.row[name] for part in parts])[owner] for name in _NAMES}}


def _filled(first: Numbers, value: Any) -> npt.NDArray[Any]:
    """A value for each range: a column, or the same for all."""
    return np.broadcast_to(np.asarray(value, np.uint32), len(first[0]))


def _ends(network: Network) -> tuple[Numbers, Numbers]:
    return numbers([int(network[0])], network.version), numbers([int(network[-1])], network.version)
