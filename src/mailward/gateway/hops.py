"""Our own mail servers: as the MX records of our domains name them (looked up by one process, followed by all), and as they seem to be."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import aiodns
import msgspec
from aiodns.error import DNSError

from mailward import storage
from mailward.gateway.settings import Settings
from mailward.message.origin import is_own
from mailward.policy import DomainList, Policy
from mailward.scan.hops import Suggestion, suggestions

HOPS_FILE = "own_hops.json"
EVERY_SECONDS = 900.0
LOOK_SECONDS = 5.0  # how soon a change of the policy, or of the file, is seen
MAX_DOMAINS, MAX_HOSTS, MAX_ADDRESSES = 50, 20, 20  # of a policy, of a domain, of a host: more are no mail servers
MAX_FILE = 1 << 20
LOOKED_AT = 300  # of the last messages, for servers that look like ours

log = logging.getLogger("mailward.hops")

Networks = tuple[IPv4Network | IPv6Network, ...]


class _File(msgspec.Struct):
    """Addresses by domain. A domain whose look-up failed keeps those it had."""

    domains: dict[str, list[str]]


async def resolve_forever(settings: Settings, wanted: Callable[[], DomainList], stop: asyncio.Event) -> None:
    """Look up the mail servers of the domains that `wanted` names and publish their addresses, until `stop`."""
    path = settings.snapshots_folder / HOPS_FILE
    known = _read(path)
    due, asked = 0.0, None
    while not stop.is_set():
        domains = [entry.removeprefix("*.") for entry in wanted().entries][:MAX_DOMAINS]
        if time.monotonic() >= due or domains != asked:
            found = await resolve(settings, domains)
            for domain in found.keys() - known.keys():
                log.info("the mail servers of %s are %s", domain, ", ".join(found[domain]))
            known = {domain: found.get(domain, known.get(domain, [])) for domain in domains}
            _write(path, known)
            due, asked = time.monotonic() + EVERY_SECONDS, domains
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_SECONDS)


async def resolve(settings: Settings, domains: Iterable[str]) -> dict[str, list[str]]:
    """The addresses of the mail servers of each domain (RFC 5321 5.1); domains that could not be looked up are left out."""
    resolver = aiodns.DNSResolver(list(settings.dns.servers) or None, timeout=settings.dns.timeout, tries=2)
    try:
        found = {domain: await _addresses(resolver, domain) for domain in domains}
    finally:
        await resolver.close()
    return {domain: addresses for domain, addresses in found.items() if addresses}


async def _addresses(resolver: aiodns.DNSResolver, domain: str) -> list[str]:
    hosts = [record.exchange.rstrip(".") for record in await _records(resolver, domain, "MX")][:MAX_HOSTS]
    found: dict[str, None] = {}
    for host in hosts or [domain]:  # without MX records the domain itself takes mail
        for kind in ("A", "AAAA"):
            found |= dict.fromkeys(record.addr for record in (await _records(resolver, host, kind))[:MAX_ADDRESSES])
    return list(found)


async def _records(resolver: aiodns.DNSResolver, name: str, kind: str) -> list[Any]:
    if not name:
        return []  # the null MX (RFC 7505): no server takes its mail
    try:
        answer = await resolver.query_dns(name, kind)
    except (DNSError, ValueError, OSError):
        return []
    return [record.data for record in answer.answer if type(record.data).__name__.startswith(kind + "Record")]


def _write(path: Path, domains: dict[str, list[str]]) -> None:
    """Publish; a disk that is full costs the news, not the mail."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(_File(domains))))
        draft.replace(path)
    except OSError as error:
        log.error("the addresses of our mail servers cannot be written: %s", error)


def _read(path: Path) -> dict[str, list[str]]:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_FILE), type=_File).domains
    except (OSError, msgspec.MsgspecError):
        return {}


def published(settings: Settings, wanted: DomainList) -> Networks:
    """The addresses as they were last looked up, of the domains that are still wanted."""
    if not wanted.entries:
        return ()
    names = {entry.removeprefix("*.") for entry in wanted.entries}
    found: list[IPv4Network | IPv6Network] = []
    for domain, addresses in _read(settings.snapshots_folder / HOPS_FILE).items():
        for address in addresses if domain in names else ():
            with contextlib.suppress(ValueError):
                found.append(ip_network(address))
    return tuple(found)


def suggested_hops(settings: Settings, policy: Policy) -> tuple[Suggestion, ...]:
    """Addresses that look like servers of ours and are named nowhere, by the last messages. Raises StorageError."""
    if not settings.database.is_file():
        return ()
    store = storage.open(settings.storage_url)
    try:
        records = store.records(limit=LOOKED_AT, newest_first=True)
        own = policy.organisation.gateway_networks.networks() + published(settings, policy.organisation.mx_domains)
        facts = [record.assessment for record in records]
    finally:
        store.close()
    unnamed = [each for each in facts if each.sender_ip.address is None or not is_own(each.sender_ip.address, own)]
    return suggestions(unnamed, policy.organisation.internal_domains)
