"""rspamd's HTTP protocol (docs/architecture/protocol of rspamd) as values: what is asked, how bodies are packed, what an answer is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import msgspec
import zstandard

from mailward.servers.http import limits

_UNPACKING = zstandard.ZstdDecompressor(max_window_size=1 << 27)

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Task(StrEnum):
    """What can be asked, by method and path."""

    CHECK = "POST /checkv2"
    OLD_CHECK = "POST /check"
    OLD_SYMBOLS = "POST /symbols"
    PING = "GET /ping"
    SYMBOLS = "GET /symbols"
    STAT = "GET /stat"
    METRICS = "GET /metrics"
    LEARN_SPAM = "POST /learnspam"
    LEARN_HAM = "POST /learnham"

    @property
    def takes_message(self) -> bool:
        return self.value.startswith("POST")


_TASKS = {task.value: task for task in Task}


class Refused(Exception):  # noqa: N818
    """A request that is not carried out: the status, and words for the client."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """The head of a request. Header names are lower case."""

    method: str
    path: str
    header: Mapping[str, list[str]]

    def get(self, name: str) -> str:
        """The first header of that lower-case name, "" if there is none."""
        return self.header.get(name, [""])[0]

    @property
    def task(self) -> Task:
        """Raises `Refused` where nobody knows it. A stat or ping that is posted is understood too, as rspamd does."""
        path = self.path.partition("?")[0].rstrip("/") or "/"
        posted, got = _TASKS.get(f"POST {path}"), _TASKS.get(f"GET {path}")
        if posted is not None and self.method in ("POST", "PUT"):
            return posted
        if got is not None and self.method in ("GET", "POST"):
            return got
        if posted is not None or got is not None:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} is not asked by {self.method[:10]}")
        raise Refused(HTTPStatus.NOT_FOUND, "Known here: /checkv2, /check, /symbols, /ping, /stat, /metrics, /learnspam, /learnham")

    @property
    def packed(self) -> bool:
        """Whether the body is packed by zstd. Raises `Refused` where it is packed in another way."""
        ways = {word.strip().lower() for name in ("content-encoding", "compression") for word in self.get(name).split(",")} - {
            "",
            "identity",
        }
        if ways - {"zstd"}:
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Only zstd is known as a compression")
        return bool(ways)

    @property
    def wants_packed(self) -> bool:
        """Whether the answer may be packed by zstd."""
        return "zstd" in self.get("compression").lower() or "zstd" in self.get("accept-encoding").lower()


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: status, body and its type."""

    body: bytes
    kind: str = JSON
    status: HTTPStatus = HTTPStatus.OK
    more: tuple[tuple[str, str], ...] = field(default=())


def asked(method: bytes, target: bytes, header: list[tuple[bytes, bytes]]) -> Asked:
    """The values of a request's head, its header names in lower case as h11 gives them."""
    values: dict[str, list[str]] = {}
    for name, value in header:
        values.setdefault(name.decode("ascii", "replace"), []).append(value.decode("utf-8", "replace"))
    return Asked(method.decode("ascii", "replace"), target.decode("ascii", "replace"), values)


def unpacked(body: bytes, limit: int) -> bytes:
    """The message as it was before the client packed it, in one frame, at most `limit` octets. Raises `Refused`."""
    try:
        if zstandard.frame_content_size(body) > limit:
            raise too_big(limit)
        return _UNPACKING.decompress(body, max_output_size=limit, allow_extra_data=False)
    except zstandard.ZstdError:
        raise Refused(HTTPStatus.BAD_REQUEST, f"The message cannot be unpacked, or is larger than {limit} octets") from None


def too_big(limit: int) -> Refused:
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The message is larger than the limit of {limit} octets")


def packed(told: Told) -> Told:
    """The same answer, packed."""
    body = zstandard.ZstdCompressor(level=limits.LEVEL).compress(told.body)
    return Told(body, told.kind, told.status, (("Compression", "zstd"), ("Content-Encoding", "zstd")))


def json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Told:
    return Told(msgspec.json.encode(value), JSON, status)


def refusal(refused: Refused) -> Told:
    """The answer that says no."""
    return json({"error": str(refused)}, refused.status)
