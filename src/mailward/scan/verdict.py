"""What the policy says about an assessment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from mailward.policy import Action


class Kind(StrEnum):
    """The closed set of verdicts (interfaces.md)."""

    CLEAN = "clean"
    SPAM = "spam"
    PHISHING = "phishing"
    IMPERSONATION = "impersonation"
    MALICIOUS_URL = "malicious_url"
    NEW_SPAM_SOURCE = "new_spam_source"
    BLOCKED_SENDER = "blocked_sender"
    LISTED_SOURCE = "listed_source"
    UNSCANNABLE = "unscannable"


class Reason(msgspec.Struct, frozen=True, gc=False):
    """One line of the explanation. `contribution` is 0.0 for reasons that are not part of a score (a list entry, a limit)."""

    filter: str
    name: str
    contribution: float
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One filter that fired. `log_only`: it would have acted."""

    filter: str
    kind: Kind
    action: Action
    log_only: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: Kind
    action: Action
    filter: str  # the filter that decided, "" when clean
    entry: str  # the list entry that decided ("blocked_senders: *.example.com"), "" if none
    hits: tuple[Hit, ...]  # every filter that fired, most severe first
    reasons: tuple[Reason, ...]  # most weighty first; the contributions of a filter sum to its score
    scores: dict[str, float | int | str | None]  # spam, phishing, web; "unchecked" where nothing looked
    thresholds: dict[str, float | int]
    policy: str  # "sha256:..." of the policy document


NO_EVIDENCE = frozenset({"start", "words:habit"})  # shares of a score that every message has


def evidence(verdict: Verdict) -> list[Reason]:
    """The reasons that say something about this message, most weighty first."""
    return [reason for reason in verdict.reasons if reason.name not in NO_EVIDENCE]


def main_reason(verdict: Verdict) -> str:
    """The weightiest reason that speaks for the verdict, "" if there is none."""
    caught = verdict.kind is not Kind.CLEAN
    speaking = (reason.text for reason in evidence(verdict) if not reason.contribution or (reason.contribution > 0) == caught)
    return next(speaking, "")


def score_shown(verdict: Verdict) -> str:
    """The score that decided, or the spam score, with its threshold: "6.20/5.0"; a word where nothing was judged."""
    name = "phishing" if verdict.kind is Kind.PHISHING else "spam"
    score = verdict.scores.get(name)
    return f"{score:.2f}/{verdict.thresholds[name]:.1f}" if isinstance(score, float) else str(score)
