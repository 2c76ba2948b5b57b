"""What every test may ask for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.https import authority as authority
from tests.https import site as site

ROOT = Path(__file__).resolve().parent.parent


def shared_folder() -> Path | None:
    """The folder with corpora and peers that lies beside the repository, or where MAILWARD_SHARED says."""
    folder = Path(os.environ.get("MAILWARD_SHARED") or ROOT.parent / "shared")
    return folder if (folder / "corpora").is_dir() else None


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder; the test is left out where there is none."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("needs the corpora: put them in ../shared or say where they are with MAILWARD_SHARED")
    return folder


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of bundled sample messages."""
    return ROOT / "src" / "mailward" / "samples"


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback address nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def mailward(tmp_path: Path) -> Run:
    """Run the command line as a person would, in an empty folder; `input` is bytes for standard input."""

    def run(*arguments: object, input: bytes = b"", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "mailward", *map(str, arguments)],
            input=input,
            capture_output=True,
            timeout=timeout,
            cwd=home,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "replace")
        )

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say plainly how many tests were left out."""
    left_out = len(terminalreporter.stats.get("skipped", []))
    terminalreporter.write_line(f"{left_out} tests were left out" + ("; the reasons stand above" if left_out else ""))
