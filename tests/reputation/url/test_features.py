"""What the model looks at: names are split where their owner's choice ends, and nothing grows with what a stranger writes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.reputation.url.features import (
    BLOCKS,
    FACTS,
    LEARNED,
    LONGEST,
    MAX_HOST,
    MAX_PATH,
    SHORTEST,
    brands_in,
    facts,
    host_marks,
    host_pieces,
    name_of,
    path_marks,
    path_pieces,
)


@pytest.mark.parametrize(
    ("host", "chosen", "suffix", "group"),
    [
        ("garden.example.com", "garden.example", "com", "com"),
        ("my-shop.pages.dev", "my-shop", "pages.dev", "shared"),
        ("a.b.example.co.uk", "a.b.example", "co.uk", "country"),
        ("name.top", "name", "top", "new"),
        ("somebody.github.io", "somebody", "github.io", "shared"),
    ],
)
def test_a_name_ends_where_everybodys_suffix_begins(host: str, chosen: str, suffix: str, group: str) -> None:
    name = name_of(host)
    assert (name.chosen, name.suffix, name.group, name.shared) == (chosen, suffix, group, group == "shared")


def test_brands_are_found_below_and_inside_but_not_at_home() -> None:
    """A brand counts on somebody else's domain only."""
    assert brands_in(name_of("www.paypal.com")).places == ()
    assert {"word", "below", "anywhere"} <= set(brands_in(name_of("paypal.garden-club.top")).places)
    assert "inside" in brands_in(name_of("paypalservice-help.top")).places
    assert brands_in(name_of("paypalservice-help.top")).name == "paypal"
    assert brands_in(name_of("quiet-garden.top")).places == ()


def test_pieces_are_the_same_wherever_they_stand() -> None:
    """A piece goes to one bucket at any place of a name; other pieces go elsewhere."""
    first, second = path_pieces("abcde"), path_pieces("xyabcdezz")
    assert set(first) <= set(second)
    assert len(set(path_pieces("vwxyz")) & set(first)) == 0
    assert len(first) == sum(5 - length + 1 for length in range(SHORTEST, LONGEST + 1))


@given(st.text(max_size=400), st.text(max_size=3000))
def test_any_text_has_bounded_features(host: str, path: str) -> None:
    """All buckets lie inside their block, their number has a limit, and facts are finite numbers."""
    name = name_of(host)
    found = brands_in(name)
    for size, buckets, most in zip(
        BLOCKS,
        (host_pieces(name), host_marks(name, found), path_pieces(path), path_marks(path)),
        (4 * (4 * MAX_HOST + 8), 100, 4 * 4 * MAX_PATH, 100),
        strict=True,
    ):
        assert len(buckets) <= most
        assert all(0 <= bucket < size for bucket in buckets)
    row = np.array(facts(name, path, found), float)
    assert len(row) == len(FACTS) - LEARNED
    assert np.isfinite(row).all()
