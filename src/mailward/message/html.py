"""What a person sees of HTML, and what is only in the source (lexbor, one walk over the tree)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser

from mailward.message import limits
from mailward.message.model import Hidden, Html, Link
from mailward.message.tame import strip_tags, tame
from mailward.message.walk import FOLD, Walk

_META_CHARSET = re.compile(rb"charset\s{0,5}=\s{0,5}[\"']?\s{0,5}([A-Za-z0-9_:.-]{2,40})")


@dataclass(slots=True)
class Page:
    """One HTML part read: texts with white space folded, links in order, counts."""

    visible: str = ""
    hidden: str = ""
    links: list[Link] = field(default_factory=list)
    counts: Html = field(default_factory=Html)
    findings: list[str] = field(default_factory=list)
    nodes: int = 0  # what the tree cost


def meta_charset(data: bytes) -> str:
    """The charset a <meta> near the start declares, "" for none."""
    m = _META_CHARSET.search(data[:4096])
    return m[1].decode("ascii").lower() if m else ""


def read(source: str, max_links: int = limits.LINKS, max_chars: int = limits.HTML_BYTES, max_nodes: int = limits.HTML_NODES) -> Page:
    """Read one HTML part. Never raises; the cost is bounded by what is allowed. Without nodes only the bare text is read."""
    findings: list[str] = []
    if len(source) > max_chars:
        findings.append("limit:html_bytes")
        source = source[:max_chars]
    source = tame(source, findings) if max_nodes > 0 else strip_tags(source)
    walk = Walk(max_links, max(1_000, max_nodes))
    try:
        tree = LexborHTMLParser(source)
        root = tree.root
    except Exception:  # the native parser's errors are not of one class
        findings.append("defect:html")
        root = None
    if root is not None:
        walk.run(root)
    counts = Html(
        hidden=tuple(sorted(walk.by_reason.items())),
        title=walk.title,
        preheader=walk.preheader,
        **walk.counts,  # type: ignore[arg-type]  # the names are those of the counts
    )
    links = [Link(url, text, tag, "html", visible) for url, text, tag, visible in walk.links]
    return Page(fold("".join(walk.visible)), fold("".join(walk.hidden)), links, counts, findings + walk.findings, walk.nodes)


def fold(text: str) -> str:
    """Fold white space: lines (marked by the fold character) stay apart, each trimmed, empty ones dropped."""
    return "\n".join([" ".join(piece.split()) for piece in text.split(FOLD) if piece and not piece.isspace()])


def total(pages: list[Html], meta: str, zero_width: int) -> Html:
    """The counts of several parts together; depth is the largest, title and preheader the first."""
    hidden: dict[Hidden, int] = {Hidden.ZERO_WIDTH: zero_width} if zero_width else {}
    for page in pages:
        for reason, count in page.hidden:
            hidden[reason] = hidden.get(reason, 0) + count
    return Html(
        **{name: sum([getattr(page, name) for page in pages]) for name in _SUMMED},
        depth=max(page.depth for page in pages),
        hidden=tuple(sorted(hidden.items())),
        charset_meta=meta,
        title=next((page.title for page in pages if page.title), ""),
        preheader=next((page.preheader for page in pages if page.preheader), ""),
    )


_SUMMED = ("tags", "images", "inline_images", "tracking_pixels", "forms", "inputs", "password_inputs", "scripts", "frames", "tables", "comments",
           "style_length", "unknown_tags")  # fmt: skip
