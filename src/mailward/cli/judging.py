"""Judging stored messages: their envelope from what they carry, one after the other or in several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import chain, islice
from multiprocessing import get_context
from typing import TYPE_CHECKING

from mailward.cli import words
from mailward.cli.mailbox import STANDARD_INPUT, Found, Unreadable, read

if TYPE_CHECKING:
    from asyncio import Runner

    from mailward.gateway.gateway import Gateway, Judgement
    from mailward.gateway.settings import Settings
    from mailward.message import Envelope
    from mailward.policy import Policy

MANY = 200  # messages from which a second process pays for its start
BATCH = 16  # messages handed to a process at once
DIED = "a process judging it died; it was left out"

Piece = Found | Unreadable


@dataclass(frozen=True, slots=True)
class Given:
    """What the person says about the envelope. None: take it from the message's trace."""

    client_ip: str | None = None
    helo: str | None = None
    mail_from: str | None = None
    rcpt_to: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Instructions:
    """How to judge; travels to every process. `policy` None: the stored one, else the defaults."""

    settings: Settings
    policy: Policy | None
    given: Given
    as_json: bool
    offline: bool = False  # the DNS is not asked


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one path: the verdict and the line to print, or an error."""

    name: str
    verdict: str = ""
    text: str = ""
    error: str = ""


def open_gateway(settings: Settings, policy: Policy | None = None) -> Gateway:
    """Open the gateway's core. Raises Trouble."""
    from mailward.cli.trouble import Trouble
    from mailward.gateway.gateway import Gateway
    from mailward.policy import PolicyError
    from mailward.storage import StorageError

    try:
        return Gateway.open(settings, policy)
    except StorageError as error:
        raise Trouble(str(error), f"`mailward doctor --state {settings.state_folder}` looks closer.") from None
    except PolicyError as error:
        raise Trouble(
            f"the policy in the state folder cannot be used: {error}", "`mailward policy rollback N` puts an earlier one in force."
        ) from None


def envelope_of(raw: bytes, given: Given) -> Envelope:
    """The envelope a stored message arrived with, as its trace tells it. Only the header is read."""
    from mailward.message import parse
    from mailward.message.origin import envelope_from_trace

    envelope = envelope_from_trace(parse(_header(raw)))
    if given == Given():
        return envelope
    return replace(
        envelope,
        client_ip=envelope.client_ip if given.client_ip is None else given.client_ip,
        client_name=envelope.client_name if given.client_ip is None else None,
        helo=envelope.helo if given.helo is None else given.helo,
        mail_from=envelope.mail_from if given.mail_from is None else given.mail_from,
        rcpt_to=envelope.rcpt_to if given.rcpt_to is None else given.rcpt_to,
    )


def _header(raw: bytes) -> bytes:
    ends = [end for end in (raw.find(b"\n\n"), raw.find(b"\n\r\n")) if end >= 0]
    return raw[: min(ends) + 2] if ends else raw


class Judge:
    """Judges found messages one by one. One event loop serves all of them, where the policy wants the DNS asked."""

    def __init__(self, instructions: Instructions) -> None:
        self.gateway = open_gateway(instructions.settings, instructions.policy)
        self._loop: Runner | None = None
        if self.gateway.asks and not instructions.offline:
            from asyncio import Runner

            self._loop = Runner()
        self._given = instructions.given
        self._as_json = instructions.as_json

    def line(self, piece: Piece) -> Line:
        """Judge one message. Never raises for what the file holds."""
        if isinstance(piece, Unreadable):
            return Line(piece.name, error=piece.reason)
        try:
            raw = read(piece)
        except OSError as error:
            return Line(piece.name, error=(error.strerror or str(error)).lower())
        judgement = self.judgement(raw)
        text = _json_line(piece.name, judgement, self.gateway.policy) if self._as_json else _plain_line(piece.name, judgement)
        return Line(piece.name, str(judgement.verdict.kind), text)

    def judgement(self, raw: bytes) -> Judgement:
        """Judge a stored message by the envelope its trace tells."""
        envelope = envelope_of(raw, self._given)
        if self._loop is None:
            return self.gateway.judge(raw, envelope)
        return self._loop.run(self.gateway.judge_asking(raw, envelope))

    def close(self) -> None:
        """Give up what is still asked, and end the helpers."""
        self.gateway.examiners.close()
        if self._loop is not None:
            self._loop.run(self.gateway.reputation.close())
            self._loop.close()


def judged(instructions: Instructions, pieces: Iterable[Piece], jobs: int) -> Iterator[Line]:
    """Judge in order. `jobs` 0: one process for each core when there are many messages. Standard input is always read here."""
    pieces = iter(pieces)
    first = list(islice(pieces, MANY))
    processes = jobs or (_cores() if len(first) == MANY else 1)
    rest = chain(first, pieces)
    if processes == 1 or any(piece.name == STANDARD_INPUT for piece in first):
        return _here(Judge(instructions), rest)
    open_gateway(instructions.settings, instructions.policy)  # what is wrong with it shows here, not in a process
    return _in_processes(instructions, rest, processes)


def _here(judge: Judge, pieces: Iterable[Piece]) -> Iterator[Line]:
    try:
        yield from map(judge.line, pieces)
    finally:
        judge.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_judge: Judge | None = None


def _start_process(instructions: Instructions) -> None:
    global _judge
    _judge = Judge(instructions)


def _judge_batch(batch: list[Piece]) -> list[Line]:
    assert _judge is not None
    return [_judge.line(piece) for piece in batch]


def _in_processes(instructions: Instructions, pieces: Iterator[Piece], processes: int) -> Iterator[Line]:
    """Keep a few batches ahead of the printing. When a process dies, what the processes had is judged again, the batch that met it one message at a time.

    A dead process breaks its whole pool: what was handed to it fails, and it takes nothing more. Either may be noticed first.
    """

    def new_pool(size: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(size, get_context("spawn"), _start_process, (instructions,))

    def submit(batch: list[Piece]) -> Future[list[Line]]:
        try:
            return pool.submit(_judge_batch, batch)
        except BrokenProcessPool as broken:
            failed: Future[list[Line]] = Future()
            failed.set_exception(broken)
            return failed

    pool = new_pool(processes)
    waiting: list[tuple[list[Piece], Future[list[Line]]]] = []
    try:
        while True:
            while len(waiting) < processes * 3 and (batch := list(islice(pieces, BATCH))):
                waiting.append((batch, submit(batch)))
            if not waiting:
                return
            batch, future = waiting.pop(0)
            try:
                yield from future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                yield from _one_by_one(batch, new_pool)
                pool = new_pool(processes)
                waiting = [(later, submit(later)) for later, _ in waiting]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _one_by_one(batch: list[Piece], new_pool: Callable[[int], ProcessPoolExecutor]) -> Iterator[Line]:
    """Judge each message in a process that holds no other, so that only the one that kills it is lost."""
    pool = new_pool(1)
    for piece in batch:
        try:
            yield from pool.submit(_judge_batch, [piece]).result()
        except BrokenProcessPool:
            yield Line(piece.name, error=DIED)
            pool = new_pool(1)
    pool.shutdown()


def _plain_line(name: str, judgement: Judgement) -> str:
    from mailward.scan.verdict import main_reason, score_shown

    verdict = judgement.verdict
    shown = f"{score_shown(verdict):>10}"
    reason = main_reason(verdict)
    action = str(verdict.action)
    return f"{words.coloured(str(verdict.kind), 14)} {action:<10} {shown}  {words.one_line(name)}  {words.one_line(reason, 160)}".rstrip()


def _json_line(name: str, judgement: Judgement, policy: Policy) -> str:
    from mailward.scan.answer import to_json
    from mailward.scan.counterfactual import counterfactuals

    facts = judgement.assessment
    return to_json(name, facts, judgement.verdict, counterfactuals(facts, policy), judgement.elapsed_ms, policy)
