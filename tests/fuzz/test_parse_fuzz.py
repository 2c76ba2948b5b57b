"""Random and half-broken mail through the parser: short with the other tests, long with MAILWARD_FUZZ_SECONDS."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path
from types import ModuleType

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"mailward_fuzz_{name}", Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


invariants = _beside("invariants")
pieces = _beside("pieces")

_SECONDS = float(os.environ.get("MAILWARD_FUZZ_SECONDS", "0"))
_lines = st.one_of(st.sampled_from(pieces.HEADERS), st.sampled_from(pieces.BODIES), st.binary(max_size=30))
_ends = st.sampled_from([b"\n", b"\r\n", b"\r", b""])


@st.composite
def _entity(draw: st.DrawFn, depth: int = 3) -> bytes:
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
    head = draw(st.lists(st.sampled_from(pieces.HEADERS), max_size=5))
    body = draw(st.lists(st.sampled_from(pieces.BODIES) | st.binary(max_size=20), max_size=12))
    if depth and draw(st.booleans()):
        body += [b"--b", draw(_entity(depth=depth - 1)), draw(st.sampled_from([b"--b", b"--b--", b""]))]
    joint = draw(st.sampled_from([end, b"", b" "]))
    return end.join([*head, b"", joint.join(body)]) + end


_messages = st.one_of(
    _entity(),
    st.lists(st.tuples(_lines, _ends), max_size=30).map(lambda pairs: b"".join(line + end for line, end in pairs)),
    st.tuples(st.sampled_from(pieces.BODIES), st.sampled_from(pieces.BODIES), st.integers(1, 2_000)).map(
        lambda t: b"Content-Type: text/html\n\n" + (t[0] + t[1]) * t[2]
    ),
    st.tuples(st.sampled_from(pieces.HEADERS), st.sampled_from([b"\n", b"", b" "]), st.integers(1, 3_000)).map(
        lambda t: (t[0] + t[1]) * t[2]
    ),
    st.binary(max_size=3_000),
)


def _run(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_messages)
    def holds(raw: bytes) -> None:
        try:
            invariants.check(raw)
        except Exception as error:
            invariants.keep(raw, f"hypothesis-{type(error).__name__.lower()}")  # the smallest one is written last
            raise

    holds()


def test_any_bytes_give_a_message() -> None:
    """No bytes make the parser fail, take long or break a promise; finds are written to tests/vectors/found/."""
    _run(400)
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        _run(2_000)
