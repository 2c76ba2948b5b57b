"""Check who sent a message: the questions that `auth` names are put to the DNS, side by side and in a bounded time."""

from __future__ import annotations

import asyncio
import logging
import time
from email.utils import parsedate_to_datetime
from typing import Any

from mailward.auth import Authentication
from mailward.auth.combine import Checks, prepare, together
from mailward.auth.model import UNCHECKED, Outcome
from mailward.auth.question import Answer, Question, Steps
from mailward.auth.spf import Spf
from mailward.gateway.records import Records
from mailward.message import Envelope, Message
from mailward.message.origin import Origin
from mailward.policy.authentication import Authentication as Wanted

LONG = 262_144  # bytes; hashing a longer message would hold up the others, so a thread does it
STORED_SECONDS = 7 * 86_400.0  # of an older stored message the DNS of today says nothing: keys are changed, servers move
MAX_AUTHORS = 100  # From addresses looked at

log = logging.getLogger("mailward.gateway")


class Authenticator:
    """Checks messages through `records`. `timeout` in seconds for all questions about one message."""

    def __init__(self, records: Records, timeout: float) -> None:
        self._records = records
        self._timeout = timeout

    async def check(self, raw: bytes, message: Message, envelope: Envelope, source: Origin, now: float, wanted: Wanted) -> Authentication:
        """The results for a message of a foreign `source`. Never raises (but when cancelled).

        UNCHECKED where nothing can be said: no address, or a stored message of long ago. What the DNS does not answer in time is `temperror`.
        """
        arrived = now if envelope.way_in != "file" else _arrival(message, source)
        if source.address is None or (arrived is not None and now - arrived > STORED_SECONDS):
            return UNCHECKED
        try:
            authors = tuple([address.domain for address in message.from_[:MAX_AUTHORS]])
            given = (raw, authors, source.address, envelope.mail_from or "", source.helo, now if arrived is None else arrived)
            checks = await asyncio.to_thread(prepare, *given) if len(raw) > LONG else prepare(*given)
            return await self._answered(checks, wanted, spf=envelope.mail_from is not None)
        except Exception:  # whatever a message or the DNS does to us, mail goes on
            log.exception("checking SPF, DKIM and DMARC failed; the message counts as unchecked")
            return UNCHECKED

    async def _answered(self, checks: Checks, wanted: Wanted, *, spf: bool) -> Authentication:
        deadline = time.monotonic() + self._timeout
        checking = (checks.spf() if spf else _unchecked(), checks.dkim(), checks.arc(), checks.dmarc())
        by_spf, by_dkim, by_arc, by_dmarc = runs = [_Run(steps, self._records) for steps in checking]
        waiting = [run for run in runs if not run.advance()]
        if len(waiting) == 1:
            await waiting[0].finish(deadline)
        elif waiting:
            await asyncio.gather(*(run.finish(deadline) for run in waiting))
        return together(checks, by_spf.result, by_dkim.result, by_arc.result, by_dmarc.result, wanted.target.trusted_sealers)


class _Run:
    """One check on its way: as far as remembered answers lead without waiting, then with what the DNS says."""

    def __init__(self, steps: Steps[Any], records: Records) -> None:
        self._steps, self._records = steps, records
        self._questions: tuple[Question, ...] = ()
        self.result: Any = None

    def advance(self, answers: tuple[Answer, ...] | None = None) -> bool:
        """Go on until a question is new. Returns whether the check is done."""
        try:
            self._questions = next(self._steps) if answers is None else self._steps.send(answers)
            while True:
                known = tuple([answer for question in self._questions if (answer := self._records.cached(question)) is not None])
                if len(known) < len(self._questions):
                    return False
                self._questions = self._steps.send(known)
        except StopIteration as done:
            self.result = done.value
            return True

    async def finish(self, deadline: float) -> None:
        """Ask whatever is left."""
        done = False
        while not done:
            questions = self._questions
            if len(questions) == 1:
                answers: tuple[Answer, ...] = (await self._records.ask(questions[0], deadline),)
            else:
                answers = tuple(await asyncio.gather(*(self._records.ask(question, deadline) for question in questions)))
            done = self.advance(answers)


def _unchecked() -> Steps[Spf]:
    """SPF of a message whose envelope sender nobody knows."""
    yield from ()
    return Spf(Outcome.UNCHECKED)


def _arrival(message: Message, source: Origin) -> float | None:
    """When the host that took a stored message from outside wrote its line, in seconds since 1970; None where it does not tell."""
    lines = message.get_all("received")
    if not 0 <= source.hop < len(lines):
        return None
    try:
        return parsedate_to_datetime(lines[source.hop].rpartition(";")[2][-100:].strip()).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
