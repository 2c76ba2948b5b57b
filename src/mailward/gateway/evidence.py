"""What this gateway observes of senders, as evidence for the reputation databases, and its way into their spool.

A message speaks by a bad link from an address that is not known to be good, else by its score, never by the policy's
thresholds, and by no list: a refusal or deferral that our own databases caused is no evidence, or a listing would feed
itself. Nothing is said of our own hops, private addresses and users.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mailward.gateway.background import Background
from mailward.policy import Policy
from mailward.policy.urls import place
from mailward.reputation.address import Source, source
from mailward.reputation.evidence import WEIGHTS, Evidence, EvidenceKind, append
from mailward.scan.assessment import Assessment
from mailward.scan.email_reputation import EMAIL_REPUTATION, charges
from mailward.scan.new_spam_sources import Suspicion, accused, finding
from mailward.scan.verdict import Kind, Verdict

BY = "gateway"
ROOM = 20_000  # pieces kept while the spool cannot be written; at 500 bytes each 10 MB
SPAM_FROM = 8.0  # 0.02 % of wanted mail scores so high (docs/performance.md, all sources): one message judged as spam
DOUBTFUL_FROM, DOUBTFUL_WEIGHT = 5.0, 0.5  # 0.63 % of it
HAM_BELOW = 2.0  # half of the strictest threshold; what lies between speaks for nothing
FINAL = frozenset(
    {"delivered", "quarantined", "held_by_mail_server", "rejected", "disconnected", "deleted", "next_hop_refused"}
)  # anything else comes again, or may be asked about again
_REFUSED = frozenset({"rejected", "disconnected", "refused"})  # a deferred message comes again


class Spool(Background[Evidence]):
    """Evidence on its way to the process that learns from it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__("pieces of evidence", "the spool", ROOM)

    def write(self, batch: list[Evidence]) -> None:
        append(self._folder, batch)


def of_message(assessment: Assessment, verdict: Verdict, policy: Policy, outcome: str) -> Iterator[Evidence]:
    """What a message, or a refused connection, says of its sender IP, which has to be a foreign one."""
    found = _about(assessment)
    if found is None or not policy.email_reputation.evidence.learn:
        return
    if outcome in _REFUSED and _refused_by_others(assessment, verdict, policy):
        yield Evidence(assessment.time, EvidenceKind.REFUSED, found, by=BY, detail=verdict.entry)
    if assessment.connection_only or outcome not in FINAL:
        return
    traps = [recipient for recipient in assessment.rcpt_to if is_trap(recipient, assessment.mail_from, policy)]
    if assessment.relayed:  # nobody looked for traps when the recipients were named
        yield from (Evidence(assessment.time, EvidenceKind.TRAP, found, by=BY, detail=trap) for trap in traps[:1])
    linked = finding(assessment, policy)
    if linked is not None and linked.suspicion is Suspicion.HIGH and isinstance(linked.url.rating, int):
        # an untested link says nothing of the sender: it is suspicious for the sender's listing, which must not feed itself
        yield Evidence(assessment.time, EvidenceKind.URL, found, by=BY, detail=f"{assessment.id} {place(linked.url.url)[0]}")
        return
    scores = [score for name in ("spam", "phishing") if isinstance(score := verdict.scores.get(name), float)]
    if not scores:
        return
    score = max(scores)  # on one scale: phishing speaks against its sender as spam does
    detail = f"{assessment.id} score {score:.1f}"
    if score >= DOUBTFUL_FROM:
        weight = 1.0 if score >= SPAM_FROM else DOUBTFUL_WEIGHT
        yield Evidence(assessment.time, EvidenceKind.SPAM, found, weight, BY, detail)
    elif score < HAM_BELOW and not traps and verdict.kind in (Kind.CLEAN, Kind.LISTED_SOURCE):
        yield Evidence(assessment.time, EvidenceKind.HAM, found, by=BY, detail=detail)


def accused_links(assessment: Assessment, policy: Policy, outcome: str) -> tuple[str, ...]:
    """The links of a message from a foreign address that are evidence against the places they lead to."""
    if not policy.email_reputation.evidence.learn or assessment.authenticated or outcome not in FINAL:
        return ()
    return tuple([url.url for url in accused(assessment, policy)])


def _about(assessment: Assessment) -> Source | None:
    """The sender IP, where something may be said of it."""
    if assessment.authenticated or assessment.sender_ip.address is None:
        return None
    return source(assessment.sender_ip.address)


def _refused_by_others(assessment: Assessment, verdict: Verdict, policy: Policy) -> bool:
    """Whether a foreign list or the administrator's own entry refused it."""
    if verdict.filter != EMAIL_REPUTATION:
        return False
    charge = next(charges(assessment, policy), None)
    return charge is not None and not charge.own


def is_trap(recipient: str, mail_from: str | None, policy: Policy) -> bool:
    """Whether mail to that canonical address gives its sender away. Bounces come from good servers: the null sender never does."""
    return bool(mail_from) and policy.email_reputation.evidence.trap_addresses.match(recipient) is not None


def of_trap(address: str, recipient: str, now: float) -> Evidence | None:
    """A foreign client named a trap as a recipient."""
    found = source(address)
    return None if found is None else Evidence(now, EvidenceKind.TRAP, found, by=BY, detail=recipient)


def of_report(address: str, kind: str, who: str, now: float, *, undone: bool = False) -> Evidence | None:
    """A person reported a message of that address as "spam" or "ham". Taking a report back is a report of the other kind, as heavy."""
    found = source(address)
    if found is None:
        return None
    said = EvidenceKind.REPORT_SPAM if kind == "spam" else EvidenceKind.REPORT_HAM
    if not undone:
        return Evidence(now, said, found, by=who, detail=f"reported as {kind}")
    other = EvidenceKind.REPORT_HAM if kind == "spam" else EvidenceKind.REPORT_SPAM
    return Evidence(now, other, found, WEIGHTS[said], who, f"report as {kind} undone")
