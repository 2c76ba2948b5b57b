"""`make fuzz`: half of FUZZ_SECONDS (600) for hypothesis, half for atheris where it is installed. Finds become vectors."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def main() -> int:
    seconds = int(os.environ.get("FUZZ_SECONDS") or 600)
    guided = importlib.util.find_spec("atheris") is not None
    share = seconds // 2 if guided else seconds
    tests = [str(path) for path in sorted(_HERE.glob("test_*_fuzz.py"))]
    environment = {**os.environ, "MAILWARD_FUZZ_SECONDS": str(share // len(tests))}
    print(f"hypothesis for {share} s", flush=True)
    done = [subprocess.run([sys.executable, "-m", "pytest", "-q", *tests], env=environment, check=False)]
    if guided:
        guides = sorted(_HERE.glob("atheris_*.py"))
        print(f"atheris for {share} s", flush=True)
        done += [subprocess.run([sys.executable, str(guide), str(share // len(guides))], check=False) for guide in guides]
    else:
        print("atheris is not installed: only hypothesis ran")
    failed = any(one.returncode for one in done)
    print("Found something: see tests/vectors/found/ and tests/vectors/attachments/found/" if failed else f"Nothing found in {seconds} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
