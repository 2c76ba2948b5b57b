"""Overlapping ranges become disjoint as a look at every single address would have it."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mailward.reputation.ip.ranges import flatten, numbers

SPACE = 40
entries = st.lists(
    st.tuples(st.integers(0, SPACE), st.integers(0, SPACE), st.integers(0, 5)).map(lambda e: (min(e[:2]), max(e[:2]), e[2])), max_size=25
)


def owners(pieces: list[tuple[int, int, int]], base: int) -> list[int]:
    found = [-1] * (SPACE + 1)
    for first, last, owner in pieces:
        for at in range(first, last + 1):
            assert found[at - base] == -1, "pieces overlap"
            found[at - base] = owner
    return found


@given(entries, st.sampled_from([(4, 0), (6, 0), (6, (1 << 64) - 20), (6, (1 << 127) + (1 << 64) - 3)]))
def test_the_strongest_range_owns_each_address(given: list[tuple[int, int, int]], family: tuple[int, int]) -> None:
    """Whatever ranges overlap: each address belongs to the range of highest precedence that holds it, the earlier of equal ones."""
    version, base = family
    first, last = (numbers([base + entry[end] for entry in given], version) for end in (0, 1))
    starts, ends, owner = flatten(first, last, np.array([entry[2] for entry in given], np.int64))
    pieces = list(zip(whole(starts), whole(ends), owner.tolist(), strict=True))
    expected = [
        max((i for i, (a, b, _) in enumerate(given) if a <= at <= b), key=lambda i: (given[i][2], -i), default=-1)
        for at in range(SPACE + 1)
    ]
    assert owners(pieces, base) == expected
    assert pieces == sorted(pieces)
    assert all(a[2] != b[2] or a[1] + 1 < b[0] for a, b in pairwise(pieces)), "neighbours of one owner are one piece"


def whole(columns: tuple[np.ndarray, ...]) -> list[int]:
    lists = [column.tolist() for column in columns]
    return lists[0] if len(lists) == 1 else [high << 64 | low for high, low in zip(*lists, strict=True)]


def test_ranges_nested_a_hundred_thousand_deep_cost_no_more_than_others() -> None:
    """A list made to be slow (each range inside the one before) is cut in seconds, not in hours."""
    count = 100_000
    began = time.process_time()
    starts, _, _ = flatten(
        numbers(list(range(count)), 4), numbers(list(range(3 * count, 2 * count, -1)), 4), np.arange(count, dtype=np.int64)
    )
    assert len(starts[0]) == 2 * count - 1
    assert time.process_time() - began < 5
