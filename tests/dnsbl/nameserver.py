"""A real DNS server (UDP and TCP) whose every zone may behave badly in its own way."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rrset

# dnspython loads the code of a record type when it first meets one, and takes a load that failed (two threads at once) for a type without code, for ever
dns.rdata.load_all_types(disable_dynamic_load=False)

Answer = tuple[float, bytes | None]  # seconds until it is sent; None: never
Behaviour = Callable[[dns.message.Message, bool], Answer]  # the question, whether it came by TCP

V6_LISTED = ".".join(f"{0xFFFF7F000002:032x}"[::-1])


def reply(query: dns.message.Message, *addresses: str, ttl: int = 300, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> dns.message.Message:
    made = dns.message.make_response(query)
    made.set_rcode(rcode)
    if addresses:
        made.answer.append(dns.rrset.from_text(query.question[0].name, ttl, "IN", "A", *addresses))
    return made


def listing(*listed: str, code: str = "127.0.0.2", ttl: int = 300, v6: bool = True) -> Behaviour:
    """An honest list: test points, and the reversed names in `listed`."""
    points = ("2.0.0.127", V6_LISTED, *listed) if v6 else ("2.0.0.127", *listed)

    def behave(query: dns.message.Message, tcp: bool) -> Answer:
        asked = query.question[0].name.to_text()
        if any(asked.startswith(f"{point}.") for point in points):
            return 0, reply(query, code, ttl=ttl).to_wire()
        return 0, reply(query, rcode=dns.rcode.NXDOMAIN).to_wire()

    return behave


class NameServer:
    """Runs in a thread of its own. `zones` may be changed while it runs; `asked` holds every question."""

    def __init__(self) -> None:
        self.zones: dict[str, Behaviour] = {}
        self.asked: list[str] = []
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        while True:  # a port that is free for UDP and TCP
            transport, _ = await self._loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=("127.0.0.1", 0))
            self.port = transport.get_extra_info("sockname")[1]
            try:
                server = await asyncio.start_server(self._tcp, "127.0.0.1", self.port)
                break
            except OSError:
                transport.close()
        self._ready.set()
        await self._stop.wait()
        transport.close()
        server.close()

    def answer(self, data: bytes, tcp: bool) -> Answer:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text().rstrip(".")
        self.asked.append(name)
        zone = next((zone for zone in self.zones if f".{name}".endswith(f".{zone}")), "")
        return self.zones[zone](query, tcp) if zone else (0, reply(query, rcode=dns.rcode.REFUSED).to_wire())

    async def _tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                after, made = self.answer(data, True)
                await asyncio.sleep(after)
                if made is not None:
                    writer.write(len(made).to_bytes(2, "big") + made)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        after, made = self.server.answer(data, False)
        if made is not None:
            asyncio.get_running_loop().call_later(after, self._send, made, address)

    def _send(self, made: bytes, address: tuple[str, int]) -> None:
        if not self.transport.is_closing():
            self.transport.sendto(made[:65_000], address)  # type: ignore[attr-defined]


@contextmanager
def running() -> Iterator[NameServer]:
    server = NameServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


# Bad behaviour


def _fixed(*addresses: str, ttl: int = 300) -> Behaviour:
    return lambda query, tcp: (0, reply(query, *addresses, ttl=ttl).to_wire())


def _rcode(rcode: dns.rcode.Rcode) -> Behaviour:
    return lambda query, tcp: (0, reply(query, rcode=rcode).to_wire())


def _random_address(query: dns.message.Message, tcp: bool) -> Answer:
    while (first := random.randint(1, 255)) == 127:
        pass
    return 0, reply(query, f"{first}.{random.randint(0, 255)}.{random.randint(0, 255)}.{random.randint(0, 255)}").to_wire()


def _garbage(query: dns.message.Message, tcp: bool) -> Answer:
    return 0, query.id.to_bytes(2, "big") + random.randbytes(random.randint(0, 400))


def _cut_short(query: dns.message.Message, tcp: bool) -> Answer:
    wire = reply(query, "127.0.0.2").to_wire()
    return 0, wire[: random.randint(2, len(wire) - 1)]


def _wrong_id(query: dns.message.Message, tcp: bool) -> Answer:
    made = reply(query, "127.0.0.2")
    made.id = query.id ^ 0x5555
    return 0, made.to_wire()


def _wrong_question(query: dns.message.Message, tcp: bool) -> Answer:
    made = reply(dns.message.make_query("other.name.test", "A", id=query.id), "127.0.0.2")
    return 0, made.to_wire()


def _other_owner(query: dns.message.Message, tcp: bool) -> Answer:
    made = reply(query)
    made.answer.append(dns.rrset.from_text("somebody.else.test.", 300, "IN", "A", "127.0.0.2"))
    return 0, made.to_wire()


def _truncated(query: dns.message.Message, tcp: bool) -> Answer:
    made = reply(query)
    made.flags |= dns.flags.TC
    return (0, None) if tcp else (0, made.to_wire())


def _alias(to: str) -> Behaviour:
    def behave(query: dns.message.Message, tcp: bool) -> Answer:
        made = reply(query)
        made.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "CNAME", to))
        return 0, made.to_wire()

    return behave


def _alias_of_itself(query: dns.message.Message, tcp: bool) -> Answer:
    made = reply(query)
    made.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "CNAME", query.question[0].name.to_text()))
    return 0, made.to_wire()


def _alias_to_parked_host(query: dns.message.Message, tcp: bool) -> Answer:
    made = reply(query)
    made.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "CNAME", "parked.test."))
    made.answer.append(dns.rrset.from_text("parked.test.", 300, "IN", "A", "203.0.113.80"))
    return 0, made.to_wire()


_RECORDS = b"".join(b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\x7f\0" + n.to_bytes(2, "big") for n in range(2, 3902))


def _thousands(query: dns.message.Message, tcp: bool) -> Answer:
    made = reply(query)
    if not tcp:
        made.flags |= dns.flags.TC
        return 0, made.to_wire()
    made.use_edns(-1)
    wire = made.to_wire()
    return 0, wire[:6] + (3900).to_bytes(2, "big") + wire[8:] + _RECORDS


def _late(query: dns.message.Message, tcp: bool) -> Answer:
    return 5.0, reply(query, "127.0.0.2").to_wire()


BAD: dict[str, Behaviour] = {
    "refuses-our-resolver": _fixed("127.255.255.254"),
    "over-the-limit": _fixed("127.255.255.255"),
    "answers-127.0.0.1": _fixed("127.0.0.1"),
    "random-address": _random_address,
    "parked-domain": _fixed("203.0.113.80"),
    "lists-everything": _fixed("127.0.0.2"),
    "lists-everything-for-ever": _fixed("127.0.0.2", ttl=0x7FFFFFFF),
    "lists-everything-for-no-time": _fixed("127.0.0.2", ttl=0),
    "undocumented-code": _fixed("127.0.0.77"),
    "servfail": _rcode(dns.rcode.SERVFAIL),
    "refused": _rcode(dns.rcode.REFUSED),
    "not-implemented": _rcode(dns.rcode.NOTIMP),
    "expired-domain": _rcode(dns.rcode.NXDOMAIN),
    "no-data": _rcode(dns.rcode.NOERROR),
    "garbage": _garbage,
    "cut-short": _cut_short,
    "empty-packet": lambda query, tcp: (0, b""),
    "wrong-id": _wrong_id,
    "wrong-question": _wrong_question,
    "other-owner": _other_owner,
    "truncated": _truncated,
    "alias-to-nowhere": _alias("nowhere.test."),
    "alias-of-itself": _alias_of_itself,
    "alias-to-a-parked-host": _alias_to_parked_host,
    "thousands-of-addresses": _thousands,
    "five-seconds-late": _late,
    "silence": lambda query, tcp: (0, None),
}
