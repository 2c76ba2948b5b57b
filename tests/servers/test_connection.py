"""Where a line and a message end, however the octets are cut into packets."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.servers.smtp.connection import Connection, Gone, NoRoom, Room, TooBig

ROOM = Room(1 << 30)


class Wire(asyncio.Transport):
    """The socket side of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def pieces(data: bytes, seed: int) -> list[bytes]:
    """The octets cut at random places."""
    chance = random.Random(seed)
    found = []
    while data:
        size = chance.choice((1, 2, 3, 5, 50))
        found.append(data[:size])
        data = data[size:]
    return found


async def read_body(packets: list[bytes], limit: int = 10_000) -> tuple[bytes | None, bytes]:
    """The message (None: too big) and what is left behind it."""
    connection = Connection(lambda _: None)
    connection.connection_made(Wire())

    async def feed() -> None:
        for packet in packets:
            connection.data_received(packet)
            await asyncio.sleep(0)
        connection.eof_received()

    feeding = asyncio.create_task(feed())
    try:
        body: bytes | None = await connection.body(limit, 5, ROOM)
    except TooBig:
        body = None
    await feeding
    return body, bytes(connection._buffer)


LINE = st.lists(st.sampled_from([b"", b".", b"..", b"a", b"\r", b"\n", b".\n", b"\r.\r", b"\xff", b"text", b"\0"]), max_size=4).map(
    b"".join
)


@given(lines=st.lists(LINE, max_size=8), seed=st.integers(0, 1000), rest=st.sampled_from([b"", b"QUIT\r\n", b".\r\n", b"\r\n.\r\n"]))
def test_a_message_comes_out_as_it_went_in(lines: list[bytes], seed: int, rest: bytes) -> None:
    """For any content, cut into any packets: stuffed by the sender, unstuffed here, and what follows is left for later."""
    content = b"".join(line + b"\r\n" for line in lines)
    stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    body, left = asyncio.run(read_body(pieces(stuffed + b".\r\n" + rest, seed)))
    assert body == content
    assert left == rest


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n"]
)
def test_only_crlf_dot_crlf_ends_a_message(end: bytes) -> None:
    """Every other line end around a dot is content."""
    body, left = asyncio.run(read_body([b"a" + end + b"MAIL FROM:<>\r\n.\r\n"]))
    assert body is not None
    assert b"MAIL FROM" in body
    assert left == b""


@pytest.mark.parametrize("size", [998, 1000, 1001, 1002, 1003, 1004, 1010, 5000, 200_000])
def test_the_limit_is_exact_and_bounds_what_is_kept(size: int) -> None:
    """Up to the limit a message is read, one octet more and it is thrown away while it comes, its end still found."""
    content = b"x" * (size - 2) + b"\r\n"
    body, left = asyncio.run(read_body(pieces(content + b".\r\nNOOP\r\n", size), limit=1000))
    assert body == (content if size <= 1000 else None)
    assert left == b"NOOP\r\n"


async def test_no_more_than_the_limit_is_held() -> None:
    """While 5 MB come in against a limit of 100 KB, the buffer stays below limit plus one packet."""
    connection = Connection(lambda _: None)
    connection.connection_made(Wire())
    reading = asyncio.create_task(connection.body(100_000, 5, ROOM))
    most = 0
    for _ in range(500):
        connection.data_received(b"y" * 10_000)
        await asyncio.sleep(0)
        most = max(most, len(connection._buffer))
    connection.data_received(b"\r\n.\r\n")
    with pytest.raises(TooBig):
        await reading
    assert most <= 110_005


async def test_a_flood_behind_the_limit_is_cut_off() -> None:
    """A client that never ends its message loses the connection."""
    connection = Connection(lambda _: None)
    wire = Wire()
    connection.connection_made(wire)
    reading = asyncio.create_task(connection.body(1000, 5, ROOM))
    for _ in range(70):
        connection.data_received(b"z" * (1 << 20))
        await asyncio.sleep(0)
    with pytest.raises(Gone):
        await reading
    assert wire.aborted


async def test_all_clients_together_hold_no_more_than_the_room() -> None:
    """The client whose message does not fit any more is refused and its octets are let go; the others finish, and the room is free again."""
    room = Room(100_000)
    connections = [Connection(lambda _: None) for _ in range(3)]
    for connection in connections:
        connection.connection_made(Wire())
    reading = [asyncio.create_task(connection.body(90_000, 5, room)) for connection in connections]
    for _ in range(40):
        for connection in connections:
            connection.data_received(b"v" * 1000)
            await asyncio.sleep(0)
        assert room.taken <= 100_000
    assert sum(len(connection._buffer) for connection in connections) < 100_000
    for connection in connections:
        connection.data_received(b"\r\n.\r\n")
    done = await asyncio.gather(*reading, return_exceptions=True)
    assert sorted(type(result).__name__ for result in done) == ["NoRoom", "bytes", "bytes"]
    assert any(isinstance(result, NoRoom) for result in done)
    assert room.taken == 0
