"""Broken files of each kind through the examiners: short with the other tests, long with MAILWARD_FUZZ_SECONDS.

MAILWARD_FUZZ_KINDS="pdf,zip" takes these kinds only: the seconds are shared by them.
"""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz import files

_KINDS = os.environ.get("MAILWARD_FUZZ_KINDS", "")
_SEEDS = {kind: file for kind, file in files.seeds().items() if not _KINDS or kind in _KINDS.split(",")}
_SECONDS = float(os.environ.get("MAILWARD_FUZZ_SECONDS", "0"))
_NUMBERS = st.sampled_from(
    [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x01\x00\x00\x00", b"\x00\x00\x00\x01"]
)
_place = st.floats(0, 1, exclude_max=True)
_changes = st.lists(
    st.tuples(_place, st.just("set"), st.binary(min_size=1, max_size=4) | _NUMBERS)
    | st.tuples(_place, st.just("insert"), st.binary(min_size=1, max_size=20))
    | st.tuples(_place, st.just("cut"), st.integers(1, 200))
    | st.tuples(_place, st.just("repeat"), st.integers(1, 200))
    | st.tuples(_place, st.just("end"), st.none()),
    min_size=1,
    max_size=6,
)


def _changed(content: bytes, changes: list[tuple[float, str, object]]) -> bytes:
    for place, what, value in changes:
        at = int(place * len(content))
        match what, value:
            case "set", bytes():
                content = content[:at] + value + content[at + len(value) :]
            case "insert", bytes():
                content = content[:at] + value + content[at:]
            case "cut", int():
                content = content[:at] + content[at + value :]
            case "repeat", int():
                content = content[: at + value] + content[at : at + value] * 3 + content[at + value :]
            case _:
                content = content[:at]
    return content


def _run(kind: str, examples: int) -> None:
    name, content = _SEEDS[kind]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_changes)
    def holds(changes: list[tuple[float, str, object]]) -> None:
        broken = _changed(content, changes)
        try:
            files.check(name, broken)
        except Exception:
            files.keep(name, broken)
            raise

    holds()


@pytest.mark.parametrize("kind", _SEEDS)
def test_broken_files_are_findings(kind: str) -> None:
    """Whatever is changed in a file, looking into it ends in time with a bounded answer; finds are written to tests/vectors/attachments/found/."""
    assert files.check(*_SEEDS[kind]).urls  # the sound one
    _run(kind, 15)
    end = time.monotonic() + _SECONDS / len(_SEEDS)
    while time.monotonic() < end:
        _run(kind, 300)


def test_what_was_found_stays_mended() -> None:
    """Every find is looked into again."""
    for path in sorted(files.FOUND.glob("*")):
        files.check(path.name, path.read_bytes())
