"""What a person sees of HTML, and what is only in the source (lexbor, one walk over the tree)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailward.message import invisible, limits, style
from mailward.message.model import Hidden, Html, Link

_TEXT, _COMMENT = 2, 4
_BLOCK = frozenset(
    """address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption figure footer form
    frameset h1 h2 h3 h4 h5 h6 header hr legend li main menu nav ol optgroup option p pre section summary table tbody tfoot thead tr ul
    td th""".split()
)
_SOURCE = frozenset({"title", "noscript", "noframes", "noembed", "template"})
_CODE = frozenset({"style", "script"})
_KNOWN = _BLOCK | _SOURCE | _CODE | frozenset(
    """a abbr acronym applet area audio b base basefont bdi bdo big bgsound blink button canvas cite code col colgroup data datalist del dfn
    em embed font frame head hgroup html i iframe img image input ins isindex kbd keygen label link listing map mark marquee meta meter
    nobr object output param picture plaintext progress q rb rp rt rtc ruby s samp search select slot small source span strike strong sub
    sup svg math path g circle rect line time textarea track tt u var video wbr xmp defs use symbol""".split()
)  # fmt: skip
_LINKED = {"a": "href", "area": "href", "link": "href", "base": "href", "img": "src", "form": "action", "iframe": "src", "frame": "src",
           "script": "src", "image": "src", "button": "formaction", "embed": "src", "object": "data"}  # fmt: skip
_TAG_AS = {"frame": "iframe", "image": "img", "button": "form", "embed": "iframe", "object": "iframe"}
_FOLD = "\x01"  # stands for a line break while texts are joined
_META_CHARSET = re.compile(rb"charset\s{0,5}=\s{0,5}[\"']?\s{0,5}([A-Za-z0-9_:.-]{2,40})")
_REFRESH = re.compile(r"url\s{0,5}=\s{0,5}[\"']?(.{1,2048})", re.I | re.S)
_CSS_URL = re.compile(r"url\(\s{0,5}[\"']?\s{0,5}((?:https?:)?//[^\"')\s]{1,2048})", re.I)
_PREHEADER = 300
_SAFE_TAGS = 700  # so few cannot make a tree that costs much, whatever they are


@dataclass(slots=True)
class Page:
    """One HTML part read: texts with white space folded, links in order, counts."""

    visible: str = ""
    hidden: str = ""
    links: list[Link] = field(default_factory=list)
    counts: Html = Html()
    findings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Look:
    """How an element is shown, as its descendants inherit it."""

    hidden: Hidden | None = None
    tiny: bool = False
    colour: int | None = None
    background: int = 0xFFFFFF

    @property
    def reason(self) -> Hidden | None:
        if self.hidden is not None:
            return self.hidden
        if self.tiny:
            return Hidden.TINY
        if self.colour is not None and self.background >= 0 and style.near(self.colour, self.background):
            return Hidden.COLOUR
        return None


def meta_charset(data: bytes) -> str:
    """The charset a <meta> near the start declares, "" for none."""
    m = _META_CHARSET.search(data[:4096])
    return m[1].decode("ascii").lower() if m else ""


def read(source: str, max_links: int = limits.LINKS) -> Page:
    """Read one HTML part. Never raises; the cost is bounded by limits.HTML_*."""
    findings: list[str] = []
    if len(source) > limits.HTML_BYTES:
        findings.append("limit:html_bytes")
        source = source[: limits.HTML_BYTES]
    source = tame(source, findings)
    walk = _Walk(max_links)
    try:
        tree = LexborHTMLParser(source)
        root = tree.root
    except Exception:  # noqa: BLE001 - the native parser's errors are not one class
        findings.append("defect:html")
        root = None
    if root is not None:
        walk.run(root)
    page = walk.page()
    page.findings = findings + page.findings
    return page


_TAGS = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})")
_FORMATTING = frozenset("b big code em font i s small strike strong tt u".split())
_VOID = frozenset("area base br col embed frame hr img input link meta param source track wbr p li dt dd option tr td th".split())
_STRIP_FORMATTING = re.compile(r"</?(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])[^<>]{0,2000}>?", re.I)
_STRIP_TAGS = re.compile(r"<[^<>]{0,2000}>?")


def tame(source: str, findings: list[str]) -> str:
    """Make HTML harmless whose tree would cost quadratic time or memory (very deep nesting, unclosed formatting).

    Few tags pass unseen. Else one linear scan bounds the nesting and the formatting elements that the HTML standard would
    open again in every paragraph.
    """
    tags = source.count("<")
    if tags <= _SAFE_TAGS:
        return source
    if tags > limits.HTML_NODES:
        findings.append("limit:html_nodes")
        source = _cut(source, limits.HTML_NODES)
        tags = limits.HTML_NODES
    depth = deepest = formatting = most = 0
    for m in _TAGS.finditer(source):
        name = m[2].lower()
        if name in _FORMATTING:
            formatting = formatting + 1 if not m[1] else max(0, formatting - 1)
            most = max(most, formatting)
        if name not in _VOID:
            depth = depth + 1 if not m[1] else max(0, depth - 1)
            deepest = max(deepest, depth)
    if most * tags > 300_000:
        findings.append("limit:html_formatting")
        source = _STRIP_FORMATTING.sub("", source)
        deepest -= most
    if deepest > 5 * limits.HTML_DEPTH:
        findings.append("limit:html_depth")
        source = _STRIP_TAGS.sub(" ", source)
    return source


def _cut(source: str, tags: int) -> str:
    at = -1
    for _ in range(tags):
        at = source.find("<", at + 1)
    return source[:at]


class _Walk:
    """The state of one walk in document order."""

    def __init__(self, max_links: int) -> None:
        self.max_links = max_links
        self.visible: list[str] = []
        self.hidden: list[str] = []
        self.links: list[tuple[str, str, str, bool]] = []
        self.n: dict[str, int] = {}
        self.by_reason: dict[Hidden, int] = {}
        self.rules: dict[str, style.Style] = {}
        self.title = ""
        self.preheader = ""
        self.findings: list[str] = []
        self.stack: list[tuple[int, str, _Look, int]] = []  # mem_id, tag, look, index of the open link or -1
        self.open_link: list[tuple[str, int, int, int, str]] = []  # url, visible, hidden, images, alt

    def count(self, name: str, by: int = 1) -> None:
        self.n[name] = self.n.get(name, 0) + by

    def run(self, root: LexborNode) -> None:
        look = _Look()
        stack = self.stack
        top = 0
        deepest = nodes = 0
        walker: Iterator[LexborNode] = root.traverse(include_text=True)
        for node in walker:
            nodes += 1
            if nodes > limits.HTML_NODES:
                self.findings.append("limit:html_nodes")
                break
            parent = node.parent
            parent_id = parent.mem_id if parent is not None else 0
            while stack and top != parent_id:
                self.leave()
                top, look = (stack[-1][0], stack[-1][2]) if stack else (0, _ROOT)
            kind = node.tag_id
            if kind == _TEXT:
                self.text(node.text_content or "", look)
            elif kind == _COMMENT:
                self.comment(node.comment_content or "")
            else:
                look = self.enter(node, look)
                top = node.mem_id
                deepest = max(deepest, len(stack))
        while stack:
            self.leave()
        self.n["depth"] = deepest

    def text(self, text: str, look: _Look) -> None:
        if text.isspace():
            self.visible.append(" ") if look.hidden is None else self.hidden.append(" ")
            return
        reason = look.reason
        if reason is None:
            self.visible.append(text)
            return
        tag = self.stack[-1][1] if self.stack else ""
        if tag in _CODE:
            self.code(tag, text)
            return
        if tag == "title" and not self.title:
            self.title = " ".join(text.split())[:500]
        length = len("".join(text.split()))
        self.by_reason[reason] = self.by_reason.get(reason, 0) + length
        self.hidden.append(text)
        if reason is not Hidden.SOURCE and length < _PREHEADER and not self.preheader and self.n["tags"] < 200:
            self.preheader = " ".join(invisible.strip(text)[0].split())

    def code(self, tag: str, text: str) -> None:
        if tag == "style":
            self.count("style_length", len(text))
            if len(self.rules) < 2_000:
                self.rules.update(style.sheet(text))
            for m in _CSS_URL.finditer(text):
                self.count("images")
                self.link(m[1], "", "css", False)
            if "{" not in text and len(text.split()) > 5:
                self.hidden.append(_FOLD + text)
                self.by_reason[Hidden.SOURCE] = self.by_reason.get(Hidden.SOURCE, 0) + len(text)

    def comment(self, text: str) -> None:
        lower = text[:40].lower().lstrip()
        if lower.startswith(("[if", "<![endif")) or "[endif]" in lower:
            return
        self.count("comments", len(text))
        stripped = len("".join(text.split()))
        if stripped:
            self.by_reason[Hidden.SOURCE] = self.by_reason.get(Hidden.SOURCE, 0) + stripped
            self.hidden.append(_FOLD + text + _FOLD)

    def enter(self, node: LexborNode, look: _Look) -> _Look:
        tag = node.tag or ""
        attributes = node.attributes
        self.count("tags")
        if tag in _BLOCK:
            self.visible.append(_FOLD)
            self.hidden.append(_FOLD)
        if tag in _SOURCE or tag in _CODE:
            look = _Look(look.hidden or Hidden.SOURCE, look.tiny, look.colour, look.background)
            if tag == "script":
                self.count("scripts")
        elif attributes or self.rules:
            look = self.look(tag, attributes, look)
        if tag not in _KNOWN and ":" not in tag:
            self.count("unknown_tags")
        link = -1
        if attributes:
            link = self.attributes(tag, attributes, look)
        self.special(tag, attributes)
        self.stack.append((node.mem_id, tag, look, link))
        return look

    def leave(self) -> None:
        _, tag, _, link = self.stack.pop()
        if tag in _BLOCK:
            self.visible.append(_FOLD)
            self.hidden.append(_FOLD)
        if link >= 0 and self.open_link:
            url, seen, unseen, _, alt = self.open_link.pop()
            shown = fold("".join(self.visible[seen:])).replace("\n", " ")
            covered = "" if shown else fold("".join(self.hidden[unseen:])).replace("\n", " ")
            old = self.links[link]
            self.links[link] = (url, (shown or covered or alt)[:500], "a", old[3])

    def look(self, tag: str, attributes: dict[str, str | None], look: _Look) -> _Look:
        said: list[style.Style] = []
        if self.rules:
            said += self.ruled(tag, attributes)
        if text := attributes.get("style"):
            said.append(style.inline(text))
            if "url(" in text:
                self.css_images(text)
        attribute_colour = attributes.get("color") if tag == "font" else attributes.get("text") if tag == "body" else None
        if attribute_colour:
            said.append(style.Style(colour=style.colour(attribute_colour)))
        if "bgcolor" in attributes or "background" in attributes:
            image = bool(attributes.get("background"))
            said.insert(0, style.Style(background=style.UNKNOWN if image else style.colour(attributes.get("bgcolor") or "")))
        if "hidden" in attributes:
            said.append(style.Style(hidden=Hidden.DISPLAY))
        if not said and tag != "a":
            return look
        new = _Look(look.hidden, look.tiny, None if tag == "a" else look.colour, look.background)
        for one in said:
            new.hidden = new.hidden or one.hidden
            new.tiny = new.tiny if one.tiny is None else one.tiny
            new.colour = new.colour if one.colour is None else one.colour
            new.background = new.background if one.background is None else one.background
        return new

    def ruled(self, tag: str, attributes: dict[str, str | None]) -> list[style.Style]:
        rules = self.rules
        out = [rules[tag]] if tag in rules else []
        for name in (attributes.get("class") or "").split()[:20]:
            out += [rules[key] for key in ("." + name, tag + "." + name) if key in rules]
        if identity := attributes.get("id"):
            out += [rules[key] for key in ("#" + identity, tag + "#" + identity) if key in rules]
        return out

    def css_images(self, text: str) -> None:
        for m in _CSS_URL.finditer(text[:4_000]):
            self.count("images")
            self.link(m[1], "", "css", True)

    def attributes(self, tag: str, attributes: dict[str, str | None], look: _Look) -> int:
        """Note the link of an element; returns its index for <a>, whose text is known when it ends."""
        for name in attributes:
            if name.startswith("on"):
                self.count("scripts")
        wanted = _LINKED.get(tag)
        if background := attributes.get("background"):
            self.count("images")
            self.link(background.strip(), "", "css", look.reason is None)
        if wanted is None:
            return -1
        url = (attributes.get(wanted) or "").strip()[: limits.URL_LENGTH]
        if tag in {"img", "image"}:
            self.image(url, attributes, look)
            return -1
        if not url or url.startswith("#"):
            return -1
        index = self.link(url, "", _TAG_AS.get(tag, tag), look.reason is None)
        if tag != "a" or index < 0:
            return -1
        self.open_link.append((url, len(self.visible), len(self.hidden), 0, ""))
        return index

    def image(self, url: str, attributes: dict[str, str | None], look: _Look) -> None:
        lower = url[:10].lower()
        if lower.startswith(("cid:", "data:")):
            self.count("inline_images")
        elif url:
            self.count("images")
            if _small(attributes.get("width")) and _small(attributes.get("height")):
                self.count("tracking_pixels")
            self.link(url, (attributes.get("alt") or "")[:500], "img", look.reason is None)
        if self.open_link and (alt := " ".join((attributes.get("alt") or "").split())):
            *rest, old = self.open_link[-1]
            self.open_link[-1] = (rest[0], rest[1], rest[2], rest[3] + 1, (old + " " + alt).strip())  # type: ignore[assignment,arg-type]

    def link(self, url: str, text: str, tag: str, visible: bool) -> int:
        if len(self.links) >= self.max_links:
            if "limit:links" not in self.findings:
                self.findings.append("limit:links")
            return -1
        self.links.append((url[: limits.URL_LENGTH], text, tag, visible))
        return len(self.links) - 1

    def special(self, tag: str, attributes: dict[str, str | None]) -> None:
        match tag:
            case "input" | "textarea" | "select":
                kind = (attributes.get("type") or "").lower()
                if kind != "hidden":
                    self.count("inputs")
                if kind == "password":
                    self.count("password_inputs")
            case "form":
                self.count("forms")
            case "table":
                self.count("tables")
            case "iframe" | "frame":
                self.count("frames")
            case "meta":
                if (attributes.get("http-equiv") or "").lower() == "refresh" and (m := _REFRESH.search(attributes.get("content") or "")):
                    self.link(m[1].strip("\"' "), "", "meta", True)
            case _:
                pass

    def page(self) -> Page:
        n = self.n
        counts = Html(
            tags=n.get("tags", 0), images=n.get("images", 0), inline_images=n.get("inline_images", 0), tracking_pixels=n.get("tracking_pixels", 0),
            forms=n.get("forms", 0), inputs=n.get("inputs", 0), password_inputs=n.get("password_inputs", 0), scripts=n.get("scripts", 0),
            frames=n.get("frames", 0), tables=n.get("tables", 0), comments=n.get("comments", 0), style_length=n.get("style_length", 0),
            depth=n.get("depth", 0), unknown_tags=n.get("unknown_tags", 0), hidden=tuple(sorted(self.by_reason.items())),
            title=self.title, preheader=self.preheader,
        )  # fmt: skip
        links = [Link(url, text, tag, "html", visible) for url, text, tag, visible in self.links]
        return Page(fold("".join(self.visible)), fold("".join(self.hidden)), links, counts, self.findings)


_ROOT = _Look()


def _small(value: str | None) -> bool:
    return value is not None and value.strip().removesuffix("px") in {"0", "1", "2"}


def fold(text: str) -> str:
    """Fold white space: lines (marked by the fold character) stay apart, each trimmed, empty ones dropped."""
    return "\n".join(line for line in (" ".join(piece.split()) for piece in text.split(_FOLD)) if line)


def total(pages: list[Html], meta: str, zero_width: int) -> Html:
    """The counts of several parts together; depth is the largest, title and preheader the first."""
    hidden: dict[Hidden, int] = {Hidden.ZERO_WIDTH: zero_width} if zero_width else {}
    for page in pages:
        for reason, count in page.hidden:
            hidden[reason] = hidden.get(reason, 0) + count

    def of(name: str) -> int:
        return sum(getattr(page, name) for page in pages)

    return Html(
        **{name: of(name) for name in _SUMMED},
        depth=max(page.depth for page in pages),
        hidden=tuple(sorted(hidden.items())),
        charset_meta=meta,
        title=next((page.title for page in pages if page.title), ""),
        preheader=next((page.preheader for page in pages if page.preheader), ""),
    )


_SUMMED = ("tags", "images", "inline_images", "tracking_pixels", "forms", "inputs", "password_inputs", "scripts", "frames", "tables", "comments",
           "style_length", "unknown_tags")  # fmt: skip
