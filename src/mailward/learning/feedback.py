"""Local feedback: reports of people become lessons, lessons become the site's own model, and any report can be taken back."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mailward.content.evidence import gather
from mailward.content.local import Lesson, LocalModel, features, learned
from mailward.content.model import total
from mailward.gateway import Gateway
from mailward.gateway.local import save_local
from mailward.message import Envelope, parse
from mailward.message.origin import envelope_from_trace, origin
from mailward.scan.assess import recorded_for
from mailward.storage import Storage


@dataclass(frozen=True, slots=True)
class Learned:
    """What a report did: its number, and the score of the message before and after."""

    id: int
    before: float
    after: float


def learn(storage: Storage, gateway: Gateway, raw: bytes, kind: str, who: str, envelope: Envelope | None = None) -> Learned:
    """Report one message as "ham" or "spam". The report is stored, and the model published to the running workers."""
    lesson, message_id = lesson_of(gateway, raw, kind == "spam", envelope)
    before = _score(gateway.local, lesson)
    id = storage.add_report(kind, message_id, lesson.packed(), who, time.time())
    publish(storage, gateway)
    return Learned(id, before, _score(gateway.local, lesson))


def undo(storage: Storage, gateway: Gateway, id: int) -> bool:
    """Take a report back: the model becomes what it would be without it. False where there is no such report."""
    if not storage.undo_report(id, time.time()):
        return False
    publish(storage, gateway)
    return True


def publish(storage: Storage, gateway: Gateway) -> None:
    """Replay all reports that count and put the result where the workers find it."""
    gateway.local = learned(Lesson.unpacked(report.features) for report in storage.reports())
    save_local(gateway.settings, gateway.local)


def lesson_of(gateway: Gateway, raw: bytes, spam: bool, envelope: Envelope | None = None) -> tuple[Lesson, str]:
    """Judge a message without local learning and note what it looks like."""
    message = parse(raw)
    envelope = envelope or envelope_from_trace(message)
    source = origin(message, envelope, gateway.site.own_networks)
    evidence = gather(message, source, envelope, recorded_for(message, envelope, source, gateway.site))
    return Lesson(spam, total(gateway.model.judge(evidence)), features(message, source.hop, evidence)), message.message_id


def _score(local: LocalModel | None, lesson: Lesson) -> float:
    return lesson.score + (local.correction(lesson.features) if local is not None and local.reports else 0.0)
