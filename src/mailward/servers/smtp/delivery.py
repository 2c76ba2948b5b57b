"""What becomes of a received message: judged, then relayed, held, refused or dropped, and written down.

A positive reply leaves this module in three places only: the next hop said 250 to the message, the vault has it on
disk, or the policy says `delete`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from mailward.gateway import Judgement
from mailward.gateway.marking import mark
from mailward.message import Envelope
from mailward.policy import Action
from mailward.reputation.answer import IpReputation
from mailward.scan.email_reputation import EMAIL_REPUTATION
from mailward.scan.reply import reply as words_of_refusal
from mailward.scan.verdict import main_reason
from mailward.servers.smtp import replies
from mailward.servers.smtp.client import Client
from mailward.servers.smtp.nexthop import Lost, NextHop, NextHopFailed
from mailward.servers.smtp.replies import Reply, reply
from mailward.servers.smtp.service import Service


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as it came in, with what was said before it. `answers`: the next hop's answer to each recipient."""

    raw: bytes
    client: Client
    mail_from: str
    rcpt_to: tuple[str, ...]
    answers: dict[str, str]
    body_8bit: bool
    smtputf8: bool
    tls: bool
    seconds: float  # it took to arrive
    reputation: IpReputation | None = None  # of the client, where it was asked for before

    def envelope(self) -> Envelope:
        return Envelope(
            client_ip=self.client.address,
            client_name=self.client.name,
            helo=self.client.helo,
            mail_from=self.mail_from,
            rcpt_to=self.rcpt_to,
            authenticated=self.client.login is not None,
            way_in="smtp",
        )


@dataclass(frozen=True, slots=True)
class Done:
    """What the client hears and what the record says."""

    reply: Reply
    outcome: str


async def dispose(mail: Mail, hop: NextHop, service: Service, gone: Callable[[], bool]) -> Reply:
    """Judge the message and do what the policy says. Returns the reply to the end of the message; raises nothing.

    A client that hung up meanwhile gets nothing delivered: it will send the message again.
    """
    started = time.perf_counter()
    try:
        judgement = await service.judge(mail.raw, mail.envelope(), mail.reputation)
        action = effective(judgement, service.settings.before_queue)
        done = Done(replies.FAILED, "client_gone") if gone() else await _act(action, mail, judgement, hop, service)
    except Exception as error:  # whatever failed, the sender keeps the message
        service.log.exception("message_failed", client=mail.client.address, error=str(error))
        return replies.FAILED
    try:
        service.gateway.record(judgement, done.outcome, _fates(mail, done))
        _log(service, mail, judgement, action, done, (time.perf_counter() - started) * 1000)
    except Exception as error:  # the message is delivered or held: that has to be answered with what is true
        service.log.exception("record_failed", id=judgement.assessment.id, error=str(error))
    return done.reply


def effective(judgement: Judgement, before_queue: bool) -> Action:
    """The action that can be done here: where a refusal would bounce, the message is held instead.

    That is so behind a queue, and for a listed sender whose mail a hop of ours brought: it would be the hop that is refused.
    """
    verdict = judgement.verdict
    refusable = before_queue and not (judgement.assessment.relayed and verdict.filter == EMAIL_REPUTATION)
    return verdict.action if refusable else verdict.action.without_refusal()


async def _act(action: Action, mail: Mail, judgement: Judgement, hop: NextHop, service: Service) -> Done:
    match action:
        case Action.PASS | Action.TAG | Action.JUNK:
            return await _relay(mail, judgement, hop, service)
        case Action.QUARANTINE:
            return await _hold(mail, judgement, service)
        case Action.DEFER:
            return Done(refusal(judgement, service), "deferred")
        case Action.REJECT:
            return Done(refusal(judgement, service), "rejected")
        case Action.DISCONNECT:
            return Done(refusal(judgement, service, close=True), "disconnected")
        case Action.DELETE:
            return Done(reply(f"250 2.0.0 Ok [{judgement.assessment.id}]"), "deleted")


async def _relay(mail: Mail, judgement: Judgement, hop: NextHop, service: Service) -> Done:
    marked = mark(mail.raw, judgement, service.gateway.policy, service.hostname)
    above = not mail.client.told and not marked.startswith((b"From ", b">From "))  # nothing may stand above an mbox line
    trace = received_line(mail, judgement.assessment.id, service.hostname) if above else b""
    try:
        answer = await hop.data(trace + marked)
    except Lost as lost:
        return Done(lost.reply, "next_hop_lost")
    except NextHopFailed as failure:
        return Done(failure.reply, "next_hop_failed")
    if answer.code == 250:
        return Done(answer, "delivered")
    if answer.positive:  # nothing but 250 is an acceptance of a message
        return Done(replies.FAILED, "next_hop_failed")
    return Done(answer, "next_hop_refused" if answer.code >= 500 else "next_hop_deferred")


async def _hold(mail: Mail, judgement: Judgement, service: Service) -> Done:
    try:
        await service.hold(mail.raw, mail.envelope(), judgement, body_8bit=mail.body_8bit, smtputf8=mail.smtputf8)
    except OSError as error:
        service.log.error("quarantine_failed", id=judgement.assessment.id, error=str(error))
        return Done(replies.CANNOT_HOLD, "quarantine_failed")
    return Done(reply(f"250 2.0.0 Ok: held in quarantine as {judgement.assessment.id}"), "quarantined")


def refusal(judgement: Judgement, service: Service, *, close: bool = False) -> Reply:
    """The policy's words, and the id by which an administrator finds the message. The reasons are not for spammers to read."""
    said = words_of_refusal(judgement.verdict, service.gateway.policy, judgement.assessment, service.lookup_url)
    code, text = said or (550, "5.7.1 Refused by policy")
    return reply(f"{code} {text} [{judgement.assessment.id}]", close=close)


def received_line(mail: Mail, id: str, hostname: str) -> bytes:
    """The trace line a relay owes (RFC 5321 4.4); left out when the proxy in front of us writes it."""
    client = mail.client
    literal = f"[IPv6:{client.address}]" if client.address and ":" in client.address else f"[{client.address or 'unknown'}]"
    helo = "".join(c for c in client.helo or "unknown" if c.isprintable() and c.isascii() and c not in " ()<>;")[:255] or "unknown"
    protocol = ("UTF8SMTP" if mail.smtputf8 else client.protocol or "SMTP") + ("S" if mail.tls else "")
    return f"Received: from {helo} ({literal})\r\n\tby {hostname} (mailward) with {protocol} id {id};\r\n\t{formatdate()}\r\n".encode(
        "ascii", "replace"
    )


def _fates(mail: Mail, done: Done) -> dict[str, str]:
    """What became of the message for each recipient, where the next hop refused some of them."""
    if len(mail.answers) == len(set(mail.rcpt_to)):
        return {}
    return {**mail.answers, **dict.fromkeys(mail.rcpt_to, f"{done.reply.code} {done.reply.text}")}


def _log(service: Service, mail: Mail, judgement: Judgement, action: Action, done: Done, milliseconds: float) -> None:
    """One wide event per message."""
    assessment, verdict = judgement.assessment, judgement.verdict
    service.log.info(
        "message",
        id=assessment.id,
        client=mail.client.address,
        helo=mail.client.helo,
        tls=mail.tls,
        mail_from=mail.mail_from,
        rcpt_to=mail.rcpt_to[:10],
        recipients=len(mail.rcpt_to),
        size=len(mail.raw),
        message_id=assessment.message_id,
        verdict=verdict.kind,
        action=action,
        filter=verdict.filter,
        entry=verdict.entry,
        sender_ip=assessment.sender_ip.address,
        standing=assessment.sender_ip.standing,
        scores=verdict.scores,
        reason=main_reason(verdict),
        outcome=done.outcome,
        reply=f"{done.reply.code} {done.reply.text}"[:200],
        arrival_ms=round(mail.seconds * 1000, 1),
        judge_ms=round(judgement.elapsed_ms, 2),
        total_ms=round(milliseconds, 1),
    )
