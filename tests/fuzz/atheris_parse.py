"""Coverage-guided fuzzing of the parser: python tests/fuzz/atheris_parse.py SECONDS

Finds are written to tests/vectors/found/, where a test reads them for ever. Needs the `atheris` package.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["mailward.message"]):
    import mailward.message.parse  # noqa: F401

import invariants
import pieces


def one(raw: bytes) -> None:
    try:
        invariants.check(raw)
    except Exception:
        print("written to", invariants.keep(raw, f"atheris-{hashlib.sha256(raw).hexdigest()[:12]}"))
        raise


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        for i, head in enumerate(pieces.HEADERS):
            (seeds / f"{i}").write_bytes(head + b"\n\n" + b"\n".join(pieces.BODIES[i % 7 :: 7]))
        words = Path(folder) / "words"
        escaped = ("".join(f"\\x{byte:02x}" for byte in piece[:60]) for piece in pieces.HEADERS + pieces.BODIES if piece)
        words.write_text("".join(f'"{word}"\n' for word in escaped))
        atheris.Setup(
            [sys.argv[0], f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1500", "-max_len=8192", "-len_control=0", f"-dict={words}",
             f"-artifact_prefix={folder}/", str(seeds)],
            one,
        )  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    main()
