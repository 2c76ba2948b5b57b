"""Judge a message and remember the judgement. Every way in and the command line come through here."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mailward import content, storage
from mailward.content.local import LocalModel
from mailward.gateway import evidence
from mailward.gateway.databases import url_rater
from mailward.gateway.identity import new_id
from mailward.gateway.journal import Journal
from mailward.gateway.lists import Reputation
from mailward.gateway.local import load_local, local_file
from mailward.gateway.partial import from_envelope, undecided, unread, words
from mailward.gateway.settings import Settings
from mailward.gateway.urls import Links
from mailward.message import Envelope, Message, parse
from mailward.message.origin import Origin
from mailward.policy import Policy, ReputationLevel
from mailward.reputation.answer import IpReputation, Standing
from mailward.reputation.dnsbl.plan import Plan
from mailward.scan.assess import Model, Rater, Site, assess
from mailward.scan.assessment import Assessment
from mailward.scan.decide import decide
from mailward.scan.verdict import Verdict
from mailward.scan.web_reputation import is_internal

LOCAL_AGE = 1.0  # seconds a worker may judge by an old local model
SLOW_MS = 2_000.0  # a judgement that took longer is marked, so that it can be found

log = logging.getLogger("mailward.gateway")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that was read, before it is judged. `error`: why it could not be read; `elapsed_ms`: what reading took."""

    message: Message
    envelope: Envelope
    source: Origin
    id: str
    now: float
    error: str
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """A message, its facts, and what the policy says. `elapsed_ms` covers parse, assess and decide, not waiting for the DNS."""

    message: Message
    assessment: Assessment
    verdict: Verdict
    elapsed_ms: float


class Gateway:
    """One a process. Open it before forking: the model is shared, the storage is opened by each process when first needed."""

    def __init__(
        self, settings: Settings, policy: Policy, model: Model, local: LocalModel | None = None, rater: Rater | None = None
    ) -> None:
        self.settings = settings
        self.model = model
        self.local = local
        self.rater = rater
        self.reputation = Reputation(settings)
        self.journal = Journal(settings.storage_url)
        self.spool = evidence.Spool(settings.reputation_folder)
        self.links = Links(settings.urls_folder, settings.urls.learn)
        self._looked = 0.0
        self._local_written = 0
        self._take(policy)

    def _take(self, policy: Policy) -> None:
        self.policy = policy
        self.site = Site.of(policy, self.settings.smtp.trusted_proxies)
        self.plan = plan_of(policy)

    @classmethod
    def open(cls, settings: Settings, policy: Policy | None = None) -> Gateway:
        """Load models and policy. `policy` stands in for the stored one.

        Raises StorageError or PolicyError when the stored policy cannot be read.
        """
        return cls(settings, policy or stored_policy(settings), content.load(), load_local(settings), url_rater(settings))

    # Judging: read, look the sender up, conclude

    def judge(self, raw: bytes, envelope: Envelope, id: str = "", now: float | None = None) -> Judgement:
        """Parse, assess and decide, asking nobody: lists of others stay unasked. Never raises."""
        arrived = self.read(raw, envelope, id, now)
        return self.conclude(arrived, self.known(arrived.source.address))

    async def judge_asking(self, raw: bytes, envelope: Envelope) -> Judgement:
        """The same, asking the lists of others that the policy names."""
        arrived = self.read(raw, envelope)
        return self.conclude(arrived, await self.ask(arrived.source.address))

    def read(self, raw: bytes, envelope: Envelope, id: str = "", now: float | None = None) -> Arrived:
        """Parse a message and find who sent it. Never raises: what goes wrong is kept for `conclude`."""
        started = time.perf_counter()
        now = time.time() if now is None else now
        message, error = unread(len(raw)), ""
        source = Origin(envelope.client_ip, envelope.client_name, envelope.helo or "", -1)
        try:
            message = parse(raw)
            source = self.site.origin(message, envelope)
        except Exception as failed:  # the one place that must hold whatever a message does to us
            error = words(failed)
        return Arrived(message, envelope, source, id or new_id(now), now, error, (time.perf_counter() - started) * 1000)

    def conclude(self, arrived: Arrived, reputation: IpReputation | None) -> Judgement:
        """Assess and decide. Never raises: whatever goes wrong is an unscannable message that names the error."""
        started = time.perf_counter()
        self._follow_reports(started)
        assessment = self._assess(arrived, reputation)
        elapsed = arrived.elapsed_ms + (time.perf_counter() - started) * 1000
        if elapsed > SLOW_MS:
            assessment = replace(assessment, findings=(*assessment.findings, "limit:time"))
        verdict = self._decide(assessment)
        elapsed = arrived.elapsed_ms + (time.perf_counter() - started) * 1000
        return Judgement(arrived.message, assessment, verdict, elapsed)

    def _assess(self, arrived: Arrived, reputation: IpReputation | None) -> Assessment:
        error = arrived.error
        message, envelope, now, id = arrived.message, arrived.envelope, arrived.now, arrived.id
        try:
            if not error:
                return assess(message, envelope, self.site, self.model, self.local, now, id, arrived.source, reputation, self.rater)
        except Exception as failed:  # see `read`
            error = words(failed)
        return from_envelope(message, envelope, now, id, reputation, unscannable=error)

    def judge_client(self, envelope: Envelope, reputation: IpReputation, id: str = "", now: float | None = None) -> Judgement:
        """What the policy says of a client before it has sent a message. Never raises."""
        now = time.time() if now is None else now
        message = unread(0)
        assessment = from_envelope(message, envelope, now, id or new_id(now), reputation, connection_only=True)
        return Judgement(message, assessment, self._decide(assessment), 0.0)

    def foreign(self, address: str | None) -> bool:
        """Whether it is an address of the internet, and none of our own hops: only those are looked up and learned about."""
        return self.site.foreign(address)

    def known(self, address: str | None) -> IpReputation | None:
        """What our own databases say of a foreign address; None where there is nothing to ask. Never raises."""
        if not address or not self.foreign(address):
            return None
        try:
            return self.reputation.known(address)
        except Exception:  # a database damaged in a way nobody thought of costs its answers, not the mail
            log.exception("looking up %s failed; what our databases say is missing", address)
            return IpReputation(address, Standing.UNCHECKED)

    async def ask(self, address: str | None) -> IpReputation | None:
        """The same, with the lists of others that the policy names; takes at most `[dns] timeout`. Never raises."""
        target = self.policy.email_reputation.target
        if self.plan is None or target.approved_ips.match(address) or target.blocked_ips.match(address):
            return self.known(address)  # nobody's opinion would change what the policy says
        if not address or not self.foreign(address):
            return None
        try:
            return await self.reputation.ask(address, self.plan)
        except Exception:  # see `known`
            log.exception("looking up %s failed; what lists say is missing", address)
            return IpReputation(address, Standing.UNCHECKED)

    def _follow_reports(self, now: float) -> None:
        """Take up a new local model within LOCAL_AGE seconds of a report; one that cannot be read is left alone."""
        if now < self._looked + LOCAL_AGE:
            return
        self._looked = now
        try:
            written = local_file(self.settings).stat().st_mtime_ns
            if written != self._local_written:
                self.local = load_local(self.settings)
                self._local_written = written
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("the local model cannot be read, the old one stays in force: %s", error)

    def _decide(self, assessment: Assessment) -> Verdict:
        try:
            return decide(assessment, self.policy)
        except Exception as error:
            return undecided(self.policy, words(error))

    # Remembering

    def record(self, judgement: Judgement, outcome: str, rcpt_outcomes: dict[str, str] | None = None) -> None:
        """Remember what became of a message, and learn of its sender. Returns at once; both are written in the background."""
        self.keep(judgement, outcome, rcpt_outcomes)
        self.links.seen(judgement.assessment, judgement.verdict)
        if self.foreign(judgement.assessment.sender_ip.address):
            for piece in evidence.of_message(judgement.assessment, judgement.verdict, self.policy, outcome):
                self.spool.add(piece)

    def keep(self, judgement: Judgement, outcome: str, rcpt_outcomes: dict[str, str] | None = None) -> None:
        """Remember only: a record with a known id takes the place of the earlier one."""
        self.journal.add(storage.Record(judgement.assessment, judgement.verdict, outcome, rcpt_outcomes or {}, judgement.elapsed_ms))

    def trapped(self, address: str | None, recipient: str, mail_from: str) -> bool:
        """Whether that recipient is a trap for that foreign client; if so, it is learned."""
        if not (address and evidence.is_trap(recipient, mail_from, self.policy) and self.foreign(address)):
            return False
        piece = evidence.of_trap(address, recipient, time.time())
        if piece is not None and self.policy.email_reputation.evidence.learn:
            self.spool.add(piece)
        return piece is not None

    def reported(self, address: str, kind: str, who: str, *, undone: bool = False, urls: Iterable[str] = ()) -> None:
        """A person called mail of that address, with these links, "spam" or "ham", or took that back."""
        approved = self.policy.web_reputation.target.approved_urls
        if not undone:
            self.links.reported([url for url in urls if not (approved.match(url) or is_internal(url, self.policy))], time.time(), kind, who)
        if self.policy.email_reputation.evidence.learn and self.foreign(address):
            piece = evidence.of_report(address, kind, who, time.time(), undone=undone)
            if piece is not None:
                self.spool.add(piece)

    def flush(self) -> None:
        """Return when everything recorded so far is stored, or could not be."""
        self.journal.flush()
        self.spool.flush()
        self.links.flush()

    def close(self) -> None:
        """Store what is left and end the background writers."""
        self.journal.close()
        self.spool.close()
        self.links.close()

    def reload(self) -> None:
        """Take up the policy and the local model that are stored now. On an error the old ones stay in force, and it is raised."""
        policy = stored_policy(self.settings)
        self.local = load_local(self.settings)
        self._take(policy)


def plan_of(policy: Policy) -> Plan | None:
    """Which lists of others are asked, and in which order; None where none is."""
    target = policy.email_reputation.target
    advanced = target.level is ReputationLevel.ADVANCED
    standard = tuple([entry for entry in target.standard_lists.lists() if entry.on])
    dynamic = tuple([entry for entry in target.dynamic_lists.lists() if entry.on]) if advanced else ()
    if not policy.email_reputation.enabled or not (standard or dynamic):
        return None
    return Plan(standard, dynamic, target.own_standard, target.own_dynamic, target.dynamic_level)


def stored_policy(settings: Settings) -> Policy:
    """The policy in force, or the defaults where none was ever saved. Leaves no database open."""
    if not Path(settings.database).is_file():
        return Policy()
    store = storage.open(settings.storage_url)
    try:
        version = store.policy()
    finally:
        store.close()
    return Policy.from_toml(version.toml, f"stored policy {version.n}") if version else Policy()
