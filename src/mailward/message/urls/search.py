"""All URLs of a message."""

from __future__ import annotations

from collections.abc import Iterator

from mailward.message import limits
from mailward.message.model import Link, Message
from mailward.message.urls import browser, disguises, wrappers
from mailward.message.urls.found import FoundUrl


def urls_of(message: Message) -> tuple[FoundUrl, ...]:
    """Every URL a mail client or a person could open, in order of appearance, each once (where it stood first).

    A wrapper is followed by its targets. At most limits.LINKS; never raises, asks nobody.
    """
    found: dict[str, FoundUrl] = {}
    for url, written, text, found_in in _places(message):
        if url and url not in found:
            found[url] = FoundUrl(url, written, text, found_in)
            _unwrap(found, found[url])
        if len(found) >= limits.LINKS:
            break
    return tuple(found.values())[: limits.LINKS]


def _unwrap(found: dict[str, FoundUrl], outer: FoundUrl) -> None:
    layer = [outer]
    for _ in range(limits.URL_DEPTH):
        inner = [
            FoundUrl(url, outer.written, outer.text, outer.found_in, wrapper.url)
            for wrapper in layer
            for url in wrappers.targets(wrapper.url)
        ]
        layer = []
        for target in inner:
            if target.url not in found and len(found) < limits.LINKS:
                found[target.url] = target
                layer.append(target)
        if not layer:
            return


_Place = tuple[str, str, str, str]  # url, written, text, found_in


def _places(message: Message) -> Iterator[_Place]:
    base = next((url for link in message.links if link.tag == "base" and (url := browser.resolve(link.url))), "")
    others = []
    for link in message.links:
        if link.found_in == "subject":
            yield from _linked(link, "")
        else:
            others.append(link)
    yield from _disguised(message.subject, "subject")
    for link in others:
        yield from _linked(link, base)
    yield from _disguised(message.text, "html" if message.html.tags else "text")


def _linked(link: Link, base: str) -> Iterator[_Place]:
    written = link.url
    if link.tag == "text":
        yield from ((url, written, link.text, link.found_in) for url in disguises.plain(written))
        return
    url = browser.resolve(written, base)
    yield url, written, link.text, link.found_in
    if "&" in written and (again := browser.unescaped(written)):
        yield again, written, link.text, link.found_in
    if not url:
        yield from ((inner, written, link.text, link.found_in) for inner in disguises.inside(written))


def _disguised(text: str, found_in: str) -> Iterator[_Place]:
    for url, written in disguises.repaired(text):
        yield url, written, "", found_in
