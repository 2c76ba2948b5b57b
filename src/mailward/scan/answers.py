"""What was asked outside of a message before it is assessed. Values only: whoever asked has waited already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailward.auth import Authentication
from mailward.message.attachments import Examined
from mailward.reputation.acquaintance.answer import UNKNOWN, Acquaintance
from mailward.reputation.answer import IpReputation, ListAnswer


@dataclass(frozen=True, slots=True)
class Answers:
    """Every part may be missing: then nobody looked, and the facts say "unchecked" or nothing."""

    reputation: IpReputation | None = None  # of the sender IP
    attachments: Examined = field(default_factory=Examined)  # the addresses inside of attachments
    domains: Mapping[str, tuple[ListAnswer, ...]] = field(default_factory=dict)  # what DNS URI lists say of domains in URLs
    auth: Authentication | None = None  # of our own check; None: what is recorded in the message counts
    acquaintance: Acquaintance = UNKNOWN  # what is known here of who wrote it


NOBODY = Answers()
