"""What was found so far in the attachments of a message, and what may still be spent."""

from __future__ import annotations

from mailward.message import links
from mailward.message.attachments import limits
from mailward.message.attachments.attachment import Examined
from mailward.message.model import Finding
from mailward.message.urls import browser, wrappers
from mailward.message.urls.found import FoundUrl


class Gathering:
    """Addresses each once, findings each once by name, and the budget of a message."""

    def __init__(self) -> None:
        self._urls: dict[str, FoundUrl] = {}
        self._findings: dict[str, Finding] = {}
        self._entries = limits.ENTRIES
        self._bytes = limits.TOTAL_BYTES

    def examined(self) -> Examined:
        return Examined(tuple(self._urls.values()), tuple(self._findings.values()))

    def note(self, name: str, detail: str) -> None:
        self._findings.setdefault(name, Finding(f"attachment:{name}", detail))

    def link(self, written: str, text: str, name: str) -> None:
        """Keep an address if a browser would open it, and behind it the targets written inside of it."""
        url = browser.resolve(written)
        self._keep(url, written, text, name, "")
        for target in wrappers.targets(url) if url else ():
            self._keep(target, written, text, name, url)

    def found(self, url: FoundUrl, name: str) -> None:
        """Keep an address of a message that is attached."""
        self._keep(url.url, url.written, url.text, name, url.unwrapped_from)

    def text(self, text: str, name: str) -> None:
        """Keep the addresses that stand in a text."""
        for url in links.urls(text[: limits.TEXT_CHARS], limits.URLS):
            self.link(url, "", name)

    def room(self) -> int:
        """How many unpacked bytes may be read next; 0, and noted, where nothing is left."""
        if self._entries <= 0:
            self.note("entries", f"Archives hold more than {limits.ENTRIES} files; the rest was left out.")
            return 0
        if self._bytes <= 0:
            self.note("bytes", "The attachments unpack to more than is read; the rest was left out.")
            return 0
        return min(limits.ENTRY_BYTES, self._bytes)

    def spend(self, data: bytes, room: int) -> bytes:
        """Account for an unpacked file of which `room` + 1 bytes were asked for."""
        self._entries -= 1
        self._bytes -= len(data)
        if len(data) > room:
            self.note("bytes", "A file unpacks to more than is read; the rest was left out.")
        return data[:room]

    def _keep(self, url: str, written: str, text: str, name: str, wrapper: str) -> None:
        if not url or url in self._urls:
            return
        if len(self._urls) >= limits.URLS:
            self.note("urls", "The attachments hold more addresses than are kept.")
            return
        self._urls[url] = FoundUrl(url, written, text, f"attachment:{name}", wrapper)
