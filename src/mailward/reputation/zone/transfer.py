"""A whole zone for secondaries: AXFR (RFC 5936), which also answers IXFR (RFC 1995 allows it). Memory stays at one message."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mailward.reputation.zone import wire
from mailward.reputation.zone.apex import Served
from mailward.reputation.zone.wire import Question

MESSAGE_OCTETS = 16_000  # pointers reach 16,383; a message this long takes about a millisecond, then others have their turn


def messages(zone: Served, question: Question, now: float, known: int | None = None) -> Iterator[bytes]:
    """The answers to AXFR or IXFR, unsigned. `known`: the serial the client has (IXFR); when it is not older than ours, our SOA is all.

    The zone is the one of this moment, whatever is published meanwhile.
    """
    zone = zone.frozen()
    head = question.id + b"\x84\0\0\1"
    records: list[bytes] = []
    size = 0
    for record in [zone.soa(wire.QUESTION)] if known is not None and not _newer(zone.serial, known) else _records(zone, now):
        if size + len(record) > MESSAGE_OCTETS:
            yield _message(head, question, records)
            records, size = [], 0
        records.append(record)
        size += len(record)
    yield _message(head, question, records)


def _message(head: bytes, question: Question, records: list[bytes]) -> bytes:
    return b"".join((head, struct.pack("!HHH", len(records), 0, 0), question.asked, *records))


def _records(zone: Served, now: float) -> Iterator[bytes]:
    yield zone.soa(wire.QUESTION)
    yield from zone.ns(wire.QUESTION)
    for found in zone.records(now):
        owner = wire.name(found.labels)[:-1] + wire.QUESTION
        for code in found.codes:
            yield wire.record(owner, wire.A, found.ttl, code)
        yield wire.record(owner, wire.TXT, found.ttl, wire.text(found.words))
    yield zone.soa(wire.QUESTION)


def _newer(serial: int, known: int) -> bool:
    """Whether a serial is newer than another (RFC 1982)."""
    return serial != known and (serial - known) % (1 << 32) < 1 << 31


def known_serial(data: bytes, question: Question) -> int | None:
    """The serial in the SOA of an IXFR question, None where there is none to read."""
    at = wire.HEADER + len(question.asked)
    try:
        if question.type != wire.IXFR or data[8:10] != b"\0\1":
            return None
        at = wire.past_name(data, at)
        kind, _, _, size = struct.unpack_from("!HHIH", data, at)
        at += 10
        if kind != wire.SOA or size < 22:
            return None
        return int.from_bytes(data[at + size - 20 : at + size - 16], "big")
    except (IndexError, struct.error, wire.Unanswerable):
        return None
