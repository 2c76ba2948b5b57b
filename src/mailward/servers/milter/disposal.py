"""What becomes of a message that came by milter: judged, then answered, with the changes the mail server has to make, and written down.

The mail server has the message until we answer, and we answer that it may drop it in two cases only: the vault has it on disk, or the policy says
`delete`. Everything that goes wrong before that is a temporary failure, so the sender keeps the message.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailward.gateway import Judgement
from mailward.gateway.marking import Changes, changes
from mailward.gateway.settings import MilterQuarantine
from mailward.policy import Action
from mailward.reputation.answer import IpReputation
from mailward.scan.verdict import main_reason
from mailward.servers.caller import log_message
from mailward.servers.milter import protocol
from mailward.servers.milter.protocol import Actions, Steps
from mailward.servers.milter.session import Received, Trouble
from mailward.servers.smtp import replies
from mailward.servers.smtp.delivery import effective, refusal
from mailward.servers.smtp.replies import Reply, printable, reply
from mailward.servers.smtp.service import Service

ABOVE = 1  # where our fields go: right below the Received line that the mail server itself has put on top
TOO_MUCH_HEADER = reply("552 5.3.4 The header of the message is larger than the limit")


@dataclass(frozen=True, slots=True)
class Way:
    """What the mail server allows and how it writes header values, and who holds quarantined mail."""

    actions: Actions
    steps: Steps
    quarantine: MilterQuarantine


@dataclass(frozen=True, slots=True)
class Done:
    """The octets of the answer, and what the record says. `reply`: what the sender hears, where we have a say in that."""

    answer: bytes
    outcome: str
    reply: str = ""


def answered(said: Reply) -> bytes:
    """A refusal as the mail server is told."""
    return protocol.reply_code(said.code, said.text)


async def dispose(
    received: Received, known: IpReputation | None, way: Way, service: Service, gone: Callable[[], bool], seconds: float
) -> bytes:
    """Judge the message, do what the policy says, and return the answer to its end. Raises nothing.

    `known`: what was found out about the client already. `gone`: whether the mail server has hung up; then nothing is held, for it will
    come again. `seconds`: it took to arrive.
    """
    if received.trouble in (Trouble.NO_ROOM, Trouble.HEAD):
        service.log.warning("message_not_read", way_in="milter", trouble=received.trouble.name, size=received.size)
        return answered(replies.NO_ROOM if received.trouble is Trouble.NO_ROOM else TOO_MUCH_HEADER)
    started = time.perf_counter()
    try:
        judgement = await _judged(received, known, service)
        action = effective(judgement, before_queue=True)
        for _ in range(2):  # judging may have waited for nothing: now a hang-up is heard that came with the end
            await asyncio.sleep(0)
        done = Done(protocol.TEMPFAIL, "client_gone") if gone() else await _act(action, received, judgement, way, service)
    except Exception as error:  # whatever failed, the sender keeps the message
        service.log.exception("message_failed", way_in="milter", client=received.envelope.client_ip, error=str(error))
        return answered(replies.FAILED)
    try:
        service.gateway.record(judgement, done.outcome)
        _log(service, received, judgement, action, done, (time.perf_counter() - started) * 1000, seconds)
    except Exception as error:  # what was done has to be answered with what is true
        service.log.exception("record_failed", id=judgement.assessment.id, error=str(error))
    return done.answer


async def _judged(received: Received, known: IpReputation | None, service: Service) -> Judgement:
    if received.trouble is Trouble.TOO_BIG:
        why = f"it has {received.size:,} octets, more than are looked at here ([milter] max_size)"
        return await service.judge_part(received.raw, received.size, why, received.envelope, known)
    return await service.judge(received.raw, received.envelope, known)


async def _act(action: Action, received: Received, judgement: Judgement, way: Way, service: Service) -> Done:
    match action:
        case Action.PASS | Action.TAG | Action.JUNK:
            return Done(protocol.joined((*_marks(received, judgement, way, service), protocol.CONTINUE)), "delivered")
        case Action.QUARANTINE:
            if way.quarantine is MilterQuarantine.MAIL_SERVER and Actions.QUARANTINE in way.actions:
                return _left_to_hold(received, judgement, way, service)
            return await _hold(received, judgement, service)
        case Action.DEFER:
            return _refused(judgement, service, "deferred")
        case Action.REJECT | Action.DISCONNECT:  # a milter cannot have the mail server hang up behind a 5xx
            return _refused(judgement, service, "rejected")
        case Action.DELETE:
            return Done(protocol.DISCARD, "deleted")


def _refused(judgement: Judgement, service: Service, outcome: str) -> Done:
    said = refusal(judgement, service)
    return Done(answered(said), outcome, f"{said.code} {said.text}")


def _left_to_hold(received: Received, judgement: Judgement, way: Way, service: Service) -> Done:
    why = printable(f"{judgement.verdict.kind} [{judgement.assessment.id}] {main_reason(judgement.verdict)}", 200)
    marks = _marks(received, judgement, way, service)
    return Done(protocol.joined((*marks, protocol.quarantine(why), protocol.CONTINUE)), "held_by_mail_server")


async def _hold(received: Received, judgement: Judgement, service: Service) -> Done:
    """Ours to hold. A message that was not kept as a whole cannot be held, and is refused as too large."""
    said = replies.CANNOT_HOLD
    try:
        if received.trouble is None:
            more = {"body_8bit": received.body_8bit, "smtputf8": received.smtputf8}
            await service.hold(received.raw, received.envelope, judgement, **more)
            return Done(protocol.DISCARD, "quarantined")
        said = replies.TOO_BIG
    except OSError as error:
        service.log.error("quarantine_failed", id=judgement.assessment.id, error=str(error))
    return Done(answered(said), "quarantine_failed", f"{said.code} {said.text}")


def _marks(received: Received, judgement: Judgement, way: Way, service: Service) -> Iterator[bytes]:
    """The header as our verdict wants it, as far as the mail server lets us."""
    found = changes(received.raw[: max(0, received.head - 2)], judgement, service.gateway.policy, service.hostname)
    if Actions.CHANGE_HEADERS in way.actions:
        for name, number in reversed(found.dropped):  # from below, so that the numbers of the others stay true
            yield protocol.change_header(number, name, b"")
    if Actions.CHANGE_HEADERS in way.actions and found.subject is not None and found.has_subject:
        yield protocol.change_header(1, b"Subject", _value(found.subject, way))
    if Actions.ADD_HEADERS in way.actions:
        yield from _added(found, way)


def _added(found: Changes, way: Way) -> Iterator[bytes]:
    if found.subject is not None and not found.has_subject:
        yield protocol.add_header(b"Subject", _value(found.subject, way))
    for name, value in reversed(found.added):  # each goes above those before it
        yield protocol.insert_header(ABOVE, name, _value(value, way))


def _value(value: bytes, way: Way) -> bytes:
    """A value as the mail server wants it: it puts the blank behind the colon unless it was agreed that we do."""
    return value if Steps.LEADING_SPACE in way.steps else value.removeprefix(b" ")


def _log(
    service: Service, received: Received, judgement: Judgement, action: Action, done: Done, milliseconds: float, seconds: float
) -> None:
    more = {
        "queue_id": received.queue_id,
        "server": received.server,
        "tls": received.tls,
        "reply": done.reply[:200],
        "refused": received.refused,
        "arrival_ms": round(seconds * 1000, 1),
    }
    log_message(service, judgement, received.envelope, action, done.outcome, milliseconds, more)
