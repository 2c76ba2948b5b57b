"""New Spam Sources in the policy: links of little or bad repute, sent by an address of little or bad repute."""

from __future__ import annotations

from pydantic import Field

from mailward.policy.approval import approved_senders, requires_authentication
from mailward.policy.lists import SenderList
from mailward.policy.message_action import DeferText, MessageAction, RejectText, defer_text, reject_text
from mailward.policy.table import Table


class SourceTarget(Table):
    """Who is exempt. Approved links and internal domains are those of Web Reputation."""

    approved_senders: SenderList = approved_senders("Senders who are never taken for new spam sources")
    approval_requires_authentication: bool = requires_authentication()


class SourceAction(MessageAction):
    """What to do with mail of a new spam source."""

    defer_text: DeferText = defer_text("4.7.1 Message comes from a new source of spam, try again later")
    reject_text: RejectText = reject_text("5.7.1 Message refused: it comes from a new source of spam")


class NewSpamSources(Table):
    """New Spam Sources: rates the links and the sender's address together. Needs Web Reputation."""

    enabled: bool = Field(default=False, description="Whether the filter decides anything, and tells the databases what it finds.")
    log_only: bool = Field(default=False, description="Only observe: tracking shows what would have happened, the mail is delivered.")
    target: SourceTarget = Field(default_factory=SourceTarget)
    action: SourceAction = Field(default_factory=SourceAction)
