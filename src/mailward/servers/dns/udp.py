"""Questions by UDP, answered where they are read: the socket is drained in batches, without a task for each."""

from __future__ import annotations

import socket
import time
from ipaddress import ip_address

import structlog

from mailward.servers.dns.limits import BATCH, MAX_QUERY, RECEIVE_BUFFER, RateLimit, Verdict
from mailward.servers.dns.service import Service

_PKTINFO = {socket.AF_INET: (socket.IPPROTO_IP, 8), socket.AF_INET6: (socket.IPPROTO_IPV6, 49)}  # IP_PKTINFO; IPV6_RECVPKTINFO
_ANCILLARY = 64  # octets: one IP_PKTINFO or IPV6_PKTINFO


class UdpPort:
    """One bound socket; `drain` is called whenever it can be read."""

    def __init__(self, listening: socket.socket, service: Service, rate: RateLimit) -> None:
        self._socket, self._service, self._rate = listening, service, rate
        self._log = structlog.get_logger("mailward.dns")
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        # On all addresses, the answer has to leave by the one that was asked, or the client drops it
        self._everywhere = ip_address(listening.getsockname()[0].partition("%")[0]).is_unspecified
        if self._everywhere:
            listening.setsockopt(*_PKTINFO[listening.family], 1)

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        """Answer what is there, at most BATCH questions."""
        now, step = time.time(), self._step_everywhere if self._everywhere else self._step
        for _ in range(BATCH):
            try:
                step(now)
            except BlockingIOError:
                return
            except OSError:  # this client cannot be reached
                self._service.counts["unreachable"] += 1
            except Exception:
                self._log.exception("answer_failed")

    def _step(self, now: float) -> None:
        data, client = self._socket.recvfrom(MAX_QUERY)
        answer = self._answer(data, client, now)
        if answer is not None:
            self._socket.sendto(answer, client)

    def _step_everywhere(self, now: float) -> None:
        data, ancillary, _, client = self._socket.recvmsg(MAX_QUERY, _ANCILLARY)
        answer = self._answer(data, client, now)
        if answer is not None:
            self._socket.sendmsg([answer], [_source(*one) for one in ancillary], 0, client)

    def _answer(self, data: bytes, client: tuple[str, int], now: float) -> bytes | None:
        host, port = client[:2]
        if not port:
            return None
        counts = self._service.counts
        verdict = self._rate.verdict(host, now)
        if verdict is Verdict.DROP:
            counts["dropped"] += 1
            return None
        counts["udp"] += 1
        return self._service.answer(data, host, now, udp=True, cut=verdict is Verdict.TRUNCATE)


def _source(level: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
    """The address that was asked, as the address to answer from. The interface is left to the routes (v4)."""
    return level, kind, bytes(4) + data[4:] if level == socket.IPPROTO_IP else data
