"""Random and half-broken milter talk through codec and session: short with the other tests, long with MAILWARD_FUZZ_SECONDS."""

from __future__ import annotations

import os
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailward.servers.milter.protocol import Code, Problem, Reader, command, packet
from mailward.servers.milter.session import Due, Session
from mailward.servers.smtp.connection import Room

_SECONDS = float(os.environ.get("MAILWARD_FUZZ_SECONDS", "0"))
LIMIT, ROOM = 2_000, 6_000
OFFER = packet(Code.NEGOTIATE, b"\0\0\0\6\0\0\1\xff\0\x1f\xff\xff")
TALK = [
    OFFER,
    packet(Code.NEGOTIATE, b"\0\0\0\2\0\0\0\x3f\0\0\0\x7f"),
    packet(Code.CONNECT, b"mail.example.com\0" + b"4\x12\x34" + b"192.0.2.1\0"),
    packet(Code.CONNECT, b"x\0U"),
    packet(Code.HELO, b"x\0"),
    packet(Code.MAIL, b"<a@example.com>\0BODY=8BITMIME\0"),
    packet(Code.MAIL, b"<>\0"),
    packet(Code.RCPT, b"<b@example.org>\0"),
    packet(Code.MACRO, b"R{rcpt_mailer}\0error\0"),
    packet(Code.MACRO, b"Ei\x004Abc\0"),
    packet(Code.HEADER, b"Subject\0 one\n\ttwo\0"),
    packet(Code.HEADER, b"\0\0"),
    packet(Code.BODY, b"x" * 1_500),
    packet(Code.BODY, b"\r\n.\r\n"),
    packet(Code.END, b"the last piece"),
    *[packet(code) for code in Code],
]
pieces = st.one_of(
    st.sampled_from(TALK), st.builds(packet, st.integers(0, 255), st.binary(max_size=40)), st.binary(max_size=9), st.just(b"\0\0\0\0")
)
talks = st.tuples(st.sampled_from([b"", OFFER]), st.lists(pieces, max_size=25)).map(lambda talk: talk[0] + b"".join(talk[1]))


def check(octets: bytes, step: int) -> None:
    """What holds for any octets, however they arrive: understood or a `Problem`, kept within bounds, and nothing left when it is over."""
    reader, room = Reader(), Room(ROOM)
    session = Session(LIMIT, room, answers_connect=True)
    try:
        for at in range(0, len(octets), step):
            reader.feed(octets[at : at + step])
            while (got := reader.next()) is not None:
                match session.take(command(*got)):
                    case Due.RECIPIENT:
                        session.accept()
                    case Due.MESSAGE:
                        received = session.received()
                        assert len(received.raw) <= LIMIT + 2
                        assert 0 <= received.head <= max(len(received.raw), 0) or received.trouble is not None
                        assert received.size >= len(received.raw)
                        session.done()
                        assert room.taken == 0
                    case Due.ABORTED:
                        session.done()
                    case Due.NEXT_CLIENT:
                        session.next_client()
                    case Due.END:
                        break
                assert 0 <= room.taken <= ROOM
    except Problem:
        pass
    session.done()
    assert room.taken == 0


def _run(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(talks, st.sampled_from([1, 7, 64, 100_000]))
    def holds(octets: bytes, step: int) -> None:
        check(octets, step)

    holds()


def test_any_talk_is_understood_or_a_problem() -> None:
    """No octets make codec or session fail, keep more than the limit, or leave anything counted."""
    _run(1500)
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        _run(5000)
