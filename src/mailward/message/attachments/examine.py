"""Look into attachments: what is in them, and in what is in them. No recursion; every step is paid from one budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailward.message.attachments import archives, carving, compound, drawings, limits, office, packed, pdf, texts, tnef
from mailward.message.attachments.attachment import Attachment, Examined, worth
from mailward.message.attachments.gathering import Gathering
from mailward.message.attachments.kind import LIBARCHIVE, Kind, kind
from mailward.message.attachments.pictures import Pictures
from mailward.message.parse import parse
from mailward.message.urls.search import urls_of

_CONTAINERS = LIBARCHIVE | {Kind.ZIP, Kind.TAR, Kind.STREAM, Kind.MAIL, Kind.PDF, Kind.COMPOUND, Kind.TNEF, Kind.RTF}

_XML = (".xml", ".rels")  # members of documents


def examine(attachments: Sequence[Attachment], message_text: str = "") -> Examined:
    """Find the addresses in the attachments of one message, in order, each once. Never raises; damage is a finding.

    Passwords of locked files are looked for in the message's text. Costs up to seconds and limits.TOTAL_BYTES for hostile
    files: to be called where time and memory are limited.
    """
    gathered = Gathering(message_text)
    pictures = Pictures(gathered)
    if len(attachments) > limits.ATTACHMENTS:
        gathered.note("count", f"Only the first {limits.ATTACHMENTS} attachments were looked into.")
    pending = [(attachment, 0) for attachment in reversed(attachments[: limits.ATTACHMENTS])]
    while pending and not gathered.late():
        attachment, depth = pending.pop()
        inner: list[Attachment] = []
        try:
            _look(attachment, depth, inner, gathered, pictures)
        except Exception as error:  # parsers of others: their errors are not of one class
            gathered.note("damaged", f"{_shown(attachment.name)} cannot be read ({type(error).__name__}).")
        pending.extend((each, depth + 1) for each in reversed(inner))
    pictures.finish()
    return gathered.examined()


def _look(attachment: Attachment, depth: int, inner: list[Attachment], gathered: Gathering, pictures: Pictures) -> None:
    """Read one file; what it contains is added to `inner`, also where reading breaks off."""
    found = kind(attachment.name, attachment.content_type, attachment.content)
    name, content = _shown(attachment.name), attachment.content
    where = attachment.place or f"attachment:{name}"
    if found is not Kind.PICTURE and attachment.place:
        _drawings(attachment, where, inner, pictures)
        return
    if found in _CONTAINERS and depth >= limits.DEPTH:
        gathered.note("depth", f"Files are packed into each other more than {limits.DEPTH} times; the inner ones were left out.")
        return
    if found in LIBARCHIVE:
        stem = name.rpartition(".")[0]
        files = packed.entries(found, content, gathered)
        _entries(name, ((stem, data) for _, data in files) if found is Kind.RAW else files, inner)
        return
    match found:
        case Kind.ZIP:
            _zip(name, where, content, inner, gathered)
        case Kind.TAR:
            _entries(name, archives.tarred(content, gathered), inner)
        case Kind.STREAM:
            _entries(name, archives.unpacked(name, content, gathered), inner)
        case Kind.MAIL:
            _mail(name, where, content, inner, gathered)
        case Kind.PDF:
            _entries(name, pdf.look(content, where, gathered, pictures), inner)
        case Kind.COMPOUND:
            _entries(name, compound.look(content, where, gathered), inner)
        case Kind.TNEF:
            _entries(name, tnef.look(content, where, gathered), inner)
        case Kind.STRINGS:
            compound.shortcut(content, where, gathered)
        case Kind.PICTURE:
            pictures.look(content, where)
        case Kind.HTML:
            texts.page(content, attachment.charset, where, gathered)
            _drawings(attachment, where, inner, pictures)
        case Kind.CALENDAR:
            texts.calendar(content, attachment.charset, where, gathered)
        case Kind.RTF:
            office.rtf(content, where, gathered)
            _entries(name, (("object", data) for data in carving.within_hexadecimal(content)), inner)
        case Kind.TEXT:
            texts.plain(content, attachment.charset, where, gathered)
            _drawings(attachment, where, inner, pictures)
        case Kind.CLOSED:
            gathered.note("unread", f"{name} is an archive of a kind that is not opened.")
        case Kind.OTHER:
            pass


def _drawings(attachment: Attachment, where: str, inner: list[Attachment], pictures: Pictures) -> None:
    drawings.look(attachment.content, attachment.charset, where, pictures)
    inner += [
        Attachment(attachment.name, content_type, "", data, where) for content_type, data in drawings.data_pictures(attachment.content)
    ]


def _zip(name: str, where: str, content: bytes, inner: list[Attachment], gathered: Gathering) -> None:
    entries: list[Attachment] = []
    try:
        _entries(name, archives.zipped(content, gathered), entries)
    finally:
        names = {entry.name.removeprefix(name + "/") for entry in entries}
        if office.is_document(names):
            office.members([(e.name.removeprefix(name + "/"), e.content) for e in entries if e.name.endswith(_XML)], where, gathered)
            entries = [entry for entry in entries if not entry.name.endswith(_XML)]
        inner += entries


def _entries(outer: str, entries: Iterable[archives.Entry], inner: list[Attachment]) -> None:
    for name, content in entries:
        if content:
            inner.append(Attachment(f"{outer}/{name}", "", "", content))


def _mail(name: str, where: str, content: bytes, inner: list[Attachment], gathered: Gathering) -> None:
    message = parse(content)
    for url in urls_of(message):
        gathered.found(url, where)
    inner += [Attachment(f"{name}/{a.name}", a.content_type, a.charset, a.content, where if a.place else "") for a in worth(message)]


def _shown(name: str) -> str:
    """A name that is safe to print, cut in front where nesting made it long."""
    return "".join(char if char.isprintable() else "?" for char in name)[-limits.NAME_CHARS :]
