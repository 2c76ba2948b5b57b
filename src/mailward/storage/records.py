"""How a record is kept: searchable columns, and everything as compressed JSON.

Reasons that are shares of a score stand in the assessment already and are not kept twice.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from mailward.scan.assessment import Assessment
from mailward.scan.decide import share_reasons
from mailward.scan.verdict import Verdict
from mailward.storage.interface import Record, StorageError

MAX_BODY = 16 << 20  # bytes of JSON read back of one record; assess keeps them far smaller


@dataclass(frozen=True, slots=True)
class _Body:
    assessment: Assessment
    verdict: Verdict
    rcpt_outcomes: dict[str, str]
    elapsed_ms: float


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Body)


def to_row(record: Record) -> dict[str, Any]:
    assessment, verdict = record.assessment, record.verdict
    score = verdict.scores.get("spam")
    return {
        "id": assessment.id,
        "time": assessment.time,
        "sender": assessment.header_from[0] if assessment.header_from else assessment.mail_from or "",
        "recipients": " ".join(assessment.rcpt_to),
        "subject": assessment.subject,
        "sender_ip": assessment.sender_ip.address or "",
        "verdict": verdict.kind.value,
        "action": verdict.action.value,
        "score": score if isinstance(score, float) else None,
        "message_id": assessment.message_id,
        "outcome": record.outcome,
        "body": _pack(record),
    }


def _pack(record: Record) -> bytes:
    reasons, shares = record.verdict.reasons, share_reasons(record.assessment, record.verdict.filter)
    own = max(0, len(reasons) - len(shares))  # decide puts the shares last
    notes = reasons[:own] if reasons[own:] == shares else tuple([reason for reason in reasons if not reason.contribution])
    body = _Body(record.assessment, replace(record.verdict, reasons=notes), record.rcpt_outcomes, record.elapsed_ms)
    return zlib.compress(_encoder.encode(body), 1)


def from_row(body: bytes, outcome: str) -> Record:
    """Raises StorageError for a body that cannot be read."""
    try:
        packed = zlib.decompressobj()
        kept = _decoder.decode(packed.decompress(body, MAX_BODY))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise StorageError(f"A stored record is damaged ({error}). Check the disk; restore mailward.db from a backup.") from error
    verdict = replace(kept.verdict, reasons=(*kept.verdict.reasons, *share_reasons(kept.assessment, kept.verdict.filter)))
    return Record(kept.assessment, verdict, outcome, kept.rcpt_outcomes, kept.elapsed_ms)
