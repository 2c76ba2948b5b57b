"""What arrived, as frozen values. `parse` makes them; nobody changes them.

Those that are made for every message are msgspec structs: made in a fifth of the time a frozen dataclass takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Header(msgspec.Struct, frozen=True, gc=False):
    """One header field in the order it stood in the message.

    `raw` is the unfolded value as text, 8-bit bytes as surrogate escapes; decode with
    `headers.decode_words` (RFC 2047). `name` keeps its case, `key` is lower case.
    """

    name: str
    key: str
    raw: str


class Address(msgspec.Struct, frozen=True, gc=False):
    """One mailbox (RFC 5322 3.4). `domain` is lower case, an A-label where it was a U-label; "" where there is none."""

    display: str
    local: str
    domain: str

    @property
    def addr(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local


class Hop(msgspec.Struct, frozen=True, gc=False):
    """One `Received` line (RFC 5321 4.4), as far as it could be read; "" or None where it could not."""

    helo: str  # what the client called itself
    name: str | None  # the client's verified name as seen by the receiver, "" if it found none, None if the line does not tell
    address: str | None  # the client's IP, canonical text form, v4-mapped v6 as v4
    by: str  # the host that wrote the line, lower case
    protocol: str  # "ESMTPS", "HTTP", ... upper case


class Hidden(StrEnum):
    """Why a text in HTML is not seen by a person."""

    DISPLAY = "display"  # display:none, visibility:hidden, hidden attribute, mso-hide:all
    TINY = "tiny"  # font-size below 3px, zero height or width with overflow hidden, opacity 0
    COLOUR = "colour"  # text in the colour of its background, or nearly
    OFFSCREEN = "offscreen"  # positioned or indented out of the window
    ZERO_WIDTH = "zero_width"  # zero-width and other invisible characters
    SOURCE = "source"  # comments, title, noscript, style and alike: in the source only


class Link(msgspec.Struct, frozen=True, gc=False):
    """One target somebody could be sent to.

    `url` as written (entities decoded, white space trimmed, at most limits.URL_LENGTH characters); `text` is what stands on
    it ("" for none); `tag` is "a", "img", "form", "area", "link", "meta", "base", "iframe", "script", "css" or "text" (found in plain
    or visible text); `found_in` is "subject", "text", "html" or "attachment:NAME"; `visible` is False inside hidden text.
    """

    url: str
    text: str
    tag: str
    found_in: str
    visible: bool


class Html(msgspec.Struct, frozen=True):
    """Counts of what stands in the HTML parts of a message (all HTML body parts together)."""

    tags: int = 0
    images: int = 0  # <img> and CSS backgrounds with a remote address
    inline_images: int = 0  # cid: and data:
    tracking_pixels: int = 0  # images of at most 2x2
    forms: int = 0
    inputs: int = 0  # <input>, <textarea>, <select>
    password_inputs: int = 0
    scripts: int = 0  # <script> and on* attributes
    frames: int = 0
    tables: int = 0
    comments: int = 0  # characters in comments, conditional (mso) comments not counted
    style_length: int = 0  # characters in <style>
    depth: int = 0
    unknown_tags: int = 0
    hidden: tuple[tuple[Hidden, int], ...] = ()  # visible characters hidden, by reason
    charset_meta: str = ""
    title: str = ""
    preheader: str = ""  # the first hidden text, when it is short: marketing mail's preview line


class Part(msgspec.Struct, frozen=True, gc=False):
    """One node of the MIME tree in depth-first order (RFC 2045). Containers have no content."""

    depth: int
    parent: int  # index into Message.parts, -1 for the root
    content_type: str  # "text/plain", lower case; the RFC 2045 default where missing or unreadable
    declared_type: str  # as declared, lower case, "" if missing
    charset: str  # as declared, lower case
    disposition: str  # "inline", "attachment" or ""
    filename: str  # decoded (RFC 2047, 2231), no path
    encoding: str  # content-transfer-encoding, lower case
    size: int  # decoded bytes, before any limit
    content: bytes  # decoded bytes, at most limits.PART_BYTES
    is_body: bool  # shown as the message's text, as a mail client would


@dataclass(frozen=True, slots=True)
class Finding:
    """A limit reached or a defect met while parsing. `name` is stable ("limit:parts", "defect:base64"), `detail` is for people."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the transport knows. None means unknown, "" means empty (the null sender)."""

    client_ip: str | None = None
    client_name: str | None = None  # verified reverse name, "" if there is none
    helo: str | None = None
    mail_from: str | None = None
    rcpt_to: tuple[str, ...] = ()
    authenticated: bool = False  # the client signed in (SMTP AUTH): own user
    way_in: str = "file"  # "smtp", "file", later "milter", "http", "spamd"


class Message(msgspec.Struct, frozen=True):
    size: int
    headers: tuple[Header, ...]
    subject: str
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    return_path: str | None  # None: no such header
    message_id: str
    date: str  # as written
    received: tuple[Hop, ...]  # from the top
    parts: tuple[Part, ...]
    text: str  # what a person sees: body text, HTML rendered, white space folded, at most limits.TEXT_CHARS
    hidden_text: str  # what is only in the source, at most limits.TEXT_CHARS
    html: Html
    links: tuple[Link, ...]  # in order of first appearance, duplicates (same url and text) dropped
    findings: tuple[Finding, ...]

    def get(self, key: str) -> str | None:
        """The first header of that lower-case name, unfolded, or None."""
        return next((h.raw for h in self.headers if h.key == key), None)

    def get_all(self, key: str) -> list[str]:
        return [h.raw for h in self.headers if h.key == key]
