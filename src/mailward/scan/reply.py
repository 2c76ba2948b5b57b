"""What the sending server is told when a message is not taken."""

from __future__ import annotations

from mailward.policy import Action, MessageAction, Policy
from mailward.scan.advanced_spam_prevention import ADVANCED_SPAM_PREVENTION
from mailward.scan.assessment import Assessment
from mailward.scan.authentication import AUTHENTICATION
from mailward.scan.email_reputation import EMAIL_REPUTATION, charges, refusal
from mailward.scan.impersonation import IMPERSONATION
from mailward.scan.new_spam_sources import NEW_SPAM_SOURCES
from mailward.scan.verdict import Kind, Verdict
from mailward.scan.web_reputation import WEB_REPUTATION

UNSCANNABLE = (451, "4.7.1 Message could not be examined, try again later")


def reply(verdict: Verdict, policy: Policy, assessment: Assessment, lookup_url: str = "") -> tuple[int, str] | None:
    """Reply code and text for `defer`, `reject` and `disconnect`; None where the message is taken. `lookup_url`: our own look-up page."""
    if verdict.action not in (Action.DEFER, Action.REJECT, Action.DISCONNECT):
        return None
    if verdict.filter == EMAIL_REPUTATION:
        return refusal(next(charges(assessment, policy)), policy, assessment.sender_ip.address or "", lookup_url)
    settings = action_table(verdict, policy)
    if verdict.action is Action.DEFER:
        return UNSCANNABLE if verdict.kind is Kind.UNSCANNABLE else (settings.defer_code, settings.defer_text)
    return settings.reject_code, settings.reject_text


def action_table(verdict: Verdict, policy: Policy) -> MessageAction:
    """The texts of the filter that decided; those of Content Scanning where the filter has none."""
    tables = {
        ADVANCED_SPAM_PREVENTION: policy.advanced_spam_prevention.action,
        IMPERSONATION: policy.advanced_spam_prevention.impersonation.action,
        AUTHENTICATION: policy.authentication.action,
        WEB_REPUTATION: policy.web_reputation.action,
        NEW_SPAM_SOURCES: policy.new_spam_sources.action,
    }
    return tables.get(verdict.filter, policy.content_scanning.action)
