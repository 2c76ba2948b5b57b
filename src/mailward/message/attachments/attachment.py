"""An attachment as it is handed to the examiners, and what they found in all of them."""

from __future__ import annotations

from dataclasses import dataclass

from mailward.message.attachments import limits
from mailward.message.model import Finding, Message, Part
from mailward.message.urls.found import FoundUrl

_SEEN_ELSEWHERE = ("image/", "audio/", "video/", "font/", "multipart/", "message/", "application/pgp-", "application/pkcs7-")
_DRAWN = "image/svg"  # an image with links and scripts


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file: its name, what it was declared to be (lower case, "" if nothing), its bytes."""

    name: str
    content_type: str
    charset: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Examined:
    """What stands in the attachments of a message, and which limits were reached or damages met."""

    urls: tuple[FoundUrl, ...] = ()
    findings: tuple[Finding, ...] = ()


def worth(message: Message) -> tuple[Attachment, ...]:
    """The parts that are no body and may hold an address; empty for most mail, which then costs nothing more."""
    return tuple(
        [Attachment(p.filename, p.content_type, p.charset, p.content) for p in message.parts if _is_worth(p)][: limits.ATTACHMENTS + 1]
    )


def _is_worth(part: Part) -> bool:
    if part.is_body or not part.content:
        return False
    if part.content_type in {"text/plain", "text/html"} and not part.filename and part.disposition != "attachment":
        return False  # another form of the body
    return part.content_type.startswith(_DRAWN) or not part.content_type.startswith(_SEEN_ELSEWHERE)
