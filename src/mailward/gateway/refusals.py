"""Refused connections in the records: each client once a minute with a count, so that one that hammers cannot fill the storage."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from mailward.gateway.gateway import Gateway, Judgement

MINUTE = 60.0
CLIENTS = 10_000  # counted at the same time; beyond that the oldest is written down early
RECIPIENTS = 100  # remembered of one client; all refusals are counted


@dataclass(slots=True)
class _Client:
    judgement: Judgement
    until: float
    fates: dict[str, str] = field(default_factory=dict)
    times: int = 1


class Refusals:
    """One a process. The first refusal of a client is recorded at once, those of the minute after it are added to its record."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    def add(self, client: str, judgement: Judgement, fates: dict[str, str]) -> tuple[str, int]:
        """Note one refused connection or transaction; `fates`: what was said to each recipient. Returns the record's id, and its count so far."""
        self.sweep()
        known = self._clients.get(client)
        if known is None:
            known = self._clients[client] = _Client(judgement, time.monotonic() + MINUTE)
            known.fates.update(list(fates.items())[:RECIPIENTS])
            self._gateway.record(judgement, "refused", known.fates)
            if len(self._clients) > CLIENTS:
                self._write(self._clients.popitem(last=False)[1])
        else:
            known.times += 1
            known.fates.update(list(fates.items())[: max(0, RECIPIENTS - len(known.fates))])
        return known.judgement.assessment.id, known.times

    def sweep(self, *, everything: bool = False) -> bool:
        """Write down the counts of clients whose minute is over. Whether any is left."""
        now = time.monotonic()
        while self._clients and (everything or next(iter(self._clients.values())).until <= now):
            self._write(self._clients.popitem(last=False)[1])
        return bool(self._clients)

    def _write(self, client: _Client) -> None:
        if client.times == 1:
            return  # it is recorded as it is
        facts = client.judgement.assessment
        facts = replace(facts, rcpt_to=tuple(client.fates) or facts.rcpt_to, extra={**facts.extra, "refusals": str(client.times)})
        self._gateway.keep(replace(client.judgement, assessment=facts), "refused", client.fates)
