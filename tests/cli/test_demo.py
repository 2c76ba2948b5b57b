"""`make run`: the hidden command behind it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("servers")


def test_every_sample_goes_through_the_gateway_and_gets_a_verdict(mailward: Any, samples: Path, tmp_path: Path, free_port: int) -> None:
    """Real SMTP in, real SMTP out: the table has a row for each sample with its verdict, and the stand-in has what was delivered."""
    done = mailward("demo", "--state", tmp_path / "state", "--port", free_port, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    held = 0
    for sample in samples.glob("*.eml"):
        row = next(line for line in done.stdout.splitlines() if line.startswith(sample.stem))
        assert re.search(r"\b(clean|spam)\b.*\d/8\.0 .*delivered|\b(phishing|impersonation)\b.*\d/[58]\.0 .*quarantined", row)
        held += "quarantined" in row
    assert 0 < held <= 3
    assert f"it has {12 - held} so far" in done.stdout
    assert f"127.0.0.1:{free_port}" in done.stdout


def test_a_taken_port_is_named_with_what_to_do(mailward: Any, sink: tuple[Any, int], tmp_path: Path) -> None:
    """Nothing is started."""
    done = mailward("demo", "--state", tmp_path / "state", "--port", sink[1])
    assert done.returncode == 2
    assert f"127.0.0.1:{sink[1]} cannot be opened: address already in use" in done.stderr
    assert "make run PORT=" in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_interrupted_and_leaves_nothing_running(tmp_path: Path, free_port: int, number: int) -> None:
    """The gateway and its workers end with it, and the port is free again."""
    command = [sys.executable, "-m", "mailward", "demo", "--state", str(tmp_path / "state"), "--port", str(free_port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    assert any("Ctrl-C stops it." in line for line in process.stdout)
    process.send_signal(number)
    assert process.wait(30) == 0
    deadline = time.monotonic() + 10
    from mailward.cli.doctor import cannot_bind

    while cannot_bind("127.0.0.1", free_port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert cannot_bind("127.0.0.1", free_port) == ""
