"""The milter codec: octets to values and back, however the octets are cut, whatever they are; beside a codec nobody here wrote."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from miltertest import codec, constants

from mailward.servers.milter import limits, protocol
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
    Reader,
    Stage,
    Steps,
    command,
    packet,
)

WORD = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


def read(octets: bytes, seed: int = 0) -> list[protocol.Command]:
    """Every command in the octets, fed in pieces."""
    chance, reader, found = random.Random(seed), Reader(), []
    while octets:
        size = chance.choice((1, 2, 3, 7, 100, 70_000))
        reader.feed(octets[:size])
        octets = octets[size:]
        while (got := reader.next()) is not None:
            found.append(command(*got))
    assert not reader.begun
    return found


def said(cmd: str, **values: object) -> bytes:
    """A command as the other library writes it."""
    octets = codec.encode_msg(cmd, **values)
    assert isinstance(octets, bytes)
    return octets


TALK = {
    said(constants.SMFIC_CONNECT, hostname="mail.example.com", family="4", port=4711, address="192.0.2.1"): Connect(
        "mail.example.com", "4", 4711, "192.0.2.1"
    ),
    packet(Code.CONNECT, b"localhost\0U"): Connect("localhost", "U", 0, ""),
    packet(Code.CONNECT, b"localhost\0L\0\0/run/socket\0"): Connect("localhost", "L", 0, "/run/socket"),
    said(constants.SMFIC_HELO, helo="mail.example.com"): Helo("mail.example.com"),
    said(constants.SMFIC_MAIL, args=["<a@example.com>", "SIZE=100", "BODY=8BITMIME"]): Mail("a@example.com", ("SIZE=100", "BODY=8BITMIME")),
    said(constants.SMFIC_MAIL, args=["<>"]): Mail("", ()),
    said(constants.SMFIC_RCPT, args=["<b@example.org>"]): Rcpt("b@example.org", ()),
    packet(Code.RCPT, b"b@example.org\0"): Rcpt("b@example.org", ()),
    said(constants.SMFIC_DATA): Plain(Code.DATA),
    said(constants.SMFIC_HEADER, name="Subject", value=" lunch\n\tand more"): Field(b"Subject", b" lunch\n\tand more"),
    said(constants.SMFIC_EOH): Plain(Code.END_HEADER),
    said(constants.SMFIC_BODY, buf="At noon?\r\n"): Body(b"At noon?\r\n"),
    packet(Code.BODY, b"\0\xff\r\n"): Body(b"\0\xff\r\n"),
    said(constants.SMFIC_BODYEOB): End(b""),
    packet(Code.END, b"the rest"): End(b"the rest"),
    said(constants.SMFIC_ABORT): Plain(Code.ABORT),
    said(constants.SMFIC_QUIT): Plain(Code.QUIT),
    said(constants.SMFIC_QUIT_NC): Plain(Code.QUIT_NEW),
    packet(Code.UNKNOWN, b"EHLOO\0"): Plain(Code.UNKNOWN),
    said(constants.SMFIC_MACRO, cmdcode="C", nameval=["j", "mx.example.org", "{client_name}", "mail.example.com"]): Macros(
        Code.CONNECT, {"j": "mx.example.org", "client_name": "mail.example.com"}
    ),
    packet(Code.MACRO, b"E"): Macros(Code.END, {}),
    said(constants.SMFIC_OPTNEG, version=6, actions=constants.SMFI_V6_ACTS, protocol=constants.SMFI_V6_PROT): Offer(
        6, Actions(0x1FF), Steps.ALL
    ),
}


@pytest.mark.parametrize("octets", TALK, ids=lambda octets: octets[4:8].decode("latin-1"))
def test_every_command_is_read(octets: bytes) -> None:
    """As the other library, or libmilter's header file, writes it."""
    assert read(octets) == [TALK[octets]]


@given(order=st.permutations(list(TALK)), seed=st.integers(0, 10_000))
def test_packets_come_out_however_they_are_cut(order: list[bytes], seed: int) -> None:
    """One stream of all commands in any order, in pieces of any size."""
    assert read(b"".join(order), seed) == [TALK[octets] for octets in order]


@given(st.binary(max_size=200))
@example(struct.pack(">I", 0xFFFFFFFF))
@example(struct.pack(">I", 0))
@example(packet(Code.MACRO, b""))
@example(packet(Code.MACRO, b"Ca\0b\0c\0"))
@example(packet(Code.MACRO, b"Ca\0b"))
@example(packet(Code.HEADER, b"a\0b"))
@example(packet(Code.HEADER, b"a\0b\0c\0"))
@example(packet(Code.CONNECT, b"a\0" + b"4\0\0"))
@example(packet(Code.CONNECT, b"a"))
@example(packet(Code.MAIL, b""))
@example(packet(Code.NEGOTIATE, b"\0" * 11))
@example(packet(ord("z"), b""))
def test_octets_are_commands_or_a_problem(octets: bytes) -> None:
    """Nothing else is raised, and nothing is held beyond what was sent."""
    reader = Reader()
    reader.feed(octets)
    try:
        while (got := reader.next()) is not None:
            command(*got)
    except Problem:
        return
    assert reader.waiting <= len(octets)


@given(code=st.sampled_from(Code), data=st.binary(max_size=300))
def test_data_of_any_command_is_read_or_a_problem(code: Code, data: bytes) -> None:
    """And what is shown to people has no control characters."""
    try:
        value = command(code, data)
    except Problem:
        return
    match value:
        case Mail(path, more) | Rcpt(path, more):
            assert all(text.isprintable() and len(text) <= limits.TEXT for text in (path, *more))
        case Connect(name, _, _, address):
            assert (name + address).isprintable()
        case Macros(_, values):
            assert all((name + text).isprintable() for name, text in values.items())


def test_no_packet_is_longer_than_allowed() -> None:
    """It is refused by its length, before any of it is there."""
    reader = Reader()
    reader.feed(struct.pack(">I", limits.PACKET_BYTES + 1))
    with pytest.raises(Problem, match="octets"):
        reader.next()
    with pytest.raises(Problem, match="macros"):
        command(Code.MACRO, b"C" + b"a\0b\0" * limits.MACRO_BYTES)


def heard(octets: bytes) -> tuple[str, dict[str, object]]:
    """An answer as the other library reads it."""
    code, values, rest = codec.decode_msg(octets)
    assert rest == b""
    return code, values


def test_every_answer_is_what_the_other_library_reads() -> None:
    """Codes, numbers and texts stand where it looks for them."""
    assert heard(protocol.CONTINUE)[0] == constants.SMFIR_CONTINUE
    assert heard(protocol.DISCARD)[0] == constants.SMFIR_DISCARD
    assert heard(protocol.TEMPFAIL)[0] == constants.SMFIR_TEMPFAIL
    assert heard(protocol.PROGRESS)[0] == constants.SMFIR_PROGRESS
    header = {"index": 1, "name": "X-A", "value": " b\n\tc"}
    assert heard(protocol.insert_header(1, b"X-A", b" b\n\tc")) == (constants.SMFIR_INSHEADER, header)
    assert heard(protocol.change_header(1, b"X-A", b" b\n\tc")) == (constants.SMFIR_CHGHEADER, header)
    assert heard(protocol.add_header(b"X-A", b"b")) == (constants.SMFIR_ADDHEADER, {"name": "X-A", "value": "b"})
    assert heard(protocol.quarantine("why")) == (constants.SMFIR_QUARANTINE, {"reason": "why"})
    assert heard(protocol.reply_code(550, "5.7.1 100% spam")) == (
        constants.SMFIR_REPLYCODE,
        {"smtpcode": "550", "space": " ", "text": "5.7.1 100%% spam"},
    )
    offered = protocol.negotiated(6, Actions.ADD_HEADERS, Steps.SKIP | Steps.LEADING_SPACE, {})
    assert heard(offered) == (constants.SMFIC_OPTNEG, {"version": 6, "actions": 1, "protocol": 0x100400})


def test_macros_are_asked_for_behind_the_flags() -> None:
    """The number of the stage in four octets, then the names, with a NUL behind them; only where the server allows it."""
    macros = {Stage.CONNECT: "j {client_name}", Stage.END: "i"}
    asked = protocol.negotiated(6, Actions.SET_MACROS, Steps(0), macros)
    assert asked[17:] == b"\0\0\0\0j {client_name}\0" + b"\0\0\0\x05i\0"
    assert len(protocol.negotiated(6, Actions(0), Steps(0), macros)) == 17


@given(name=st.binary(max_size=20), value=st.binary(max_size=50))
def test_a_header_cannot_end_its_packet_early(name: bytes, value: bytes) -> None:
    """NUL and CR in our own header fields are a mistake of ours, and said to be one."""
    if b"\0" in name + value or b"\r" in value:
        with pytest.raises(ValueError, match="NUL"):
            protocol.insert_header(0, name, value)
    else:
        octets = protocol.insert_header(0, name, value)
        assert octets[9:] == name + b"\0" + value + b"\0"


@given(code=st.integers(0, 999), text=WORD)
def test_only_refusals_are_reply_codes(code: int, text: str) -> None:
    """A code that is no refusal never reaches the mail server."""
    if 400 <= code <= 599:
        assert protocol.reply_code(code, text)[5:8] == str(code).encode()
    else:
        with pytest.raises(ValueError, match="refusal"):
            protocol.reply_code(code, text)
