"""The filter Advanced Spam Prevention: does the message use a false name to get at passwords or money? (filters.md, section 3)

The phishing score of the assessment decides. A sender approved here is exempt; one approved for Content Scanning is not.
"""

from __future__ import annotations

import math

from mailward.policy import Policy
from mailward.scan.approval import approved_sender, unless_approved
from mailward.scan.assessment import Assessment
from mailward.scan.opinion import NOTHING, Opinion
from mailward.scan.verdict import Hit, Kind

ADVANCED_SPAM_PREVENTION = "advanced_spam_prevention"


def score(assessment: Assessment) -> float | None:
    """The phishing score, the exact sum of its contributions; None where nobody looked."""
    if assessment.phishing is None or assessment.connection_only:
        return None
    return math.fsum([share.value for share in assessment.phishing])


def advanced_spam_prevention(assessment: Assessment, policy: Policy) -> Opinion:
    """Fires on a phishing score at or above the threshold of the level; an authenticated approved sender is exempt."""
    settings = policy.advanced_spam_prevention
    found = score(assessment)
    if not settings.enabled or found is None or assessment.unscannable or found < settings.target.threshold:
        return NOTHING
    target = settings.target
    sender = approved_sender(assessment, target.approved_senders, target.approval_requires_authentication)
    hit = Hit(ADVANCED_SPAM_PREVENTION, Kind.PHISHING, settings.action.action, settings.log_only)
    return unless_approved(hit, sender, "Not judged as phishing", ())
