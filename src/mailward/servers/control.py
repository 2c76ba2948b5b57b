"""The control process: keeps the reputation databases, refreshes lists, probes DNS lists, serves the console. One a machine."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import structlog
import uvicorn

from mailward.console import app
from mailward.gateway import Gateway, Settings, databases
from mailward.gateway.hops import resolve_forever, suggested_hops
from mailward.gateway.probes import probe_forever
from mailward.gateway.registrations import look_up_forever
from mailward.policy import Policy
from mailward.policy.dnsbl import ListEntry
from mailward.reputation.acquaintance.keeper import erase
from mailward.reputation.ip.keeper import Busy, Keeper
from mailward.reputation.ip.standard import StandardDatabase
from mailward.reputation.url.registration import Wanted
from mailward.servers import listening
from mailward.servers.sharing import share_forever
from mailward.servers.worker import die_with

IDLE_SECONDS = 0.5  # between two looks for new evidence
STANDARD_SECONDS = 5.0  # between two looks for changes of the standard database
SUGGEST_SECONDS = 60.0  # between two looks for servers of ours that are named nowhere
AGAIN_SECONDS = 5.0  # before something that failed is tried again

log = structlog.get_logger("mailward.control")


def run(settings: Settings, gateway: Gateway, sockets: list[socket.socket], supervisor: int, ready: Callable[[], None]) -> int:
    """Serve until SIGTERM. `ready` is called when the duties are taken up. Returns the exit code."""
    if not die_with(supervisor):
        return 0
    asyncio.run(_serve(settings, gateway, sockets, ready))
    return 0


async def _serve(settings: Settings, gateway: Gateway, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    policy = gateway.policy
    wanted = Wanted()
    duties: dict[str, Callable[[asyncio.Event], Awaitable[object]]] = {
        "keeper": partial(keep, settings, policy),
        "lists": partial(databases.refresh_lists, settings),
        "urls": partial(keep_urls, settings, wanted.add if settings.urls.registrations else None),
        "registrations": partial(look_up_forever, settings, policy, wanted),
        "acquaintance": partial(keep_acquaintance, settings),
        "feeds": partial(databases.refresh_feeds, settings),
        "probes": partial(probe_forever, settings, partial(_foreign_lists, policy)),
        "hops": partial(resolve_forever, settings, lambda: policy.organisation.mx_domains),
        "suggestions": partial(suggest_forever, settings, policy),
        "sharing": partial(share_forever, settings),
    }
    if sockets:
        duties["console"] = partial(_console, settings, sockets)
    ready()
    await asyncio.gather(*[_again_and_again(name, duty, stop) for name, duty in duties.items()])


async def _again_and_again(name: str, duty: Callable[[asyncio.Event], Awaitable[object]], stop: asyncio.Event) -> None:
    """One duty that fails is taken up again; the others go on meanwhile."""
    while not stop.is_set():
        try:
            await duty(stop)
        except Exception as error:
            log.exception("duty_failed", duty=name, error=str(error), again_in_seconds=AGAIN_SECONDS)
        await pause(stop, AGAIN_SECONDS)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until we are told to stop."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _foreign_lists(policy: Policy) -> tuple[ListEntry, ...]:
    target = policy.email_reputation.target
    return (*target.standard_lists.lists(), *target.dynamic_lists.lists(), *policy.web_reputation.target.domain_lists.lists())


async def keep(settings: Settings, policy: Policy, stop: asyncio.Event) -> None:
    """Learn, publish, save. While another process has the lock (a command, or our predecessor) its turn is waited for."""
    standard = databases.standard_database(settings)
    while not stop.is_set():
        try:
            keeper = databases.keeper(settings, policy)
        except Busy:
            await pause(stop, IDLE_SECONDS)
            continue
        with keeper:
            await _catch_up(keeper, standard, stop)


async def _catch_up(keeper: Keeper, standard: StandardDatabase, stop: asyncio.Event) -> None:
    looked = float("-inf")
    while not stop.is_set():
        if time.monotonic() - looked >= STANDARD_SECONDS:
            looked = time.monotonic()
            await asyncio.to_thread(standard.publish_if_due, time.time())
        if not await asyncio.to_thread(keeper.catch_up):
            await pause(stop, IDLE_SECONDS)
    keeper.save(time.time())


async def suggest_forever(settings: Settings, policy: Policy, stop: asyncio.Event) -> None:
    """Say in the log, once each, which addresses look like hops of our own that nobody named."""
    told: set[str] = set()
    while not stop.is_set():
        for found in await asyncio.to_thread(suggested_hops, settings, policy):
            if found.address not in told:
                told.add(found.address)
                log.warning("own_hop_suggested", address=found.address, messages=found.messages, of=found.looked_at, why=found.why,
                            remedy="if it is a server of yours, add it to organisation.gateway_networks")  # fmt: skip
        await pause(stop, SUGGEST_SECONDS)


async def keep_urls(settings: Settings, seen: Callable[[str], None] | None, stop: asyncio.Event) -> None:
    """The same for what is known of URLs: evidence, feeds and people's ratings. `seen` is told of domains that were in mail."""
    database = databases.url_database(settings)
    while not stop.is_set():
        try:
            keeper = databases.url_keeper(settings, seen)
        except Busy:
            await pause(stop, IDLE_SECONDS)
            continue
        with keeper:
            while not stop.is_set():
                await asyncio.to_thread(database.publish_if_due, time.time())
                if not await asyncio.to_thread(keeper.catch_up):
                    await pause(stop, IDLE_SECONDS)
            keeper.save(time.time())


async def keep_acquaintance(settings: Settings, stop: asyncio.Event) -> None:
    """The same for who writes with whom. Where that is switched off, what was kept is deleted."""
    if not settings.state.acquaintance:
        if await asyncio.to_thread(erase, settings.acquaintance_folder, settings.snapshots_folder):
            log.info("acquaintance_erased", because="[state] acquaintance is false")
        await stop.wait()
        return
    while not stop.is_set():
        try:
            keeper = databases.acquaintance_keeper(settings)
        except Busy:
            await pause(stop, IDLE_SECONDS)
            continue
        with keeper:
            while not stop.is_set():
                if not await asyncio.to_thread(keeper.catch_up):
                    await pause(stop, IDLE_SECONDS)
            keeper.save(time.time())


class _Server(uvicorn.Server):
    """Signals are the business of the process, not of the pages."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _console(settings: Settings, sockets: list[socket.socket], stop: asyncio.Event) -> None:
    server = _Server(app.config(settings))
    log.info("console", places=[listening.name(each) for each in sockets])
    serving = asyncio.ensure_future(server.serve(sockets=[each.dup() for each in sockets]))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving
