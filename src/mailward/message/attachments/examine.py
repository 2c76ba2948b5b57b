"""Look into attachments: what is in them, and in what is in them. No recursion; every step is paid from one budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailward.message.attachments import archives, limits, office, texts
from mailward.message.attachments.attachment import Attachment, Examined, worth
from mailward.message.attachments.gathering import Gathering
from mailward.message.attachments.kind import Kind, kind
from mailward.message.parse import parse
from mailward.message.urls.search import urls_of

_CONTAINERS = frozenset({Kind.ZIP, Kind.TAR, Kind.STREAM, Kind.MAIL})


def examine(attachments: Sequence[Attachment]) -> Examined:
    """Find the addresses in the attachments of one message, in order, each once. Never raises; damage is a finding.

    Costs up to seconds and limits.TOTAL_BYTES for hostile files: to be called where time and memory are limited.
    """
    gathered = Gathering()
    if len(attachments) > limits.ATTACHMENTS:
        gathered.note("count", f"Only the first {limits.ATTACHMENTS} attachments were looked into.")
    pending = [(attachment, 0) for attachment in reversed(attachments[: limits.ATTACHMENTS])]
    while pending:
        attachment, depth = pending.pop()
        inner: list[Attachment] = []
        try:
            _look(attachment, depth, inner, gathered)
        except Exception as error:  # parsers of others: their errors are not of one class
            gathered.note("damaged", f"{_shown(attachment.name)} cannot be read ({type(error).__name__}).")
        pending.extend((each, depth + 1) for each in reversed(inner))
    return gathered.examined()


def _look(attachment: Attachment, depth: int, inner: list[Attachment], gathered: Gathering) -> None:
    """Read one file; what it contains is added to `inner`, also where reading breaks off."""
    found = kind(attachment.name, attachment.content_type, attachment.content)
    name, content = _shown(attachment.name), attachment.content
    if found in _CONTAINERS and depth >= limits.DEPTH:
        gathered.note("depth", f"Files are packed into each other more than {limits.DEPTH} times; the inner ones were left out.")
        return
    match found:
        case Kind.ZIP:
            _zip(name, content, inner, gathered)
        case Kind.TAR:
            _entries(name, archives.tarred(content, gathered), inner)
        case Kind.STREAM:
            _entries(name, archives.unpacked(name, content, gathered), inner)
        case Kind.MAIL:
            _mail(name, content, inner, gathered)
        case Kind.HTML:
            texts.page(content, attachment.charset, name, gathered)
        case Kind.CALENDAR:
            texts.calendar(content, attachment.charset, name, gathered)
        case Kind.RTF:
            office.rtf(content, name, gathered)
        case Kind.TEXT:
            texts.plain(content, attachment.charset, name, gathered)
        case Kind.CLOSED:
            gathered.note("unread", f"{name} is an archive of a kind that is not opened.")
        case Kind.OTHER:
            pass


def _zip(name: str, content: bytes, inner: list[Attachment], gathered: Gathering) -> None:
    entries: list[Attachment] = []
    try:
        _entries(name, archives.zipped(content, gathered), entries)
    finally:
        names = {entry.name.removeprefix(name + "/") for entry in entries}
        if office.is_document(names):
            for entry in entries:
                if entry.name.endswith((".xml", ".rels")):
                    office.member(entry.content, name, gathered)
            entries = [entry for entry in entries if not entry.name.endswith((".xml", ".rels"))]
        inner += entries


def _entries(outer: str, entries: Iterable[archives.Entry], inner: list[Attachment]) -> None:
    for name, content in entries:
        if content:
            inner.append(Attachment(f"{outer}/{name}", "", "", content))


def _mail(name: str, content: bytes, inner: list[Attachment], gathered: Gathering) -> None:
    message = parse(content)
    for url in urls_of(message):
        gathered.found(url, name)
    inner += [Attachment(f"{name}/{a.name}", a.content_type, a.charset, a.content) for a in worth(message)]


def _shown(name: str) -> str:
    """A name that is safe to print, cut in front where nesting made it long."""
    return "".join(char if char.isprintable() else "?" for char in name)[-limits.NAME_CHARS :]
