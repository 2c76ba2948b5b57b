"""What this organisation knows of those who write to it: asked before a message is judged, told when it was delivered."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from mailward.gateway.background import Background
from mailward.message import Envelope, Message
from mailward.message.domains import registrable
from mailward.message.origin import Origin
from mailward.phishing.people import name_texts
from mailward.policy.addresses import canonical_address
from mailward.policy.urls import hosts_above
from mailward.reputation.acquaintance import observation
from mailward.reputation.acquaintance.answer import UNKNOWN, Acquaintance
from mailward.reputation.acquaintance.book import DAY, WRITTEN_TO
from mailward.reputation.acquaintance.observation import ADDRESS, DOMAIN, MESSAGE, NAME, Observation
from mailward.reputation.acquaintance.table import FILE, AcquaintanceTable
from mailward.reputation.mapped import SnapshotError
from mailward.reputation.url.place import Keying
from mailward.reputation.url.store import salt_in
from mailward.scan.assess import MAX_SHOWN, MORE, Site
from mailward.scan.assessment import Assessment
from mailward.scan.verdict import Kind, Verdict

ROOM = 20_000  # messages kept while the spool cannot be written
OBSERVED_DAYS = 14  # of mail in a direction before anything that was never seen says anything
QUIET_DAYS = 7  # without outgoing mail: perhaps it takes another way now
MAX_FROM = 10  # visible From addresses looked at; real mail has one
MAX_RECIPIENTS = 100  # of one message of ours that are learned: more is a newsletter
MAX_FIELD = 4096  # characters of References, of its beginning and of its end
REMEMBERED = 20_000  # domains of which a process knows whether they are ours
FIRST_IDS, LAST_IDS = 3, 5  # Message-IDs looked up of a conversation: what it began with, and what was said last
DELIVERED = frozenset({"delivered", "advised"})  # "advised": the server that asked was told to deliver it

_ID = re.compile(r"<([^<> ]+)>")
_REPLY = re.compile(
    r"\s*(?:re|aw|antw|antwort|sv|vs|ref|res|rif|r|odp|ynt|ha|atb|svar|回复|回覆|答复|返信|отв|απ)\s*(?:\[\d{1,3}\]|\^\d{1,3}|\(\d{1,3}\))?\s*[:：]",
    re.I,
)
_LIST_FIELDS = frozenset(
    "list-id list-post list-unsubscribe list-help feedback-id x-mailing-list x-autoreply x-autorespond x-auto-response-suppress "
    "x-loop x-mailman-version".split()
)
_THREAD_FIELDS = frozenset({"in-reply-to", "references"})
_BULK = frozenset({"bulk", "list", "junk", "auto_reply"})

log = logging.getLogger("mailward.gateway")


class Acquaintances(Background[Observation]):
    """Asks the published table and tells the spool. With `learn` off nothing is asked, told or opened."""

    def __init__(self, folder: Path, snapshots: Path, learn: bool = True) -> None:
        self._folder, self._learn = folder, learn
        self._table = AcquaintanceTable(snapshots / FILE)
        self._reading: Keying | None = None
        self._writing_key: Keying | None = None
        super().__init__("messages of acquaintances", "the spool", ROOM)

    def write(self, batch: list[Observation]) -> None:
        observation.append(self._folder, batch)

    # Asking

    def known(self, message: Message, envelope: Envelope, source: Origin, site: Site, now: float) -> Acquaintance:
        """What is known of who wrote a message from outside; UNKNOWN for our own hops and users. Never raises for what a file holds."""
        if not self._learn or envelope.authenticated or (source.address is not None and not site.foreign(source.address)):
            return UNKNOWN
        self._follow()
        keying, table = self._reading, self._table
        if keying is None:
            return UNKNOWN
        first = first_of_domain = None
        written_to = False
        senders = _outside((canonical_address(each.addr) for each in message.from_[:MAX_FROM] if each.domain), site)
        if senders:
            how = [table.how(keying.key(ADDRESS + address)) for address in senders]
            written_to = all(bits & WRITTEN_TO for bits in how)
            observed = bool(table.incoming_since) and now - table.incoming_since >= OBSERVED_DAYS * DAY
            first = False if all(how) else True if observed else None
            first_of_domain = False if first is False else _first_of_domain(table, keying, senders, observed)
        named = tuple([each.display[:MAX_SHOWN] for each in message.from_[:MAX_FROM] if self._bears_our_name(keying, each.display)])
        return Acquaintance(first, first_of_domain, written_to, self._conversation(keying, message, envelope, now), named)

    def _follow(self) -> None:
        try:
            if self._table.follow():
                self._reading = Keying(self._table.salt)
        except SnapshotError as error:
            log.warning("%s", error)

    def _bears_our_name(self, keying: Keying, display: str) -> bool:
        if not display or not self._table.has_names:
            return False
        return any(self._table.has_name(keying.key(NAME + text)) for text in _name_texts(display[:MAX_SHOWN]))

    def _conversation(self, keying: Keying, message: Message, envelope: Envelope, now: float) -> str:
        if not _REPLY.match(message.subject):
            return ""
        table, ids = self._table, thread_ids(message)
        if not ids:
            return ""
        if any(table.has_message(keying.key(MESSAGE + each)) for each in ids):
            return "known"
        since, last = table.threads_since, table.outgoing_last
        observed = bool(since) and now - since >= OBSERVED_DAYS * DAY and now - last <= QUIET_DAYS * DAY
        return "unknown" if observed and not is_automatic(message, envelope) else ""

    # Telling

    def seen(self, assessment: Assessment, verdict: Verdict, outcome: str, site: Site) -> None:
        """A message went its way: remember who wrote it to whom, where it was delivered. Returns at once."""
        if not self._learn or assessment.connection_only or outcome not in DELIVERED:
            return
        try:
            piece = self._observation(assessment, verdict, site)
            if piece is not None:
                self.add(piece)
        except OSError as error:
            log.warning("who writes with whom cannot be learned: %s", error)

    def _observation(self, facts: Assessment, verdict: Verdict, site: Site) -> Observation | None:
        keying = self._writing_key
        if keying is None:
            keying = self._writing_key = Keying(salt_in(self._folder))
        ids = tuple([keying.key(MESSAGE + facts.message_id.strip().strip("<>"))] if facts.message_id.strip() else [])
        if is_ours(facts, site):
            to = _outside(facts.rcpt_to, site)[:MAX_RECIPIENTS]
            names: Iterable[str] = ()
            if facts.shown_from and facts.header_from and _is_internal(facts.header_from[0], site):
                names = _name_texts(facts.shown_from[0])
            return Observation(
                facts.time,
                bool(to),
                written_to=_keys(keying, to),
                messages=ids,
                names=tuple([keying.key(NAME + name) for name in names]),
            )
        senders = _outside([each for each in facts.header_from[:MAX_FROM] if each != MORE], site)
        wrote = _keys(keying, senders) if verdict.kind is Kind.CLEAN and facts.from_aligned is not False else ()
        return Observation(facts.time, wrote=wrote, messages=ids) if wrote or ids else None


def is_ours(facts: Assessment, site: Site) -> bool:
    """Whether a user of ours wrote it: one who signed in, or From is ours and authenticated, or came from a host inside."""
    if facts.authenticated:
        return True
    if not facts.header_from or not all(_is_internal(address, site) for address in facts.header_from):
        return False
    address = facts.sender_ip.address
    return facts.from_aligned is True or (address is not None and not site.foreign(address))


def thread_ids(message: Message) -> list[str]:
    """The Message-IDs of the conversation that a message says it continues: the first and the last ones."""
    found: list[str] = []
    for raw in [header.raw for header in message.headers if header.key in _THREAD_FIELDS]:
        found += _ID.findall(raw if len(raw) <= 2 * MAX_FIELD else f"{raw[:MAX_FIELD]} {raw[-MAX_FIELD:]}")
    found = list(dict.fromkeys(found))
    return found if len(found) <= FIRST_IDS + LAST_IDS else found[:FIRST_IDS] + found[-LAST_IDS:]


def is_automatic(message: Message, envelope: Envelope) -> bool:
    """Whether a machine wrote or spread it (lists, tickets, answering machines, bounces): those continue conversations held elsewhere."""
    if envelope.mail_from == "":
        return True
    for header in message.headers:
        key = header.key
        if key in _LIST_FIELDS:
            return True
        if key == "auto-submitted" and header.raw.strip().lower() != "no":
            return True
        if key == "precedence" and header.raw.strip().lower() in _BULK:
            return True
    return False


def _first_of_domain(table: AcquaintanceTable, keying: Keying, senders: Sequence[str], observed: bool) -> bool | None:
    if all(table.how(keying.key(DOMAIN + _domain(address))) for address in senders):
        return False
    return True if observed else None


def _keys(keying: Keying, addresses: Sequence[str]) -> observation.Keys:
    """Of the addresses and of their domains."""
    texts = dict.fromkeys([ADDRESS + address for address in addresses] + [DOMAIN + _domain(address) for address in addresses])
    return tuple([keying.key(text) for text in texts])


def _domain(address: str) -> str:
    domain = address.rpartition("@")[2]
    return registrable(domain) or domain


def _outside(addresses: Iterable[str], site: Site) -> list[str]:
    return [address for address in addresses if "@" in address and not _is_internal(address, site)]


def _is_internal(address: str, site: Site) -> bool:
    """Whether an address is at a domain of ours, or below one."""
    domains = site.internal_domains
    memory, domain = _answered(domains.digest), address.rpartition("@")[2]
    found = memory.get(domain)
    if found is None:
        if len(memory) >= REMEMBERED:
            memory.clear()
        found = memory[domain] = any(domains.match(host) for host in hosts_above(domain))
    return found


@lru_cache(maxsize=4)
def _answered(digest: str) -> dict[str, bool]:  # noqa: ARG001
    """What was found out for one list of domains."""
    return {}


@lru_cache(maxsize=4096)
def _name_texts(display: str) -> tuple[str, ...]:
    return name_texts(display)
