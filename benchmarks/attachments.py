"""What looking into files costs, through real helpers: python benchmarks/attachments.py (needs the programs of tests/packages)."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.message.attachments import bombs, made

from mailward.gateway.examiners import Examiners
from mailward.message.attachments import Attachment


def _status(pid: int, field: str) -> int:
    """A figure of a process, in MB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if line.startswith(field))
    return int(line.split()[1]) >> 10


def ordinary() -> dict[str, list[tuple[str, bytes]]]:
    """Files as wanted mail has them."""
    page = b"<html>" + b"<p>Figures of <a href='https://example.com/a'>November</a></p>" * 100
    photo = bombs._noise(1200, 800, "RGB").effect_spread(9)
    logo = made.saved(made.grey(made.qr("x")).resize((200, 60)))
    return {
        "text": [("a.txt", b"https://example.com/ and more\n" * 50)],
        "calendar": [("a.ics", made.calendar("Join https://example.com/meeting\n" * 5))],
        "docx": [("a.docx", made.docx("Dear customer " * 200, "https://example.com/"))],
        "pdf, 2 pages": [("a.pdf", made.pdf(("Dear customer, your invoice " * 3,) * 40, ("https://example.com/",), pages=2))],
        "zip of a page": [("a.zip", made.zipped({"a.html": page}))],
        "photograph 1200x800": [("a.jpg", made.saved(photo, "JPEG"))],
        "newsletter: 12 pictures 600x400": [("a.jpg", made.saved(photo.resize((600, 400)), "JPEG"))] * 12,
        "signature: 2 logos": [("a.png", logo)] * 2,
    }  # fmt: skip


def main() -> None:
    pool = Examiners(processes=1)
    started = time.perf_counter()
    pool.examine([Attachment("a.txt", "", "", b"x")])
    pid = pool._idle[0]._process.pid
    print(
        f"start of a helper {(time.perf_counter() - started) * 1e3:.0f} ms, {_status(pid, 'VmRSS')} MB resident, {_status(pid, 'VmSize')} MB mapped"
    )
    for name, files in ordinary().items():
        attachments = [Attachment(file, "", "", content) for file, content in files]
        best = min(_timed(pool, attachments)[0] for _ in range(10))
        print(f"{name:34} {best * 1e3:8.1f} ms")
    for name, make in bombs.BOMBS.items():
        attachments = [Attachment(file, "", "", content) for file, content in make()]
        pool.close()
        seconds, findings = _timed(pool, attachments)
        peak = f"{_status(pool._idle[0]._process.pid, 'VmPeak')} MB" if pool._idle else "-"
        print(f"{name:34} {seconds:8.2f} s {peak:>8}  {', '.join(findings) or '-'}", flush=True)
    pool.close()


def _timed(pool: Examiners, attachments: list[Attachment]) -> tuple[float, list[str]]:
    started = time.perf_counter()
    examined = pool.examine(attachments, "the password is: wrong")
    return time.perf_counter() - started, [finding.name.removeprefix("attachment:") for finding in examined.findings] + [
        f"{len(examined.urls)} urls"
    ]


if __name__ == "__main__":
    main()
