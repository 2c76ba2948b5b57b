"""Answers questions about our zones: bytes in, bytes out. Nothing a client sends raises, or is answered at length."""

from __future__ import annotations

from collections.abc import Sequence

from mailward.reputation.zone import wire
from mailward.reputation.zone.apex import Found, Served
from mailward.reputation.zone.wire import Question, Rcode, Unanswerable

Place = tuple[Served, bool]  # a zone, and whether the name that leads to it holds an access code


def read(data: bytes) -> Question | bytes | None:
    """The question in a message, or at once the answer to what is none; None for silence."""
    try:
        return wire.read(data)
    except Unanswerable as error:
        return wire.bare(data, error.rcode)


class Answerer:
    """Our zones under their names, and again under each access code (`CODE.zone`). The zones may be followed meanwhile."""

    def __init__(self, zones: Sequence[Served], codes: Sequence[str] = ()) -> None:
        self.zones = tuple(zones)
        self._has_codes = bool(codes)
        self._places: dict[bytes, Place] = {}
        for zone in zones:
            self._places |= {wire.name(f"{code}.{zone.name}"): (zone, True) for code in codes}
        self._places |= {wire.name(zone.name): (zone, False) for zone in zones}

    def answer(self, data: bytes, now: float, *, udp: bool = True, trusted: bool = True) -> bytes | None:
        """The answer to a message, None for silence. `trusted`: the client needs no access code. `now` in seconds since 1970.

        Over UDP at most `wire.GROWTH` octets longer than the question, and truncated where the client cannot take more.
        """
        question = read(data)
        if not isinstance(question, Question):
            return question
        return self.reply(question, now, wire.room(data, question.payload) if udp else wire.TCP_PAYLOAD, trusted)

    def reply(self, question: Question, now: float, most: int, trusted: bool) -> bytes:
        """The answer to a question that was read."""
        if question.version:
            return wire.reply(question, Rcode.BADVERS, most, ours=False)
        at, place = self._place(question)
        if place is None or question.rclass != wire.IN or question.type in (wire.AXFR, wire.IXFR):
            return wire.reply(question, Rcode.REFUSED, most, ours=False)
        zone, with_code = place
        owner = question.name[:at]
        if not (trusted or with_code or (self._has_codes and not owner)):
            return wire.reply(question, Rcode.REFUSED, most, ours=False)
        if not owner:
            return self._apex(question, zone, most, with_code)
        found = zone.look(owner, now)
        if found is None:
            return self._nothing(question, zone, Rcode.NOERROR if zone.is_above(owner, now) else Rcode.NXDOMAIN, most)
        return self._listed(question, zone, found, owner, now, most)

    def zone_of(self, question: Question) -> Served | None:
        """The zone whose apex is asked about, under its own name."""
        place = self._places.get(question.name)
        return place[0] if place is not None and not place[1] else None

    def _place(self, question: Question) -> tuple[int, Place | None]:
        """The longest zone name that the question ends in, and where it starts."""
        starts, name = question.starts, question.name
        skip = 32 if len(starts) > 32 and starts[32] == 64 else 0  # 32 nibbles
        for at in starts[skip:]:
            place = self._places.get(name[at:])
            if place is not None:
                return at, place
        return 0, None

    @staticmethod
    def _listed(question: Question, zone: Served, found: Found, owner: bytes, now: float, most: int) -> bytes:
        if question.type in (wire.A, wire.ANY):  # ANY gets one kind of records (RFC 8482 4.1)
            records = [wire.QUESTION + b"\0\1\0\1" + found.ttl.to_bytes(4, "big") + b"\0\4" + code for code in found.codes]
        elif question.type == wire.TXT:
            records = [wire.record(wire.QUESTION, wire.TXT, found.ttl, wire.text(zone.why(found, owner, now)))]
        else:
            return Answerer._nothing(question, zone, Rcode.NOERROR, most)
        return wire.reply(question, Rcode.NOERROR, most, records)

    @staticmethod
    def _apex(question: Question, zone: Served, most: int, with_code: bool) -> bytes:
        if with_code:  # a name above addresses, no apex of its own
            return Answerer._nothing(question, zone, Rcode.NOERROR, most)
        if question.type in (wire.SOA, wire.ANY):
            return wire.reply(question, Rcode.NOERROR, most, [zone.soa(wire.QUESTION)])
        if question.type == wire.NS:
            return wire.reply(question, Rcode.NOERROR, most, zone.ns(wire.QUESTION))
        return Answerer._nothing(question, zone, Rcode.NOERROR, most)

    @staticmethod
    def _nothing(question: Question, zone: Served, rcode: Rcode, most: int) -> bytes:
        """NXDOMAIN or NODATA, with the SOA that says for how long (RFC 2308)."""
        apex = wire.pointer(wire.HEADER + len(question.name) - len(zone.name) - 2)
        return wire.reply(question, rcode, most, authority=zone.soa(apex))
