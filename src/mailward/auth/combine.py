"""Bring the checks of one message together: what has to be asked, and one `Authentication` of all answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailward.auth import arc, dkim, dmarc, spf
from mailward.auth.arc import Arc
from mailward.auth.dkim import Dkim, Signatures
from mailward.auth.dmarc import Dmarc, Records
from mailward.auth.fields import Mail, take_apart
from mailward.auth.model import HERE, Authentication, Outcome
from mailward.auth.question import Steps
from mailward.auth.results import dmarc_passed
from mailward.auth.signature import is_domain
from mailward.auth.spf import Spf


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one message before anything is asked. The four run side by side; `together` joins what they return."""

    mail: Mail
    author: str  # domain of the visible From, "" where there is none that can exist, or more than one
    address: str
    mail_from: str
    helo: str
    now: float
    signatures: Signatures

    def spf(self) -> Steps[Spf]:
        return spf.check(self.address, self.mail_from, self.helo, now=self.now)

    def dkim(self) -> Steps[Dkim]:
        return dkim.check(self.signatures, self.mail, self.now)

    def arc(self) -> Steps[Arc]:
        return arc.check(self.mail, self.now)

    def dmarc(self) -> Steps[Records | None]:
        if not self.author:
            return None
        envelope = (self.mail_from or self.helo).rpartition("@")[2].rstrip(".").lower()
        return (yield from dmarc.gather(self.author, (envelope, *self.signatures.domains)))


def prepare(raw: bytes, authors: Sequence[str], address: str, mail_from: str, helo: str, now: float) -> Checks:
    """Read what is to be checked, and hash the body, which is all the work that grows with the message. Never raises.

    `authors`: the domains of the visible From, lower case; DMARC holds for one only. `now`: when it arrived.
    """
    mail = take_apart(raw)
    domains = set(authors)
    author = domains.pop() if len(domains) == 1 else ""
    if not is_domain(author):
        author = ""
    signatures = dkim.choose(mail, author)
    for one in signatures.chosen:
        mail.body_hash(one.body_form, "sha256", one.length)
    return Checks(mail, author, address, mail_from, helo, now, signatures)


def together(checks: Checks, spf: Spf, dkim: Dkim, arc: Arc, records: Records | None, trusted_sealers: Sequence[str]) -> Authentication:
    """One value of all outcomes. Without a single visible From domain DMARC is `permerror`."""
    found = Dmarc(Outcome.PERMERROR) if records is None else dmarc.evaluate(records, spf, dkim)
    if found.outcome is Outcome.FAIL and spf.outcome is Outcome.UNCHECKED:
        found = replace(found, outcome=Outcome.UNCHECKED)  # nobody knows what SPF would have said
    return Authentication(
        spf=spf.outcome,
        dkim=dkim.outcome,
        dmarc=found.outcome,
        arc=arc.outcome,
        spf_domain=spf.domain,
        dkim_domains=dkim.domains,
        source=HERE,
        spf_identity=spf.identity,
        spf_why=spf.why,
        signatures=dkim.signatures,
        dmarc_domain=found.domain,
        dmarc_policy=found.policy,
        arc_sealer=arc.sealers[-1] if arc.sealers else "",
        vouched=_vouched(checks.author, arc, trusted_sealers),
    )


def _vouched(author: str, found: Arc, trusted: Sequence[str]) -> str:
    """The visible From domain, where the first trusted handler recorded a DMARC pass for it."""
    first = next(arc.trusted_results(found, trusted), None)
    return author if first is not None and author and dmarc_passed(first[1]) == author else ""
