"""What is known of a sender's address: our own databases first, then the lists of others. Facts only; the policy decides."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from mailward.gateway.dnscache import DnsCache
from mailward.gateway.probes import probe_once
from mailward.gateway.resolver import DnsResolver
from mailward.gateway.settings import Settings
from mailward.policy.dnsbl import ListEntry
from mailward.reputation.address import Source, is_public, source
from mailward.reputation.answer import IpReputation, ListAnswer, Outcome, Standing
from mailward.reputation.dnsbl import question
from mailward.reputation.dnsbl.health import FRESH_SECONDS, HEALTH_FILE, Health, HealthFile, judged
from mailward.reputation.dnsbl.plan import Plan
from mailward.reputation.dnsbl.reading import NOTHING, Failure, read, unchecked
from mailward.reputation.listing import LEVELS, Database, Listing
from mailward.reputation.snapshot import DYNAMIC_FILE, GOOD_FILE, STANDARD_FILE, SnapshotError, Table

STANDING_LEVEL = LEVELS // 2  # listings of higher levels follow from little evidence and make no standing, unless the plan acts on them
SILENCES = 5  # time-outs in a row after which a list is left alone for SILENCE_SECONDS
SILENCE_SECONDS = 15.0
LIE_SECONDS = 3600.0  # a list that listed what no list may list is left alone until resolvers have forgotten its answers
AGAIN_SECONDS = 60  # a list that this process itself found broken is probed again
ADDRESSES = 65_536  # of which it is remembered what they are

log = logging.getLogger("mailward.gateway")


class Reputation:
    """Looks addresses up. Open it before forking: the memory of DNS answers is shared by all processes that come of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._codes = settings.dns.codes
        self._timeout = settings.dns.timeout
        self.resolver = DnsResolver(settings.dns.servers, settings.dns.timeout, settings.dns.in_flight, DnsCache())
        folder = settings.snapshots_folder
        self._standard, self._dynamic, self._good = (Table(folder / name) for name in (STANDARD_FILE, DYNAMIC_FILE, GOOD_FILE))
        self._health = HealthFile(folder / HEALTH_FILE)
        self._probed: dict[str, Health] = {}  # what this process found out itself, where nobody else did
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._pauses: dict[str, _Pause] = {}

    def known(self, address: str) -> IpReputation:
        """What our own databases say. Microseconds, no question to anybody; never raises."""
        return self._own(address, Plan())[0]

    async def ask(self, address: str, plan: Plan) -> IpReputation:
        """What our own databases and the lists of the plan say, in at most `[dns] timeout` seconds. Never raises.

        Standard comes before dynamic, and whatever lists the address ends the asking; lists that were not asked are not in the answer.
        """
        own, found = self._own(address, plan)
        if found is None or own.standing is Standing.STANDARD:
            return own
        answers = list(own.answers)
        standing: Standing = own.standing
        deadline = time.monotonic() + self._timeout
        try:
            if await self._foreign(found, plan.standard, Database.STANDARD, answers, deadline):
                standing = Standing.STANDARD
            elif not _decides(own, plan) and await self._foreign(found, plan.dynamic, Database.DYNAMIC, answers, deadline):
                standing = Standing.DYNAMIC
        except Exception:  # whatever the DNS does to us, mail goes on
            log.exception("asking DNS lists failed; their answers are missing")
        if standing is Standing.UNCHECKED and any(answer.outcome is Outcome.CLEAR for answer in answers):
            standing = Standing.UNKNOWN
        return IpReputation(own.address, standing, tuple(answers))

    async def close(self) -> None:
        """Give up the questions under way. The next question opens everything anew."""
        for task in self._probing.values():
            task.cancel()
        await self.resolver.close()

    # Our own databases

    def _own(self, address: str, plan: Plan) -> tuple[IpReputation, Source | None]:
        """The answers of our own databases; the address as a number where foreign lists may be asked about it."""
        found = _asked_about(address)
        if found is None:
            return IpReputation(address, Standing.UNCHECKED), None
        now = time.time()
        answers: list[ListAnswer] = []
        standard = self._find(self._standard, found, now) if plan.own_standard else None
        if plan.own_standard:
            answers.append(_own_answer(self._settings.reputation.standard_zone, Database.STANDARD, self._standard, standard))
        level = plan.dynamic_level or STANDING_LEVEL
        dynamic = self._find(self._dynamic, found, now, level) if plan.own_dynamic and standard is None else None
        if plan.own_dynamic and standard is None:
            answers.append(_own_answer(self._settings.reputation.dynamic_zone, Database.DYNAMIC, self._dynamic, dynamic))
        if standard is not None:
            standing = Standing.STANDARD
        elif dynamic is not None and dynamic.level <= level:
            standing = Standing.DYNAMIC
        elif dynamic is None and self._find(self._good, found, now) is not None:
            standing = Standing.GOOD
        else:
            looked = any(answer.outcome is not Outcome.UNCHECKED for answer in answers)
            standing = Standing.UNKNOWN if looked else Standing.UNCHECKED
        return IpReputation(address, standing, tuple(answers)), found

    def _find(self, table: Table, found: Source, now: float, level: int = 0) -> Listing | None:
        try:
            table.follow()
        except (SnapshotError, OSError) as error:  # told once for each damaged file; the table keeps what it had
            log.warning("%s", error)
        return table.find(found, now, shown=level)

    # The lists of others

    async def _foreign(
        self, found: Source, entries: Sequence[ListEntry], database: Database, answers: list[ListAnswer], deadline: float
    ) -> bool:
        """Ask lists side by side until one lists the address or all have answered; adds to `answers`. Whether one lists it."""
        if not entries:
            return False
        before = len(answers)
        asked, unprobed = self._at_hand(found, entries, database, answers)
        if unprobed:
            await self._probe(unprobed, deadline)
            more, still = self._at_hand(found, unprobed, database, answers)
            asked.update(more)
            answers.extend(unchecked(entry.zone, database, "not probed yet") for entry in still)
        for answer in answers[before:]:
            if answer.outcome is Outcome.LISTED:
                return True
        return bool(asked) and await self._questions(asked, database, answers, deadline)

    def _at_hand(
        self, found: Source, entries: Sequence[ListEntry], database: Database, answers: list[ListAnswer]
    ) -> tuple[dict[str, ListEntry], list[ListEntry]]:
        """Add the answers that need no question; the questions that are left, with whom to ask, and the lists nobody has probed."""
        asked: dict[str, ListEntry] = {}
        unprobed: list[ListEntry] = []
        for entry in entries:
            zone = entry.zone
            if not entry.on:
                continue
            state = self._state(zone)
            if state is None:
                unprobed.append(entry)
                continue
            why = self._why_not(state, found.version)
            if why:
                answers.append(unchecked(zone, database, why))
                continue
            name = question.name(found, zone, self._codes.get(zone, ""))
            cached = self.resolver.cached(name)
            if cached is NOTHING:
                answers.append(_clear(zone, database))
            elif cached is not None:
                answers.append(read(entry, database, cached))
            else:
                asked[name] = entry
        return asked, unprobed

    async def _questions(self, asked: dict[str, ListEntry], database: Database, answers: list[ListAnswer], deadline: float) -> bool:
        if len(asked) == 1:
            answers.append(await self._only_question(*asked.popitem(), database, deadline))
            return answers[-1].outcome is Outcome.LISTED
        tasks = {asyncio.ensure_future(self._question(name, entry, database)): entry for name, entry in asked.items()}
        waiting, listed = set(tasks), False
        while waiting and not listed and (left := deadline - time.monotonic()) > 0:
            done, waiting = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            answers.extend(task.result() for task in done)
            listed = any(task.result().outcome is Outcome.LISTED for task in done)
        for task in waiting:
            task.cancel()
            if not listed:
                answers.append(self._too_late(tasks[task], database))
        return listed

    async def _only_question(self, name: str, entry: ListEntry, database: Database, deadline: float) -> ListAnswer:
        """One question does without a task of its own, which would cost a third of it."""
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await self._question(name, entry, database)
        except TimeoutError:
            return self._too_late(entry, database)

    def _too_late(self, entry: ListEntry, database: Database) -> ListAnswer:
        self._heard(entry.zone, silent=True)
        return unchecked(entry.zone, database, Failure.TIME_OUT)

    async def _question(self, name: str, entry: ListEntry, database: Database) -> ListAnswer:
        """Ask one list. A listing is believed, and remembered, when the list says right afterwards that it does not list everything."""
        response = await self.resolver.ask(name, hold=True)
        self._heard(entry.zone, silent=response.failure is Failure.TIME_OUT)
        answer = read(entry, database, response)
        if answer.outcome is Outcome.LISTED:
            made_up = question.v4_points().clear[-1]
            control = await self.resolver.ask(question.name(made_up, entry.zone, self._codes.get(entry.zone, "")), hold=True)
            if control.failure is not None:
                return unchecked(entry.zone, database, f"a listing that could not be confirmed: {control.failure}")
            if control.addresses:
                why = f"it lists {made_up}, which no list may list"
                self._pauses[entry.zone] = _Pause(0, time.monotonic() + LIE_SECONDS, why)
                return unchecked(entry.zone, database, why)
        self.resolver.remember(name, response)
        return answer

    def _state(self, zone: str) -> Health | None:
        """The state of a list: as the probing process says, else as this process found out."""
        state = self._health.states().get(zone)
        if state is not None:
            return state
        state = self._probed.get(zone)
        if state is None or time.time() - state.checked > (FRESH_SECONDS if state.works else AGAIN_SECONDS):
            return None
        return state

    def _why_not(self, state: Health, version: int) -> str:
        """Why a list that was probed is not asked about an address, "" where it is."""
        if state.fault is not None:
            return f"switched off: {state.why}"
        if version == 6 and not state.v6:
            return "the list has no v6 addresses"
        pause = self._pauses.get(state.zone)
        return pause.why if pause is not None and pause.until > time.monotonic() else ""

    def _heard(self, zone: str, *, silent: bool) -> None:
        """Leave a list alone for a moment when it was silent several times in a row."""
        pause = self._pauses.setdefault(zone, _Pause())
        if not silent:
            pause.silences = 0
            return
        pause.silences += 1
        if pause.silences >= SILENCES:
            pause.until, pause.why = time.monotonic() + SILENCE_SECONDS, "it was silent a moment ago"
            pause.silences = SILENCES - 1  # one more silence after the pause is enough for the next

    async def _probe(self, entries: Sequence[ListEntry], deadline: float) -> None:
        """Probe lists that nobody has probed (no service runs, or it just started); each once, however many wait for it."""
        for entry in entries:
            if entry.zone not in self._probing:
                self._probing[entry.zone] = asyncio.ensure_future(self._probe_now(entry))
        await asyncio.wait([self._probing[entry.zone] for entry in entries], timeout=max(deadline - time.monotonic(), 0))

    async def _probe_now(self, entry: ListEntry) -> None:
        try:
            self._probed[entry.zone] = judged(None, await probe_once(self._settings, entry), time.time())
        finally:
            del self._probing[entry.zone]


@dataclass(slots=True)
class _Pause:
    """A list that is not asked for a moment (`until`, monotonic clock), or is about to be paused."""

    silences: int = 0  # in a row
    until: float = 0.0
    why: str = ""


@lru_cache(ADDRESSES)
def _asked_about(address: str) -> Source | None:
    """The address as a number; None for what is no address, or none of the internet."""
    found = source(address)
    return found if found is not None and is_public(found) else None


@cache
def _clear(zone: str, database: Database, own: bool = False) -> ListAnswer:
    return ListAnswer(zone, database, Outcome.CLEAR, own=own)


@cache
def _unpublished(zone: str, database: Database) -> ListAnswer:
    return ListAnswer(zone, database, Outcome.UNCHECKED, why="the database is not there yet: `mailward serve` makes it", own=True)


def _own_answer(zone: str, database: Database, table: Table, listing: Listing | None) -> ListAnswer:
    if listing is None:
        return _clear(zone, database, True) if table.made else _unpublished(zone, database)
    return ListAnswer(
        zone,
        database,
        Outcome.LISTED,
        codes=(listing.kind.code,),
        reason=listing.reason,
        level=listing.level,
        since=listing.since,
        until=listing.until,
        own=True,
    )


def _decides(own: IpReputation, plan: Plan) -> bool:
    """Whether our own dynamic database ends the asking."""
    return any(answer.outcome is Outcome.LISTED and answer.level <= plan.dynamic_level for answer in own.answers)
