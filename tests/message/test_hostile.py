"""Messages built to hurt cost little and still give a Message."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_SPEC = importlib.util.spec_from_file_location("mailward_hostile", _HERE / "hostile.py")
assert _SPEC is not None
assert _SPEC.loader is not None
hostile = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hostile)

_SECONDS = 5.0
_MEGABYTES = 200.0


@pytest.mark.parametrize("name", sorted(hostile.generators()))
def test_hostile_messages_cost_little(name: str, tmp_path: Path) -> None:
    """Each finishes in 5 s of CPU and 200 MB more memory than before (measured in a process of its own), and is a Message."""
    path = tmp_path / "hostile.eml"
    path.write_bytes(hostile.generators()[name]())
    done = subprocess.run([sys.executable, _HERE / "measure_hostile.py", path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    cost = json.loads(done.stdout)
    assert cost["seconds"] < _SECONDS
    assert cost["megabytes"] < _MEGABYTES
    assert cost["parts"] >= 1
    assert "defect:parser" not in cost["found"]
