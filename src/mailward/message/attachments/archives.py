"""Archives and packed files: their entries, unpacked as far as the budget allows."""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise

from mailward.message.attachments import limits, packed
from mailward.message.attachments.gathering import Gathering

_DIRECTORY_ENTRY = b"PK\x01\x02"
_LOCAL_HEADER = 30  # octets, without name and extra field
_ENCRYPTED = 1  # bit of the general purpose flags (APPNOTE 4.4.4)
_READ = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

Entry = tuple[str, bytes]


def zipped(content: bytes, gathered: Gathering) -> Iterator[Entry]:
    """The files of a zip archive in the order of its directory, locked ones last. Raises zipfile.BadZipFile."""
    if content.count(_DIRECTORY_ENTRY) > limits.DIRECTORY:
        gathered.note("entries", f"An archive names more than {limits.DIRECTORY} files; it was not opened.")
        return
    with zipfile.ZipFile(BytesIO(content)) as archive:
        infos = archive.infolist()
        if _overlap(infos):
            gathered.note("overlap", "Files of an archive share the same bytes, as in zip bombs.")
        files = [info for info in infos if not info.is_dir()]
        plain = [info for info in files if not info.flag_bits & _ENCRYPTED and info.compress_type in _READ]
        for info in plain:
            if not (room := gathered.room()):
                return
            yield info.filename, gathered.spend(_unzipped(archive, info, room, gathered), room)
    if len(plain) < len(files):
        yield from _others(content, {info.filename for info in plain}, any(info.flag_bits & _ENCRYPTED for info in files), gathered)


def _others(content: bytes, known: set[str], locked: bool, gathered: Gathering) -> Iterator[Entry]:
    """The files that are locked, with a password from the message, or packed in rarer ways."""
    password = packed.password_of(content, gathered, known) if locked else None
    if locked and password is None:
        gathered.note("encrypted", "An archive is locked with a password; it was not looked into.")
    else:
        yield from packed.entries("zip", content, gathered, known, password)


def _overlap(infos: list[zipfile.ZipInfo]) -> bool:
    ordered = sorted(infos, key=lambda info: info.header_offset)
    return any(a.header_offset + _LOCAL_HEADER + a.compress_size > b.header_offset for a, b in pairwise(ordered))


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: int, gathered: Gathering) -> bytes:
    try:
        with archive.open(info) as file:
            return file.read(room + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError):
        gathered.note("damaged", "A file of an archive cannot be unpacked.")
        return b""


def tarred(content: bytes, gathered: Gathering) -> Iterator[Entry]:
    """The regular files of a tar archive. Raises tarfile.TarError."""
    with tarfile.open(fileobj=BytesIO(content), mode="r:") as archive:
        for count, member in enumerate(archive):
            if count >= limits.DIRECTORY:
                gathered.note("entries", f"An archive names more than {limits.DIRECTORY} files; the rest was left out.")
                return
            if not member.isfile() or (file := archive.extractfile(member)) is None:
                continue
            if not (room := gathered.room()):
                return
            yield member.name, gathered.spend(file.read(room + 1), room)


def unpacked(name: str, content: bytes, gathered: Gathering) -> Iterator[Entry]:
    """The one file of a gzip, bzip2 or xz stream. Raises zlib.error, OSError or lzma.LZMAError."""
    if not (room := gathered.room()):
        return
    if content.startswith(b"\x1f\x8b"):
        data = zlib.decompressobj(wbits=31).decompress(content, room + 1)
    elif content.startswith(b"BZh"):
        data = bz2.BZ2Decompressor().decompress(content, room + 1)
    else:
        data = lzma.LZMADecompressor(memlimit=limits.XZ_MEMORY).decompress(content, room + 1)
    plain, _, ending = name.rpartition(".")
    yield plain + ".tar" if ending.lower() in {"tgz", "tbz", "txz"} else plain or name, gathered.spend(data, room)
