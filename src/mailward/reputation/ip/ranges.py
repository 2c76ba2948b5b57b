"""Ranges of addresses as numpy columns, and how overlapping ones become disjoint.

An address is one column of 64 bits for v4 and two for v6 (the upper and the lower half), so that one way of sorting
serves both and a million ranges cost tens of megabytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = tuple[npt.NDArray[np.uint64], ...]
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_ONE = np.uint64(1)


def numbers(addresses: Sequence[int], version: int) -> Numbers:
    """Addresses as columns."""
    if version == 4:
        return (np.array(addresses, np.uint64),)
    low = (1 << 64) - 1
    return np.array([each >> 64 for each in addresses], np.uint64), np.array([each & low for each in addresses], np.uint64)


def joined(parts: Sequence[Numbers]) -> Numbers:
    """One after the other."""
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def taken(of: Numbers, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Numbers:
    return tuple(column[rows] for column in of)


def flatten(first: Numbers, last: Numbers, precedence: npt.NDArray[np.int64]) -> tuple[Numbers, Numbers, npt.NDArray[np.int64]]:
    """Cut ranges into disjoint pieces, sorted: first and last address of each, and the range that owns it.

    Of the ranges that hold a piece the one of the highest precedence owns it; of equal ones the earlier. Pieces of one owner
    that touch are one. Takes O(n log n), however the ranges lie. No range may end at the last address there is.
    """
    count = len(precedence)
    if not count:
        return first, last, np.empty(0, np.int64)
    points = joined([first, _after(last)])
    order = np.lexsort(points[::-1])
    points = taken(points, order)
    new = np.ones(2 * count, bool)
    new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in points])
    place = np.empty(2 * count, np.int64)
    place[order] = np.cumsum(new) - 1
    points = taken(points, new)
    strength = np.empty(count, np.int64)
    strength[np.lexsort((-np.arange(count), precedence))] = np.arange(count)
    owner = _owners(place[:count], place[count:], strength, len(points[0]) - 1)
    starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    ends = np.append(starts[1:], len(owner))
    held = owner[starts] >= 0
    return taken(points, starts[held]), _before(taken(points, ends[held])), owner[starts[held]]


def _owners(
    begin: npt.NDArray[np.int64], end: npt.NDArray[np.int64], strength: npt.NDArray[np.int64], pieces: int
) -> npt.NDArray[np.int64]:
    """The strongest range over each piece, -1 where there is none."""
    owner = _painted(begin, end, strength, pieces)
    single = np.flatnonzero(end - begin == 1)  # nearly all: addresses, and networks nothing else lies in
    single = single[np.argsort(strength[single])]
    best = np.full(pieces, -1, np.int64)
    best[begin[single]] = single  # of several, the last assigned stays: the strongest
    better = (best >= 0) & ((owner < 0) | (strength[best] > strength[owner]))
    return np.where(better, best, owner)


def _painted(
    begin: npt.NDArray[np.int64], end: npt.NDArray[np.int64], strength: npt.NDArray[np.int64], pieces: int
) -> npt.NDArray[np.int64]:
    """Owners by the ranges of several pieces alone: strongest first, and what is painted is jumped over ever after."""
    owner = np.full(pieces, -1, np.int64)
    wide = np.flatnonzero(end - begin > 1)
    free = np.arange(pieces + 1 if len(wide) else 0).data  # the next piece that is not painted, or a step towards it
    for each in wide[np.argsort(-strength[wide])].tolist():
        at, stop = _next(free, int(begin[each])), int(end[each])
        while at < stop:
            owner[at] = each
            free[at] = at + 1
            at = _next(free, at + 1)
    return owner


def _next(free: memoryview, at: int) -> int:
    while free[at] != at:
        free[at] = free[free[at]]  # halve the way for those who come later
        at = free[at]
    return at


def exactness(first: Numbers, last: Numbers) -> npt.NDArray[np.int64]:
    """How many bits of an address a range fixes, counted from 128: an address 128, a v4 /24 120, a v6 /64 64."""
    if len(first) == 1:
        return 128 - _bits(last[0] - first[0])
    high = last[0] - first[0] - (last[1] < first[1])
    return 128 - np.where(high > 0, 64 + _bits(high), _bits(last[1] - first[1]))


def _bits(of: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Length in bits; by halves, because a float is exact to 53."""
    high, low = (of >> np.uint64(32)).astype(np.float64), (of & np.uint64(0xFFFF_FFFF)).astype(np.float64)
    return np.where(high > 0, 32 + np.frexp(high)[1], np.frexp(low)[1]).astype(np.int64)


def _after(of: Numbers) -> Numbers:
    low = of[-1] + _ONE
    return (low,) if len(of) == 1 else (of[0] + (of[1] == _ALL), low)


def _before(of: Numbers) -> Numbers:
    low = of[-1] - _ONE
    return (low,) if len(of) == 1 else (of[0] - (of[1] == 0), low)
