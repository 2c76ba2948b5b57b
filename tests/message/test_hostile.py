"""Messages built to hurt cost little and still give a Message."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest

from mailward.auth.model import UNCHECKED
from mailward.content import load
from mailward.message import Message, parse
from mailward.message.origin import envelope_from_trace, origin

_SPEC = importlib.util.spec_from_file_location("mailward_hostile", Path(__file__).parent / "hostile.py")
assert _SPEC is not None
assert _SPEC.loader is not None
hostile = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hostile)

_SECONDS = 5.0
_MEGABYTES = 200.0
_WARM = b"From: a@example.org\nContent-Type: text/html\n\n<p style='color:red'>see www.example.com http://example.org/</p>"


def _memory(name: str) -> float:
    """Megabytes from /proc: VmRSS is what is held now, VmHWM the most since the counter was reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def _score(message: Message) -> None:
    """Let the content model judge the message, as a gateway would."""
    envelope = envelope_from_trace(message)
    assert load().score(message, origin(message, envelope), envelope, UNCHECKED)


def _measure(raw: bytes) -> dict[str, Any]:
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    start = time.process_time()
    message = parse(raw)
    _score(message)
    seconds = time.process_time() - start
    found = [finding.name for finding in message.findings]
    return {"seconds": seconds, "megabytes": _memory("VmHWM") - before, "found": found, "parts": len(message.parts)}


def _cost(raw: bytes) -> dict[str, Any]:
    """Measure in a process of its own, which is killed when it computes for more than 30 s."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 30, int(time.process_time()) + 30))
            os.write(writing, json.dumps(_measure(raw)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    assert answer, "the parser was killed or failed"
    return dict(json.loads(answer))


@pytest.mark.parametrize("name", sorted(hostile.generators()))
def test_hostile_messages_cost_little(name: str) -> None:
    """Each is parsed and scored in 5 s of CPU and 200 MB more memory than before (measured in a process of its own), and is a Message."""
    _score(parse(_WARM))
    cost = _cost(hostile.generators()[name]())
    print(f"{name}: {cost['seconds']:.2f} s CPU, {cost['megabytes']:.0f} MB more")
    assert cost["seconds"] < _SECONDS
    assert cost["megabytes"] < _MEGABYTES
    assert cost["parts"] >= 1
    assert "defect:parser" not in cost["found"]
