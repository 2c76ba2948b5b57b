"""Facts and verdicts where there is less than a judged message: one that cannot be read, a client that is not let in, a failed decision."""

from __future__ import annotations

import traceback
from pathlib import Path

from mailward.auth.model import UNCHECKED
from mailward.message import Envelope, Html, Message
from mailward.policy import Action, Policy
from mailward.policy.addresses import canonical_address
from mailward.reputation.answer import IpReputation, Standing
from mailward.scan.assessment import Assessment, SenderIp
from mailward.scan.verdict import Hit, Kind, Reason, Verdict


def unread(size: int) -> Message:
    """The message when nothing of it could be read."""
    return Message(size, (), "", (), (), (), (), (), None, "", "", (), (), "", "", Html(), (), ())


def from_envelope(
    message: Message,
    envelope: Envelope,
    now: float,
    id: str,
    reputation: IpReputation | None = None,
    *,
    unscannable: str = "",
    connection_only: bool = False,
) -> Assessment:
    """What the envelope knows. `reputation`: what lists say of the sender IP, which it names then."""
    return Assessment(
        id=id,
        time=now,
        way_in=envelope.way_in,
        size=message.size,
        subject=_plain(message.subject),
        message_id=_plain(message.message_id),
        mail_from=None if envelope.mail_from is None else _plain(canonical_address(envelope.mail_from)),
        rcpt_to=tuple(_plain(canonical_address(recipient)) for recipient in envelope.rcpt_to),
        header_from=tuple(_plain(canonical_address(address.addr)) for address in message.from_[:100]),
        helo=_plain(envelope.helo or ""),
        sender_ip=SenderIp(reputation.address, reputation.standing) if reputation else SenderIp(envelope.client_ip, Standing.UNCHECKED),
        auth=UNCHECKED,
        from_aligned=None,
        spam=(),
        unscannable=_plain(unscannable),
        reputation=reputation.answers if reputation else (),
        authenticated=envelope.authenticated,
        connection_only=connection_only,
    )


def undecided(policy: Policy, why: str) -> Verdict:
    """The verdict when the policy could not be applied: unscannable, as the policy wants it."""
    action = Action(policy.unscannable.action.value)
    return Verdict(
        kind=Kind.UNSCANNABLE,
        action=action,
        filter="unscannable",
        entry="",
        hits=(Hit("unscannable", Kind.UNSCANNABLE, action, False),),
        reasons=(Reason("unscannable", "unscannable", 0.0, f"The policy could not be applied: {_plain(why)}"),),
        scores={"spam": "unchecked", "phishing": "unchecked", "web": None},
        thresholds={"spam": policy.content_scanning.target.threshold},
        policy=policy.digest,
    )


def words(error: Exception) -> str:
    """An error of ours for the record: what, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" in {Path(frame[0].filename).name}:{frame[0].lineno}" if frame else ""
    return f"{type(error).__name__}{place}: {str(error)[:200]}"


def _plain(text: str) -> str:
    return text[:998].encode("utf-8", "replace").decode("utf-8")
