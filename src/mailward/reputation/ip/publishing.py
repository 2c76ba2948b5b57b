"""The dynamic database as snapshots: who is listed until when at each level, and who is in good standing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mailward.reputation import snapshot
from mailward.reputation.address import Source
from mailward.reputation.ip import levels
from mailward.reputation.ip.dynamic import NEIGHBOURS, REASONS, UNTIL, DynamicDatabase, Side
from mailward.reputation.ip.protected import Protected
from mailward.reputation.ip.ranges import Numbers, flatten, joined, taken
from mailward.reputation.ip.rows import Rows
from mailward.reputation.listing import ListingKind
from mailward.reputation.snapshot import Columns, Table

LAST = UNTIL[-1]  # what is listed at any level is listed at the last one
_NET, _SOURCE, _HOLE = 1, 2, 3  # precedence, where they lie in each other


def publish(
    folder: Path, database: DynamicDatabase, protected: Protected, standard: Table, serial: int, now: float, *, networks: bool = True
) -> None:
    """Write both snapshots. Nothing that the standard database lists now is in the dynamic one. Raises OSError.

    `networks`: list networks for their bad neighbours too. That counts at the highest levels only, and takes most of the room.
    """
    v4, v6 = (_listed(database.side(version), protected, standard, now, networks) for version in (4, 6))
    snapshot.write(folder / snapshot.DYNAMIC_FILE, v4, v6, REASONS, serial, now)
    v4, v6 = (_good(database.side(version), now) for version in (4, 6))
    snapshot.write(folder / snapshot.GOOD_FILE, v4, v6, ("sent clean mail",), serial, now)


def _listed(side: Side, protected: Protected, standard: Table, now: float, networks: bool) -> Columns:
    """Sources by themselves, and those in networks that are listed with them."""
    sources = side.sources
    rows = np.flatnonzero(sources.array(LAST) > now)
    rows = rows[~_holds(standard, side.version, sources, rows, now)]
    nets = np.flatnonzero(side.nets.array(NEIGHBOURS[-1][0]) > now) if networks else np.empty(0, np.intp)
    nets = nets[np.argsort(side.nets.array("keys")[nets])]
    inside = np.isin(_nets_of(side, rows), side.nets.array("keys")[nets]) if len(nets) else np.zeros(len(rows), bool)
    alone, (firsts, lasts, values) = rows[~inside], _networks(side, nets, rows[inside], protected, standard, now)
    numbers = _numbers(sources, alone)
    firsts, lasts = joined([numbers, firsts]), joined([numbers, lasts])
    order = np.lexsort(firsts[::-1])

    def column(name: str) -> npt.NDArray[Any]:
        own = sources.array("kind" if name == "reason" else name)[alone]
        return np.concatenate([own.astype(values[name].dtype), values[name]])[order]

    return _columns(side.version, taken(firsts, order), taken(lasts, order), {name: partial(column, name) for name in values})


def _networks(
    side: Side, net_rows: npt.NDArray[np.intp], rows: npt.NDArray[np.intp], protected: Protected, standard: Table, now: float
) -> tuple[Numbers, Numbers, dict[str, npt.NDArray[Any]]]:
    """The listed networks `net_rows`, in order, and, cut out of them, the listed sources `rows` inside.

    They have holes for who sends clean mail, for protected networks, and for what the standard database lists.
    """
    sources, nets = side.sources, side.nets
    keys, untils = nets.array("keys")[net_rows], {name: nets.array(name)[net_rows] for name, _ in NEIGHBOURS}
    values = {name: sources.array(name)[rows].astype("<u4") for name in ("kind", "since", "count", *UNTIL)}
    values["reason"] = values["kind"]
    place = np.searchsorted(keys, _nets_of(side, rows))
    for name in untils:  # a listed source is listed for as long as its network, at least
        values[name] = np.maximum(values[name], untils[name][place])
    count, none = len(keys), np.zeros(len(keys), "<u4")
    of_nets = {**dict.fromkeys(values, none), **untils, "kind": none + ListingKind.BURST.number, "since": nets.array("since")[net_rows]}
    of_nets["count"] = nets.array("bad")[net_rows].astype("<u4")
    clean = np.flatnonzero(sources.array("ham") >= levels.HAM_ABSOLVES)
    clean = clean[np.isin(_nets_of(side, clean), keys) & ~np.isin(clean, rows)]
    net_firsts, net_lasts = _ends_of(side, keys)
    hole_firsts, hole_lasts = _holes(side.version, keys, protected, standard, now)
    own, exempt = _numbers(sources, rows), _numbers(sources, clean)
    kinds = np.repeat([_NET, _SOURCE, _HOLE, _HOLE], [count, len(rows), len(clean), len(hole_firsts[0])]).astype(np.int64)
    firsts, lasts, owners = flatten(joined([net_firsts, own, exempt, hole_firsts]), joined([net_lasts, own, exempt, hole_lasts]), kinds)
    kept = owners < count + len(rows)
    every = {name: np.concatenate([of_nets[name], column])[owners[kept]] for name, column in values.items()}
    return taken(firsts, kept), taken(lasts, kept), every


def _holes(version: int, nets: npt.NDArray[Any], protected: Protected, standard: Table, now: float) -> tuple[Numbers, Numbers]:
    """Ranges of others inside the listed networks."""
    first, last = protected.ranges(version)
    family = standard.v4 if version == 4 else standard.v6
    lists = [(first, last)]
    if len(family):
        names = ("start",) if version == 4 else ("start", "start_low")
        standing = (family.arrays["until"] == snapshot.FOREVER) | (family.arrays["until"] > now)
        ends = tuple(family.arrays[name.replace("start", "end")].astype(np.uint64)[standing] for name in names)
        lists.append((tuple(family.arrays[name].astype(np.uint64)[standing] for name in names), ends))
    shift = np.uint64(8 if version == 4 else 0)  # the upper half of a v6 address is its network
    keys = nets.astype(np.uint64)
    firsts, lasts = [], []
    for start, end in lists:
        touching = np.searchsorted(keys, start[0] >> shift, "left") < np.searchsorted(keys, end[0] >> shift, "right")
        firsts.append(taken(start, touching))
        lasts.append(taken(end, touching))
    return joined(firsts), joined(lasts)


def _holds(standard: Table, version: int, sources: Rows, rows: npt.NDArray[np.intp], now: float) -> npt.NDArray[np.bool_]:
    """Which of the sources the standard database lists."""
    numbers = _numbers(sources, rows)
    if version == 4:
        return standard.holds_v4(numbers[0].astype(np.uint32), now)
    both = zip(numbers[0].tolist(), numbers[1].tolist(), strict=True)
    return np.array([len(standard.v6) > 0 and standard.find(Source(6, high << 64 | low), now) is not None for high, low in both], bool)


def _good(side: Side, now: float) -> Columns:
    """Much clean mail, hardly any spam, not listed."""
    sources = side.sources
    age = np.maximum(now - sources.array("time"), 0.0)
    ham = sources.array("ham") * np.exp2(-age / levels.HAM_HALF_LIFE)
    bad = sources.array("bad") * np.exp2(-age / levels.BAD_HALF_LIFE)
    rows = np.flatnonzero((ham >= levels.GOOD_HAM) & (bad <= levels.GOOD_SPAM_SHARE * ham) & (sources.array(LAST) <= now))
    firsts = _numbers(sources, rows)
    order = np.lexsort(firsts[::-1])
    firsts = taken(firsts, order)
    lasting = levels.HAM_HALF_LIFE * np.log2(ham[rows] / levels.GOOD_HAM)  # until it has decayed below that
    count = np.zeros(len(rows))
    values = {
        "kind": lambda: count + ListingKind.GOOD.number,
        "since": lambda: count,
        "until": lambda: (now + lasting + levels.DAY)[order],
        "count": lambda: sources.array("hams")[rows][order],
        "reason": lambda: count,
    }
    return _columns(side.version, firsts, firsts, values)


def _numbers(sources: Rows, rows: npt.NDArray[np.intp]) -> Numbers:
    keys = sources.array("keys")[rows].astype(np.uint64)
    return (keys,) if sources.lows is None else (keys, sources.array("lows")[rows])


def _nets_of(side: Side, rows: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    keys = side.sources.array("keys")[rows]
    return keys >> side.shift if side.version == 4 else keys


def _ends_of(side: Side, nets: npt.NDArray[Any]) -> tuple[Numbers, Numbers]:
    keys = nets.astype(np.uint64)
    if side.version == 4:
        return (keys << np.uint64(8),), ((keys << np.uint64(8)) + np.uint64(255),)
    return (keys, np.zeros(len(keys), np.uint64)), (keys, np.full(len(keys), 0xFFFF_FFFF_FFFF_FFFF, np.uint64))


class _Lazily(Mapping[str, npt.NDArray[Any]]):
    """Columns that are made when they are asked for: a million rows are written without holding all of them twice."""

    def __init__(self, made: dict[str, Callable[[], npt.NDArray[Any]]]) -> None:
        self._made = made

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._made[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def _columns(version: int, firsts: Numbers, lasts: Numbers, values: Mapping[str, Callable[[], npt.NDArray[Any]]]) -> Columns:
    names = ("",) if version == 4 else ("", "_low")
    ends = {f"{end}{name}": column for end, of in (("start", firsts), ("end", lasts)) for name, column in zip(names, of, strict=True)}
    return _Lazily({**{name: partial(np.asarray, column) for name, column in ends.items()}, **values})
