"""A verdict as the object that `scan --json` prints; others rely on its names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mailward.policy import Policy
from mailward.scan.assessment import Assessment
from mailward.scan.verdict import Verdict
from mailward.scan.web_reputation import rated

THRESHOLDS = ("spam", "phishing", "web")  # null where no such filter is at work


def to_object(
    path: str, assessment: Assessment, verdict: Verdict, counterfactuals: Sequence[str], elapsed_ms: float, policy: Policy
) -> dict[str, Any]:
    """The object, keys in the documented order; URLs are rated as under the policy that gave the verdict.

    Contributions are not rounded: those of a filter sum to its score.
    """
    auth = assessment.auth
    return {
        "path": path,
        "verdict": verdict.kind.value,
        "action": verdict.action.value,
        "filter": verdict.filter,
        "scores": dict(verdict.scores),
        "thresholds": {name: verdict.thresholds.get(name) for name in THRESHOLDS},
        "sender_ip": {"address": assessment.sender_ip.address, "standing": assessment.sender_ip.standing},
        "auth": {"spf": auth.spf.value, "dkim": auth.dkim.value, "dmarc": auth.dmarc.value, "arc": auth.arc.value},
        "urls": [asdict(rated(url, policy)) for url in assessment.urls],
        "reasons": [
            {"filter": reason.filter, "name": reason.name, "contribution": reason.contribution, "text": reason.text}
            for reason in verdict.reasons
        ],
        "counterfactuals": list(counterfactuals),
        "elapsed_ms": round(elapsed_ms, 3),
        "model": assessment.model,
        "policy": verdict.policy,
        "id": assessment.id,
        "entry": verdict.entry,
        "authentication": asdict(auth),
        "from_aligned": "unchecked" if assessment.from_aligned is None else assessment.from_aligned,
        "shown_from": list(assessment.shown_from),
        "reply_to": list(assessment.reply_to),
        "first_contact": "unknown" if assessment.first_contact is None else assessment.first_contact,
        "first_of_domain": "unknown" if assessment.first_of_domain is None else assessment.first_of_domain,
        "written_to": assessment.written_to,
        "thread": assessment.thread,
        "named_internal": list(assessment.named_internal),
        "local_reports": assessment.local_reports,
        "findings": list(assessment.findings),
        "unscannable": assessment.unscannable,
        "reputation": [asdict(answer) for answer in assessment.reputation],
    }


def to_json(path: str, assessment: Assessment, verdict: Verdict, counterfactuals: Sequence[str], elapsed_ms: float, policy: Policy) -> str:
    """One line of ASCII JSON."""
    return json.dumps(to_object(path, assessment, verdict, counterfactuals, elapsed_ms, policy), ensure_ascii=True, allow_nan=False)
