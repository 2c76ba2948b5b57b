"""Web Reputation in the policy: how bad a link has to be, which links are not looked at, and what becomes of the mail."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from mailward.policy import message_action
from mailward.policy.actions import Action
from mailward.policy.approval import approved_senders, requires_authentication
from mailward.policy.lists import DomainLists, SenderList
from mailward.policy.message_action import DeferText, MessageAction, RejectText, TagText
from mailward.policy.table import Table
from mailward.policy.urls import UrlList


class WebLevel(StrEnum):
    """How bad a rating has to be. The words say how much is caught: `high` catches most."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def threshold(self) -> int:
        """Ratings below it are acted on."""
        return _THRESHOLDS[self]


_THRESHOLDS = {WebLevel.LOW: 51, WebLevel.MEDIUM: 66, WebLevel.HIGH: 81}


class WebTarget(Table):
    """Which links count, and who is exempt."""

    level: WebLevel = Field(
        default=WebLevel.MEDIUM,
        strict=False,
        description="low: a link rated below 51 is acted on (dangerous), medium: below 66 (highly suspicious), high: below 81 (suspicious).",
    )
    act_on_untested: bool = Field(default=False, description="Whether a link of which nothing is known is acted on too, at every level.")
    scan_attachments: bool = Field(
        default=True,
        description="Whether attachments are searched for links, in helper processes. Codes drawn in the text itself always are.",
    )
    domain_lists: DomainLists = Field(
        default_factory=DomainLists,
        description='Foreign DNS lists of domains (URI lists) that are asked about links: "dbl.spamhaus.org" (codes from the catalogue), '
        '"list.example.org=127.0.0.2", "off list.example.org=127.0.0.2" (kept, not asked). A listed domain is rated 25.',
    )
    skip_internal_domains: bool = Field(
        default=True, description="Whether links to organisation.internal_domains, and to hosts below them, are left alone."
    )
    approved_urls: UrlList = Field(
        default_factory=UrlList,
        description="Links that are never acted on: example.com (with all its sub-domains), example.com/path (and all below it).",
    )
    approved_senders: SenderList = approved_senders("Senders whose links are not judged")
    approval_requires_authentication: bool = requires_authentication()


class WebAction(MessageAction):
    """What to do with mail that holds such a link."""

    action: Action = message_action.action(Action.QUARANTINE)
    tag_text: TagText = message_action.tag_text("[Dangerous link] ")
    defer_text: DeferText = message_action.defer_text("4.7.1 Message holds a suspicious link, try again later")
    reject_text: RejectText = message_action.reject_text("5.7.1 Message refused because of a link in it")


class WebReputation(Table):
    """Web Reputation: does a link of the message lead to a bad place?"""

    enabled: bool = Field(default=True, description="Whether the filter decides anything.")
    log_only: bool = Field(default=False, description="Only observe: tracking shows what would have happened, the mail is delivered.")
    target: WebTarget = Field(default_factory=WebTarget)
    action: WebAction = Field(default_factory=WebAction)
