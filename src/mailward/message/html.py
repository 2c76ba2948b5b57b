"""What a person sees of HTML, and what is only in the source (lexbor, one walk over the tree)."""

from __future__ import annotations

import re
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


@dataclass(slots=True)
class Page:
    """One HTML part read: texts with white space folded, links in order, counts."""

    visible: str = ""
    hidden: str = ""
    links: list[Link] = field(default_factory=list)
    counts: Html = field(default_factory=Html)
    findings: list[str] = field(default_factory=list)


class _Look:
    """How an element is shown, as its descendants inherit it; `reason` says why its text is not seen, None if it is."""

    __slots__ = ("background", "colour", "hidden", "reason", "tiny")

    def __init__(self, hidden: Hidden | None, tiny: bool, colour: int | None, background: int) -> None:
        self.hidden = hidden
        self.tiny = tiny
        self.colour = colour
        self.background = background
        self.reason = hidden
        if hidden is None:
            if tiny:
                self.reason = Hidden.TINY
            elif colour is not None and background >= 0 and style.near(colour, background):
                self.reason = Hidden.COLOUR


_ROOT = _Look(None, False, None, 0xFFFFFF)


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
    except Exception:  # the native parser's errors are not of one class
        findings.append("defect:html")
        root = None
    if root is not None:
        walk.run(root)
    page = walk.page()
    page.findings = findings + page.findings
    return page


_TAGS = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})")
_FORMATTING = frozenset("b big code em font i s small strike strong tt u".split())
_VOID = frozenset("area base br col embed frame hr img input link meta param source track wbr p li dt dd tr td th".split())
_STRIP_FORMATTING = re.compile(r"</?(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])[^<>]{0,2000}>?", re.I)
_STRIP_TAGS = re.compile(r"<[^<>]{0,2000}>?")
_SAFE_TAGS = 700  # so few cannot make a tree that costs much, whatever they are
_REOPENED = 150_000  # elements the parser may have to open again: about 60 MB
_SAFE_CHARS = 16_000  # so little cannot hold attributes that cost much
_ATTRIBUTES = 3_000  # of one element: the parser compares each with all others
_LONG_TAG = re.compile(r"<[a-zA-Z][^>]{4000}")
_QUOTED_END = re.compile(r"=\s*(?:\"[^\">]*|'[^'>]*)>")
_BETWEEN = re.compile(r"[\s\"']+")


def tame(source: str, findings: list[str]) -> str:
    """Make HTML harmless whose tree would cost quadratic time or memory: very deep nesting, unclosed formatting, elements
    with thousands of attributes. Ordinary documents pass unseen; the rest is bounded by linear scans.
    """
    if len(source) > _SAFE_CHARS and _most_attributes(source) > _ATTRIBUTES:
        findings.append("limit:html_attributes")
        return _STRIP_TAGS.sub(" ", source)
    tags = source.count("<")
    if tags <= _SAFE_TAGS:
        return source
    if tags > limits.HTML_NODES:
        findings.append("limit:html_nodes")
        source = _cut(source, limits.HTML_NODES)
        tags = limits.HTML_NODES
    deepest, formatting = _nesting(source)
    if formatting * tags > _REOPENED:
        findings.append("limit:html_formatting")
        source = _STRIP_FORMATTING.sub("", source)
        deepest, _ = _nesting(source)
    if deepest > 5 * limits.HTML_DEPTH:
        findings.append("limit:html_depth")
        source = _STRIP_TAGS.sub(" ", source)
    return source


def _nesting(source: str) -> tuple[int, int]:
    """Upper bounds of the nesting of elements and of the formatting elements open at once (HTML 13.2.4.3)."""
    depth = deepest = formatting = most = 0
    for slash, tag in _TAGS.findall(source):
        name = tag.lower()
        if name in _FORMATTING:
            formatting = max(0, formatting - 1) if slash else formatting + 1
            most = max(most, formatting)
        if name not in _VOID:
            depth = max(0, depth - 1) if slash else depth + 1
            deepest = max(deepest, depth)
    return deepest, most


def _most_attributes(source: str) -> int:
    """An upper bound of the attributes of one element.

    A tag ends at the first ">" outside quotes; so an element with many attributes shows as a long run without ">", or as runs
    that are joined by a quoted ">" (which always follows "=" and an open quote).
    """
    most = 0
    for m in _LONG_TAG.finditer(source):
        most = max(most, _separators(source, m.start(), m.end()))
    joined = 0
    for m in _QUOTED_END.finditer(source):
        joined += _separators(source, m.end(), m.end())
    return most + joined


def _separators(source: str, start: int, past: int) -> int:
    """How often one attribute could end between `start` and the next ">" after `past`; slashes as frequent as in base64 do not count."""
    end = source.find(">", past)
    end = len(source) if end < 0 else end
    return len(_BETWEEN.findall(source, start, end)) + max(0, source.count("/", start, end) - (end - start) // 40)


def _cut(source: str, tags: int) -> str:
    at = -1
    for _ in range(tags):
        at = source.find("<", at + 1)
    return source[:at]


# What the walk does with a tag, as bits; everything not named here needs nothing.
_IS_BLOCK, _IS_SOURCE, _IS_LINK, _IS_COUNTED, _IS_UNKNOWN, _IS_A, _IS_CODE = 1, 2, 4, 8, 16, 32, 64
_COUNTED = {"form": "forms", "table": "tables", "iframe": "frames", "frame": "frames", "script": "scripts",
            "input": "inputs", "textarea": "inputs", "select": "inputs", "meta": ""}  # fmt: skip
_KINDS: dict[str, int] = {
    tag: (tag in _BLOCK) * _IS_BLOCK
    + (tag in _SOURCE or tag in _CODE) * _IS_SOURCE
    + (tag in _LINKED) * _IS_LINK
    + (tag in _COUNTED) * _IS_COUNTED
    + (tag == "a") * _IS_A
    + (tag in _CODE) * _IS_CODE
    for tag in _KNOWN
}
_BY_ID: dict[int, tuple[str, int]] = {}  # the tag names of the parser's own numbers, learned as they come


def _remember(number: int, tag: str) -> tuple[str, int]:
    known = (tag, _KINDS.get(tag, _IS_UNKNOWN))
    if number < 400:  # beyond are numbers of one document only
        _BY_ID[number] = known
    return known


_LOOKING = frozenset({"style", "bgcolor", "background", "hidden", "color", "text"})


class _Walk:
    """The state of one walk in document order."""

    def __init__(self, max_links: int) -> None:
        self.max_links = max_links
        self.visible: list[str] = []
        self.hidden: list[str] = []
        self.seen_at = 0  # length of `visible` when hidden text was last met
        self.links: list[tuple[str, str, str, bool]] = []
        self.n: dict[str, int] = {}
        self.tags = 0
        self.by_reason: dict[Hidden, int] = {}
        self.rules: dict[str, style.Style] = {}
        self.title = ""
        self.preheader = ""
        self.findings: list[str] = []
        self.stack: list[tuple[int, str, int, _Look, int]] = []  # mem_id, tag, kind, look, index of the open link or -1
        self.open_link: list[tuple[str, int, int, str]] = []  # url, where its visible and hidden text begin, alt texts

    def count(self, name: str, by: int = 1) -> None:
        self.n[name] = self.n.get(name, 0) + by

    def run(self, root: LexborNode) -> None:
        look = _ROOT
        stack = self.stack
        visible = self.visible
        top = deepest = 0
        for nodes, node in enumerate(root.traverse(include_text=True)):
            if nodes > limits.HTML_NODES:
                self.findings.append("limit:html_nodes")
                break
            if stack:
                parent = node.parent
                parent_id = parent.mem_id if parent is not None else 0
                while top != parent_id and stack:
                    self.leave()
                    top, look = (stack[-1][0], stack[-1][3]) if stack else (0, _ROOT)
            kind = node.tag_id
            if kind == _TEXT:
                text = node.text_content or ""
                if look.reason is None:
                    visible.append(text)
                elif not text.isspace():
                    self.unseen(text, look.reason)
            elif kind == _COMMENT:
                self.comment(node.comment_content or "")
            else:
                look = self.enter(node, look)
                top = node.mem_id
                if len(stack) > deepest:
                    deepest = len(stack)
        while stack:
            self.leave()
        self.n["depth"] = deepest

    def unseen(self, text: str, reason: Hidden) -> None:
        kind = self.stack[-1][2] if self.stack else 0
        if kind & _IS_CODE:
            self.code(self.stack[-1][1], text)
            return
        if reason is Hidden.SOURCE and not self.title and self.stack[-1][1] == "title":
            self.title = " ".join(text.split())[:500]
        self.hide(text, reason)
        if reason is not Hidden.SOURCE and not self.preheader and self.tags < 200 and len(text) < 2_000:
            self.preheader = " ".join(invisible.strip(text)[0].split())[:_PREHEADER]

    def hide(self, text: str, reason: Hidden, apart: bool = False) -> None:
        self.by_reason[reason] = self.by_reason.get(reason, 0) + len("".join(text.split()))
        if apart or len(self.visible) != self.seen_at:
            self.hidden.append(_FOLD)
        self.seen_at = -1 if apart else len(self.visible)
        self.hidden.append(text)

    def code(self, tag: str, text: str) -> None:
        if tag != "style":
            return
        self.count("style_length", len(text))
        if len(self.rules) < 2_000:
            self.rules.update(style.sheet(text))
        if "url(" in text:
            self.css_images(text)
        if "{" not in text and len(text.split()) > 5:
            self.hide(text, Hidden.SOURCE, apart=True)

    def comment(self, text: str) -> None:
        lower = text[:40].lower().lstrip()
        if lower.startswith(("[if", "<![endif")) or "[endif]" in lower:
            return
        self.count("comments", len(text))
        if text and not text.isspace():
            self.hide(text, Hidden.SOURCE, apart=True)

    def enter(self, node: LexborNode, look: _Look) -> _Look:
        attributes = node.attributes
        known = _BY_ID.get(node.tag_id)
        if known is None:
            known = _remember(node.tag_id, node.tag or "")
        tag, kind = known
        self.tags += 1
        if kind & _IS_UNKNOWN and ":" not in tag:
            self.count("unknown_tags")
        if kind & _IS_BLOCK:
            self.visible.append(_FOLD)
        if kind & _IS_SOURCE:
            look = _Look(look.hidden or Hidden.SOURCE, look.tiny, look.colour, look.background)
        elif attributes:
            if kind & _IS_A or self.rules or not _LOOKING.isdisjoint(attributes):
                look = self.look(tag, attributes, look)
        elif tag in self.rules:
            look = self.look(tag, attributes, look)
        if kind & _IS_COUNTED:
            self.counted(tag, attributes)
        link = -1
        if attributes:
            if kind & _IS_LINK:
                link = self.linked(tag, attributes, look)
            for name in attributes:
                if name[:2] == "on":
                    self.count("scripts")
                elif name == "background" and (url := (attributes[name] or "").strip()):
                    self.count("images")
                    self.link(url, "", "css", look.reason is None)
        self.stack.append((node.mem_id, tag, kind, look, link))
        return look

    def leave(self) -> None:
        _, _, kind, _, link = self.stack.pop()
        if kind & _IS_BLOCK:
            self.visible.append(_FOLD)
        if link >= 0 and self.open_link:
            url, seen, unseen, alt = self.open_link.pop()
            shown = " ".join("".join(self.visible[seen:]).replace(_FOLD, " ").split())
            if not shown and len(self.hidden) > unseen:
                shown = " ".join("".join(self.hidden[unseen:]).replace(_FOLD, " ").split())
            self.links[link] = (url, (shown or alt)[:500], "a", self.links[link][3])

    def look(self, tag: str, attributes: dict[str, str | None], look: _Look) -> _Look:
        said = self.said(tag, attributes)
        if not said:
            return _Look(look.hidden, look.tiny, None, look.background) if tag == "a" and look.colour is not None else look
        hidden, tiny, colour, background = look.hidden, look.tiny, look.colour, look.background
        if tag == "a":
            colour = None
        for one in said:
            hidden = hidden or one.hidden
            tiny = tiny if one.tiny is None else one.tiny
            colour = colour if one.colour is None else one.colour
            background = background if one.background is None else one.background
        return _Look(hidden, tiny, colour, background)

    def said(self, tag: str, attributes: dict[str, str | None]) -> list[style.Style]:
        """What attributes, rules and the inline style say, the weakest first."""
        said: list[style.Style] = []
        if "bgcolor" in attributes or "background" in attributes:
            known = style.UNKNOWN if attributes.get("background") else style.colour(attributes.get("bgcolor") or "")
            said.append(style.Style(background=known))
        if (name := "color" if tag == "font" else "text" if tag == "body" else "") and (value := attributes.get(name)):
            said.append(style.Style(colour=style.colour(value)))
        if self.rules:
            said += self.ruled(tag, attributes)
        if text := attributes.get("style"):
            said.append(style.inline(text))
            if "url(" in text:
                self.css_images(text)
        if "hidden" in attributes:
            said.append(style.Style(hidden=Hidden.DISPLAY))
        return said

    def ruled(self, tag: str, attributes: dict[str, str | None]) -> list[style.Style]:
        rules = self.rules
        out = [rules[tag]] if tag in rules else []
        if classes := attributes.get("class"):
            for name in classes.split()[:20]:
                out += [rules[key] for key in ("." + name, tag + "." + name) if key in rules]
        if identity := attributes.get("id"):
            out += [rules[key] for key in ("#" + identity, tag + "#" + identity) if key in rules]
        return out

    def css_images(self, text: str) -> None:
        for m in _CSS_URL.finditer(text[:100_000]):
            self.count("images")
            self.link(m[1], "", "css", True)

    def linked(self, tag: str, attributes: dict[str, str | None], look: _Look) -> int:
        """Note the target of an element; returns its index for <a>, whose text is known when it ends."""
        url = (attributes.get(_LINKED[tag]) or "").strip()[: limits.URL_LENGTH]
        if tag in {"img", "image"}:
            self.image(url, attributes, look)
            return -1
        if not url or url.startswith("#"):
            return -1
        index = self.link(url, "", _TAG_AS.get(tag, tag), look.reason is None or tag == "script")
        if tag != "a" or index < 0:
            return -1
        self.open_link.append((url, len(self.visible), len(self.hidden), ""))
        return index

    def image(self, url: str, attributes: dict[str, str | None], look: _Look) -> None:
        alt = " ".join((attributes.get("alt") or "").split())[:500]
        if url[:5].lower().startswith(("cid:", "data:")):
            self.count("inline_images")
        elif url:
            self.count("images")
            if _small(attributes.get("width")) and _small(attributes.get("height")):
                self.count("tracking_pixels")
            self.link(url, alt, "img", look.reason is None)
        if alt and self.open_link:
            target, seen, unseen, old = self.open_link[-1]
            self.open_link[-1] = (target, seen, unseen, (old + " " + alt).strip()[:500])

    def link(self, url: str, text: str, tag: str, visible: bool) -> int:
        if len(self.links) >= self.max_links:
            self.n["too_many_links"] = 1
            return -1
        self.links.append((url[: limits.URL_LENGTH], text, tag, visible))
        return len(self.links) - 1

    def counted(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "meta":
            if (attributes.get("http-equiv") or "").lower() == "refresh" and (m := _REFRESH.search(attributes.get("content") or "")):
                self.link(m[1].strip("\"' "), "", "meta", True)
            return
        kind = (attributes.get("type") or "").lower() if tag == "input" else ""
        if kind != "hidden":
            self.count(_COUNTED[tag])
        if kind == "password":
            self.count("password_inputs")

    def page(self) -> Page:
        n = self.n
        if n.pop("too_many_links", 0):
            self.findings.append("limit:links")
        counts = Html(tags=self.tags, hidden=tuple(sorted(self.by_reason.items())), title=self.title, preheader=self.preheader, **n)  # type: ignore[arg-type]
        links = [Link(url, text, tag, "html", visible) for url, text, tag, visible in self.links]
        return Page(fold("".join(self.visible)), fold("".join(self.hidden)), links, counts, self.findings)


def _small(value: str | None) -> bool:
    return value is not None and value.strip().removesuffix("px") in {"0", "1", "2"}


def fold(text: str) -> str:
    """Fold white space: lines (marked by the fold character) stay apart, each trimmed, empty ones dropped."""
    return "\n".join([" ".join(piece.split()) for piece in text.split(_FOLD) if piece and not piece.isspace()])


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
