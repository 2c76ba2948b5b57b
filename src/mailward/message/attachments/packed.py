"""Archives read by libarchive: 7z, rar, iso, cab, lha, rarer packings, and of zip archives what Python does not unpack.

The library is Debian's libarchive13; where it is absent, `available` is False and such archives are findings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from mailward.message.attachments import limits
from mailward.message.attachments.gathering import Gathering

try:
    from libarchive import read
    from libarchive.exception import ArchiveError
except (ImportError, OSError, AttributeError, TypeError):  # ctypes tells an absent library in several ways
    available = False
else:
    available = True

Entry = tuple[str, bytes]
_RAW_FILTERS = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"), (b"LZIP", "lzip"), (b"\x1f\x9d", "compress"))
_BLOCK = 1 << 16


def entries(
    format_name: str, content: bytes, gathered: Gathering, known: Collection[str] = (), password: str | None = None
) -> Iterator[Entry]:
    """The files of an archive that are not `known` by name, as far as the budget allows. Damage is a finding."""
    if not available:
        gathered.note("unread", "An archive needs libarchive to be opened, which is not installed here.")
        return
    try:
        yield from _entries(format_name, content, gathered, known, password)
    except ArchiveError as error:
        _note(error, gathered)


def password_of(content: bytes, gathered: Gathering, known: Collection[str]) -> str | None:
    """The word of the message that opens the locked files of a zip archive, None if none does."""
    for password in gathered.passwords if available else ():
        if gathered.late():
            return None
        if _opens(content, password, known):
            return password
    return None


def _opens(content: bytes, password: str, known: Collection[str]) -> bool:
    try:
        with _archive("zip", content, password) as archive:
            for entry in archive:
                if entry.isfile and _name(entry) not in known:
                    return len(_data(entry, limits.PASSWORD_BYTES)) > 0
    except ArchiveError:
        return False
    return False


def _entries(format_name: str, content: bytes, gathered: Gathering, known: Collection[str], password: str | None) -> Iterator[Entry]:
    passed = 0
    with _archive(format_name, content, password) as archive:
        for count, entry in enumerate(archive):
            if count >= limits.DIRECTORY:
                gathered.note("entries", f"An archive names more than {limits.DIRECTORY} files; the rest was left out.")
                return
            if not entry.isfile or (name := _name(entry)) in known:
                passed += entry.size or 0
            elif not (room := gathered.room()):
                return
            else:
                try:
                    data = _data(entry, room + 1)
                except ArchiveError as error:
                    _note(error, gathered)
                    data = b""
                passed += max(0, (entry.size or 0) - len(data))
                yield name, gathered.spend(data, room)
            if passed > limits.SKIPPED_BYTES:  # unpacked all the same, to get to the next file
                gathered.note("bytes", "A file unpacks to more than is read; the rest was left out.")
                return


def _archive(format_name: str, content: bytes, password: str | None) -> Any:
    """Open with one format and one packing only: libarchive would start programs for some others."""
    packing = next((name for magic, name in _RAW_FILTERS if content.startswith(magic)), "none")
    return read.memory_reader(content, format_name, packing, password or None)


def _name(entry: Any) -> str:
    name = entry.pathname
    return name.decode("latin-1") if isinstance(name, bytes) else name or ""


def _data(entry: Any, most: int) -> bytes:
    data = bytearray()
    for block in entry.get_blocks(_BLOCK):
        data += block
        if len(data) >= most:
            break
    return bytes(data[:most])


def _note(error: Exception, gathered: Gathering) -> None:
    told = str(error).lower()
    if "crypt" in told or "passphrase" in told:
        gathered.note("encrypted", "An archive is locked with a password; it was not looked into.")
    else:
        gathered.note("damaged", "A file of an archive cannot be unpacked.")
