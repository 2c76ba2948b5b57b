"""Coverage-guided fuzzing of the examiners: python tests/fuzz/atheris_attachments.py SECONDS

Finds are written to tests/vectors/attachments/found/, where a test reads them for ever. Needs the `atheris` package.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

with atheris.instrument_imports(include=["mailward.message.attachments", "mailward.message.urls", "olefile", "tarfile", "zipfile"]):
    import mailward.message.attachments.examine  # noqa: F401

from tests.fuzz import files

_NAMES = ("a.bin", "a.html", "a.eml", "a.ics", "a.txt")


def one(raw: bytes) -> None:
    """The last octet chooses the name."""
    name, content = _NAMES[raw[-1] % len(_NAMES) if raw else 0], raw[:-1]
    try:
        files.check(name, content)
    except Exception:
        print("written to", files.keep(name, content))
        raise


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        for kind, (name, content) in files.seeds().items():
            if len(content) < 20_000:
                (seeds / kind.replace(" ", "-")).write_bytes(content + bytes([_NAMES.index(name) if name in _NAMES else 0]))
        atheris.Setup(
            [sys.argv[0], f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2000", "-max_len=20000", "-len_control=0",
             f"-artifact_prefix={folder}/", str(seeds)],
            one,
        )  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    main()
