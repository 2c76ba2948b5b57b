"""DNS records of any type for the checks of `auth`: asked once, remembered by each worker as long as they say, bounded in size."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from functools import partial

import pycares
from aiodns.error import DNSError

from mailward.auth.question import FAILED, NO_RECORDS, Answer, Kind, Question
from mailward.gateway.dnscache import FAILURE_TTL, MAX_TTL, MIN_TTL, NOTHING_TTL
from mailward.gateway.resolver import ERRORS, Asked, DnsResolver

MAX_RECORDS = 200  # of one answer; large domains have 100 TXT records
MAX_TEXT = 65_536  # characters of one answer, as much as a DNS message holds
REMEMBERED = 8_192  # answers
REMEMBERED_TEXT = 4 << 20  # characters of them together

_MISSING = Answer(missing=True)


class Records:
    """Asks through a resolver. The memory is this process's own: texts are too long for the shared one."""

    def __init__(self, resolver: DnsResolver) -> None:
        self._resolver = resolver
        self._memory: OrderedDict[Question, tuple[float, Answer]] = OrderedDict()
        self._length = 0

    def cached(self, question: Question) -> Answer | None:
        """What is remembered of an earlier answer."""
        found = self._memory.get(question)
        if found is None or found[0] <= time.monotonic():
            return None
        return found[1]

    async def ask(self, question: Question, deadline: float) -> Answer:
        """The records, or FAILED where none came until `deadline` (monotonic clock). Never raises (but when cancelled)."""
        found = self.cached(question)
        if found is not None:
            return found
        left = deadline - time.monotonic()
        if left <= 0:
            return FAILED
        try:
            async with asyncio.timeout(left):
                answer, ttl = await self._resolver.query(question.name, question.kind.value, _READERS[question.kind])
        except (TimeoutError, *ERRORS):
            return FAILED
        self._remember(question, answer, ttl)
        return answer

    def _remember(self, question: Question, answer: Answer, ttl: float) -> None:
        old = self._memory.pop(question, None)
        if old is not None:
            self._length -= _length(question, old[1])
        self._memory[question] = time.monotonic() + ttl, answer
        self._length += _length(question, answer)
        while self._length > REMEMBERED_TEXT or len(self._memory) > REMEMBERED:
            oldest, (_, forgotten) = self._memory.popitem(last=False)
            self._length -= _length(oldest, forgotten)


def _length(question: Question, answer: Answer) -> int:
    return len(question.name) + sum(map(len, answer.records))


def _read(kind: Kind, name: str, asked: Asked) -> tuple[Answer, float]:
    """The records at the name or at the end of its aliases, and how long they may be remembered."""
    error = None if asked.cancelled() else asked.exception()
    if asked.cancelled() or error is not None:
        number = error.args[0] if isinstance(error, DNSError) else None
        if number == pycares.errno.ARES_ENOTFOUND:
            return _MISSING, NOTHING_TTL
        return (NO_RECORDS, NOTHING_TTL) if number == pycares.errno.ARES_ENODATA else (FAILED, FAILURE_TTL)
    names = {name.lower()}
    found: list[tuple[int, str]] = []
    ttl, length = MAX_TTL, 0
    for record in asked.result().answer:
        if record.name.lower().rstrip(".") not in names:
            continue
        ttl = min(ttl, record.ttl)
        if isinstance(record.data, pycares.CNAMERecordData):
            names.add(record.data.cname.lower().rstrip("."))
            continue
        value = _value(kind, record.data)
        if value is not None:
            found.append(value)
            length += len(value[1])
    if len(found) > MAX_RECORDS or length > MAX_TEXT:
        return FAILED, FAILURE_TTL
    if not found:
        return NO_RECORDS, NOTHING_TTL
    ordered = sorted(found, key=lambda one: one[0]) if kind is Kind.MX else found
    return Answer(tuple([value for _, value in ordered])), max(ttl, MIN_TTL)


def _value(kind: Kind, data: object) -> tuple[int, str] | None:
    """Preference and value of a record of that type; None for one of another."""
    match kind, data:
        case Kind.TXT, pycares.TXTRecordData():
            return 0, data.data.decode("latin-1")
        case Kind.A, pycares.ARecordData():
            return 0, data.addr
        case Kind.AAAA, pycares.AAAARecordData():
            return 0, data.addr
        case Kind.MX, pycares.MXRecordData():
            return data.priority, data.exchange.rstrip(".")
        case Kind.PTR, pycares.PTRRecordData():
            return 0, data.dname.rstrip(".")
    return None


_READERS = {kind: partial(_read, kind) for kind in Kind}
