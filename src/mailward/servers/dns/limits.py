"""What a client may cost. All limits of the DNS server, and the response rate limiting."""

from __future__ import annotations

import socket
from enum import Enum

from mailward.policy.lists import NetworkList

MAX_QUERY = 4096  # octets of a question; the longest honest one, signed and with options, stays far below
BATCH = 64  # datagrams answered before TCP and timers have their turn: below a millisecond
RECEIVE_BUFFER = 4 << 20  # octets the kernel keeps for us while we do something else; it may allow less
MAX_CONNECTIONS = 256
MAX_CONNECTIONS_PER_CLIENT = 16
MAX_TRANSFERS = 4  # at the same time; each takes CPU time from the answers
IDLE_SECONDS = 10.0  # for a whole question to arrive, and for an answer to be taken (RFC 7766 6.2.3)
SLIP = 2  # every second answer above the limit is a truncated one: an honest client comes by TCP, a forged one gets no more than it sent
MAX_NETWORKS = 50_000  # counted in one second; those beyond share one count
MAX_CLIENTS = 50_000  # whose access and network are remembered


class Verdict(Enum):
    ANSWER = "answer"
    TRUNCATE = "truncate"
    DROP = "drop"


class RateLimit:
    """Counts UDP answers to client networks (/24, /56). Each has a bucket that is filled once a second.

    Questions come with forged addresses; the limit bounds what reaches the one they name. 0 means no limit.
    """

    def __init__(self, most: int, unlimited: NetworkList) -> None:
        self._most, self._unlimited = most, unlimited
        self._second = 0
        self._counts: dict[bytes, int] = {}
        self._networks: dict[str, bytes | None] = {}

    def verdict(self, host: str, now: float) -> Verdict:
        """What to do with a question from that address."""
        if not self._most:
            return Verdict.ANSWER
        if int(now) != self._second:
            self._second = int(now)
            self._counts.clear()
        try:
            network = self._networks[host]
        except KeyError:
            network = self._network(host)
        if network is None:
            return Verdict.ANSWER
        if network not in self._counts and len(self._counts) >= MAX_NETWORKS:
            network = b""
        count = self._counts[network] = self._counts.get(network, 0) + 1
        if count <= self._most:
            return Verdict.ANSWER
        return Verdict.DROP if count % SLIP else Verdict.TRUNCATE

    def _network(self, host: str) -> bytes | None:
        """The client's network, None where it is not counted."""
        if len(self._networks) >= MAX_CLIENTS:
            self._networks.clear()
        host = host.removeprefix("::ffff:")
        version = socket.AF_INET6 if ":" in host else socket.AF_INET
        packed = socket.inet_pton(version, host.partition("%")[0])
        network = None if self._unlimited.match(host.partition("%")[0]) else packed[:7] if version == socket.AF_INET6 else packed[:3]
        self._networks[host] = network
        return network
