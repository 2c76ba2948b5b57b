"""DNS messages (RFC 1035, RFC 6891), as much of them as a server of address lists reads and writes.

Only the question is taken apart; records beyond it are skipped, but for OPT and the presence of TSIG. A message that is
malformed raises `Unanswerable`, one that must not be answered at all is None.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

HEADER = 12
MAX_NAME = 255
MAX_LABEL = 63
MAX_RECORDS = 4  # beyond the question: OPT, TSIG, the SOA of an IXFR, and one to spare
MIN_PAYLOAD, OUR_PAYLOAD = 512, 1232  # what a client without EDNS takes; what no path fragments
TCP_PAYLOAD = 65_535
GROWTH = 480  # octets that an answer over UDP is longer than its question at most: forged questions must not pay
QUESTION = b"\xc0\x0c"  # a pointer to the name in the question

A, NS, SOA, TXT, OPT, TSIG, IXFR, AXFR, ANY = 1, 2, 6, 16, 41, 250, 251, 252, 255
IN = b"\0\1"

_FIXED = struct.Struct("!HHIH")  # type, class, TTL and length of a record


class Rcode(IntEnum):
    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    NOTAUTH = 9
    BADVERS = 16


class Unanswerable(Exception):  # noqa: N818
    """A message that is answered by a bare header with this code."""

    def __init__(self, rcode: Rcode) -> None:
        super().__init__(rcode.name)
        self.rcode = rcode


class Question(NamedTuple):
    """What was asked. `asked` is the question section as it came, which the answer repeats (0x20); `name` is in lower case."""

    id: bytes
    recursion: int  # the RD bit
    asked: bytes
    name: bytes
    starts: list[int]  # where the labels of `name` start
    type: int
    rclass: bytes
    payload: int = 0  # what the client takes over UDP; 0: no EDNS
    version: int = 0  # of EDNS
    dnssec: int = 0  # the DO bit
    signed: bool = False  # the last record is a TSIG


def read(data: bytes) -> Question | None:
    """Read a query; None for what is none (RFC 1035 4.1.1: a response, or shorter than a header). Raises Unanswerable."""
    if len(data) < HEADER or data[2] & 0x80:
        return None
    if data[2] & 0x78:
        raise Unanswerable(Rcode.NOTIMP)
    if data[4:6] != b"\0\1":
        raise Unanswerable(Rcode.FORMERR)
    try:
        end, starts = _name(data)
        question = Question(
            data[:2],
            data[2] & 1,
            data[HEADER : end + 4],
            data[HEADER:end].lower(),  # a length octet is below "A", so it stays
            starts,
            data[end] << 8 | data[end + 1],
            data[end + 2 : end + 4],
        )
        if len(data) == end + 4 and data[6:HEADER] == b"\0\0\0\0\0\0":
            return question
        return _with_records(data, end + 4, question)
    except (IndexError, struct.error):
        raise Unanswerable(Rcode.FORMERR) from None


def _name(data: bytes) -> tuple[int, list[int]]:
    """Where the name of the question ends, and where its labels start, counted from its own start."""
    at, starts = HEADER, []
    while size := data[at]:
        if size > MAX_LABEL:  # a pointer has nothing to point to yet
            raise Unanswerable(Rcode.FORMERR)
        starts.append(at - HEADER)
        at += size + 1
    if at >= HEADER + MAX_NAME or len(data) < at + 5:
        raise Unanswerable(Rcode.FORMERR)
    return at + 1, starts


def _with_records(data: bytes, at: int, question: Question) -> Question:
    answers, authorities, additional = struct.unpack_from("!HHH", data, 6)
    if answers or answers + authorities + additional > MAX_RECORDS:
        raise Unanswerable(Rcode.FORMERR)
    edns = False
    for number in range(authorities + additional):
        owner, at = at, past_name(data, at)
        kind, rclass, ttl, size = _FIXED.unpack_from(data, at)
        at += _FIXED.size + size
        if kind == OPT:
            if edns or number < authorities or data[owner]:
                raise Unanswerable(Rcode.FORMERR)
            edns = True
            question = question._replace(payload=max(MIN_PAYLOAD, rclass), version=ttl >> 16 & 0xFF, dnssec=ttl & 0x8000)
        elif kind == TSIG:
            if number < authorities + additional - 1:
                raise Unanswerable(Rcode.FORMERR)
            question = question._replace(signed=True)
    if at != len(data):
        raise Unanswerable(Rcode.FORMERR)
    return question


def past_name(data: bytes, at: int) -> int:
    """Where the name that starts at `at` ends. Raises IndexError or Unanswerable."""
    while size := data[at]:
        if size >= 0xC0:
            return at + 2
        if size > MAX_LABEL:
            raise Unanswerable(Rcode.FORMERR)
        at += size + 1
    return at + 1


def bare(data: bytes, rcode: Rcode) -> bytes:
    """The answer to what could not be read: a header."""
    return data[:2] + bytes((0x80 | data[2] & 0x79, rcode & 15)) + b"\0\0\0\0\0\0\0\0"


def reply(
    question: Question, rcode: Rcode, most: int, answers: Sequence[bytes] = (), authority: bytes = b"", *, ours: bool = True
) -> bytes:
    """An answer of at most `most` octets; where it would be longer, the truncated one (TC). `ours`: with authority (AA)."""
    opt = _opt(question, rcode) if question.payload else b""
    records = b"".join(answers) + authority
    flags = (0x84 if ours else 0x80) | question.recursion
    if HEADER + len(question.asked) + len(records) + len(opt) > most:
        flags, answers, authority, records = flags | 2, (), b"", b""
    return (
        question.id
        + bytes((flags, rcode & 15, 0, 1, 0, len(answers), 0, 1 if authority else 0, 0, 1 if opt else 0))
        + question.asked
        + records
        + opt
    )


def _opt(question: Question, rcode: int) -> bytes:
    """Our OPT record: version 0, no options, the DO bit as it came (RFC 3225)."""
    return struct.pack("!BHHBBHH", 0, OPT, OUR_PAYLOAD, rcode >> 4, 0, question.dnssec, 0)


def room(question: bytes, payload: int) -> int:
    """How long an answer over UDP may be."""
    most = len(question) + GROWTH
    if payload <= MIN_PAYLOAD:
        return most if most < MIN_PAYLOAD else MIN_PAYLOAD
    return min(payload, OUR_PAYLOAD, most)


def record(owner: bytes, kind: int, ttl: int, data: bytes) -> bytes:
    return owner + _FIXED.pack(kind, 1, ttl, len(data)) + data


def text(words: bytes) -> bytes:
    """The data of a TXT record: strings of at most 255 octets."""
    return b"".join(bytes((len(piece),)) + piece for piece in (words[at : at + 255] for at in range(0, len(words), 255) or (0,)))


def name(dotted: str) -> bytes:
    """A host name in wire form; the caller has checked its labels."""
    return b"".join(bytes((len(label),)) + label for label in dotted.encode("ascii").lower().split(b".") if label) + b"\0"


def pointer(to: int) -> bytes:
    """A pointer to that octet of the message (below 16,384)."""
    return struct.pack("!H", 0xC000 | to)
