"""What the sending server is told when a message is not taken."""

from __future__ import annotations

from mailward.policy import Action, Policy
from mailward.scan.verdict import Kind, Verdict

UNSCANNABLE = (451, "4.7.1 Message could not be examined, try again later")


def reply(verdict: Verdict, policy: Policy) -> tuple[int, str] | None:
    """Reply code and text for `defer`, `reject` and `disconnect`; None where the message is taken."""
    settings = policy.content_scanning.action
    match verdict.action:
        case Action.DEFER:
            return UNSCANNABLE if verdict.kind is Kind.UNSCANNABLE else (settings.defer_code, settings.defer_text)
        case Action.REJECT | Action.DISCONNECT:
            return settings.reject_code, settings.reject_text
    return None
