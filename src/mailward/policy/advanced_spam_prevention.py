"""Advanced Spam Prevention in the policy: how much evidence counts as phishing, who is exempt, what becomes of it."""

from __future__ import annotations

from pydantic import Field

from mailward.policy import message_action
from mailward.policy.actions import Action
from mailward.policy.approval import approved_senders, requires_authentication
from mailward.policy.impersonation import Impersonation
from mailward.policy.levels import THRESHOLDS, Level
from mailward.policy.lists import SenderList
from mailward.policy.message_action import DeferText, MessageAction, RejectText, TagText
from mailward.policy.people import BrandList
from mailward.policy.table import Table


class PhishingTarget(Table):
    """What to look for, and who is exempt."""

    level: Level = Field(
        default=Level.MEDIUM,
        strict=False,
        description="high: phishing from a score of 4.0, medium: 5.0, low: 8.0, custom: custom_threshold. High catches most and errs most.",
    )
    custom_threshold: float = Field(
        default=5.0,
        ge=3.0,
        le=10.0,
        allow_inf_nan=False,
        description="The score from which a message is phishing when level is custom, 3.0 to 10.0.",
    )
    approved_senders: SenderList = approved_senders(
        "Senders whose mail is never phishing", ". Approval for Content Scanning does not count here"
    )
    approval_requires_authentication: bool = requires_authentication()

    @property
    def threshold(self) -> float:
        return THRESHOLDS.get(self.level, self.custom_threshold)


class PhishingAction(MessageAction):
    """What to do with phishing."""

    action: Action = message_action.action(Action.QUARANTINE)
    tag_text: TagText = message_action.tag_text("[Phishing] ")
    defer_text: DeferText = message_action.defer_text("4.7.1 Message looks like phishing, try again later")
    reject_text: RejectText = message_action.reject_text("5.7.1 Message refused as phishing")


class AdvancedSpamPrevention(Table):
    """Advanced Spam Prevention: does this message use a false name to get at passwords or money?"""

    enabled: bool = Field(default=True, description="Whether the filter decides anything.")
    log_only: bool = Field(default=False, description="Only observe: tracking shows what would have happened, the mail is delivered.")
    target: PhishingTarget = Field(default_factory=PhishingTarget)
    action: PhishingAction = Field(default_factory=PhishingAction)
    own_brands: BrandList = Field(
        default_factory=BrandList,
        description='Brands to watch beside those of the packaged table: "Contoso Bank: contoso.com contoso-mail.net"; other names after a vertical bar.',
    )
    impersonation: Impersonation = Field(default_factory=Impersonation)
