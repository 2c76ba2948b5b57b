"""The policy: what is wanted, as one document. The same schema for file, storage, console and API.

A policy is immutable. Lists are compiled when the document is read, once for its whole life.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from mailward.policy.addresses import canonical_domain
from mailward.policy.advanced_spam_prevention import AdvancedSpamPrevention
from mailward.policy.approval import approved_senders, requires_authentication
from mailward.policy.authentication import Authentication
from mailward.policy.email_reputation import EmailReputation
from mailward.policy.levels import THRESHOLDS, Level
from mailward.policy.lists import DomainList, NetworkList, SenderList
from mailward.policy.message_action import MessageAction
from mailward.policy.new_spam_sources import NewSpamSources
from mailward.policy.problems import PolicyError
from mailward.policy.reading import read_document
from mailward.policy.rendering import render
from mailward.policy.table import Table, changed
from mailward.policy.web_reputation import WebReputation


class UnscannableAction(StrEnum):
    """What happens to a message that could not be judged."""

    PASS = "pass"
    DEFER = "defer"


def _authserv_id(name: str) -> str:
    domain = canonical_domain(name)
    if domain and not re.fullmatch(r"[a-z0-9._-]{1,253}", domain):
        raise ValueError(f"{name!r} is no host name")
    return domain


def _required_authserv_id(name: str) -> str:
    if name == "*":
        return name
    if not name.strip():
        raise ValueError("an empty name would trust every line")
    return _authserv_id(name)


class Organisation(Table):
    """Who we are: our domains, our own hops, and whose authentication results we believe."""

    internal_domains: DomainList = Field(
        default_factory=DomainList,
        description="Domains of the organisation itself (example.com; *.example.com for its sub-domains). "
        "They tell incoming from outgoing mail in tracking, and Web Reputation leaves links to them alone.",
    )
    gateway_networks: NetworkList = Field(
        default_factory=NetworkList,
        description="Addresses and networks of our own mail servers and gateways. The sender IP is the first address beyond them.",
    )
    mx_domains: DomainList = Field(
        default_factory=DomainList,
        description="Domains whose MX records name mail servers of ours (example.com). They are looked up every 15 minutes; their addresses "
        "count as gateway_networks.",
    )
    trusted_authserv_ids: tuple[Annotated[str, AfterValidator(_required_authserv_id)], ...] = Field(
        default=(),
        strict=False,
        description="Hosts whose Authentication-Results lines are believed (the first word of the line), "
        "where they stand above the line of the first foreign hop.",
    )
    authserv_id: Annotated[str, AfterValidator(_authserv_id)] = Field(
        default="",
        max_length=253,
        description="The name under which we write Authentication-Results; incoming lines that claim it are removed. "
        '"" means the host name of the server.',
    )


class ContentTarget(Table):
    """What to look for, and who is exempt."""

    level: Level = Field(
        default=Level.LOW,
        strict=False,
        description="high: spam from a score of 4.0, medium: 5.0, low: 8.0, custom: custom_threshold. High catches most and errs most.",
    )
    custom_threshold: float = Field(
        default=5.0,
        ge=3.0,
        le=10.0,
        allow_inf_nan=False,
        description="The score from which a message is spam when level is custom, 3.0 to 10.0.",
    )
    approved_senders: SenderList = approved_senders("Senders whose mail is never spam for this filter")
    blocked_senders: SenderList = Field(
        default_factory=SenderList,
        description="Senders whose mail is always spam. Compared with the visible From and the envelope sender. "
        "An approved entry beats a blocked one.",
    )
    approved_ips: NetworkList = Field(
        default_factory=NetworkList, description="Sender IPs and networks whose mail is never spam for this filter."
    )
    approval_requires_authentication: bool = requires_authentication()

    @property
    def threshold(self) -> float:
        return THRESHOLDS.get(self.level, self.custom_threshold)


class ContentAction(MessageAction):
    """What to do with spam."""


class ContentScanning(Table):
    """Content Scanning: is this message spam?"""

    enabled: bool = Field(default=True, description="Whether the filter decides anything.")
    log_only: bool = Field(default=False, description="Only observe: tracking shows what would have happened, the mail is delivered.")
    target: ContentTarget = Field(default_factory=ContentTarget)
    action: ContentAction = Field(default_factory=ContentAction)


class Unscannable(Table):
    """Messages that could not be judged: damaged beyond reading, a limit reached, an error of ours."""

    action: UnscannableAction = Field(
        default=UnscannableAction.PASS,
        strict=False,
        description="pass: deliver, marked as unscannable. defer: ask the sender to try again later.",
    )


class Quarantine(Table):
    """What is held back."""

    retention_days: int = Field(default=30, ge=1, le=3650, description="Held messages are deleted after so many days.")


class Tracking(Table):
    """What is remembered of every message: facts and verdict, never the message itself."""

    retention_days: int = Field(default=30, ge=1, le=3650, description="Assessments and verdicts are forgotten after so many days.")


class Headers(Table):
    """What is written into delivered mail."""

    reasons: int = Field(
        default=10, ge=0, le=20, description="How many X-Mailward-Reason lines are written at most, the weightiest first. 0 writes none."
    )


class Policy(Table):
    """The whole document. Make one with `from_toml` or `Policy()` for the defaults.

    `digest` names it: `sha256:...` of its settings; comments, order and layout of a file do not count.
    """

    organisation: Organisation = Field(default_factory=Organisation)
    email_reputation: EmailReputation = Field(default_factory=EmailReputation)
    authentication: Authentication = Field(default_factory=Authentication)
    content_scanning: ContentScanning = Field(default_factory=ContentScanning)
    advanced_spam_prevention: AdvancedSpamPrevention = Field(default_factory=AdvancedSpamPrevention)
    web_reputation: WebReputation = Field(default_factory=WebReputation)
    new_spam_sources: NewSpamSources = Field(default_factory=NewSpamSources)
    unscannable: Unscannable = Field(default_factory=Unscannable)
    quarantine: Quarantine = Field(default_factory=Quarantine)
    tracking: Tracking = Field(default_factory=Tracking)
    headers: Headers = Field(default_factory=Headers)

    @model_validator(mode="after")
    def _sources_need_ratings(self) -> Policy:
        if self.new_spam_sources.enabled and not self.web_reputation.enabled:
            raise ValueError("new_spam_sources needs the ratings of web_reputation; switch both on, or new_spam_sources off")
        return self

    @classmethod
    def from_toml(cls, text: str, source: str = "policy.toml") -> Policy:
        """Read a policy. Raises PolicyError with every mistake, its line, and what to do."""
        return read_document(cls, text, source, PolicyError)

    def to_toml(self) -> str:
        """The whole document with every setting, what it does and its default, as `from_toml` reads it."""
        return render(self, "The mailward policy: what to filter, and what to do with it.")

    def changed(self, path: str, value: Any) -> Policy:
        """A copy in which the setting at the dotted path has another value. The value is taken as it is, not validated."""
        return changed(self, path.split("."), value)
