"""Email Reputation in the policy: whose listings count, who is exempt, and what a listed source hears."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from mailward.policy.actions import Action
from mailward.policy.lists import DnsLists, NetworkList, SenderList
from mailward.policy.table import Table, reply_text

TOKENS = frozenset({"ip", "zone", "link"})  # what may stand in braces in the reply texts
_TOKENS_TOLD = "{ip}, {zone} and {link} stand for the address, the list and its page about the address"


class ReputationLevel(StrEnum):
    """`standard` asks for long-lived listings only, `advanced` also for sources that send spam right now."""

    STANDARD = "standard"
    ADVANCED = "advanced"


class AskAt(StrEnum):
    """When a listed client is refused: in the greeting, or at each recipient, so that the log knows whom the mail was for."""

    CONNECT = "connect"
    RECIPIENT = "recipient"


class ListedAction(StrEnum):
    """What can be done with a listed source. What is passed is marked as such."""

    PASS = "pass"
    DEFER = "defer"
    REJECT = "reject"
    DISCONNECT = "disconnect"

    @property
    def action(self) -> Action:
        return Action(self.value)


class ReputationTarget(Table):
    """Whose listings count, and who is exempt."""

    level: ReputationLevel = Field(
        default=ReputationLevel.ADVANCED,
        strict=False,
        description="standard: only standard lists count (known sources, for long). advanced: dynamic ones too (spam right now, for hours).",
    )
    ask_at: AskAt = Field(
        default=AskAt.RECIPIENT,
        strict=False,
        description="When a listed client is refused. recipient: at each recipient, so that the log knows whom the mail was for, and "
        "postmaster and abuse can be reached. connect: in the greeting.",
    )
    own_standard: bool = Field(default=True, description="Whether our own standard database counts.")
    own_dynamic: bool = Field(default=True, description="Whether our own dynamic database counts (at level advanced).")
    standard_lists: DnsLists = Field(
        default_factory=DnsLists,
        description='Foreign DNS lists of known sources: "zen.spamhaus.org" (codes from the catalogue), "list.example.org=127.0.0.[2..4]", '
        '"off list.example.org=127.0.0.2" (kept, not asked).',
    )
    dynamic_lists: DnsLists = Field(
        default_factory=DnsLists,
        description="Foreign DNS lists of sources that send spam right now, asked where no standard list has a hit.",
    )
    dynamic_level: int = Field(
        default=2,
        ge=0,
        le=4,
        description="How soon our own dynamic database lists a source, 1 to 4; 4 lists most and errs most. 0: dynamic lists are asked and "
        "counted, and nothing is done.",
    )
    approved_ips: NetworkList = Field(
        default_factory=NetworkList, description="Sender IPs and networks that are never refused by this filter, listed or not."
    )
    blocked_ips: NetworkList = Field(
        default_factory=NetworkList, description="Sender IPs and networks that are always refused. An approved entry beats a blocked one."
    )


class ReputationAction(Table):
    """What to do with a listed source."""

    standard_action: ListedAction = Field(
        default=ListedAction.REJECT, strict=False, description="A hit in a standard list: pass, defer, reject or disconnect."
    )
    standard_code: int = Field(default=550, ge=400, le=599, validate_default=True, description="The reply code to a standard hit.")
    standard_text: Annotated[str, reply_text("45", TOKENS)] = Field(
        default="5.7.1 [{ip}] listed in {zone}: {link}", validate_default=True, description=f"The reply text; {_TOKENS_TOLD}."
    )
    dynamic_action: ListedAction = Field(
        default=ListedAction.DEFER, strict=False, description="A hit in a dynamic list: pass, defer, reject or disconnect."
    )
    dynamic_code: int = Field(default=450, ge=400, le=599, validate_default=True, description="The reply code to a dynamic hit.")
    dynamic_text: Annotated[str, reply_text("45", TOKENS)] = Field(
        default="4.7.1 [{ip}] listed in {zone}: {link}", validate_default=True, description="The reply text to a dynamic hit."
    )
    blocked_action: ListedAction = Field(
        default=ListedAction.REJECT, strict=False, description="A sender IP on blocked_ips: pass, defer, reject or disconnect."
    )
    blocked_code: int = Field(default=550, ge=400, le=599, validate_default=True, description="The reply code to a blocked sender IP.")
    blocked_text: Annotated[str, reply_text("45", TOKENS - {"zone", "link"})] = Field(
        default="5.7.1 [{ip}] is blocked here", validate_default=True, description="The reply text to a blocked sender IP."
    )

    @field_validator("standard_code", "dynamic_code", "blocked_code")
    @classmethod
    def _code_does_it(cls, code: int, info: ValidationInfo) -> int:
        """4xx asks to come again and 5xx does not: a code that says the opposite of its action is a mistake."""
        name = str(info.field_name).replace("_code", "_action")
        wanted = {ListedAction.DEFER: 4, ListedAction.REJECT: 5}.get(info.data.get(name, ListedAction.PASS))
        if wanted and code // 100 != wanted:
            raise ValueError(f'{code} does not go with {name} = "{info.data[name]}": that takes a code from {wanted}00 to {wanted}99')
        return code

    @field_validator("standard_text", "dynamic_text", "blocked_text")
    @classmethod
    def _text_goes_with_code(cls, text: str, info: ValidationInfo) -> str:
        name = str(info.field_name).replace("_text", "_code")
        code = info.data.get(name)
        if code and text[:2] in ("4.", "5.") and text[0] != str(code)[0]:
            raise ValueError(f"the status code {text.split()[0]} does not belong to a reply that starts with {name} = {code}")
        return text


class ReputationEvidence(Table):
    """What this gateway learns of senders."""

    learn: bool = Field(
        default=True, description="Whether verdicts, trap addresses, reports and refusals become evidence for the databases."
    )
    trap_addresses: SenderList = Field(
        default_factory=SenderList,
        description="Recipients that nobody writes to but spammers: trap@example.com, or a whole domain that never had mail.",
    )


class EmailReputation(Table):
    """Email Reputation: is the sender's address known for spam?"""

    enabled: bool = Field(default=True, description="Whether the filter decides anything.")
    log_only: bool = Field(default=False, description="Only observe: tracking shows what would have happened, nobody is refused.")
    target: ReputationTarget = Field(default_factory=ReputationTarget)
    action: ReputationAction = Field(default_factory=ReputationAction)
    evidence: ReputationEvidence = Field(default_factory=ReputationEvidence)
