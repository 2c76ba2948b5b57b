"""What a DNS list, or one of our own databases, said about an address. Facts: no setting is applied to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mailward.reputation.listing import Database


class Outcome(StrEnum):
    """The three states of a look-up. Only LISTED can ever refuse mail."""

    LISTED = "listed"
    CLEAR = "clear"
    UNCHECKED = "unchecked"  # no answer that could be believed; `why` says which


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """One list's answer. `zone` is its name, without any access code."""

    zone: str
    database: Database
    outcome: Outcome
    codes: tuple[str, ...] = ()  # the documented A records ("127.0.0.2"), where listed
    reason: str = ""  # our own databases: why, in words
    level: int = 0  # our own dynamic database: the lowest level that lists the address now (1 to 4); it is listed at all higher ones
    since: int = 0  # our own databases: seconds since 1970
    until: int = 0
    why: str = ""  # where unchecked: "time-out", "SERVFAIL", "switched off: lists everything", ...
    own: bool = False  # our own database, looked up in its snapshot


class Standing(StrEnum):
    """The standing of a sender IP (New Spam Sources and display use it)."""

    GOOD = "good"
    UNKNOWN = "unknown"
    DYNAMIC = "dynamic"
    STANDARD = "standard"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class IpReputation:
    """All that was found out about one address."""

    address: str
    standing: Standing
    answers: tuple[ListAnswer, ...] = ()
