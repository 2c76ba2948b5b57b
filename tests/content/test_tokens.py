"""Text to hashed tokens."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.content.tokens import BUCKETS, MAX_CHARS, fold, tokenise


def words(text: str) -> list[str]:
    tokens = tokenise([text])
    return [tokens.text[a:b] for a, b in zip(tokens.starts, tokens.ends, strict=True)]


def test_words_are_runs_of_letters_and_cjk_characters_stand_alone() -> None:
    """A language without spaces gives tokens too."""
    assert words("Buy now, 25% off 你好") == ["buy", "now", "25", "%", "off", "你", "好"]


@pytest.mark.parametrize(
    ("disguised", "plain"),
    [
        ("𝐕𝐢𝐚𝐠𝐫𝐚", "viagra"),  # mathematical letters
        ("ｖｉａｇｒａ", "viagra"),  # full width
        ("vi\u0430gra", "viagra"),  # Cyrillic a
        ("v\u0336i\u0336a\u0336g\u0336r\u0336a", "viagra"),  # struck through
    ],
)
def test_disguised_letters_read_as_plain_ones(disguised: str, plain: str) -> None:
    """Obfuscation gives the same features as the word it hides."""
    assert fold(disguised) == plain
    assert np.array_equal(tokenise([disguised]).keys, tokenise([plain]).keys)


def test_words_of_another_script_stay_what_they_are() -> None:
    """Look-alikes are folded only inside words that also hold Latin letters."""
    assert fold("Привет, мир") == "привет, мир"


def test_repeating_a_word_moves_nothing() -> None:
    """Features are present or not: the words of a text repeated give no new ones but at the seams."""
    once = set(tokenise(["alpha beta gamma "]).features.tolist())
    often = set(tokenise(["alpha beta gamma " * 50]).features.tolist())
    assert once <= often
    assert len(often - once) < 10


def test_places_do_not_mix() -> None:
    """The same text in subject and body gives different features, and no feature spans two places."""
    both = tokenise(["cheap watches", "cheap watches"])
    assert not set(both.of(0).tolist()) & set(both.of(1).tolist())
    assert np.array_equal(both.of(0), tokenise(["cheap watches", ""]).of(0))
    assert np.array_equal(both.of(1), tokenise(["", "cheap watches"]).of(1))


def test_filler_cannot_push_the_end_out_of_sight() -> None:
    """Of a long text the beginning and the end are judged."""
    text = fold("start " + "x " * MAX_CHARS + " end")
    assert len(text) <= MAX_CHARS
    assert text.startswith("start")
    assert text.endswith("end")


@given(st.lists(st.text(max_size=300), min_size=1, max_size=4))
def test_any_text_gives_features_in_range(texts: list[str]) -> None:
    """Whatever arrives, features are sorted within their place and below the number of buckets."""
    tokens = tokenise(texts)
    assert tokens.features.size == tokens.keys.size
    assert not tokens.keys.size or tokens.features.max() < BUCKETS
    assert np.array_equal(tokens.keys, np.unique(tokens.keys))
    assert tokens.bounds[0] == 0
    assert tokens.bounds[-1] == tokens.keys.size


@pytest.mark.parametrize("text", ["a" * 10_000_000, "\u0430b" * 2_000_000, "𝐚" * 1_000_000, "a\u0336" * 1_000_000])
def test_long_and_strange_texts_take_no_time(text: str) -> None:
    """The time is bounded by the characters looked at, not by the text."""
    begun = time.process_time()
    tokenise(["", text])
    assert time.process_time() - begun < 1.0
