"""Whether a client is let in: Email Reputation before the message is accepted.

Asked once for each client of a connection. Exempt are our own hops and trusted proxies (their mail is judged by the address
behind them), clients that signed in, and every way in that cannot refuse. Mail to postmaster and abuse gets through.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailward.gateway import Judgement
from mailward.message import Envelope
from mailward.policy import Action, AskAt
from mailward.reputation.answer import IpReputation
from mailward.scan.email_reputation import is_role
from mailward.scan.reply import reply as words_of_refusal
from mailward.servers.smtp.client import Client
from mailward.servers.smtp.replies import Reply, reply
from mailward.servers.smtp.service import Service

TRAPS = 20  # trap addresses noted of one connection; more say nothing new


@dataclass(frozen=True, slots=True)
class Refusal:
    """A client that is not let in, and what it hears."""

    judgement: Judgement
    reply: Reply

    @property
    def greeting(self) -> Reply:
        """RFC 5321 3.1: a server that lets nobody in greets with 554 and then takes only QUIT, or says 421 and hangs up."""
        if self.reply.code < 500:
            return Reply(421, self.reply.lines, close=True)
        return Reply(554, self.reply.lines, self.reply.close)


class Admission:
    """The clients of one connection, one after the other."""

    def __init__(self, service: Service, way_in: str = "smtp", *, refusable: bool | None = None) -> None:
        """`refusable`: whether a refusal reaches the client itself; None means as the SMTP way in is set."""
        self._service = service
        self._way_in = way_in
        self._refusable = service.settings.before_queue if refusable is None else refusable
        self._asked: tuple[str | None, str | None] | None = None
        self.reputation: IpReputation | None = None  # of the client, where it was asked for
        self.refusal: Refusal | None = None
        self._traps: set[str] = set()

    @property
    def at_greeting(self) -> bool:
        """Whether clients are refused before they say anything."""
        return self._service.gateway.policy.email_reputation.target.ask_at is AskAt.CONNECT

    async def ask(self, client: Client) -> Refusal | None:
        """Look the client up and say whether it is refused. Takes at most `[dns] timeout`; raises nothing of its own."""
        if self._asked == (client.address, client.login):
            return self.refusal
        self._asked = (client.address, client.login)
        self.reputation = self.refusal = None
        gateway = self._service.gateway
        if not self._applies(client):
            return None
        self.reputation = await gateway.ask(client.address)
        if self.reputation is None:
            return None
        judgement = gateway.judge_client(self._envelope(client), self.reputation)
        verdict = judgement.verdict
        words = words_of_refusal(verdict, gateway.policy, judgement.assessment, self._service.lookup_url)
        if words is not None:
            close = verdict.action is Action.DISCONNECT
            self.refusal = Refusal(judgement, reply(f"{words[0]} {words[1]}", close=close))
        return self.refusal

    def _applies(self, client: Client) -> bool:
        wanted = self._service.gateway.policy.email_reputation.enabled and self._refusable
        return wanted and self._foreign(client)

    def _foreign(self, client: Client) -> bool:
        return client.login is None and self._service.gateway.foreign(client.address)

    def refuses(self, recipient: str) -> Reply | None:
        """What the client hears to a recipient, None where the recipient may be reached."""
        return None if self.refusal is None or is_role(recipient) else self.refusal.reply

    def trapped(self, client: Client, recipient: str, mail_from: str) -> None:
        """Note a recipient that is a trap, once, whatever becomes of it."""
        if recipient in self._traps or len(self._traps) >= TRAPS or not self._foreign(client):
            return
        if self._service.gateway.trapped(client.address, recipient, mail_from):
            self._traps.add(recipient)
            self._service.log.info("trap", client=client.address, helo=client.helo, mail_from=mail_from, rcpt_to=recipient)

    def note(self, client: Client, mail_from: str | None, fates: dict[str, str], *, tls: bool) -> None:
        """Write a refused connection or transaction down: a record for tracking, a line of log."""
        if self.refusal is None:
            return
        facts = self.refusal.judgement.assessment
        shown = self._envelope(client)
        facts = replace(facts, helo=shown.helo or "", mail_from=mail_from, rcpt_to=tuple(fates))
        self._service.refused(client, replace(self.refusal.judgement, assessment=facts), self.refusal.reply, fates, tls=tls)

    def _envelope(self, client: Client) -> Envelope:
        return Envelope(
            client_ip=client.address,
            client_name=client.name,
            helo=client.helo,
            authenticated=client.login is not None,
            way_in=self._way_in,
        )
