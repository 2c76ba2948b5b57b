"""The policy: what is wanted, as one document. The same schema for file, storage, console and API.

A policy is immutable. Lists are compiled when the document is read, once for its whole life.
"""

from __future__ import annotations

import hashlib
import json
import re
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mailward.policy.actions import Action
from mailward.policy.addresses import canonical_domain
from mailward.policy.lists import DomainList, EntryList, NetworkList, SenderList
from mailward.policy.problems import PolicyError
from mailward.policy.reading import read_document
from mailward.policy.rendering import render

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
Table = TypeVar("Table", bound=BaseModel)


class Level(StrEnum):
    """How much evidence counts as spam. The words say how much is caught: `high` catches most."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    CUSTOM = "custom"


THRESHOLDS = {Level.HIGH: 4.0, Level.MEDIUM: 5.0, Level.LOW: 8.0}


class UnscannableAction(StrEnum):
    """What happens to a message that could not be judged."""

    PASS = "pass"
    DEFER = "defer"


_REPLY = re.compile(r"(?:[245]\.\d{1,3}\.\d{1,3} )?[ -~]{1,200}")
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3} ")


def _reply_text(code_class: str) -> AfterValidator:
    """An SMTP reply text (RFC 5321 4.2): printable ASCII on one line; an enhanced status code (RFC 3463) must agree with the reply code."""

    def check(text: str) -> str:
        if not text.strip() or not _REPLY.fullmatch(text):
            raise ValueError("the reply text has to be one line of 1 to 200 plain ASCII characters")
        enhanced = _ENHANCED.match(text)
        if enhanced and enhanced[1] != code_class:
            raise ValueError(f"the status code {enhanced[0].strip()} does not belong to a reply that starts with {code_class}")
        return text

    return AfterValidator(check)


def _subject_prefix(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("the tag cannot hold line breaks or other control characters")
    return text


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


class _Table(BaseModel):
    model_config = _STRICT

    @cached_property
    def digest(self) -> str:
        """Stands for the settings of this table; kept with it, so that a changed copy of a policy only computes what changed."""
        values = [f"{name}={_stand_in(getattr(self, name))}" for name in type(self).model_fields]
        return "sha256:" + hashlib.sha256("\n".join(values).encode()).hexdigest()


class Organisation(_Table):
    """Who we are: our domains, our own hops, and whose authentication results we believe."""

    internal_domains: DomainList = Field(
        default_factory=DomainList,
        description="Domains of the organisation itself (example.com; *.example.com for its sub-domains). "
        "They tell incoming from outgoing mail in tracking.",
    )
    gateway_networks: NetworkList = Field(
        default_factory=NetworkList,
        description="Addresses and networks of our own mail servers and gateways. The sender IP is the first address beyond them.",
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


class ContentTarget(_Table):
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
    approved_senders: SenderList = Field(
        default_factory=SenderList,
        description="Senders whose mail is never spam for this filter: user@example.com, example.com, *@example.com, *.example.com. "
        "Compared with the visible From.",
    )
    blocked_senders: SenderList = Field(
        default_factory=SenderList,
        description="Senders whose mail is always spam. Compared with the visible From and the envelope sender. "
        "An approved entry beats a blocked one.",
    )
    approved_ips: NetworkList = Field(
        default_factory=NetworkList, description="Sender IPs and networks whose mail is never spam for this filter."
    )
    approval_requires_authentication: bool = Field(
        default=True,
        description="An approved sender counts only when the mail was authenticated for the visible From domain "
        "(DMARC, or aligned DKIM or SPF).",
    )

    @property
    def threshold(self) -> float:
        return THRESHOLDS.get(self.level, self.custom_threshold)


class ContentAction(_Table):
    """What to do with spam."""

    action: Action = Field(
        default=Action.JUNK,
        strict=False,
        description="pass, tag, junk, quarantine, defer, reject, disconnect or delete, from the mildest to the most severe.",
    )
    tag_text: Annotated[str, AfterValidator(_subject_prefix)] = Field(
        default="[Spam] ",
        max_length=60,
        description="What `tag` puts before the subject. Signed mail keeps its subject and gets the headers only.",
    )
    defer_code: int = Field(default=451, ge=400, le=499, description="The reply code of `defer`.")
    defer_text: Annotated[str, _reply_text("4")] = Field(
        default="4.7.1 Message looks like spam, try again later", description="The reply text of `defer`."
    )
    reject_code: int = Field(default=550, ge=500, le=599, description="The reply code of `reject`.")
    reject_text: Annotated[str, _reply_text("5")] = Field(
        default="5.7.1 Message refused as spam", description="The reply text of `reject`."
    )


class ContentScanning(_Table):
    """Content Scanning: is this message spam?"""

    enabled: bool = Field(default=True, description="Whether the filter decides anything.")
    log_only: bool = Field(default=False, description="Only observe: tracking shows what would have happened, the mail is delivered.")
    target: ContentTarget = Field(default_factory=ContentTarget)
    action: ContentAction = Field(default_factory=ContentAction)


class Unscannable(_Table):
    """Messages that could not be judged: damaged beyond reading, a limit reached, an error of ours."""

    action: UnscannableAction = Field(
        default=UnscannableAction.PASS,
        strict=False,
        description="pass: deliver, marked as unscannable. defer: ask the sender to try again later.",
    )


class Quarantine(_Table):
    """What is held back."""

    retention_days: int = Field(default=30, ge=1, le=3650, description="Held messages are deleted after so many days.")


class Tracking(_Table):
    """What is remembered of every message: facts and verdict, never the message itself."""

    retention_days: int = Field(default=30, ge=1, le=3650, description="Assessments and verdicts are forgotten after so many days.")


class Headers(_Table):
    """What is written into delivered mail."""

    reasons: int = Field(
        default=10, ge=0, le=20, description="How many X-Mailward-Reason lines are written at most, the weightiest first. 0 writes none."
    )


class Policy(_Table):
    """The whole document. Make one with `from_toml` or `Policy()` for the defaults.

    `digest` names it: `sha256:...` of its settings; comments, order and layout of a file do not count.
    """

    organisation: Organisation = Field(default_factory=Organisation)
    content_scanning: ContentScanning = Field(default_factory=ContentScanning)
    unscannable: Unscannable = Field(default_factory=Unscannable)
    quarantine: Quarantine = Field(default_factory=Quarantine)
    tracking: Tracking = Field(default_factory=Tracking)
    headers: Headers = Field(default_factory=Headers)

    @classmethod
    def from_toml(cls, text: str, source: str = "policy.toml") -> Policy:
        """Read a policy. Raises PolicyError with every mistake, its line, and what to do."""
        return read_document(cls, text, source, PolicyError)

    def to_toml(self) -> str:
        """The whole document with every setting, what it does and its default, as `from_toml` reads it."""
        return render(self, "The mailward policy: what to filter, and what to do with it.")

    def changed(self, path: str, value: Any) -> Policy:
        """A copy in which the setting at the dotted path has another value. The value is taken as it is, not validated."""
        return _changed(self, path.split("."), value)


def _changed(table: Table, path: list[str], value: Any) -> Table:
    name, *rest = path
    new = _changed(getattr(table, name), rest, value) if rest else value
    changed = table.model_copy(update={name: new})
    changed.__dict__.pop("digest", None)
    return changed


def _stand_in(value: Any) -> str:
    """A value as text for the digest; tables and lists stand in by their own digests."""
    return value.digest if isinstance(value, _Table | EntryList) else json.dumps(value)
