"""The MIME tree (RFC 2045, 2046): one iterative walk over ranges of the message, bounded in depth, count and bytes.

Own splitting instead of the standard library's: see docs/decisions/0010-own-mime-splitting.md.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field

from mailward.message import headers, limits
from mailward.message.model import Header

_CANDIDATES = 20 * limits.PARTS  # lines that begin like a boundary, looked at in one message
_EMBEDDED = frozenset({"message/rfc822", "message/global", "message/news"})
_NOT_SHOWN = frozenset(
    {"text/calendar", "text/x-vcard", "text/vcard", "text/directory", "text/css", "text/csv", "text/javascript", "text/x-amp-html", "text/xml",
     "text/rfc822-headers", "text/x-patch", "text/x-diff"}
)  # fmt: skip
HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(slots=True)
class Node:
    """A part while the tree is built. `shown` is "body", "alternative" (another form of the body is shown instead) or ""."""

    depth: int
    parent: int
    content_type: str = "text/plain"
    declared: str = ""
    charset: str = ""
    disposition: str = ""
    filename: str = ""
    encoding: str = ""
    size: int = 0
    content: bytes = b""
    leaf: bool = True
    shown: str = ""
    subject: str = ""  # of an embedded message's root


@dataclass(slots=True)
class Tree:
    headers: list[Header]
    nodes: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Range:
    """A part still to be read: data[start:end] with its header block."""

    data: bytes
    start: int
    end: int
    depth: int
    parent: int
    default_type: str = "text/plain"
    embedded: bool = False


class _Budget:
    """What is left of the message's limits."""

    def __init__(self) -> None:
        self.bytes = limits.TOTAL_BYTES
        self.candidates = _CANDIDATES


def line_ends(raw: bytes) -> bytes:
    """CRLF as LF; a message with bare CR only (old Macintosh files) as LF too."""
    if b"\r" not in raw:
        return raw
    return raw.replace(b"\r\n", b"\n") if b"\n" in raw else raw.replace(b"\r", b"\n")


def read(data: bytes, found: list[str]) -> Tree:
    """Read the whole tree of a message with LF line ends, parts in depth-first order."""
    budget = _Budget()
    tree = Tree([])
    pending = [_Range(data, 0, len(data), 0, -1)]
    while pending:
        if len(tree.nodes) >= limits.PARTS:
            found.append("limit:parts")
            break
        todo = pending.pop()
        fields, body = _fields(todo, found)
        if not tree.nodes:
            tree.headers = fields
        node, boundary = _node(todo, fields)
        tree.nodes.append(node)
        children = _children(todo, node, boundary, body, len(tree.nodes) - 1, budget, found)
        if children:
            node.leaf = False
            pending.extend(reversed(children))
        else:
            _leaf(todo, node, body, budget, found)
    _choose(tree.nodes)
    return tree


def _fields(todo: _Range, found: list[str]) -> tuple[list[Header], int]:
    end, body = headers.header_end(todo.data, todo.start, todo.end)
    fields, rest = headers.split(todo.data[todo.start : min(end, todo.start + limits.HEADERS_BYTES + 1)], found)
    if end - todo.start > limits.HEADERS_BYTES:
        return fields, body
    return fields, todo.start + rest if rest >= 0 else body


def _node(todo: _Range, fields: list[Header]) -> tuple[Node, str]:
    first: dict[str, str] = {}
    for h in fields:
        if h.key in _WANTED:
            first.setdefault(h.key, h.raw if h.raw.isascii() else headers.eight_bit(h.raw))
    node = Node(todo.depth, todo.parent, todo.default_type)
    boundary = ""
    raw_type = first.get("content-type")
    if raw_type is not None:
        node.declared, params = headers.cached_parameters(raw_type)
        node.declared = node.declared[:200]
        node.content_type = _sane_type(node.declared, todo.default_type)
        node.charset = params.get("charset", "").lower()[:100]
        node.filename = params.get("name", "")
        boundary = params.get("boundary", "")
    if (raw := first.get("content-disposition")) is not None:
        kind, params = headers.cached_parameters(raw)
        node.disposition = kind if kind in {"inline", "attachment"} else "attachment" if kind else ""
        node.filename = params.get("filename", "") or node.filename
    node.filename = node.filename.replace("\\", "/").rpartition("/")[2].strip()[:500]
    node.encoding = headers.first_word(first.get("content-transfer-encoding", ""))[:100].rstrip(";")
    if todo.embedded:
        node.subject = first.get("subject", "")[:2_000]
    return node, boundary


_WANTED = frozenset({"content-type", "content-disposition", "content-transfer-encoding", "subject"})


def _sane_type(declared: str, default: str) -> str:
    major, slash, minor = declared.partition("/")
    if slash and major and minor and "/" not in minor:
        return declared
    return {"text": "text/plain", "html": "text/html", "multipart": "multipart/mixed"}.get(major, "text/plain" if not declared else default)


def _children(todo: _Range, node: Node, boundary: str, body: int, index: int, budget: _Budget, found: list[str]) -> list[_Range]:
    multipart = node.content_type.startswith("multipart/")
    if not multipart and node.content_type not in _EMBEDDED:
        return []
    if node.depth >= limits.DEPTH:
        found.append("limit:depth")
        return []
    data, start, end = todo.data, body, todo.end
    if node.encoding in {"base64", "quoted-printable"} and (not multipart or _find_first(data, start, end, boundary) < 0):
        data = _decoded(data[start : min(end, start + 2 * limits.PART_BYTES)], node.encoding).replace(b"\r\n", b"\n")
        budget.bytes -= len(data)
        if budget.bytes < 0:
            found.append("limit:total_bytes")
            return []
        start, end = 0, len(data)
    if not multipart:
        if start >= end:
            return []
        while start < end and data[start] == 10:  # an empty line too many before the embedded header
            start += 1
        return [_Range(data, start, end, node.depth + 1, index, embedded=True)]
    default = "message/rfc822" if node.content_type == "multipart/digest" else "text/plain"
    if not boundary:
        boundary = _guess_boundary(data, start, end)
        found.append("defect:boundary")
    ranges = _split(data, start, end, boundary, budget, found) if boundary else []
    if not ranges:
        found.append("defect:boundary")
    return [_Range(data, a, b, node.depth + 1, index, default) for a, b in ranges]


def _boundary_line(boundary: str) -> bytes:
    return b"\n--" + boundary.encode("utf-8", "replace").rstrip()


def _find_first(data: bytes, start: int, end: int, boundary: str) -> int:
    return data.find(_boundary_line(boundary), max(0, start - 1), end) if boundary else -1


def _guess_boundary(data: bytes, start: int, end: int) -> str:
    """The first line that looks like a boundary, where none was declared and it comes again."""
    at = data.find(b"\n--", max(0, start - 1), end)
    if at < 0:
        return ""
    line = data[at + 3 : at + 203].partition(b"\n")[0].rstrip()
    again = data.find(b"\n--" + line, at + 3, end)
    return line.decode("utf-8", "surrogateescape") if line and again >= 0 else ""


def _split(data: bytes, start: int, end: int, boundary: str, budget: _Budget, found: list[str]) -> list[tuple[int, int]]:
    """Cut a multipart body at its delimiter lines; the preamble and what follows the closing line are left out."""
    line = _boundary_line(boundary)
    ranges: list[tuple[int, int]] = []
    part = -1
    if data.startswith(line[1:], start) and start < end:
        pos = start - 1
    else:
        pos = data.find(line, start, end)
    while pos >= 0 or pos == start - 1:
        after = pos + len(line)
        stop = data.find(b"\n", after, end)
        stop = end if stop < 0 else stop
        tail = data[after : min(stop, after + 100)].rstrip()
        if tail in {b"", b"--"}:
            if part >= 0:
                ranges.append((part, max(part, pos)))
            part = -1 if tail else min(stop + 1, end)
            if tail or len(ranges) > limits.PARTS:
                break
        budget.candidates -= 1
        if budget.candidates < 0:
            found.append("limit:parts")
            break
        pos = data.find(line, stop, end)
        if pos < 0:
            break
    if part >= 0:
        ranges.append((part, end))
    return ranges


def _leaf(todo: _Range, node: Node, body: int, budget: _Budget, found: list[str]) -> None:
    """Decode the content of a part without children, as far as the limits allow."""
    length = todo.end - body
    allowed = min(limits.PART_BYTES, max(0, budget.bytes))
    if length > 3 * allowed + 1_000:
        data = _decoded(todo.data[body : body + 3 * allowed + 1_000], node.encoding)
        node.size = len(data) + (length - 3 * allowed - 1_000) * (3 if node.encoding == "base64" else 4) // 4
    else:
        data = _decoded(todo.data[body : todo.end], node.encoding)
        node.size = len(data)
    if len(data) > allowed:
        found.append("limit:part_bytes" if allowed == limits.PART_BYTES else "limit:total_bytes")
        data = data[:allowed]
    budget.bytes -= len(data)
    node.content = data
    if todo.embedded and not data and not node.subject:
        return
    node.shown = "body" if _is_shown(node) else ""


def _is_shown(node: Node) -> bool:
    if node.content_type.startswith("multipart/"):
        return True  # a container that could not be opened is shown as text
    if node.content_type in _NOT_SHOWN or node.disposition == "attachment":
        return False
    return node.content_type.startswith("text/") or node.content_type in HTML_TYPES


def _decoded(data: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return headers.base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return _uudecode(data)
    return data


def _uudecode(data: bytes) -> bytes:
    out = bytearray()
    for line in data.split(b"\n", 200_000)[:200_000]:
        if line.startswith(b"begin ") or not line:
            continue
        if line.rstrip() == b"end":
            break
        try:
            out += binascii.a2b_uu(line[:80])
        except binascii.Error:
            continue
    return bytes(out)


def _choose(nodes: list[Node]) -> None:
    """Decide among the bodies: named text files after the first are attachments; of multipart/alternative the last HTML is shown."""
    bodies = [i for i, node in enumerate(nodes) if node.shown]
    for i in bodies[1:]:
        if nodes[i].filename:
            nodes[i].shown = ""
    if not any(node.content_type == "multipart/alternative" for node in nodes):
        return
    bodies = [i for i in bodies if nodes[i].shown]
    last_html: dict[int, int] = {}
    for i in bodies:
        if nodes[i].content_type in HTML_TYPES and nodes[i].content.strip():
            last_html.update(_alternatives(nodes, i))
    for i in bodies:
        if any(container in last_html and last_html[container] != child for container, child in _alternatives(nodes, i)):
            nodes[i].shown = "alternative"


def _alternatives(nodes: list[Node], index: int) -> list[tuple[int, int]]:
    """The multipart/alternative containers above a part within its own message, each with the child that holds the part."""
    out = []
    parent = nodes[index].parent
    while parent >= 0 and nodes[parent].content_type not in _EMBEDDED:
        if nodes[parent].content_type == "multipart/alternative":
            out.append((parent, index))
        index, parent = parent, nodes[parent].parent
    return out
