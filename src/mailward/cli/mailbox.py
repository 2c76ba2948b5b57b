"""Where messages lie on disk: a file, a folder, an mbox, a Maildir, standard input. Finds them first, reads them one by one."""

from __future__ import annotations

import mmap
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STANDARD_INPUT = "-"

# The line between two messages of an mbox (RFC 4155): an address, and a date with a time and a year
_FROM_LINE = re.compile(rb"From [^\r\n]{0,200}\d\d:\d\d[^\r\n]{0,60}\r?\n")
_QUOTED_FROM = re.compile(rb"^>(?=>{0,20}From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """One message that can be read. `name` is what the person is shown; `start` and `end` mark its place in the file (-1: to the end)."""

    name: str
    path: str
    start: int = 0
    end: int = -1


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path that gives no message, and why."""

    name: str
    reason: str


def find(paths: list[str]) -> Iterator[Found | Unreadable]:
    """Yield every message below the paths, in order. Never raises for what lies on disk."""
    for path in paths:
        if path == STANDARD_INPUT:
            yield Found(STANDARD_INPUT, STANDARD_INPUT)
        else:
            yield from _find(path)


def read(found: Found) -> bytes:
    """Read one message. Raises OSError."""
    from mailward.message.limits import MESSAGE_BYTES

    most = MESSAGE_BYTES + 1  # one more than is judged, so that the limit is noticed
    if found.path == STANDARD_INPUT:
        return _unquoted(sys.stdin.buffer.read(most))
    with open(found.path, "rb") as file:
        file.seek(found.start)
        size = most if found.end < 0 else min(found.end - found.start, most)
        return _unquoted(file.read(size))


def _find(path: str) -> Iterator[Found | Unreadable]:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        yield Unreadable(path, _reason(error))
        return
    if stat.S_ISDIR(mode):
        yield from _folder(path)
    elif stat.S_ISREG(mode):
        yield from _file(path)
    else:
        yield Unreadable(path, "not a file or a folder")


def _folder(path: str) -> Iterator[Found | Unreadable]:
    try:
        with os.scandir(path) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield Unreadable(path, _reason(error))
        return
    maildir = {"cur", "new"} <= {entry.name for entry in entries}
    for entry in entries:
        if maildir:
            # tmp/ holds mail that is still being written; .Name is a subfolder
            if entry.name in ("cur", "new") or (entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)):
                yield from _folder(entry.path)
        elif not entry.name.startswith(".") and (not entry.is_symlink() or entry.is_file()):  # a link to a folder may lead in circles
            yield from _find(entry.path)


def _file(path: str) -> Iterator[Found | Unreadable]:
    try:
        with open(path, "rb") as file:
            is_mbox = _FROM_LINE.match(file.read(400)) is not None
            starts = _starts(file.fileno()) if is_mbox else []
    except OSError as error:
        yield Unreadable(path, _reason(error))
        return
    if len(starts) < 2:
        yield Found(path, path)
        return
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], -1], strict=True), 1):
        yield Found(f"{path}#{number}", path, start, end)


def _starts(descriptor: int) -> list[int]:
    """Offsets of the From lines of an mbox: at the start, or after an empty line."""
    starts = [0]
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        at = content.find(b"\nFrom ")
        while at >= 0:
            after_empty_line = content[max(at - 2, 0) : at].endswith((b"\n", b"\n\r"))
            if after_empty_line and _FROM_LINE.match(content[at + 1 : at + 400]):
                starts.append(at + 1)
            at = content.find(b"\nFrom ", at + 1)
    return starts


def _unquoted(raw: bytes) -> bytes:
    """Take off what an mbox adds: the From line and one `>` before every `From ` in the text."""
    line = _FROM_LINE.match(raw[:400])
    return _QUOTED_FROM.sub(b"", raw[line.end() :]) if line else raw


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def is_path(text: str) -> bool:
    return text == STANDARD_INPUT or Path(text).exists()
