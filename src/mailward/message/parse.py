"""Bytes to a frozen Message. Whatever arrives, there is a Message."""

from __future__ import annotations

from mailward.message import charset, headers, html, invisible, limits, links, mime, received
from mailward.message.address import addresses
from mailward.message.model import Address, Finding, Header, Hidden, Html, Link, Message, Part


def parse(raw: bytes) -> Message:
    """Parse a message as it stood on the wire or in a file (CRLF or LF). Never raises; limits reached and defects are findings."""
    try:
        return read(raw)
    except Exception as error:  # no mail may be lost to a mistake of ours: it is judged by its bare text, and the finding shows
        return _unread(raw, error)


def _unread(raw: bytes, error: Exception) -> Message:
    text = invisible.strip(raw[: limits.TEXT_CHARS].decode("latin-1"))[0]
    finding = Finding(
        "defect:parser", f"The parser failed ({type(error).__name__}); only the bare text was read. Please report this message."
    )
    return Message(
        size=len(raw), headers=(), subject="", from_=(), sender=(), reply_to=(), to=(), cc=(), return_path=None, message_id="", date="",
        received=(), parts=(), text=text, hidden_text="", html=Html(), links=(), findings=(finding,),
    )  # fmt: skip


def read(raw: bytes) -> Message:
    """As `parse`, without the net underneath."""
    found: list[str] = []
    size = len(raw)
    if size > limits.MESSAGE_BYTES:
        found.append("limit:message_bytes")
        raw = raw[: limits.MESSAGE_BYTES]
    data = mime.line_ends(raw)
    tree = mime.read(data, found)
    fields = tuple(tree.headers)
    first: dict[str, str] = {}
    for h in fields:
        first.setdefault(h.key, h.raw)
    hops = tuple(received.read(h.raw) for h in _at_most(fields, "received", limits.RECEIVED, found))
    subject, zero_width = invisible.strip(" ".join(headers.decode_words(first.get("subject", "")).split()))
    body = _body(tree, subject, zero_width, found)
    return Message(
        size=size,
        headers=fields,
        subject=subject,
        from_=_mailboxes(first, "from", found),
        sender=_mailboxes(first, "sender", found),
        reply_to=_mailboxes(first, "reply-to", found),
        to=_mailboxes(first, "to", found),
        cc=_mailboxes(first, "cc", found),
        return_path=_return_path(first.get("return-path")),
        message_id=headers.eight_bit(first.get("message-id", "")),
        date=headers.eight_bit(first.get("date", "")),
        received=hops,
        parts=tuple(_parts(tree)),
        text=body.text,
        hidden_text=body.hidden,
        html=body.html,
        links=tuple(body.links.values()),
        findings=tuple(Finding(name, _DETAILS.get(name, name)) for name in dict.fromkeys(found)),
    )


def _parts(tree: mime.Tree) -> list[Part]:
    return [
        Part(
            n.depth,
            n.parent,
            n.content_type,
            n.declared,
            n.charset,
            n.disposition,
            n.filename,
            n.encoding,
            n.size,
            n.content,
            n.shown == "body",
        )
        for n in tree.nodes
    ]


def _at_most(fields: tuple[Header, ...], key: str, limit: int, found: list[str]) -> list[Header]:
    same = [h for h in fields if h.key == key]
    if len(same) > limit:
        found.append("limit:" + key)
    return same[:limit]


def _mailboxes(first: dict[str, str], key: str, found: list[str]) -> tuple[Address, ...]:
    raw = first.get(key)
    if not raw:
        return ()
    boxes = addresses(raw)
    if len(boxes) >= limits.ADDRESSES:
        found.append("limit:addresses")
    return boxes


def _return_path(raw: str | None) -> str | None:
    if raw is None:
        return None
    boxes = addresses(raw)
    return boxes[0].addr if boxes else ""


class _Body:
    """The texts and links of the message while its body parts are read."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.unseen: list[str] = []
        self.pages: list[html.Page] = []
        self.links: dict[tuple[str, str], Link] = {}
        self.meta = ""
        self.zero_width = 0
        self.text = ""
        self.hidden = ""
        self.html = Html()
        self.nodes = limits.HTML_NODES  # what all HTML parts together may still cost
        self.chars = limits.HTML_BYTES


def _body(tree: mime.Tree, subject: str, zero_width: int, found: list[str]) -> _Body:
    body = _Body()
    body.zero_width = zero_width
    _written(body, subject, "subject", frozenset())
    alternatives: list[str] = []
    for node in tree.nodes:
        if not node.shown and not node.subject:
            continue
        alternative = node.shown == "alternative" and node.content_type not in mime.HTML_TYPES
        if sum(map(len, alternatives if alternative else body.seen)) >= limits.TEXT_CHARS:
            found.append("limit:text_chars")
            continue
        if node.subject:
            body.seen.append(_clean(body, headers.decode_words(node.subject)))
        if alternative:
            alternatives.append(_plain(body, node))
        elif node.shown == "body" and node.content_type in mime.HTML_TYPES:
            _html(body, node, found)
        elif node.shown == "body":
            text = _plain(body, node)
            body.seen.append(text)
            _written(body, text, "text", frozenset())
    body.text = _join(body.seen, found)
    body.unseen += [text for text in alternatives if _differs(text, body.text)]
    body.hidden = _join(body.unseen, found)
    body.html = _counts(body)
    if len(body.links) > limits.LINKS:
        found.append("limit:links")
    body.links = dict(list(body.links.items())[: limits.LINKS])
    return body


def _join(texts: list[str], found: list[str]) -> str:
    text = "\n".join(t for t in texts if t)
    if len(text) > limits.TEXT_CHARS:
        found.append("limit:text_chars")
        return text[: limits.TEXT_CHARS]
    return text


def _clean(body: _Body, text: str) -> str:
    text, count = invisible.strip(text)
    body.zero_width += count
    return text


def _plain(body: _Body, node: mime.Node) -> str:
    data = node.content[: 4 * limits.TEXT_CHARS]
    text = _clean(body, charset.decode(data, node.charset))[: 2 * limits.TEXT_CHARS]
    return "\n".join([line for line in [" ".join(piece.split()) for piece in text.split("\n")] if line])


def _html(body: _Body, node: mime.Node, found: list[str]) -> None:
    data = node.content
    meta = "" if node.charset else html.meta_charset(data)
    body.meta = body.meta or meta or html.meta_charset(data)
    source = charset.decode(data[: 2 * limits.HTML_BYTES], node.charset or meta)
    if body.nodes <= 0 or body.chars <= 0:
        found.append("limit:html_nodes" if body.nodes <= 0 else "limit:html_bytes")
    page = html.read(source, max(0, limits.LINKS - len(body.links)), max(0, body.chars), body.nodes)
    body.nodes -= page.nodes
    body.chars -= len(source)
    found += page.findings
    if len(data) > 2 * limits.HTML_BYTES:
        found.append("limit:html_bytes")
    visible = _clean(body, page.visible)
    body.seen.append(visible)
    body.unseen.append(_clean(body, page.hidden))
    body.pages.append(page)
    for link in page.links:
        body.links.setdefault((link.url, link.text), link)
    _written(body, visible, "html", frozenset(link.url for link in page.links))


def _written(body: _Body, text: str, where: str, known: frozenset[str]) -> None:
    room = limits.LINKS - len(body.links)
    if room <= 0:
        return
    for url in links.urls(text, room + 1):
        if url not in known:
            body.links.setdefault((url, ""), Link(url, "", "text", where, True))


def _counts(body: _Body) -> Html:
    if not body.pages:
        return Html(hidden=((Hidden.ZERO_WIDTH, body.zero_width),)) if body.zero_width else Html()
    return html.total([page.counts for page in body.pages], body.meta, body.zero_width)


_WORDS = 2_000
_WINDOW = 4  # characters compared at a time where there are no spaces between words


def _differs(plain: str, shown: str) -> bool:
    """Whether a plain alternative says something else than the HTML: a person never sees it. Written out URLs do not count."""
    words = {word for word in plain.lower().split(None, _WORDS)[:_WORDS] if "://" not in word}
    if len(words) >= 20:
        return len(words & set(shown.lower().split())) * 2 < len(words)
    if plain.isascii() or len(plain) < 100:
        return False
    windows = {plain[i : i + _WINDOW] for i in range(0, min(len(plain), _WORDS), 2 * _WINDOW)}
    seen = shown[:50_000]
    return sum(window in seen for window in windows) * 2 < len(windows)


_DETAILS = {
    "limit:message_bytes": "The message is longer than is read; the rest was left out.",
    "limit:headers": "There are more header fields than are kept.",
    "limit:headers_bytes": "The header fields are longer together than is read.",
    "limit:header_bytes": "A header field is longer than is read.",
    "limit:received": "There are more Received lines than are read.",
    "limit:addresses": "A header field names more addresses than are kept.",
    "limit:parts": "The message has more MIME parts than are read.",
    "limit:depth": "The MIME parts are nested deeper than is followed.",
    "limit:part_bytes": "A part is longer than is kept.",
    "limit:total_bytes": "All parts together are longer than is kept.",
    "limit:text_chars": "The text is longer than is judged.",
    "limit:html_bytes": "An HTML part is longer than is read.",
    "limit:html_nodes": "An HTML part has more elements than are read.",
    "limit:html_depth": "The HTML is nested so deeply that only its bare text was read.",
    "limit:html_formatting": "The HTML leaves so many formatting elements open that they were taken out.",
    "limit:html_attributes": "An HTML element has so many attributes that only the bare text was read.",
    "limit:links": "The message has more links than are kept.",
    "defect:nul": "A header contains NUL characters.",
    "defect:bare_cr": "A header contains a carriage return without a line feed.",
    "defect:no_header": "A line among the headers is none; the body begins there.",
    "defect:boundary": "A multipart has no usable boundary.",
    "defect:html": "The HTML could not be parsed.",
}
