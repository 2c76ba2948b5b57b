"""What is known of a sender's address: our own databases first, then the lists of others. Facts only; the policy decides."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from functools import cache, lru_cache

from mailward.gateway.foreign import ForeignLists
from mailward.gateway.settings import Settings
from mailward.policy.dnsbl import ListEntry
from mailward.reputation.address import Source, is_public, source
from mailward.reputation.answer import IpReputation, ListAnswer, Outcome, Standing
from mailward.reputation.dnsbl.plan import Plan
from mailward.reputation.listing import LEVELS, Database, Listing
from mailward.reputation.snapshot import DYNAMIC_FILE, GOOD_FILE, STANDARD_FILE, SnapshotError, Table

STANDING_LEVEL = LEVELS // 2  # listings of higher levels follow from little evidence and make no standing, unless the plan acts on them
ADDRESSES = 65_536  # of which it is remembered what they are

log = logging.getLogger("mailward.gateway")


class Reputation:
    """Looks addresses up. Open it before forking: the memory of DNS answers is shared by all processes that come of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout = settings.dns.timeout
        self.foreign = ForeignLists(settings)
        folder = settings.snapshots_folder
        self._standard, self._dynamic, self._good = (Table(folder / name) for name in (STANDARD_FILE, DYNAMIC_FILE, GOOD_FILE))

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
            if await self.foreign.ask(found, plan.standard, Database.STANDARD, answers, deadline):
                standing = Standing.STANDARD
            elif not _decides(own, plan) and await self.foreign.ask(found, plan.dynamic, Database.DYNAMIC, answers, deadline):
                standing = Standing.DYNAMIC
        except Exception:  # whatever the DNS does to us, mail goes on
            log.exception("asking DNS lists failed; their answers are missing")
        if standing is Standing.UNCHECKED and any(answer.outcome is Outcome.CLEAR for answer in answers):
            standing = Standing.UNKNOWN
        return IpReputation(own.address, standing, tuple(answers))

    async def ask_domains(self, names: Collection[str], entries: Sequence[ListEntry]) -> dict[str, tuple[ListAnswer, ...]]:
        """What the lists say of domains, in at most `[dns] timeout` seconds; a list that lists a domain ends the asking about it. Never raises."""
        deadline = time.monotonic() + self._timeout
        answers: dict[str, list[ListAnswer]] = {name: [] for name in names}
        asked = [self.foreign.ask(name, entries, Database.DOMAINS, found, deadline) for name, found in answers.items()]
        for failed in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(failed, Exception):  # whatever the DNS does to us, mail goes on
                log.error("asking DNS lists about a domain failed; their answers are missing", exc_info=failed)
        return {name: tuple(found) for name, found in answers.items()}

    async def close(self) -> None:
        """Give up the questions under way. The next question opens everything anew."""
        await self.foreign.close()

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
