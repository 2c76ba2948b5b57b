"""What was found so far in the attachments of a message, and what may still be spent."""

from __future__ import annotations

import time
from functools import cached_property

from mailward.message import links
from mailward.message.attachments import limits, passwords
from mailward.message.attachments.attachment import Examined
from mailward.message.model import Finding
from mailward.message.urls import browser, disguises, wrappers
from mailward.message.urls.found import FoundUrl

_NAMESPACES = ("http://www.w3.org/", "http://schemas.microsoft.com/", "http://schemas.openxmlformats.org/", "http://schemas.xmlsoap.org/",
               "http://purl.oclc.org/ooxml/", "http://purl.org/dc/", "http://ns.adobe.com/", "http://openoffice.org/")  # fmt: skip
"""Names in XML that look like addresses; nobody is sent there."""


class Gathering:
    """Addresses each once, findings each once by name, and the budget of a message. `where` is what FoundUrl.found_in will say."""

    def __init__(self, message_text: str = "") -> None:
        self._urls: dict[str, FoundUrl] = {}
        self._findings: dict[str, Finding] = {}
        self._entries = limits.ENTRIES
        self._bytes = limits.TOTAL_BYTES
        self._pixels = limits.PIXELS
        self._ends = time.monotonic() + limits.SECONDS
        self._message_text = message_text

    @cached_property
    def passwords(self) -> tuple[str, ...]:
        """What may open a locked file: words of the message, the likely ones first."""
        return passwords.candidates(self._message_text)

    def examined(self) -> Examined:
        return Examined(tuple(self._urls.values()), tuple(self._findings.values()))

    def note(self, name: str, detail: str) -> None:
        self._findings.setdefault(name, Finding(f"attachment:{name}", detail))

    def link(self, written: str, text: str, where: str) -> None:
        """Keep an address if a browser would open it, what is written within it, and the targets of wrappers."""
        url = browser.resolve(written)
        self._with_targets(url, written, text, where)
        if not url:
            for inner in disguises.inside(written):
                self._with_targets(inner, written, text, where)

    def found(self, url: FoundUrl, where: str) -> None:
        """Keep an address of a message that is attached."""
        self._keep(url.url, url.written, url.text, where, url.unwrapped_from)

    def text(self, text: str, where: str) -> None:
        """Keep the addresses that stand in a text, the disguised ones too."""
        text = text[: limits.TEXT_CHARS]
        for written in links.urls(text, limits.TEXT_URLS):
            if not written.startswith(_NAMESPACES):
                for url in disguises.plain(written):
                    self._with_targets(url, written, "", where)
        if not self.is_full():
            for url, written in disguises.repaired(text):
                self._with_targets(url, written, "", where)

    def code(self, content: str, where: str) -> None:
        """Keep what a QR code leads to."""
        self.link(content.strip()[: limits.TEXT_CHARS], "", f"{where}:qr")
        self.text(content, f"{where}:qr")

    def is_full(self) -> bool:
        """Whether no more addresses are kept; noted."""
        if len(self._urls) < limits.URLS:
            return False
        self.note("urls", "The attachments hold more addresses than are kept.")
        return True

    def late(self) -> bool:
        """Whether no more work is to be begun; noted."""
        if time.monotonic() < self._ends:
            return False
        self.note("time", "Looking into the attachments took longer than is allowed; the rest was left out.")
        return True

    def room(self) -> int:
        """How many unpacked bytes may be read next; 0, and noted, where nothing is left."""
        if self._entries <= 0:
            self.note("entries", f"Archives hold more than {limits.ENTRIES} files; the rest was left out.")
            return 0
        if self._bytes <= 0:
            self.note("bytes", "The attachments unpack to more than is read; the rest was left out.")
            return 0
        return 0 if self.late() else min(limits.ENTRY_BYTES, self._bytes)

    def spend(self, data: bytes, room: int) -> bytes:
        """Account for an unpacked file of which `room` + 1 bytes were asked for."""
        self._entries -= 1
        self._bytes -= len(data)
        if len(data) > room:
            self.note("bytes", "A file unpacks to more than is read; the rest was left out.")
        return data[:room]

    def may_draw(self, width: int, height: int) -> bool:
        """Account for a picture of that size that is to be decoded; False, and noted, where it is too large."""
        if width * height > min(limits.PICTURE_PIXELS, self._pixels):
            self.note("pixels", "A picture, or all together, have more pixels than are looked at.")
            return False
        self._pixels -= width * height
        return True

    def _with_targets(self, url: str, written: str, text: str, where: str) -> None:
        self._keep(url, written, text, where, "")
        for target in wrappers.targets(url) if url else ():
            self._keep(target, written, text, where, url)

    def _keep(self, url: str, written: str, text: str, where: str, wrapper: str) -> None:
        if url and url not in self._urls and not self.is_full():
            self._urls[url] = FoundUrl(url, written, text, where, wrapper)
