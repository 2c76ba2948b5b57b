"""Reports of people become the site's own model, which running workers take up."""

from __future__ import annotations

from pathlib import Path

from tests.content.mails import client, mail

from mailward import storage
from mailward.content.model import total
from mailward.gateway import Gateway
from mailward.gateway.settings import Settings
from mailward.learning import feedback
from mailward.message import Envelope

OFFER = "Special offer {n} on garden chairs: this week only, order now.\n" * 4


def score(gateway: Gateway, raw: bytes, envelope: Envelope) -> float:
    return total(gateway.judge(raw, envelope).assessment.spam)


def test_reports_change_the_score_and_undo_restores_it_exactly(tmp_path: Path) -> None:
    """Ten reports raise the score of similar mail; taking all back leaves the score that was."""
    settings = Settings.load(None, state=str(tmp_path))
    gateway = Gateway.open(settings)
    store = storage.open(settings.storage_url)
    try:
        before = score(gateway, mail(OFFER.format(n=99)), client())
        reports = [feedback.learn(store, gateway, mail(OFFER.format(n=n)), "spam", "ann", client()) for n in range(10)]
        gateway.reload()
        raised = gateway.judge(mail(OFFER.format(n=99)), client()).assessment
        assert total(raised.spam) > before + 2
        assert raised.local_reports == 10
        assert any(share.name == "local:reports" for share in raised.spam)
        for report in reports:
            assert feedback.undo(store, gateway, report.id)
        assert not feedback.undo(store, gateway, reports[0].id)
        gateway.reload()
        assert score(gateway, mail(OFFER.format(n=99)), client()) == before
    finally:
        store.close()
        gateway.close()


def test_a_running_gateway_takes_up_a_report(tmp_path: Path) -> None:
    """Another process learns; this one judges by it within a second or so, without being told."""
    settings = Settings.load(None, state=str(tmp_path))
    running, teacher = Gateway.open(settings), Gateway.open(settings)
    store = storage.open(settings.storage_url)
    try:
        raw = mail(OFFER.format(n=1))
        before = score(running, raw, client())
        feedback.learn(store, teacher, raw, "spam", "ann", client())
        running._looked = 0.0  # a second has passed
        assert score(running, raw, client()) > before
    finally:
        store.close()
        running.close()
        teacher.close()
