"""What spamd's protocol says, read and written."""

from __future__ import annotations

import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.servers.spamd import limits
from mailward.servers.spamd.protocol import Exit, Method, Refused, plain, request


@given(st.binary(max_size=200), st.lists(st.binary(max_size=60), max_size=5))
def test_any_request_is_read_or_refused(line: bytes, header: list[bytes]) -> None:
    """Whatever is sent: a request whose length is a number or none, or a refusal with an exit code of sysexits.h."""
    with contextlib.suppress(Refused):
        found = request(line, header)
        assert found.method in Method
        assert found.length is None or 0 <= found.length < 10**limits.LENGTH_DIGITS


def test_rspamds_dialect_names_every_recipient() -> None:
    """Header names are case-insensitive, and one that comes twice has two values."""
    found = request(b"CHECK RSPAMC/1.3", [b"Rcpt: <a@example.org>", b"RCPT: <b@example.org>", b"IP: 192.0.2.1"])
    assert (found.rspamd, found.version, found.get("ip")) == (True, (1, 3), "192.0.2.1")
    assert found.header["rcpt"] == ["<a@example.org>", "<b@example.org>"]


@given(st.binary(max_size=2000))
def test_what_was_compressed_comes_back(message: bytes) -> None:
    """zlib and nothing else; without the header nothing is unpacked."""
    packed = request(b"CHECK SPAMC/1.5", [b"Compress: zlib"])
    assert plain(packed, zlib.compress(message), 10_000) == message
    assert plain(request(b"CHECK SPAMC/1.5", []), message, 10_000) == message


def test_a_compressed_bomb_stops_at_the_limit() -> None:
    """100 MB of zeros fit into 100 KB; not one octet more than allowed is unpacked."""
    bomb = zlib.compress(bytes(100 << 20), 9)
    with pytest.raises(Refused, match="larger than the limit of 65536") as refused:
        plain(request(b"CHECK SPAMC/1.5", [b"Compress: zlib"]), bomb, 65_536)
    assert refused.value.code is Exit.DATAERR


@pytest.mark.parametrize(("sent", "says"), [(b"no zlib", "cannot be decompressed"), (zlib.compress(b"x" * 99)[:-3], "has no end")])
def test_damaged_compression_is_told(sent: bytes, says: str) -> None:
    """Data that is no zlib, or only its beginning, is a data error."""
    with pytest.raises(Refused, match=says) as refused:
        plain(request(b"CHECK SPAMC/1.5", [b"Compress: zlib"]), sent, 10_000)
    assert refused.value.code is Exit.DATAERR
