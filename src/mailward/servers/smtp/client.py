"""Who the client really is: the connection, XCLIENT, XFORWARD and the PROXY protocol.

XCLIENT and XFORWARD are Postfix's (https://www.postfix.org/XCLIENT_README.html, XFORWARD_README.html), values are
xtext (RFC 3461 4); the PROXY protocol is HAProxy's. All of them are believed from trusted addresses only; that is
checked by the caller.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiosmtpd.proxy_protocol import AF, V2_CMD, get_proxy

from mailward.servers.smtp import limits
from mailward.servers.smtp.connection import Connection

XCLIENT = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")  # names we take; the last two mean nothing to us
XFORWARD = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
UNAVAILABLE = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_HEX = re.compile(r"\+([0-9A-Fa-f]{2})")
_VALUE_LENGTH = 255  # Postfix refuses a longer host name
_LINE_BYTES = 480  # Postfix reads attribute lines of up to 512 octets


@dataclass(frozen=True, slots=True)
class Client:
    """One SMTP client as we know it. None: not known. `local`: SOURCE=LOCAL, the mail was written on the proxy's own host."""

    address: str | None
    name: str | None = None
    helo: str | None = None
    port: str | None = None
    protocol: str | None = None
    login: str | None = None
    ident: str | None = None
    local: bool = False
    told: str = ""  # the command by which a trusted proxy told us; the proxy itself writes the Received line then


class BadAttribute(ValueError):  # noqa: N818
    """An XCLIENT or XFORWARD attribute that cannot be read."""


def canonical(address: str) -> str:
    """An IP address in its shortest form, a v4-mapped v6 address as v4. Raises ValueError."""
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)


def told(client: Client, verb: str, argument: str) -> Client:
    """Apply the attributes of an XCLIENT or XFORWARD line. Raises `BadAttribute` with words for the reply."""
    names = XCLIENT if verb == "XCLIENT" else XFORWARD
    values: dict[str, str | None] = {}
    for word in argument.split():
        name, equals, value = word.partition("=")
        if not equals or name.upper() not in names:
            raise BadAttribute(f"bad attribute {name[:40]}")
        text = decode_xtext(value)
        values[name.upper()] = None if text.upper() in UNAVAILABLE or not text else text
    if not values:
        raise BadAttribute("no attribute given")
    return _applied(client, verb, values)


def _applied(client: Client, verb: str, values: Mapping[str, str | None]) -> Client:
    address = client.address
    if "ADDR" in values:
        text = values["ADDR"]
        try:
            address = None if text is None else canonical(text[5:] if text.upper().startswith("IPV6:") else text)
        except ValueError:
            raise BadAttribute("bad ADDR: not an IP address") from None
    return replace(
        client,
        address=address,
        name=values.get("NAME", client.name),
        helo=values.get("HELO", client.helo),
        port=values.get("PORT", client.port),
        protocol=values.get("PROTO", client.protocol),
        login=values.get("LOGIN", client.login),
        ident=values.get("IDENT", client.ident),
        local=(values.get("SOURCE") or "").upper() == "LOCAL" if "SOURCE" in values else client.local,
        told=verb,
    )


def attribute_lines(client: Client, verb: str, offered: frozenset[str]) -> list[bytes]:
    """The XCLIENT or XFORWARD lines that pass the client on, with the attributes the next hop offered."""
    address = client.address
    known = {
        "NAME": client.name,
        "ADDR": f"IPV6:{address}" if address and ":" in address else address,
        "PORT": client.port,
        "PROTO": client.protocol,
        "HELO": client.helo,
        "IDENT": client.ident,
        "LOGIN": client.login,
        "SOURCE": ("LOCAL" if client.local else "REMOTE") if verb == "XFORWARD" else None,
    }
    words = [f"{name}={encode_xtext(value) if value else '[UNAVAILABLE]'}" for name, value in known.items() if name in offered]
    if verb == "XCLIENT" and client.login is None:
        words = [word for word in words if not word.startswith("LOGIN=")]
    lines: list[bytes] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) < _LINE_BYTES:
            lines[-1] += b" " + word.encode("ascii")
        else:
            lines.append(f"{verb} {word}".encode("ascii"))
    return lines


def decode_xtext(text: str) -> str:
    """RFC 3461 4. What is not valid xtext stays as it is; control characters become `?`."""
    plain = _HEX.sub(lambda match: chr(int(match[1], 16)), text)
    raw = plain.encode("latin-1", "replace").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in raw)


def encode_xtext(text: str) -> str:
    """RFC 3461 4, with non-ASCII text as UTF-8; what would be longer than Postfix takes is cut off."""
    encoded = "".join(chr(b) if 33 <= b <= 126 and b not in b"+=" else f"+{b:02X}" for b in text.encode("utf-8", "replace"))
    if len(encoded) <= _VALUE_LENGTH:
        return encoded
    return encoded[:_VALUE_LENGTH].rpartition("+")[0] if "+" in encoded[_VALUE_LENGTH - 2 : _VALUE_LENGTH] else encoded[:_VALUE_LENGTH]


class _Header:
    """The reader the PROXY parser wants: whole pieces, no octet more than it asks for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, n: int = -1) -> bytes:
        return await self._connection.exactly(n, limits.PROXY_SECONDS)

    async def readexactly(self, n: int) -> bytes:
        return await self._connection.exactly(n, limits.PROXY_SECONDS)

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        taken = bytearray()
        while not taken.endswith(separator) and len(taken) < 107:  # the longest header of version 1
            taken += await self._connection.exactly(1, limits.PROXY_SECONDS)
        return bytes(taken)


async def from_proxy_header(connection: Connection, client: Client) -> Client | None:
    """Read a PROXY protocol header, version 1 or 2; None when it is missing or wrong.

    UNKNOWN and LOCAL (a health check of the proxy itself) leave the client as it is.
    """
    data = await get_proxy(_Header(connection))
    if not data.valid:
        return None
    if data.family not in (AF.INET, AF.INET6) or data.command == V2_CMD.LOCAL:
        return client
    return replace(client, address=canonical(str(data.src_addr)), port=str(data.src_port))
