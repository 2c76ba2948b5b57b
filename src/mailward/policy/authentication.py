"""Authentication in the policy: whether we check SPF, DKIM, ARC and DMARC ourselves, whom we trust, what a failed DMARC policy does."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from mailward.policy import message_action
from mailward.policy.actions import Action
from mailward.policy.addresses import canonical_domain
from mailward.policy.approval import approved_senders
from mailward.policy.lists import SenderList
from mailward.policy.message_action import DeferText, MessageAction, RejectText, TagText
from mailward.policy.table import Table


class ActOn(StrEnum):
    """Which requests of domain owners are followed by themselves."""

    NOTHING = "nothing"
    REJECT = "reject"
    QUARANTINE = "quarantine"


def _sealer(name: str) -> str:
    domain = canonical_domain(name)
    if "." not in domain.strip(".") or any(mark in domain for mark in "*@ "):
        raise ValueError(f"{name!r} is no domain; write lists.example.org, which stands for its sub-domains too")
    return domain


class AuthenticationTarget(Table):
    """Which failures count, and who is exempt."""

    act_on: ActOn = Field(
        default=ActOn.NOTHING,
        strict=False,
        description="Which mail that fails DMARC is acted on: nothing (a failure only counts in the scores), reject (where its owner asks "
        "for reject), quarantine (where it asks for quarantine or reject).",
    )
    trusted_sealers: tuple[Annotated[str, AfterValidator(_sealer)], ...] = Field(
        default=(),
        strict=False,
        description="Domains of forwarders and mailing lists (d= of their ARC-Seal, sub-domains too) whose word we take: mail that passed "
        "DMARC when it came to them counts as authenticated.",
    )
    approved_senders: SenderList = approved_senders(
        "Senders whose mail may fail", ", which anybody can write: for partners whose own settings are wrong"
    )


class AuthenticationAction(MessageAction):
    """What to do with mail that fails DMARC."""

    action: Action = message_action.action(Action.QUARANTINE)
    tag_text: TagText = message_action.tag_text("[Unauthenticated] ")
    defer_text: DeferText = message_action.defer_text("4.7.1 Message is not authenticated for its From domain, try again later")
    reject_text: RejectText = message_action.reject_text("5.7.1 Message refused by the DMARC policy of its From domain")


class Authentication(Table):
    """Authentication: is the sender who the message says? (SPF, DKIM, ARC, DMARC)"""

    enabled: bool = Field(
        default=True,
        description="Whether we check ourselves, by questions to the DNS, where no trusted server has recorded results already.",
    )
    log_only: bool = Field(default=False, description="Only observe: tracking shows what would have happened, the mail is delivered.")
    target: AuthenticationTarget = Field(default_factory=AuthenticationTarget)
    action: AuthenticationAction = Field(default_factory=AuthenticationAction)
