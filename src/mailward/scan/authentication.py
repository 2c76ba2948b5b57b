"""The filter Authentication: does the owner of the visible From domain ask us to hold back mail that fails DMARC, as this does?"""

from __future__ import annotations

from mailward.auth import Authentication, DmarcPolicy, Outcome
from mailward.policy import ActOn, Policy
from mailward.scan.approval import approved_sender, unless_approved
from mailward.scan.assessment import Assessment
from mailward.scan.opinion import NOTHING, Opinion
from mailward.scan.verdict import Hit, Kind, Reason

AUTHENTICATION = "authentication"

_ACTED_ON = {
    ActOn.NOTHING: frozenset[DmarcPolicy](),
    ActOn.REJECT: frozenset({DmarcPolicy.REJECT}),
    ActOn.QUARANTINE: frozenset({DmarcPolicy.REJECT, DmarcPolicy.QUARANTINE}),
}


def authentication(assessment: Assessment, policy: Policy) -> Opinion:
    """Fires where the owner's policy is one that is acted on. A failure that a trusted sealer explains never counts."""
    settings, auth = policy.authentication, assessment.auth
    if not settings.enabled or not fails(auth) or assessment.connection_only:
        return NOTHING
    if auth.vouched:
        return Opinion(None, "", (_note("vouched", f"{auth.arc_sealer} forwarded it, whose word is taken: it had passed DMARC before"),))
    if auth.dmarc_policy not in _ACTED_ON[settings.target.act_on]:
        return NOTHING
    sender = approved_sender(assessment, settings.target.approved_senders, requires_authentication=False)
    hit = Hit(AUTHENTICATION, Kind.IMPERSONATION, settings.action.action, settings.log_only)
    return unless_approved(hit, sender, "Its failure was passed over", (_note("dmarc", sentence(auth)),))


def fails(auth: Authentication) -> bool:
    """Whether the owner's policy holds for a message."""
    return auth.dmarc is Outcome.FAIL and auth.dmarc_policy is not None


def sentence(auth: Authentication) -> str:
    """What failed, and who asks for what."""
    return f"It is not authenticated for its From domain (SPF {auth.spf}, DKIM {auth.dkim}), and {auth.dmarc_domain} asks for {auth.dmarc_policy} then"


def _note(name: str, text: str) -> Reason:
    return Reason(AUTHENTICATION, name, 0.0, text)
