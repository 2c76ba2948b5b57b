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
from mailward.message.origin import envelope_from_trace
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
    before = gateway.local
    id, lesson = report(storage, gateway, raw, kind, who, envelope)
    publish(storage, gateway)
    return Learned(id, _score(before, lesson), _score(gateway.local, lesson))


def report(storage: Storage, gateway: Gateway, raw: bytes, kind: str, who: str, envelope: Envelope | None = None) -> tuple[int, Lesson]:
    """Store one report, and tell the reputation databases about its sender. `publish` makes it count."""
    message = parse(raw)
    envelope = envelope or envelope_from_trace(message)
    source = gateway.site.origin(message, envelope)
    evidence = gather(message, source, envelope, recorded_for(message, envelope, source, gateway.site))
    lesson = Lesson(kind == "spam", total(gateway.model.judge(evidence)), features(message, source.hop, evidence))
    sender = source.address or ""
    id = storage.add_report(kind, message.message_id, lesson.packed(), who, time.time(), sender)
    gateway.reported(sender, kind, who, urls=[link.url for link in message.links])
    return id, lesson


def undo(storage: Storage, gateway: Gateway, id: int) -> bool:
    """Take a report back: the model becomes what it would be without it. False where there is no such report."""
    if not storage.undo_report(id, time.time()):
        return False
    report = storage.report(id)
    if report is not None:
        gateway.reported(report.sender_ip, report.kind, report.who, undone=True)
    publish(storage, gateway)
    return True


def publish(storage: Storage, gateway: Gateway) -> None:
    """Replay all reports that count and put the result where the workers find it."""
    gateway.local = learned(Lesson.unpacked(report.features) for report in storage.reports())
    save_local(gateway.settings, gateway.local)


def _score(local: LocalModel | None, lesson: Lesson) -> float:
    return lesson.score + (local.correction(lesson.features) if local is not None and local.reports else 0.0)
