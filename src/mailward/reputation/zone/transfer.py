"""A whole zone for secondaries: AXFR (RFC 5936), which also answers IXFR (RFC 1995 allows it). Memory stays at one message."""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator
from dataclasses import replace

from mailward.reputation.zone import names, wire
from mailward.reputation.zone.wire import Question
from mailward.reputation.zone.zone import Entry, Zone, shown

MESSAGE_OCTETS = 16_000  # pointers reach 16,383; a message this long takes about a millisecond, then others have their turn


def messages(zone: Zone, question: Question, now: float, known: int | None = None) -> Iterator[bytes]:
    """The answers to AXFR or IXFR, unsigned. `known`: the serial the client has (IXFR); when it is not older than ours, our SOA is all.

    The zone is the one of this moment, whatever is published meanwhile.
    """
    zone = replace(zone, table=copy.copy(zone.table))
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


def _records(zone: Zone, now: float) -> Iterator[bytes]:
    yield zone.soa(wire.QUESTION)
    yield from zone.ns(wire.QUESTION)
    for entry in zone.entries(now):
        yield from _entry(zone, entry)
    yield zone.soa(wire.QUESTION)


def _entry(zone: Zone, entry: Entry) -> Iterator[bytes]:
    for labels, address in named(entry):
        owner = wire.name(labels)[:-1] + wire.QUESTION
        for code in entry.codes:
            yield wire.record(owner, wire.A, entry.ttl, code)
        yield wire.record(owner, wire.TXT, entry.ttl, wire.text(zone.sentence(entry.listing, address)))


def named(entry: Entry) -> Iterator[tuple[str, str]]:
    """The names that stand for a range, wildcards among them, each with the address its look-up link names: the first."""
    number = entry.first
    for labels in names.owners(entry.version, entry.first, entry.last):
        yield labels, shown(entry.version, number)
        number += names.size(entry.version, labels)


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
