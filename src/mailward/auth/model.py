"""Outcomes of SPF, DKIM, DMARC and ARC as closed values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class Authentication:
    """What is known of the sender's authenticity. Domains are lower case A-labels."""

    spf: Outcome = Outcome.UNCHECKED
    dkim: Outcome = Outcome.UNCHECKED
    dmarc: Outcome = Outcome.UNCHECKED
    arc: Outcome = Outcome.UNCHECKED
    spf_domain: str = ""  # the domain SPF was checked for
    dkim_domains: tuple[str, ...] = ()  # d= of every signature that passed
    source: str = ""  # authserv-id the words were taken from, "" for none


UNCHECKED = Authentication()
