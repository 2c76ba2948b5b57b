"""Probing the foreign lists again and again, for all processes of the machine. Runs in the control process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable

from mailward.gateway.resolver import DnsResolver
from mailward.gateway.settings import Settings
from mailward.policy.dnsbl import ListEntry
from mailward.reputation.dnsbl.health import HEALTH_FILE, Finding, Health, judged, probe, read_health, write_health

EVERY_SECONDS = 180.0
AGAIN_SECONDS = 30.0  # while a list is broken, or just spoke against its state
LOOK_SECONDS = 2.0  # how soon a list that is new in the policy is probed

log = logging.getLogger("mailward.lists")


async def probe_forever(settings: Settings, entries: Callable[[], Iterable[ListEntry]], stop: asyncio.Event) -> None:
    """Probe the lists that `entries` names (those that are off are left out) and publish their states, until `stop`.

    `entries` is called every LOOK_SECONDS and has to be cheap. What goes wrong is logged, and tried again.
    """
    path = settings.snapshots_folder / HEALTH_FILE
    states = read_health(path)
    due, probed = 0.0, None
    while not stop.is_set():
        wanted = {entry.zone: entry for entry in entries() if entry.on}
        if time.monotonic() >= due or wanted != probed:
            states = await _round(settings, wanted, states)
            try:
                write_health(path, states.values(), time.time())
            except OSError as error:
                log.error("the states of DNS lists cannot be written, so the lists will not be asked: %s", error)
            unsure = any(not state.works or state.against for state in states.values())
            due, probed = time.monotonic() + (AGAIN_SECONDS if unsure else EVERY_SECONDS), wanted
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_SECONDS)


async def probe_once(settings: Settings, entry: ListEntry) -> Finding:
    """Probe a list through a channel of its own: the garbage that one list gives disturbs what else its channel is asked."""
    resolver = DnsResolver(settings.dns.servers, settings.dns.timeout, settings.dns.in_flight)
    try:
        return await probe(resolver, entry, settings.dns.codes.get(entry.zone, ""))
    finally:
        await resolver.close()


async def current_states(settings: Settings, entries: Collection[ListEntry]) -> dict[str, Health]:
    """The states of lists by zone, for whoever shows them: as a running service found them, the others probed now."""
    found = read_health(settings.snapshots_folder / HEALTH_FILE)
    missing = [entry for entry in entries if entry.zone not in found]
    probed = {finding.zone: judged(None, finding, time.time()) for finding in await _probe_all(settings, missing)}
    return {entry.zone: found.get(entry.zone) or probed[entry.zone] for entry in entries}


async def _probe_all(settings: Settings, entries: Iterable[ListEntry]) -> list[Finding]:
    return await asyncio.gather(*(probe_once(settings, entry) for entry in entries))


async def _round(settings: Settings, wanted: dict[str, ListEntry], before: dict[str, Health]) -> dict[str, Health]:
    """Probe every list once; what changed is told once."""
    findings, now = await _probe_all(settings, wanted.values()), time.time()
    states = {finding.zone: judged(before.get(finding.zone), finding, now) for finding in findings}
    for zone, state in states.items():
        _tell(before.get(zone), state)
    return states


def _tell(before: Health | None, state: Health) -> None:
    if not state.works and (before is None or before.fault != state.fault):
        log.warning("the DNS list %s is switched off: %s. %s", state.zone, state.why, state.remedy)
    elif state.works and before is not None and not before.works:
        log.warning("the DNS list %s works again", state.zone)
