"""Facts of messages made by hand."""

import pytest

from mailward.auth import Authentication
from mailward.scan import Assessment, Contribution, SenderIp


def made_assessment(*spam: float, **facts) -> Assessment:
    """An ordinary message whose spam score is the sum of `spam`."""
    known = {
        "id": "01m84svrnvkr15ebyfng8asf6h",
        "time": 1_790_000_000.0,
        "way_in": "smtp",
        "size": 1234,
        "subject": "Hello",
        "message_id": "<1@example.org>",
        "mail_from": "bounce@mta.example.net",
        "rcpt_to": ("ann@example.com",),
        "header_from": ("news@example.org",),
        "helo": "mta.example.net",
        "sender_ip": SenderIp("192.0.2.7"),
        "auth": Authentication(),
        "from_aligned": None,
        "spam": tuple(Contribution(f"group:fact{number}", value, f"Sentence {number}") for number, value in enumerate(spam)),
        "model": "base-test",
    }
    return Assessment(**{**known, **facts})


@pytest.fixture(scope="session")
def facts():
    """Makes assessments: facts(1.0, 2.0, subject="...")."""
    return made_assessment
