"""One walk over a tree of HTML: texts, links and counts."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

from mailward.message import invisible, limits
from mailward.message.look import Attributes, Look, Looks
from mailward.message.model import Hidden

FOLD = "\x01"  # stands for a line break while texts are joined
_TEXT, _COMMENT = 2, 4  # the parser's numbers
_BLOCK = frozenset(
    """address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption figure footer form
    frameset h1 h2 h3 h4 h5 h6 header hr legend li main menu nav ol optgroup option p pre section summary table tbody tfoot thead tr ul
    td th""".split()
)
_SOURCE = frozenset({"title", "noscript", "noframes", "noembed", "template"})
_CODE = frozenset({"style", "script"})
_KNOWN = (
    _BLOCK
    | _SOURCE
    | _CODE
    | frozenset(
        """a abbr acronym applet area audio b base basefont bdi bdo big bgsound blink button canvas cite code col colgroup data datalist
    del dfn em embed font frame head hgroup html i iframe img image input ins isindex kbd keygen label link listing map mark marquee meta
    meter nobr object output param picture plaintext progress q rb rp rt rtc ruby s samp search select slot small source span strike
    strong sub sup svg math path g circle rect line time textarea track tt u var video wbr xmp defs use symbol""".split()
    )
)
_LINKED = {"a": "href", "area": "href", "link": "href", "base": "href", "img": "src", "form": "action", "iframe": "src", "frame": "src",
           "script": "src", "image": "src", "button": "formaction", "embed": "src", "object": "data"}  # fmt: skip
_TAG_AS = {"frame": "iframe", "image": "img", "button": "form", "embed": "iframe", "object": "iframe"}
_COUNTED = {"form": "forms", "table": "tables", "iframe": "frames", "frame": "frames", "script": "scripts",
            "input": "inputs", "textarea": "inputs", "select": "inputs", "meta": ""}  # fmt: skip
# What the walk does with a tag, as bits; everything not named here needs nothing.
_IS_BLOCK, _IS_SOURCE, _IS_LINK, _IS_COUNTED, _IS_UNKNOWN, _IS_LOOK, _IS_CODE = 1, 2, 4, 8, 16, 32, 64
_KINDS: dict[str, int] = {
    tag: (tag in _BLOCK) * _IS_BLOCK
    + (tag in _SOURCE or tag in _CODE) * _IS_SOURCE
    + (tag in _LINKED) * _IS_LINK
    + (tag in _COUNTED) * _IS_COUNTED
    + (tag in {"a", "font", "body"}) * _IS_LOOK
    + (tag in _CODE) * _IS_CODE
    for tag in _KNOWN
}
_IS_ACTIVE = _IS_SOURCE | _IS_COUNTED | _IS_UNKNOWN  # to be read even without attributes
_BY_NUMBER: dict[int, tuple[str, int]] = {}  # the parser's numbers of tags, learned as they come
_LOOKING = frozenset({"style", "bgcolor", "background", "hidden"})
_EVENTS = frozenset(
    """onabort onactivate onanimationend onanimationstart onauxclick onbeforeunload onblur onchange onclick onclose oncontextmenu oncopy oncut
    ondblclick ondrag ondrop onended onerror onfocus onfocusin onfocusout onhashchange oninput oninvalid onkeydown onkeypress onkeyup onload
    onmessage onmousedown onmouseenter onmouseleave onmousemove onmouseout onmouseover onmouseup onmousewheel onpageshow onpaste onpointerdown
    onpointerover onpopstate onready onreadystatechange onreset onresize onscroll onselect onstart onsubmit ontoggle ontouchend ontouchstart
    ontransitionend onunload onwheel""".split()
)
_REFRESH = re.compile(r"url\s{0,5}=\s{0,5}[\"']?(.{1,2048})", re.I | re.S)
_CSS_URL = re.compile(r"url\(\s{0,5}[\"']?\s{0,5}((?:https?:)?//[^\"')\s]{1,2048})", re.I)
_PREHEADER = 300


def _kind(number: int, tag: str) -> tuple[str, int]:
    known = (tag, _KINDS.get(tag, _IS_UNKNOWN))
    if number < 400:  # beyond are numbers of one document only
        _BY_NUMBER[number] = known
    return known


class Walk:
    """What one walk in document order has gathered. The texts are pieces; FOLD stands where a line ends."""

    def __init__(self, max_links: int, max_nodes: int = limits.HTML_NODES) -> None:
        self.visible: list[str] = []
        self.hidden: list[str] = []
        self.links: list[tuple[str, str, str, bool]] = []  # url, text, tag, visible
        self.counts: dict[str, int] = {}
        self.by_reason: dict[Hidden, int] = {}
        self.title = ""
        self.preheader = ""
        self.findings: list[str] = []
        self.nodes = 0
        self._max_links = max_links
        self._max_nodes = max_nodes
        self._looks = Looks()
        self._seen_at = 0  # length of `visible` when hidden text was last met
        self._open_links: list[tuple[str, int, int, str]] = []  # url, where its visible and hidden text begin, alt texts

    def run(self, root: LexborNode) -> None:
        """Walk the tree below `root`, at most as many nodes as are allowed; no recursion, so depth costs nothing."""
        look, tag, kind, link = Look(), "", 0, -1  # of the innermost open element
        stack: list[tuple[LexborNode, Look, str, int, int]] = []  # an open element, and what is innermost outside of it
        visible = self.visible
        rules = self._looks.rules
        node = root
        deepest = nodes = tags = 0
        while nodes < self._max_nodes:
            nodes += 1
            number = node.tag_id
            if number == _TEXT:
                text = node.text_content or ""
                if look.reason is None:
                    visible.append(text)
                elif not text.isspace():
                    self._unseen(text, look.reason, tag)
            elif number == _COMMENT:
                self._comment(node.comment_content or "")
            else:
                tags += 1
                inner, inner_link = look, -1
                name, what = _BY_NUMBER.get(number) or _kind(number, node.tag or "")
                attributes = node.attributes
                if what & _IS_BLOCK:
                    visible.append(FOLD)
                if attributes or what & _IS_ACTIVE or name in rules:
                    inner, inner_link = self._enter(name, what, attributes, look)
                if len(stack) >= deepest:
                    deepest = len(stack) + 1
                if (child := node.first_child) is not None:
                    stack.append((node, look, tag, kind, link))
                    node, look, tag, kind, link = child, inner, name, what, inner_link
                    continue
                if inner_link >= 0:
                    self._end_link(inner_link)
            following = None
            while stack and (following := node.next) is None:
                if kind & _IS_BLOCK:
                    visible.append(FOLD)
                if link >= 0:
                    self._end_link(link)
                node, look, tag, kind, link = stack.pop()
            if not stack or following is None:
                break
            node = following
        else:
            self.findings.append("limit:html_nodes")
        self.nodes = nodes
        for left_open in [link, *(outer[4] for outer in reversed(stack))]:  # where the walk was cut
            if left_open >= 0:
                self._end_link(left_open)
        self.counts["tags"] = tags
        self.counts["depth"] = deepest

    def _count(self, name: str, by: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + by

    def _enter(self, tag: str, kind: int, attributes: Attributes, look: Look) -> tuple[Look, int]:
        """Read an element: how what is in it looks, and the index of its link or -1."""
        if kind & _IS_UNKNOWN and ":" not in tag:
            self._count("unknown_tags")
        if kind & _IS_SOURCE:
            look = self._looks.source(look)
        elif attributes:
            if kind & _IS_LOOK or self._looks.rules or not _LOOKING.isdisjoint(attributes):
                look = self._looks.of(tag, attributes, look)
        elif tag in self._looks.rules:
            look = self._looks.of(tag, attributes, look)
        if kind & _IS_COUNTED:
            self._counted(tag, attributes)
        link = -1
        if attributes:
            if kind & _IS_LINK:
                link = self._linked(tag, attributes, look)
            if "style" in attributes and "url(" in (text := attributes["style"] or ""):
                self._css_images(text)
            if "background" in attributes and (url := (attributes["background"] or "").strip()):
                self._count("images")
                self._link(url, "", "css", look.reason is None)
            if not _EVENTS.isdisjoint(attributes):
                self._count("scripts", len(_EVENTS.intersection(attributes)))
        return look, link

    def _unseen(self, text: str, reason: Hidden, tag: str) -> None:
        if tag in _CODE:
            self._code(tag, text)
            return
        if tag == "title" and not self.title:
            self.title = " ".join(text.split())[:500]
        self._hide(text, reason)
        if reason is not Hidden.SOURCE and not self.preheader and len(self.visible) < 400 and len(text) < 2_000:
            self.preheader = " ".join(invisible.strip(text)[0].split())[:_PREHEADER]

    def _hide(self, text: str, reason: Hidden, apart: bool = False) -> None:
        self.by_reason[reason] = self.by_reason.get(reason, 0) + len("".join(text.split()))
        if apart or len(self.visible) != self._seen_at:
            self.hidden.append(FOLD)
        self._seen_at = -1 if apart else len(self.visible)
        self.hidden.append(text)

    def _code(self, tag: str, text: str) -> None:
        if tag != "style":
            return
        self._count("style_length", len(text))
        self._looks.learn(text)
        if "url(" in text:
            self._css_images(text)
        if "{" not in text and len(text.split()) > 5:
            self._hide(text, Hidden.SOURCE, apart=True)

    def _comment(self, text: str) -> None:
        lower = text[:40].lower().lstrip()
        if lower.startswith(("[if", "<![endif")) or "[endif]" in lower:
            return
        self._count("comments", len(text))
        if text and not text.isspace():
            self._hide(text, Hidden.SOURCE, apart=True)

    def _end_link(self, index: int) -> None:
        url, seen, unseen, alt = self._open_links.pop()
        shown = " ".join("".join(self.visible[seen:]).replace(FOLD, " ").split())
        if not shown and len(self.hidden) > unseen:
            shown = " ".join("".join(self.hidden[unseen:]).replace(FOLD, " ").split())
        self.links[index] = (url, (shown or alt)[:500], "a", self.links[index][3])

    def _css_images(self, text: str) -> None:
        for m in _CSS_URL.finditer(text[:100_000]):
            self._count("images")
            self._link(m[1], "", "css", True)

    def _linked(self, tag: str, attributes: Attributes, look: Look) -> int:
        """Note the target of an element; returns its index for <a>, whose text is known when it ends."""
        url = (attributes.get(_LINKED[tag]) or "").strip()[: limits.URL_LENGTH]
        if tag == "img" or tag == "image":
            self._image(url, attributes, look)
            return -1
        if not url or url.startswith("#"):
            return -1
        index = self._link(url, "", _TAG_AS.get(tag, tag), look.reason is None or tag == "script")
        if tag != "a" or index < 0:
            return -1
        self._open_links.append((url, len(self.visible), len(self.hidden), ""))
        return index

    def _image(self, url: str, attributes: Attributes, look: Look) -> None:
        alt = " ".join((attributes.get("alt") or "").split())[:500]
        if url[:5].lower().startswith(("cid:", "data:")):
            self._count("inline_images")
        elif url:
            self._count("images")
            if _small(attributes.get("width")) and _small(attributes.get("height")):
                self._count("tracking_pixels")
            self._link(url, alt, "img", look.reason is None)
        if alt and self._open_links:
            target, seen, unseen, old = self._open_links[-1]
            self._open_links[-1] = (target, seen, unseen, (old + " " + alt).strip()[:500])

    def _link(self, url: str, text: str, tag: str, visible: bool) -> int:
        if len(self.links) >= self._max_links:
            if "limit:links" not in self.findings:
                self.findings.append("limit:links")
            return -1
        self.links.append((url[: limits.URL_LENGTH], text, tag, visible))
        return len(self.links) - 1

    def _counted(self, tag: str, attributes: Attributes) -> None:
        if tag == "meta":
            if (attributes.get("http-equiv") or "").lower() == "refresh" and (m := _REFRESH.search(attributes.get("content") or "")):
                self._link(m[1].strip("\"' "), "", "meta", True)
            return
        kind = (attributes.get("type") or "").lower() if tag == "input" else ""
        if kind != "hidden":
            self._count(_COUNTED[tag])
        if kind == "password":
            self._count("password_inputs")


def _small(value: str | None) -> bool:
    return value is not None and value.strip().removesuffix("px") in {"0", "1", "2"}
