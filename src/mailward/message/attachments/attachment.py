"""An attachment as it is handed to the examiners, and what they found in all of them."""

from __future__ import annotations

from dataclasses import dataclass

from mailward.message.attachments import limits
from mailward.message.attachments.drawn import draws
from mailward.message.attachments.kind import picture_size
from mailward.message.model import Finding, Message, Part
from mailward.message.urls.found import FoundUrl

_SEEN_ELSEWHERE = ("audio/", "video/", "font/", "multipart/", "message/", "application/pgp-", "application/pkcs7-")
_DRAWN = "image/svg"  # an image with links and scripts


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file: its name, what it was declared to be (lower case, "" if nothing), its bytes.

    A body in which a code may be drawn is one too; then `place` is where its addresses are found ("html", "text").
    """

    name: str
    content_type: str
    charset: str
    content: bytes
    place: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """The attachments of a message, and its visible text, in which the password of a locked file may stand."""

    attachments: tuple[Attachment, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """What stands in the attachments of a message, and which limits were reached or damages met."""

    urls: tuple[FoundUrl, ...] = ()
    findings: tuple[Finding, ...] = ()


def worth(message: Message, *, files: bool = True) -> tuple[Attachment, ...]:
    """The parts that may hold an address besides those of the message itself; empty for most mail, which then costs nothing more.

    Bodies that draw a code come first, pictures last: where there are too many, files go before pictures. Without `files` only
    the bodies: what is drawn there belongs to the message itself.
    """
    bodies = [Attachment("", p.content_type, p.charset, p.content, _place(p)) for p in message.parts if p.is_body and draws(p, message)]
    if not files:
        return tuple(bodies)
    parts = [p for p in message.parts if not p.is_body and p.content and _is_worth(p)]
    parts.sort(key=_is_picture)
    return tuple(bodies + [Attachment(p.filename, p.content_type, p.charset, p.content) for p in parts[: limits.ATTACHMENTS + 1]])


def _place(part: Part) -> str:
    return "html" if part.content_type == "text/html" else "text"


def _is_picture(part: Part) -> bool:
    return part.content_type.startswith("image/") and not part.content_type.startswith(_DRAWN)


def _is_worth(part: Part) -> bool:
    if part.content_type in {"text/plain", "text/html"} and not part.filename and part.disposition != "attachment":
        return False  # another form of the body
    if not _is_picture(part):
        return not part.content_type.startswith(_SEEN_ELSEWHERE)
    size = picture_size(part.content)
    return len(part.content) >= limits.PICTURE_BYTES and (size is None or large_enough(*size))


def large_enough(width: int, height: int) -> bool:
    """Whether a picture can hold a code, or half of one."""
    return max(width, height) >= limits.PICTURE_SIDE and min(width, height) >= limits.PICTURE_SIDE // 2
