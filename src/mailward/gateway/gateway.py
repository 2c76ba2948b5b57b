"""Judge a message and remember the judgement. Every way in and the command line come through here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from mailward import content, phishing, storage
from mailward.auth import Authentication, Outcome
from mailward.content.local import LocalModel
from mailward.gateway import evidence
from mailward.gateway.acquaintance import Acquaintances
from mailward.gateway.authentication import Authenticator
from mailward.gateway.counters import Counters
from mailward.gateway.databases import url_rater
from mailward.gateway.domains import asked_about
from mailward.gateway.examiners import Examiners
from mailward.gateway.hops import LOOK_SECONDS, published
from mailward.gateway.identity import new_id
from mailward.gateway.journal import Journal
from mailward.gateway.later import Later, at_last, side_by_side
from mailward.gateway.lists import Reputation
from mailward.gateway.local import load_local, local_file
from mailward.gateway.partial import from_envelope, undecided, unread, words
from mailward.gateway.records import Records
from mailward.gateway.settings import Settings
from mailward.gateway.urls import Links
from mailward.message import Envelope, Message, parse
from mailward.message.attachments import Examined, worth
from mailward.message.origin import Origin
from mailward.message.urls import FoundUrl, urls_of
from mailward.policy import ListEntry, Policy, ReputationLevel
from mailward.reputation.answer import IpReputation, ListAnswer, Standing
from mailward.reputation.dnsbl.plan import Plan
from mailward.scan.answers import Answers
from mailward.scan.assess import Model, PhishingModel, Rater, Site, assess, recorded_for
from mailward.scan.assessment import Assessment
from mailward.scan.decide import decide
from mailward.scan.verdict import Verdict
from mailward.scan.web_reputation import is_internal

LOCAL_AGE = 1.0  # seconds a worker may judge by an old local model
SLOW_MS = 2_000.0  # a judgement that took longer is marked, so that it can be found
LOOKING_THREADS = 64  # they only wait for the helpers that look into attachments

log = logging.getLogger("mailward.gateway")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that was read, before it is judged. `error`: why it could not be read; `elapsed_ms`: what reading took."""

    message: Message
    envelope: Envelope
    source: Origin
    urls: tuple[FoundUrl, ...]
    id: str
    now: float
    error: str
    elapsed_ms: float
    raw: bytes


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
        self,
        settings: Settings,
        policy: Policy,
        model: Model,
        local: LocalModel | None = None,
        rater: Rater | None = None,
        phishing_model: PhishingModel | None = None,
    ) -> None:
        self.settings = settings
        self.model = model
        self.local = local
        self.rater = rater
        self.phishing = phishing_model
        self.reputation = Reputation(settings)
        self.examiners = Examiners()
        self._looking = ThreadPoolExecutor(LOOKING_THREADS, "attachments")  # starts no thread before the first message that needs one
        self.authenticator = Authenticator(Records(self.reputation.foreign.resolver), settings.dns.timeout)
        self.journal = Journal(settings.storage_url)
        self.spool = evidence.Spool(settings.reputation_folder)
        self.links = Links(settings.urls_folder, settings.urls.learn)
        self.acquaintances = Acquaintances(settings.acquaintance_folder, settings.snapshots_folder, settings.state.acquaintance)
        self.counters = Counters()
        self._looked = 0.0
        self._local_written = 0
        self._take(policy)

    def _take(self, policy: Policy) -> None:
        self.policy = policy
        self._mail_servers = published(self.settings, policy.organisation.mx_domains)
        self._hops_looked = time.monotonic()
        self.site = Site.of(policy, self.settings.smtp.trusted_proxies, self._mail_servers)
        self.plan = plan_of(policy)
        self._domain_lists = domain_lists(policy)

    @classmethod
    def open(cls, settings: Settings, policy: Policy | None = None) -> Gateway:
        """Load models and policy. `policy` stands in for the stored one.

        Raises StorageError or PolicyError when the stored policy cannot be read.
        """
        return cls(settings, policy or stored_policy(settings), content.load(), load_local(settings), url_rater(settings), phishing.load())

    # Judging: read, ask outside, conclude

    def judge(self, raw: bytes, envelope: Envelope, id: str = "", now: float | None = None) -> Judgement:
        """Parse, assess and decide, asking nobody: lists of others stay unasked. Never raises."""
        arrived = self.read(raw, envelope, id, now)
        return self.conclude(arrived, Answers(self.known(arrived.source.address), self.look_into(arrived.message)))

    async def judge_asking(self, raw: bytes, envelope: Envelope) -> Judgement:
        """The same, asking the DNS: the lists of others that the policy names, and for SPF, DKIM and DMARC."""
        arrived = self.read(raw, envelope)
        return self.conclude(arrived, await self.answers(arrived))

    def read(self, raw: bytes, envelope: Envelope, id: str = "", now: float | None = None) -> Arrived:
        """Parse a message, find who sent it and where it leads. Never raises: what goes wrong is kept for `conclude`."""
        started = time.perf_counter()
        self._follow_hops()
        now = time.time() if now is None else now
        message, urls, error = unread(len(raw)), tuple[FoundUrl, ...](), ""
        source = Origin(envelope.client_ip, envelope.client_name, envelope.helo or "", -1)
        try:
            message = parse(raw)
            source = self.site.origin(message, envelope)
            urls = urls_of(message)
        except Exception as failed:  # the one place that must hold whatever a message does to us
            error = words(failed)
        return Arrived(message, envelope, source, urls, id or new_id(now), now, error, (time.perf_counter() - started) * 1000, raw)

    async def answers(self, arrived: Arrived, known: IpReputation | None = None) -> Answers:
        """Ask everything outside that the message gives rise to, side by side. `known`: what was found out about its sender already. Never raises."""
        address = arrived.source.address
        at_hand = known is not None and known.address == address
        reputation, auth, examined, domains = await side_by_side(
            known if at_hand else self.ask(address) if self._asks_about(address) else self.known(address),
            self.authenticate(arrived),
            self._looked_into(arrived) if self._worth(arrived.message) else Examined(),
            self._ask_domains(arrived.urls),
        )
        return Answers(reputation, examined, domains | await at_last(self._ask_domains(examined.urls, but=domains)), auth)

    def authenticate(self, arrived: Arrived) -> Later[Authentication | None]:
        """SPF, DKIM, ARC and DMARC of a message from outside; takes at most `[dns] timeout` beside its work. Never raises.

        None where nobody has to look: our own users and hops. Where a server we trust recorded the results, these.
        """
        wanted, source = self.policy.authentication, arrived.source
        if not wanted.enabled or arrived.error or arrived.envelope.authenticated or not self.foreign(source.address):
            return None
        recorded = recorded_for(arrived.message, arrived.envelope, source, self.site)
        if recorded.dkim is not Outcome.UNCHECKED or recorded.dmarc is not Outcome.UNCHECKED:
            return recorded
        return self.authenticator.check(arrived.raw, arrived.message, arrived.envelope, source, arrived.now, wanted)

    def _ask_domains(self, urls: Sequence[FoundUrl], but: Collection[str] = ()) -> Later[dict[str, tuple[ListAnswer, ...]]]:
        names = [name for name in asked_about(urls, self.policy) if name not in but] if self._domain_lists else []
        return self.reputation.ask_domains(names, self._domain_lists) if names else {}

    async def _looked_into(self, arrived: Arrived) -> Examined:
        return await asyncio.get_running_loop().run_in_executor(self._looking, self.look_into, arrived.message)

    def _worth(self, message: Message) -> bool:
        settings = self.policy.web_reputation
        return settings.enabled and bool(worth(message, files=settings.target.scan_attachments))

    def look_into(self, message: Message) -> Examined:
        """The addresses in codes drawn in its bodies, and inside of its attachments where the policy wants them.

        Blocks up to 8 s where there are any; never raises.
        """
        wanted = self.policy.web_reputation
        return self.examiners.attachment_urls(message, files=wanted.target.scan_attachments) if wanted.enabled else Examined()

    def conclude(self, arrived: Arrived, answers: Answers) -> Judgement:
        """Assess and decide. Never raises: whatever goes wrong is an unscannable message that names the error."""
        started = time.perf_counter()
        self._follow_reports(started)
        assessment = self._assess(arrived, answers)
        elapsed = arrived.elapsed_ms + (time.perf_counter() - started) * 1000
        if elapsed > SLOW_MS:
            assessment = replace(assessment, findings=(*assessment.findings, "limit:time"))
        verdict = self._decide(assessment)
        elapsed = arrived.elapsed_ms + (time.perf_counter() - started) * 1000
        return Judgement(arrived.message, assessment, verdict, elapsed)

    def _assess(self, arrived: Arrived, answers: Answers) -> Assessment:
        error = arrived.error
        message, envelope, now, id = arrived.message, arrived.envelope, arrived.now, arrived.id
        try:
            if not error:
                acquaintance = self.acquaintances.known(message, envelope, arrived.source, self.site, now)
                return assess(
                    message,
                    envelope,
                    self.site,
                    self.model,
                    self.local,
                    now,
                    id,
                    source=arrived.source,
                    answers=replace(answers, acquaintance=acquaintance),
                    rater=self.rater,
                    urls=arrived.urls,
                    phishing=self.phishing,
                )
        except Exception as failed:  # see `read`
            error = words(failed)
        return from_envelope(message, envelope, now, id, answers.reputation, unscannable=error)

    def judge_client(self, envelope: Envelope, reputation: IpReputation, id: str = "", now: float | None = None) -> Judgement:
        """What the policy says of a client before it has sent a message. Never raises."""
        now = time.time() if now is None else now
        message = unread(0)
        assessment = from_envelope(message, envelope, now, id or new_id(now), reputation, connection_only=True)
        return Judgement(message, assessment, self._decide(assessment), 0.0)

    @property
    def asks(self) -> bool:
        """Whether the policy has anything that is asked of the DNS: lists of others, authentication."""
        return self.plan is not None or bool(self._domain_lists) or self.policy.authentication.enabled

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
        if self.plan is None or not address or not self._asks_about(address):
            return self.known(address)
        try:
            return await self.reputation.ask(address, self.plan)
        except Exception:  # see `known`
            log.exception("looking up %s failed; what lists say is missing", address)
            return IpReputation(address, Standing.UNCHECKED)

    def _asks_about(self, address: str | None) -> bool:
        """Whether lists of others are asked about it: not where nobody's opinion would change what the policy says."""
        target = self.policy.email_reputation.target
        asked = self.plan is not None and self.foreign(address)
        return asked and not (target.approved_ips.match(address) or target.blocked_ips.match(address))

    def _follow_hops(self) -> None:
        """Take up what the MX records of our domains name now, within LOOK_SECONDS; costs nothing where the policy names no domain."""
        domains = self.policy.organisation.mx_domains
        if not domains.entries or time.monotonic() < self._hops_looked + LOOK_SECONDS:
            return
        self._hops_looked = time.monotonic()
        servers = published(self.settings, domains)
        if servers != self._mail_servers:
            self._mail_servers = servers
            self.site = Site.of(self.policy, self.settings.smtp.trusted_proxies, servers)

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
        self._count(judgement)
        self.links.seen(judgement.assessment, judgement.verdict)
        self.acquaintances.seen(judgement.assessment, judgement.verdict, outcome, self.site)
        if self.foreign(judgement.assessment.sender_ip.address):
            for piece in evidence.of_message(judgement.assessment, judgement.verdict, self.policy, outcome):
                self.spool.add(piece)
            if links := evidence.accused_links(judgement.assessment, self.policy, outcome):
                self.links.accuse(links, judgement.assessment.time, judgement.assessment.sender_ip.address or "")

    def _count(self, judgement: Judgement) -> None:
        facts, verdict = judgement.assessment, judgement.verdict
        if not facts.connection_only:
            self.counters.judged(facts.way_in, verdict.kind, verdict.action, judgement.elapsed_ms)

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
        self.acquaintances.flush()

    def close(self) -> None:
        """Store what is left and end the background writers."""
        self.journal.close()
        self.spool.close()
        self._looking.shutdown(wait=False)
        self.examiners.close()
        self.links.close()
        self.acquaintances.close()

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


def domain_lists(policy: Policy) -> tuple[ListEntry, ...]:
    """The lists of others that are asked about domains in URLs."""
    settings = policy.web_reputation
    return tuple([entry for entry in settings.target.domain_lists.lists() if entry.on]) if settings.enabled else ()


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
