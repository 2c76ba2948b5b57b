"""Messages built to hurt cost little when their URLs are looked for."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import pytest

from mailward.message import limits, parse
from mailward.message.urls import urls_of

_SPEC = importlib.util.spec_from_file_location("mailward_hostile", Path(__file__).parent.parent / "hostile.py")
assert _SPEC is not None
assert _SPEC.loader is not None
hostile = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hostile)

_SECONDS = 3.0  # of process time; a fifth of it is needed
_TEXTS = {
    "dots": "a[.]" * 200_000,
    "schemes": "hxxp://" * 200_000,
    "broken lines": "http://a\n" * 100_000,
    "open brackets": "<http://a\n" * 100_000,
    "ideographic": "日本。" * 100_000,
    "one line": "http://" + "a" * 10_000_000,
}
_PAGES = {
    "wrappers": "".join(f"<a href='http://a{i}.example/?u={'aHR0cDovL2EuY29tLw&u=' * 90}'>x</a>" for i in range(500)),
    "data": "".join(f"<a href='data:text/html,{i}{'%3Ca%20href%3D%22http://a/%22%3E' * 60}'>x</a>" for i in range(500)),
    "entities": "".join(f"<a href='http://{i}{'&#' * 900}'>x</a>" for i in range(500)),
}


@pytest.mark.parametrize("name", sorted(hostile.generators()))
def test_hostile_messages_cost_little(name: str) -> None:
    """Every kind of hostile message is done in time and gives a bounded answer."""
    _measure(hostile.generators()[name]())


@pytest.mark.parametrize("name", [*_TEXTS, *_PAGES])
def test_hostile_addresses_cost_little(name: str) -> None:
    """Repeated pieces of disguises, wrappers and pages within links are read in linear time."""
    kind = "plain" if name in _TEXTS else "html"
    _measure(f"Content-Type: text/{kind}; charset=utf-8\n\n{({**_TEXTS, **_PAGES})[name]}".encode())


def _measure(raw: bytes) -> None:
    message = parse(raw)
    start = time.process_time()
    found = urls_of(message)
    assert time.process_time() - start < _SECONDS
    assert len(found) <= limits.LINKS
