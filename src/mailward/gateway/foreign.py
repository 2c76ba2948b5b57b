"""The DNS lists of others: asked side by side, believed only when they are healthy and their answer is confirmed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from mailward.gateway.dnscache import DnsCache
from mailward.gateway.probes import probe_once
from mailward.gateway.resolver import DnsResolver
from mailward.gateway.settings import Settings
from mailward.policy.dnsbl import ListEntry
from mailward.reputation.answer import ListAnswer, Outcome
from mailward.reputation.dnsbl import question
from mailward.reputation.dnsbl.health import FRESH_SECONDS, HEALTH_FILE, Health, HealthFile, judged
from mailward.reputation.dnsbl.question import Subject
from mailward.reputation.dnsbl.reading import NOTHING, Failure, read, unchecked
from mailward.reputation.listing import Database

SILENCES = 5  # time-outs in a row after which a list is left alone for SILENCE_SECONDS
SILENCE_SECONDS = 15.0
LIE_SECONDS = 3600.0  # a list that listed what no list may list is left alone until resolvers have forgotten its answers
AGAIN_SECONDS = 60  # a list that this process itself found broken is probed again


class ForeignLists:
    """One a process. Made before forking, the memory of DNS answers is shared by all processes that come of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._codes = settings.dns.codes
        self.resolver = DnsResolver(settings.dns.servers, settings.dns.timeout, settings.dns.in_flight, DnsCache())
        self._health = HealthFile(settings.snapshots_folder / HEALTH_FILE)
        self._probed: dict[str, Health] = {}  # what this process found out itself, where nobody else did
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._pauses: dict[str, _Pause] = {}

    async def close(self) -> None:
        """Give up the questions under way. The next question opens everything anew."""
        for task in self._probing.values():
            task.cancel()
        await self.resolver.close()

    async def ask(
        self, subject: Subject, entries: Sequence[ListEntry], database: Database, answers: list[ListAnswer], deadline: float
    ) -> bool:
        """Ask lists side by side until one lists the address or all have answered; adds to `answers`. Whether one lists it."""
        if not entries:
            return False
        before = len(answers)
        asked, unprobed = self._at_hand(subject, entries, database, answers)
        if unprobed:
            await self._probe(unprobed, deadline)
            more, still = self._at_hand(subject, unprobed, database, answers)
            asked.update(more)
            answers.extend(unchecked(entry.zone, database, "not probed yet") for entry in still)
        for answer in answers[before:]:
            if answer.outcome is Outcome.LISTED:
                return True
        return bool(asked) and await self._questions(asked, database, answers, deadline)

    def _at_hand(
        self, subject: Subject, entries: Sequence[ListEntry], database: Database, answers: list[ListAnswer]
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
            why = self._why_not(state, subject)
            if why:
                answers.append(unchecked(zone, database, why))
                continue
            name = question.name(subject, zone, self._codes.get(zone, ""))
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
            made_up = question.never(domains=entry.domains)
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

    def _why_not(self, state: Health, subject: Subject) -> str:
        """Why a list that was probed is not asked about an address or a domain, "" where it is."""
        if state.fault is not None:
            return f"switched off: {state.why}"
        if not isinstance(subject, str) and subject.version == 6 and not state.v6:
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


@cache
def _clear(zone: str, database: Database) -> ListAnswer:
    return ListAnswer(zone, database, Outcome.CLEAR)
