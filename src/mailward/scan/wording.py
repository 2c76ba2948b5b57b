"""The words in which a verdict is told, the same in explanations, counterfactuals and replay."""

from __future__ import annotations

from mailward.policy import Action
from mailward.scan.verdict import Kind

KINDS = {
    Kind.CLEAN: "clean",
    Kind.SPAM: "spam",
    Kind.PHISHING: "phishing",
    Kind.IMPERSONATION: "an impersonation",
    Kind.MALICIOUS_URL: "mail with a malicious link",
    Kind.NEW_SPAM_SOURCE: "mail from a new spam source",
    Kind.BLOCKED_SENDER: "mail of a blocked sender",
    Kind.LISTED_SOURCE: "mail from a listed source",
    Kind.UNSCANNABLE: "unscannable",
}

_TREATED = {
    Action.PASS: "delivered, marked as {kind}",
    Action.TAG: "tagged as {kind} and delivered",
    Action.JUNK: "delivered to the junk folder as {kind}",
    Action.QUARANTINE: "quarantined as {kind}",
    Action.DEFER: "deferred as {kind}",
    Action.REJECT: "rejected as {kind}",
    Action.DISCONNECT: "refused as {kind}, closing the connection",
    Action.DELETE: "deleted as {kind}",
}


def treated(kind: Kind, action: Action) -> str:
    """What happens to the message, as the end of "it is ..." or "it would be ..."."""
    if kind is Kind.CLEAN:
        return "delivered"
    return _TREATED[action].format(kind=KINDS[kind])
