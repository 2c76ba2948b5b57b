"""Files built to hurt, through real helper processes: a verdict in time, bounded memory, the caller untouched."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.message.attachments.bombs import BOMBS

from mailward.gateway.examiners import Examiners
from mailward.message.attachments import Attachment

SECONDS = 10.0
HELPER_BYTES = 512 << 20
GROWTH_BYTES = 96 << 20  # of this process: the question as it is packed and written

_GOOD = Attachment("a.txt", "text/plain", "", b"see https://good.example.com/ now")
_TOLD = {
    "zip of 1 GB": ["bytes"],
    "zips in zips, 16 wide, 5 deep": ["bytes"],
    "overlapping zip": ["overlap", "bytes"],
    "gzip in gzip, 200 deep": ["depth"],
    "gzip of 1 GB": ["bytes"],
    "7z of 1 GB": ["bytes"],
    "7z asking for 1 GB of memory": ["damaged"],
    "zip of 10,000 files": ["entries"],
    "7z of 10,000 files": ["entries"],
    "50 locked zips": ["encrypted"],
    "pdf with streams of 1 GB": ["bytes"],
    "pdf with 10,000 links": ["urls"],
    "pdf with 5,000 pages": ["pages"],
    "pdf 200,000 deep": ["damaged"],
    "pdf with 500,000 lines": ["pages"],
    "docx with 100,000 relations": ["urls"],
    "60,000 x 60,000": ["pixels"],
    "50,000 addresses": ["urls"],
}


@pytest.fixture(scope="module")
def examiners() -> Iterator[Examiners]:
    pool = Examiners()
    pool.examine([_GOOD])
    yield pool
    pool.close()


def _peak(pid: int) -> int:
    """The largest address space a process has had."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    return int(fields["VmPeak"].split()[0]) << 10


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_harms_nobody(examiners: Examiners, name: str) -> None:
    """Each is done with in time, in bounded memory; what stands beside it is found, and the next message is read."""
    attachments = [_GOOD, *(Attachment(file, "", "", content) for file, content in BOMBS[name]())]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    started = time.monotonic()
    examined = examiners.examine(attachments, "the password is: wrong")
    assert time.monotonic() - started < SECONDS
    assert examined.urls[0].url == "https://good.example.com/"
    assert {finding.name for finding in examined.findings} >= {f"attachment:{each}" for each in _TOLD.get(name, ())}
    for idle in examiners._idle:
        assert _peak(idle._process.pid) <= HELPER_BYTES
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - before < GROWTH_BYTES
    assert [url.url for url in examiners.examine([_GOOD]).urls] == ["https://good.example.com/"]
