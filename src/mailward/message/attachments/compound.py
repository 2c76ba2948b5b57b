"""Old Office documents and Outlook messages: compound files (MS-CFB), read by olefile."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import olefile

from mailward.message.attachments import carving, limits, office, records, texts, tnef, unlocking
from mailward.message.attachments.gathering import Gathering

_LOCKED_WORD = 0x01  # fEncrypted, in octet 11 of the stream WordDocument (MS-DOC 2.5.2)
_LOCKED_POWERPOINT = (0xF3D1C4DF).to_bytes(4, "little")  # headerToken, at octet 12 of the stream Current User (MS-PPT 2.3.2)
_HOLDERS = {"package", "contents", "data", "pictures", "workbook"}  # streams that are files, or hold them
_PROPERTY = "__substg1.0_"  # MS-OXMSG 2.2.1: then four digits of the property and four of its type
_SUBJECT, _BODY, _HTML, _RTF, _FILE, _LONG_NAME, _NAME = "0037", "1000", "1013", "10090102", "37010102", "3707", "3704"
_SECTORS = {(b"\x09\x00", b"\x06\x00"), (b"\x0c\x00", b"\x06\x00")}  # powers of two of the sizes MS-CFB 2.2 allows

Entry = tuple[str, bytes]


def look(content: bytes, where: str, gathered: Gathering) -> Iterator[Entry]:
    """Read a compound file; gives the files within it. Raises OSError and olefile's errors for damaged ones."""
    if (content[30:32], content[32:34]) not in _SECTORS:
        gathered.note("damaged", "An Office document is damaged; it was not looked into.")
        return
    with olefile.OleFileIO(BytesIO(content)) as compound:
        if compound.root.size > len(content):  # all small streams stand in it: it would be read in a loop
            gathered.note("damaged", "An Office document is damaged; it was not looked into.")
            return
        listed = compound.listdir()
        names = [name for name in listed if compound.get_size(name) <= len(content)]
        if len(names) < len(listed):
            gathered.note("damaged", "An Office document is damaged; parts of it were left out.")
        if len(names) > limits.STREAMS:
            gathered.note("entries", f"A document has more than {limits.STREAMS} streams; the rest was left out.")
        streams: dict[tuple[str, ...], bytes] = {}
        for name in names[: limits.STREAMS]:
            if not (room := gathered.room()):
                break
            streams[tuple(name)] = gathered.spend(compound.openstream(name).read(room + 1), room)
    if _is_locked(streams):
        whole = len(names) == len(listed)
        unlocked = unlocking.opened(content, streams.get(("EncryptionInfo",), b""), gathered) if whole else b""
        if unlocked and (room := gathered.room()):
            yield "unlocked", gathered.spend(unlocked, room)
        elif not unlocked:
            gathered.note("encrypted", "An Office document is locked with a password; it was not looked into.")
    elif ("__properties_version1.0",) in streams:
        yield from _outlook(streams, where, gathered)
    else:
        for path, data in streams.items():
            _stream(path[-1].lower(), data, where, gathered)
            yield from _embedded(path[-1].lower(), data)


def _is_locked(streams: dict[tuple[str, ...], bytes]) -> bool:
    if ("EncryptedPackage",) in streams:
        return True
    if streams.get(("WordDocument",), b"")[11:12] and streams["WordDocument",][11] & _LOCKED_WORD:
        return True
    book = streams.get(("Workbook",)) or streams.get(("Book",), b"")
    return records.is_locked(book) or streams.get(("Current User",), b"")[12:16] == _LOCKED_POWERPOINT


def _stream(name: str, data: bytes, where: str, gathered: Gathering) -> None:
    """Read one stream by what Office calls it; any other for the addresses that stand in it as they are."""
    for address in records.monikers(data):
        gathered.link(address, "", where)
    match name:
        case "workbook" | "book":
            text = records.workbook(data)
        case "powerpoint document":
            text = records.presentation(data)
        case "worddocument":
            text = records.document(data)
        case _:
            text = records.macro(data) or records.strings(data)
    office.fields(text, where, gathered)
    gathered.text(text, where)


def _embedded(name: str, data: bytes) -> Iterator[Entry]:
    if name in _HOLDERS:
        yield from (("object", each) for each in carving.within(data))
    elif name == "\x01ole10native":  # size, 2 octets, label, path, 8 octets, path, size: each text ended by zero
        label, _, rest = data[6:].partition(b"\x00")
        rest = rest.partition(b"\x00")[2][8:].partition(b"\x00")[2]
        yield label.decode("latin-1"), rest[4:]


def _outlook(streams: dict[tuple[str, ...], bytes], where: str, gathered: Gathering) -> Iterator[Entry]:
    """Read a message as Outlook saves it (MS-OXMSG); gives its attachments."""
    for prefix in sorted({path[:-1] for path in streams}):
        values = {path[-1].removeprefix(_PROPERTY): data for path, data in streams.items() if path[:-1] == prefix}
        for key in (_SUBJECT, _BODY):
            gathered.text(_string(values, key), where)
        page = values.get(_HTML + "0102", b"") or _string(values, _HTML).encode()
        if page:
            texts.page(page, "", where, gathered)
        if _RTF in values and (room := gathered.room()):
            yield "body.rtf", gathered.spend(tnef.rich_text(values[_RTF]), room)
        if _FILE in values:
            yield _string(values, _LONG_NAME) or _string(values, _NAME) or "attachment", values[_FILE]


def _string(values: dict[str, bytes], key: str) -> str:
    """A text property: type 001F is UTF-16, 001E has octets."""
    if (wide := values.get(key + "001F")) is not None:
        return wide.decode("utf-16-le", "replace").rstrip("\0")
    return values.get(key + "001E", b"").decode("cp1252", "replace").rstrip("\0")


def shortcut(content: bytes, where: str, gathered: Gathering) -> None:
    """Read a file in which addresses stand as they are: Windows shortcuts (MS-SHLLINK), OneNote (MS-ONESTORE)."""
    gathered.text(records.strings(content), where)
