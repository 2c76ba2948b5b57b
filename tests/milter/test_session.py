"""What a mail server has said, as the session understands it: the message put together again, and nothing left behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.servers.milter import limits
from mailward.servers.milter.protocol import (
    Actions,
    Body,
    Code,
    Connect,
    End,
    Field,
    Helo,
    Macros,
    Mail,
    Offer,
    Plain,
    Problem,
    Rcpt,
    Steps,
)
from mailward.servers.milter.session import Due, Received, Session, Trouble
from mailward.servers.smtp.connection import Room

ALL = Offer(6, Actions(0x1FF), Steps.ALL)
HEADER = st.lists(st.tuples(st.binary(min_size=1, max_size=8), st.lists(st.binary(max_size=10), min_size=1, max_size=3)), max_size=5)


def session(offer: Offer = ALL, limit: int = 10_000, room: int = 1 << 20) -> tuple[Session, Room]:
    counted = Room(room)
    found = Session(limit, counted, answers_connect=False)
    found.take(offer)
    found.take(Connect("mail.example.com", "4", 4711, "192.0.2.1"))
    found.take(Mail("a@example.com", ()))
    found.take(Rcpt("b@example.org", ()))
    found.accept()
    return found, counted


def heard(found: Session, fields: list[tuple[bytes, bytes]], body: list[bytes]) -> Received:
    for name, value in fields:
        found.take(Field(name, value))
    found.take(Plain(Code.END_HEADER))
    for piece in body:
        found.take(Body(piece))
    assert found.take(End(b"")) is Due.MESSAGE
    return found.received()


@given(lines=HEADER, body=st.lists(st.binary(max_size=20), max_size=4))
def test_the_message_is_put_together_again(lines: list[tuple[bytes, list[bytes]]], body: list[bytes]) -> None:
    """Values as they are, LF inside of them as CRLF, an empty line, and the body octet for octet."""
    fields = [(name, b"\n".join(line.replace(b"\r", b"").replace(b"\n", b"") for line in value)) for name, value in lines]
    found, room = session()
    received = heard(found, fields, body)
    head = b"".join(name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in fields) + b"\r\n"
    assert received.raw == head + b"".join(body)
    assert (received.head, received.size, received.trouble) == (len(head), len(received.raw), None)
    assert room.taken == len(received.raw)
    found.done()
    assert room.taken == 0


def test_without_the_agreement_the_blank_is_put_back() -> None:
    """Mail servers of version 2 to 5 leave it out."""
    found, _ = session(Offer(2, Actions(0x3F), Steps(0x7F)))
    assert heard(found, [(b"Subject", b"x"), (b"X-Empty", b"")], []).raw == b"Subject: x\r\nX-Empty:\r\n\r\n"


COMMANDS = st.one_of(
    st.sampled_from(
        [
            ALL,
            Connect("x", "4", 1, "192.0.2.2"),
            Connect("[x]", "6", 1, "no address"),
            Helo("x"),
            Mail("", ()),
            Rcpt("c@example.org", ()),
            Field(b"A", b"b\nc"),
            Body(b"x" * 400),
            Body(b""),
            End(b"y"),
            *(Plain(code) for code in (Code.ABORT, Code.END_HEADER, Code.QUIT, Code.QUIT_NEW, Code.DATA, Code.UNKNOWN)),
        ]
    ),
    st.builds(Macros, st.sampled_from(Code), st.just({"i": "4Abc", "rcpt_mailer": "error"})),
)


@given(commands=st.lists(COMMANDS, max_size=40), limit=st.sampled_from([100, 5_000]), room=st.sampled_from([500, 1 << 20]))
def test_any_talk_is_understood_or_a_problem(commands: list[object], limit: int, room: int) -> None:
    """Whatever the order: what is counted is what is kept, never more than the room, and nothing when it is over."""
    found, counted = session(limit=limit, room=room)
    for command in commands:
        try:
            due = found.take(command)  # type: ignore[arg-type]
        except Problem:
            break
        assert 0 <= counted.taken <= room
        if due is Due.MESSAGE:
            received = found.received()
            assert len(received.raw) <= limit + 10
            found.done()
            assert counted.taken == 0
        elif due is Due.ABORTED:
            found.done()
        elif due is Due.NEXT_CLIENT:
            found.next_client()
            assert not found.connected
    found.done()
    assert counted.taken == 0


def test_what_is_too_big_is_kept_as_a_header() -> None:
    found, room = session(limit=1_000)
    received = heard(found, [(b"Subject", b" x")], [b"y" * 900, b"y" * 900, b"y" * 900])
    assert (received.raw, received.trouble, received.size) == (b"Subject: x\r\n\r\n", Trouble.TOO_BIG, 2_714)
    assert room.taken == len(received.raw)


def test_a_full_room_keeps_nothing() -> None:
    """And a header without end neither."""
    found, room = session(room=1_000)
    assert heard(found, [(b"Subject", b" x")], [b"y" * 990]).trouble is Trouble.NO_ROOM
    assert room.taken == 0
    found, room = session(room=1 << 30)
    received = heard(found, [(b"X", b"y" * 500_000)] * (limits.HEAD_BYTES // 500_000 + 1), [])
    assert (received.trouble, received.raw, room.taken) == (Trouble.HEAD, b"", 0)


@pytest.mark.parametrize(
    ("said", "address", "name"),
    [
        (Connect("mail.example.com", "4", 25, "192.0.2.1"), "192.0.2.1", "mail.example.com"),
        (Connect("unknown", "4", 25, "192.0.2.1"), "192.0.2.1", ""),
        (Connect("[192.0.2.1]", "4", 25, "192.0.2.1"), "192.0.2.1", ""),
        (Connect("mail.example.com", "6", 25, "IPv6:2001:DB8::1"), "2001:db8::1", "mail.example.com"),
        (Connect("mail.example.com", "6", 25, "::ffff:192.0.2.1"), "192.0.2.1", "mail.example.com"),
        (Connect("mail.example.com", "4", 25, "somewhere"), None, "mail.example.com"),
        (Connect("localhost", "L", 0, "/run/socket"), None, "localhost"),
        (Connect("localhost", "U", 0, ""), None, "localhost"),
    ],
)
def test_who_the_client_is(said: Connect, address: str | None, name: str) -> None:
    """The address in its shortest form, and the name only where it was looked up and led back."""
    found = Session(1_000, Room(1_000), answers_connect=False)
    found.take(ALL)
    found.take(said)
    assert (found.client.address, found.client.name) == (address, name)


@pytest.mark.parametrize(("resolved", "name"), [("OK", "mail.example.com"), ("FORGED", ""), ("FAIL", ""), ("TEMP", "")])
def test_a_name_that_does_not_lead_back_is_none(resolved: str, name: str) -> None:
    """Sendmail tells by a macro."""
    found = Session(1_000, Room(1_000), answers_connect=False)
    found.take(ALL)
    found.take(Macros(Code.CONNECT, {"client_resolve": resolved}))
    found.take(Connect("mail.example.com", "4", 25, "192.0.2.1"))
    assert found.client.name == name


def test_a_login_lasts_as_long_as_the_mail_server_says() -> None:
    """It is told with each message, and missing where nobody signed in."""
    found, _ = session()
    found.take(Macros(Code.MAIL, {"auth_authen": "ann"}))
    found.take(Mail("ann@example.org", ()))
    assert found.client.login == "ann"
    found.done()
    found.take(Mail("x@example.com", ()))
    assert found.client.login is None
