"""Outcomes of SPF, DKIM, DMARC and ARC as closed values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailward.message.domains import registrable

HERE = "this gateway"  # the source of what we checked ourselves; no host is called so


class Outcome(StrEnum):
    """RFC 8601 2.7 result words, and UNCHECKED for a fact that could not be had."""

    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    POLICY = "policy"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"
    UNCHECKED = "unchecked"


class DmarcPolicy(StrEnum):
    """What a domain owner asks receivers to do with mail that fails (RFC 7489 6.3)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Signature:
    """What became of one DKIM signature. `why` is a clause for people where it did not pass."""

    domain: str
    selector: str
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    """What is known of the sender's authenticity. Domains are lower case A-labels."""

    spf: Outcome = Outcome.UNCHECKED
    dkim: Outcome = Outcome.UNCHECKED
    dmarc: Outcome = Outcome.UNCHECKED
    arc: Outcome = Outcome.UNCHECKED
    spf_domain: str = ""  # the domain SPF was checked for
    dkim_domains: tuple[str, ...] = ()  # d= of every signature that passed
    source: str = ""  # authserv-id the words were taken from, HERE for what we checked, "" for none
    spf_identity: str = "mailfrom"  # or "helo"
    spf_why: str = ""  # what matched, or broke
    signatures: tuple[Signature, ...] = ()  # what was looked at of them, where we checked ourselves
    dmarc_domain: str = ""  # where the policy was found, "" for none
    dmarc_policy: DmarcPolicy | None = None  # what it asks for, None where there is no record
    arc_sealer: str = ""  # d= of the last seal of a chain that passed
    vouched: str = ""  # From domain for which a sealer that we trust recorded dmarc=pass before it changed the message

    @property
    def here(self) -> bool:
        """Whether we checked it ourselves."""
        return self.source == HERE

    def silent_about(self, site: str) -> bool:
        """Whether something of a registrable domain that could have proved it got no answer. Strangers' silence does not count."""
        if not self.here:
            return False
        silent = [one.domain for one in self.signatures if one.outcome is Outcome.TEMPERROR]
        if self.spf is Outcome.TEMPERROR:
            silent.append(self.spf_domain)
        return self.dmarc is Outcome.TEMPERROR or any((registrable(domain) or domain) == site for domain in silent)


UNCHECKED = Authentication()
