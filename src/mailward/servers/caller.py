"""Mail servers that ask for a judgement and then act themselves: what they say of the envelope, and what they are told.

rspamd's protocol and SpamAssassin's know a score, a threshold, symbols and (rspamd's) an action. A verdict has more than one
filter behind it, so its numbers are bent where they would tell another story than the verdict: who compares score and threshold comes
to the same end as who reads the action.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mailward.gateway import Judgement
from mailward.message import Envelope, parse
from mailward.message.origin import envelope_from_trace
from mailward.policy import Action
from mailward.scan.advanced_spam_prevention import ADVANCED_SPAM_PREVENTION
from mailward.scan.verdict import Reason, Verdict, main_reason
from mailward.servers.smtp.client import canonical
from mailward.servers.smtp.delivery import effective
from mailward.servers.smtp.limits import RECIPIENTS, SHOWN
from mailward.servers.smtp.replies import printable
from mailward.servers.smtp.service import Service

STEP = 0.1  # how far a bent score lies below the threshold
_OTHER = re.compile(r"[^A-Z0-9]+")
_HEAD_END = re.compile(rb"\n\r?\n")


@dataclass(frozen=True, slots=True)
class Figures:
    """A verdict in the numbers other filters know. `caught`: something is to be done with the message, so score >= threshold."""

    caught: bool
    score: float
    threshold: float


def figures(verdict: Verdict, action: Action) -> Figures:
    """The spam score, unless the verdict has another reason: then the threshold if caught, or just below it if not."""
    threshold = float(verdict.thresholds.get("spam", 5.0))
    score = verdict.scores.get("spam")
    number = float(score) if isinstance(score, int | float) else 0.0
    caught = action is not Action.PASS
    return Figures(caught, max(number, threshold) if caught else min(number, threshold - STEP), threshold)


def filed(judgement: Judgement, action: Action) -> Judgement:
    """The judgement for a caller that files the message by our header fields: whatever was caught has those that junk mail has."""
    if action in (Action.PASS, Action.TAG):
        return judgement
    return replace(judgement, verdict=replace(judgement.verdict, action=Action.JUNK))


def symbol_of(reason: Reason) -> str:
    """The symbol of a reason. Shares of the phishing score have names of their own: both scores may rest on the same fact, and add up apart."""
    apart = reason.filter == ADVANCED_SPAM_PREVENTION and reason.contribution
    return symbol(f"phishing:{reason.name}" if apart else reason.name)


def symbol(name: str) -> str:
    """The name of a reason as symbols are written: "trace:helo-address" is TRACE_HELO_ADDRESS."""
    return _OTHER.sub("_", name.upper()).strip("_")[:64] or "REASON"


def envelope(said: Mapping[str, Sequence[str]], raw: bytes, way_in: str) -> Envelope:
    """The envelope from request headers by their lower-case names (IP, Helo, Hostname, From, Rcpt, User).

    Where neither client nor sender is named, the message's own trace tells, as for a stored message. An address that is none counts as not named.
    """
    first = {name: printable(values[0].strip(), SHOWN) for name, values in said.items() if values}
    if not {"ip", "from"} & first.keys():
        return replace(envelope_from_trace(parse(_header(raw))), client_ip=None, way_in=way_in)
    name = first.get("hostname")
    return Envelope(
        client_ip=_address(first.get("ip", "")),
        client_name="" if name and name.lower() == "unknown" else name,
        helo=first.get("helo"),
        mail_from=_bare(first["from"]) if "from" in first else None,
        rcpt_to=tuple(_bare(printable(each.strip(), SHOWN)) for each in said.get("rcpt", ())[:RECIPIENTS]),
        authenticated=bool(first.get("user")),
        way_in=way_in,
    )


def _header(raw: bytes) -> bytes:
    end = _HEAD_END.search(raw)
    return raw[: end.end()] if end else raw


def _address(text: str) -> str | None:
    try:
        return canonical(text.strip("[]").removeprefix("IPv6:")) if text else None
    except ValueError:
        return None


def _bare(path: str) -> str:
    return path[1:-1] if path.startswith("<") and path.endswith(">") else path


async def examined(service: Service, raw: bytes, envelope: Envelope, *, named: bool, **more: object) -> tuple[Judgement, Action]:
    """Judge a message, remember the verdict, and say what the caller should do. `named`: the caller named the client.

    Whether the caller does it is not known here: the outcome is "advised", or "examined" where nobody named the client. Neither is
    evidence about the sender: the same message may be asked about again, by anybody on this machine.
    """
    started = time.perf_counter()
    judgement = await service.judge(raw, envelope)
    action = effective(judgement, before_queue=True)
    outcome = "deferred" if action is Action.DEFER else "advised" if named else "examined"
    try:
        service.gateway.record(judgement, outcome)
        log_message(service, judgement, envelope, action, outcome, (time.perf_counter() - started) * 1000, more)
    except Exception as error:  # the caller has to hear the verdict all the same
        service.log.exception("record_failed", id=judgement.assessment.id, error=str(error))
    return judgement, action


def log_message(
    service: Service, judgement: Judgement, said: Envelope, action: Action, outcome: str, milliseconds: float, more: Mapping[str, object]
) -> None:
    """One wide event per message, with the names `delivery` uses."""
    facts, verdict = judgement.assessment, judgement.verdict
    service.log.info(
        "message",
        id=facts.id,
        way_in=said.way_in,
        client=said.client_ip,
        helo=said.helo,
        mail_from=said.mail_from,
        rcpt_to=said.rcpt_to[:10],
        recipients=len(said.rcpt_to),
        size=facts.size,
        message_id=facts.message_id,
        verdict=verdict.kind,
        action=action,
        filter=verdict.filter,
        entry=verdict.entry,
        sender_ip=facts.sender_ip.address,
        standing=facts.sender_ip.standing,
        scores=verdict.scores,
        reason=main_reason(verdict),
        outcome=outcome,
        total_ms=round(milliseconds, 1),
        judge_ms=round(judgement.elapsed_ms, 2),
        **more,
    )
