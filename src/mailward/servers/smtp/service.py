"""What all sessions of a worker share: settings, the gateway, the vault, what is known of the next hop."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from msgspec import structs

from mailward.gateway import Gateway, Judgement, Settings
from mailward.gateway.refusals import MINUTE, Refusals
from mailward.gateway.settings import host_and_port
from mailward.message import Envelope
from mailward.quarantine import Vault
from mailward.reputation.answer import IpReputation
from mailward.scan.verdict import main_reason
from mailward.servers.smtp import limits
from mailward.servers.smtp.client import Client
from mailward.servers.smtp.connection import Room
from mailward.servers.smtp.nexthop import Capabilities, NextHop
from mailward.servers.smtp.replies import Reply

CAPABILITIES_SECONDS = 60.0  # how long what the next hop offered is believed without asking again
JUDGING_THREADS = 2  # for long messages; more would only fight for the interpreter
WRITING_THREADS = 4  # for the quarantine; they mostly wait for the disk

Result = TypeVar("Result")


class Service:
    """One a worker."""

    def __init__(self, settings: Settings, gateway: Gateway) -> None:
        self.settings = settings.smtp
        self.gateway = gateway
        self.vault = Vault(settings.quarantine_folder)
        self.hostname = settings.smtp.hostname or socket.getfqdn()
        self.timeout = float(settings.smtp.timeout)
        self.tls = tls_context(settings)
        self.log: Any = structlog.get_logger("mailward.smtp")
        self.draining = False
        self._next_hop = host_and_port(settings.smtp.next_hop) if settings.smtp.next_hop else None
        self._capabilities: Capabilities | None = None
        self._learned = float("-inf")
        self.room = Room(max(limits.ROOM_BYTES, 2 * self.settings.max_size))
        self._refusals = Refusals(gateway)
        self._sweeping = False
        self.lookup_url = settings.reputation.lookup_url
        self._judging = ThreadPoolExecutor(JUDGING_THREADS, "judge")
        self._writing = ThreadPoolExecutor(WRITING_THREADS, "vault")

    @property
    def has_next_hop(self) -> bool:
        return self._next_hop is not None

    @property
    def capabilities(self) -> Capabilities | None:
        """What the next hop offered lately, None when that is not known."""
        return self._capabilities if time.monotonic() - self._learned < CAPABILITIES_SECONDS else None

    async def connect(self, client: Client) -> NextHop:
        """Open a connection to the next hop. Raises `NextHopFailed`."""
        assert self._next_hop is not None
        hop = NextHop(*self._next_hop, self.hostname, self.timeout)
        await hop.open(client)
        self._capabilities, self._learned = hop.capabilities, time.monotonic()
        return hop

    def trusts(self, address: str | None) -> bool:
        """Whether that address may tell us who the real client is."""
        return address is not None and bool(self.settings.trusted_proxies.match(address))

    async def judge(self, raw: bytes, envelope: Envelope, known: IpReputation | None = None) -> Judgement:
        """Judge a message, a long one beside the others. `known`: what was found out about the client already."""
        long = len(raw) > limits.THREAD_BYTES
        arrived = await self._beside(self.gateway.read, raw, envelope) if long else self.gateway.read(raw, envelope)
        answers = await self.gateway.answers(arrived, known)
        return await self._beside(self.gateway.conclude, arrived, answers) if long else self.gateway.conclude(arrived, answers)

    async def judge_part(self, head: bytes, size: int, why: str, envelope: Envelope, known: IpReputation | None = None) -> Judgement:
        """Judge a message of which only the header is looked at: it is unscannable, and `why` says why. `size`: of the whole message."""
        arrived = self.gateway.read(head, envelope)
        arrived = replace(arrived, error=why, message=structs.replace(arrived.message, size=size))
        return self.gateway.conclude(arrived, await self.gateway.answers(arrived, known))

    async def _beside(self, work: Callable[..., Result], *given: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._judging, work, *given)

    def refused(self, client: Client, judgement: Judgement, said: Reply, fates: dict[str, str], *, tls: bool) -> None:
        """Remember a client that was not let in, with one wide event; its repeats within a minute share a record."""
        self.gateway.counters.refused()
        id, times = self._refusals.add(client_group(client.address), judgement, fates)
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(MINUTE, self._sweep)
        facts, verdict = judgement.assessment, judgement.verdict
        self.log.info(
            "refused",
            id=id,
            way_in=facts.way_in,
            times=times,
            client=client.address,
            helo=client.helo,
            tls=tls,
            mail_from=facts.mail_from,
            rcpt_to=list(fates)[:10],
            recipients=len(fates),
            verdict=verdict.kind,
            action=verdict.action,
            filter=verdict.filter,
            entry=verdict.entry,
            standing=facts.sender_ip.standing,
            reason=main_reason(verdict),
            reply=f"{said.code} {said.text}"[:200],
        )

    def _sweep(self) -> None:
        self._sweeping = self._refusals.sweep()
        if self._sweeping:
            asyncio.get_running_loop().call_later(MINUTE, self._sweep)

    async def hold(self, raw: bytes, envelope: Envelope, judgement: Judgement, **more: Any) -> None:
        """Put a message into the quarantine under its record's id; it is on disk on return. Raises OSError."""
        verdict = judgement.verdict

        def write() -> None:
            self.vault.hold(
                raw,
                envelope,
                judgement.assessment.id,
                subject=judgement.assessment.subject,
                verdict=verdict.kind,
                filter=verdict.filter,
                reason=main_reason(verdict),
                **more,
            )

        await asyncio.get_running_loop().run_in_executor(self._writing, write)

    def close(self) -> None:
        self._refusals.sweep(everything=True)
        self._judging.shutdown(wait=False)
        self._writing.shutdown(wait=False)


def client_group(address: str | None) -> str:
    """What counts as one client: a v4 address, or a v6 /64, which one customer has."""
    if address is None or ":" not in address:
        return address or ""
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The certificate for STARTTLS, None when none is set. Raises OSError or ssl.SSLError when it cannot be read."""
    if not settings.smtp.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.smtp.tls_certificate, settings.smtp.tls_key)
    return context
