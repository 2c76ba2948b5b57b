"""The dynamic database: evidence comes in, decays, and lists its sources while it lasts. One process keeps it (`keeper.py`).

Learning depends on nothing but the evidence and its order, so that replaying the same evidence gives the same database.
The model is explained, and measured, in docs/reputation-model.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mailward.reputation.address import V4_NEIGHBOURS, V6_NEIGHBOURS, Source, is_public
from mailward.reputation.evidence import AGAINST, Evidence, EvidenceKind
from mailward.reputation.ip import levels
from mailward.reputation.ip.levels import DAY, LEVELS
from mailward.reputation.ip.rows import Rows
from mailward.reputation.listing import KINDS, Listing, ListingKind

MAX_SOURCES = 2_000_000  # of each version; beyond it those with the least evidence are forgotten
UNTIL = tuple(f"until_{level}" for level in LEVELS)
NEIGHBOURS = tuple([(f"until_{level}", setting) for level, setting in LEVELS.items() if setting.neighbours_most >= setting.allowance])

_SOURCE_COLUMNS = {
    "time": "d",  # when the masses were last brought up to date
    "spam": "f",
    "bad": "f",
    "ham": "f",
    "count": "I",  # pieces of evidence against it
    "hams": "I",
    "first": "I",  # first and last evidence against it
    "last": "I",
    "since": "I",  # of the listing
    **dict.fromkeys(UNTIL, "I"),
    "promoted": "I",  # until then it is in the standard database
    "day": "H",  # of its last offence, and on how many days there were any
    "days": "B",
    "kind": "B",  # of the listing
}
_NET_COLUMNS = {"time": "d", "bad": "f", "ham": "f", "last": "I", "since": "I", **{name: "I" for name, _ in NEIGHBOURS}}
_KIND_OF = {EvidenceKind.TRAP: ListingKind.TRAP, EvidenceKind.URL: ListingKind.NEW_SOURCE}
_RANK = {0: 0, ListingKind.BURST.number: 1, ListingKind.NEW_SOURCE.number: 2, ListingKind.TRAP.number: 3}


@dataclass(frozen=True, slots=True)
class Promotion:
    """A source that stays bad and belongs into the standard database until then; one that is over at once does not any more."""

    source: Source
    count: int
    days: int
    time: int
    until: int


@dataclass(slots=True)
class Side:
    """What v4 and v6 have each."""

    version: int
    sources: Rows
    nets: Rows
    shift: int  # from an address to its network

    @classmethod
    def of(cls, version: int) -> Side:
        if version == 4:
            return cls(4, Rows("I", _SOURCE_COLUMNS), Rows("I", _NET_COLUMNS), 32 - V4_NEIGHBOURS)
        return cls(6, Rows("Q", _SOURCE_COLUMNS, wide=True), Rows("Q", _NET_COLUMNS), 128 - V6_NEIGHBOURS)


class DynamicDatabase:
    """`protected` tells whether an address belongs to a big mail sender; `ours` whether it is our own: that never lists."""

    def __init__(self, protected: Callable[[Source], bool] = lambda _: False, ours: Callable[[Source], bool] = lambda _: False) -> None:
        self._protected = protected
        self._ours = ours
        self._sides = {version: Side.of(version) for version in (4, 6)}
        self.promotions: list[Promotion] = []  # since somebody last took them

    def __len__(self) -> int:
        return sum(len(side.sources) for side in self._sides.values())

    # Learning

    def learn(self, piece: Evidence) -> None:
        """Take up one piece of evidence. Its own time counts; pieces that come late are as old as the newest."""
        source, weight = piece.source, piece.weight
        if not is_public(source) or self._ours(source):
            return
        side = self._sides[source.version]
        if side.sources.crowded or side.nets.crowded:
            self._forget(side, piece.time)
        sources, nets = side.sources, side.nets
        row = sources.find(source.number)
        row = sources.add(source.number) if row < 0 else row
        if piece.kind is EvidenceKind.DELIST:
            self._absolve(sources, row, piece.time)
            return
        net = nets.find(source.number >> side.shift)
        net = nets.add(source.number >> side.shift) if net < 0 else net
        now = _grow_older(sources, row, piece.time)
        _grow_net_older(nets, net, now)
        if piece.kind in AGAINST:
            self._offence(side, row, net, piece.kind, weight, now)
            self._list(side, row, net, source, now)
        else:
            _clean(sources, nets, row, net, weight)
            self._unlist(side, row, net, source, now)

    def _offence(self, side: Side, row: int, net: int, kind: EvidenceKind, weight: float, now: float) -> None:
        columns, neighbours = side.sources.columns, side.nets.columns
        if columns["spam"][row] < 0.5:  # a new offence of this source: its neighbours hear of it once
            neighbours["bad"][net] += min(1.0, weight)
        columns["spam"][row] = min(columns["spam"][row] + weight, levels.MAX_MASS)
        columns["bad"][row] = min(columns["bad"][row] + weight, levels.MAX_MASS)
        columns["count"][row] = min(columns["count"][row] + 1, 0xFFFFFFFF)
        columns["first"][row] = columns["first"][row] or int(now)
        columns["last"][row] = int(now)
        neighbours["last"][net] = int(now)
        day = int(now // DAY) & 0xFFFF
        if day != columns["day"][row]:
            columns["day"][row] = day
            columns["days"][row] = min(columns["days"][row] + 1, 255)
        listed_as = _KIND_OF.get(kind, ListingKind.BURST).number
        going_on = columns[UNTIL[-1]][row] > now
        if not going_on or _RANK[listed_as] > _RANK[columns["kind"][row]]:
            columns["kind"][row] = listed_as

    def _list(self, side: Side, row: int, net: int, source: Source, now: float) -> None:
        """List what passed its allowance, at each level, and the network where its bad neighbours alone pass that of a stranger."""
        columns = side.sources.columns
        self._list_net(side.nets, net, now)
        spam, ham, protected = columns["spam"][row], columns["ham"][row], self._protected(source)
        others = _neighbours(side.nets, net, spam)
        repeated = min(4.0, 2.0 ** (columns["days"][row] - 1))  # who offends day after day is believed to go on
        was_listed = columns[UNTIL[-1]][row] > now
        end = 0
        for name, level in zip(UNTIL, LEVELS.values(), strict=True):
            mass = spam + min(level.neighbours_most, level.neighbour * others)
            allowance = _allowance(level, ham, protected)
            if mass >= allowance:
                seconds = (level.first + level.doubling * math.log2(mass / allowance)) * repeated / (1.0 + 0.1 * ham)
                end = max(end, math.ceil(now + min(levels.LONGEST, max(levels.SHORTEST, seconds))))
            columns[name][row] = end = max(end, columns[name][row])
        if columns[UNTIL[-1]][row] > now and not was_listed:
            columns["since"][row] = int(now)
        self._promote(columns, row, source, now)

    def _list_net(self, nets: Rows, net: int, now: float) -> None:
        columns = nets.columns
        mass = columns["bad"][net] / (1.0 + columns["ham"][net])
        was_listed = columns[NEIGHBOURS[-1][0]][net] > now
        for name, level in NEIGHBOURS:
            share = min(level.neighbours_most, level.neighbour * mass)
            if share >= level.allowance:
                columns[name][net] = max(columns[name][net], math.ceil(now + min(levels.LONGEST, level.first)))
        if columns[NEIGHBOURS[-1][0]][net] > now and not was_listed:
            columns["since"][net] = int(now)

    def _promote(self, columns: dict[str, Any], row: int, source: Source, now: float) -> None:
        if columns["days"][row] < levels.PROMOTE_DAYS or self._protected(source):
            return
        if columns["ham"][row] > levels.PROMOTE_HAM_SHARE * columns["bad"][row]:
            return
        until = int(now + levels.PROMOTED_FOR)
        if until - columns["promoted"][row] >= 3600:  # not with every message
            columns["promoted"][row] = until
            self.promotions.append(Promotion(source, columns["count"][row], columns["days"][row], int(now), until))

    def _unlist(self, side: Side, row: int, net: int, source: Source, now: float) -> None:
        """After clean mail: a listing ends where what is left does not pass the allowance."""
        columns = side.sources.columns
        spam, ham, protected = columns["spam"][row], columns["ham"][row], self._protected(source)
        others = _neighbours(side.nets, net, spam)
        for name, level in zip(UNTIL, LEVELS.values(), strict=True):
            if spam + min(level.neighbours_most, level.neighbour * others) < _allowance(level, ham, protected):
                columns[name][row] = min(columns[name][row], int(now))
        if columns["promoted"][row] > now and ham > levels.PROMOTE_HAM_SHARE * columns["bad"][row]:
            columns["promoted"][row] = int(now)
            self.promotions.append(Promotion(source, columns["count"][row], columns["days"][row], int(now), int(now)))
        for name, level in NEIGHBOURS:
            if level.neighbour * side.nets.columns["bad"][net] / (1.0 + side.nets.columns["ham"][net]) < level.allowance:
                side.nets.columns[name][net] = min(side.nets.columns[name][net], int(now))

    def _absolve(self, sources: Rows, row: int, now: float) -> None:
        """Forget everything against a source."""
        for name in ("spam", "bad"):
            sources.columns[name][row] = 0.0
        for name in ("count", "first", "since", "promoted", "days", "day", "kind", *UNTIL):
            sources.columns[name][row] = 0
        sources.columns["time"][row] = max(now, sources.columns["time"][row])
        sources.columns["ham"][row] = max(sources.columns["ham"][row], levels.HAM_ABSOLVES)  # its neighbours alone do not list it

    # Looking

    def ends(self, source: Source) -> list[int]:
        """When the listing of an address ends, or ended, at each level; 0 where it was never listed."""
        side = self._sides[source.version]
        row = side.sources.find(source.number)
        columns = side.sources.columns
        ends = [0] * len(UNTIL) if row < 0 else [columns[name][row] for name in UNTIL]
        if row < 0 or columns["ham"][row] < levels.HAM_ABSOLVES:
            net = side.nets.find(source.number >> side.shift)
            if net >= 0 and not (self._protected(source) or self._ours(source)):
                for name, _ in NEIGHBOURS:
                    at = UNTIL.index(name)
                    ends[at] = max(ends[at], side.nets.columns[name][net])
        return ends

    def listing(self, source: Source, now: float) -> Listing | None:
        """The listing of an address now, with the lowest level it counts at. Replay uses it; everybody else the snapshot."""
        if self.promoted(source, now):
            return None
        for level, end in zip(LEVELS, self.ends(source), strict=True):
            if end > now:
                return self._words(source, level, end)
        return None

    def _words(self, source: Source, level: int, end: int) -> Listing:
        side = self._sides[source.version]
        row, columns = side.sources.find(source.number), side.sources.columns
        if row < 0 or not columns["kind"][row]:
            return Listing(str(source), ListingKind.BURST, 0, end, 0, REASONS[0], level)
        kind = columns["kind"][row]
        return Listing(str(source), KINDS[kind], columns["since"][row], end, columns["count"][row], REASONS[kind], level)

    def promoted(self, source: Source, now: float) -> bool:
        """Whether the source is in the standard database because it stayed bad."""
        side = self._sides[source.version]
        row = side.sources.find(source.number)
        return row >= 0 and side.sources.columns["promoted"][row] > now

    def tally(self, source: Source) -> dict[str, float]:
        """The masses and counters of a source; {} for a stranger."""
        side = self._sides[source.version]
        row = side.sources.find(source.number)
        return {} if row < 0 else {name: column[row] for name, column in side.sources.columns.items()}

    # Keeping

    def forget(self, now: float) -> None:
        """Drop what no longer says anything, and put the rest in order."""
        for side in self._sides.values():
            self._forget(side, now)

    def _forget(self, side: Side, now: float) -> None:
        sources = side.sources
        age = np.maximum(now - sources.array("time"), 0.0)
        bad = sources.array("bad") * np.exp2(-age / levels.BAD_HALF_LIFE)
        ham = sources.array("ham") * np.exp2(-age / levels.HAM_HALF_LIFE)
        held = np.maximum(sources.array(UNTIL[-1]), sources.array("promoted")) > now
        keep = held | (bad >= 0.05) | (ham >= 0.2)
        if keep.sum() > MAX_SOURCES:
            weight = np.where(keep, bad + ham + np.where(held, levels.MAX_MASS, 0.0), -1.0)
            keep &= weight >= np.partition(weight, -MAX_SOURCES)[-MAX_SOURCES]
        sources.rebuild(keep)
        nets = side.nets
        age = np.maximum(now - nets.array("time"), 0.0)
        keep = (nets.array("bad") * np.exp2(-age / levels.NET_HALF_LIFE) >= 0.05) | (
            nets.array("ham") * np.exp2(-age / levels.HAM_HALF_LIFE) >= 0.2
        )
        nets.rebuild(keep | (nets.array(NEIGHBOURS[-1][0]) > now))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, as arrays. Call `forget` first."""
        return {
            f"{version}.{name}.{column}": array
            for version, side in self._sides.items()
            for name, rows in (("sources", side.sources), ("nets", side.nets))
            for column, array in rows.arrays().items()
        }

    def restore(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Take up what `state` gave. Raises ValueError or KeyError where it does not fit."""
        for version, side in self._sides.items():
            for name, rows in (("sources", side.sources), ("nets", side.nets)):
                start = f"{version}.{name}."
                rows.restore({key.removeprefix(start): array for key, array in state.items() if key.startswith(start)})

    def side(self, version: int) -> Side:
        """The sources and networks of one version, for publishing."""
        return self._sides[version]


REASONS = (  # by the number of the kind; 0: only its neighbours
    "several addresses of its network sent spam lately and none sent clean mail",
    "",
    "",
    "",
    "sent spam lately",
    "sent mail to spam traps lately",
    "sent mail with bad links lately, and is not known for anything else",
)


def _allowance(level: levels.Level, ham: float, protected: bool) -> float:
    allowance = level.allowance * (1.0 + level.standing * math.sqrt(ham))
    return allowance * levels.PROTECTED if protected else allowance


def _neighbours(nets: Rows, net: int, spam: float) -> float:
    """How many bad neighbours count: without the source itself, and the fewer the more clean mail the network sends."""
    own = 1.0 if spam >= 0.5 else spam
    return float(max(0.0, nets.columns["bad"][net] - own) / (1.0 + nets.columns["ham"][net]))


def _grow_older(sources: Rows, row: int, time: float) -> float:
    """Let the masses decay up to `time`; returns the time that counts, which never runs backwards."""
    columns = sources.columns
    age = time - columns["time"][row]
    if age <= 0:
        return float(columns["time"][row])
    columns["time"][row] = time
    if columns["spam"][row]:
        columns["spam"][row] *= 2.0 ** (-age / levels.SPAM_HALF_LIFE)
        columns["bad"][row] *= 2.0 ** (-age / levels.BAD_HALF_LIFE)
        if columns["bad"][row] < 0.1:
            columns["days"][row] = 0
    if columns["ham"][row]:
        columns["ham"][row] *= 2.0 ** (-age / levels.HAM_HALF_LIFE)
    return time


def _grow_net_older(nets: Rows, net: int, time: float) -> None:
    columns = nets.columns
    age = time - columns["time"][net]
    if age > 0:
        columns["time"][net] = time
        columns["bad"][net] *= 2.0 ** (-age / levels.NET_HALF_LIFE)
        columns["ham"][net] *= 2.0 ** (-age / levels.HAM_HALF_LIFE)


def _clean(sources: Rows, nets: Rows, row: int, net: int, weight: float) -> None:
    columns = sources.columns
    columns["ham"][row] = min(columns["ham"][row] + weight, levels.MAX_MASS)
    columns["hams"][row] = min(columns["hams"][row] + 1, 0xFFFFFFFF)
    columns["spam"][row] *= levels.HAM_ABSOLVES**weight
    nets.columns["ham"][net] = min(nets.columns["ham"][net] + weight, levels.MAX_MASS)
