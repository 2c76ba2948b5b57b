"""Storages and records for the tests of this folder."""

import pytest

from mailward import storage
from mailward.auth import Authentication, Outcome
from mailward.policy import Policy
from mailward.scan import Assessment, Contribution, RatedUrl, SenderIp, decide
from mailward.storage import Record


def made_record(number: int = 1, **facts) -> Record:
    known = {
        "id": f"{number:026d}",
        "time": 1_790_000_000.0 + number,
        "way_in": "smtp",
        "size": 1234,
        "subject": f"Grüße {number}",
        "message_id": f"<{number}@example.org>",
        "mail_from": None,
        "rcpt_to": ("ann@example.com", "bob@example.com"),
        "header_from": ("news@example.org",),
        "helo": "mta.example.net",
        "sender_ip": SenderIp("192.0.2.7"),
        "auth": Authentication(dkim=Outcome.PASS, dkim_domains=("example.org",), source="mx.example.com"),
        "from_aligned": True,
        "spam": (Contribution("a:b", 0.1 + number, "One"), Contribution("c:d", -2.25, "Two"), Contribution("e:f", 1e-17, "Three")),
        "urls": (RatedUrl("http://example.org/", "html"), RatedUrl("http://b.example.org/", "text", 91, "safe")),
        "findings": ("limit:parts",),
    }
    assessment = Assessment(**{**known, **facts})
    return Record(assessment, decide(assessment, Policy()), "delivered", {"bob@example.com": "deferred"}, 3.25)


@pytest.fixture(scope="session")
def records():
    """Makes a record: records(7, subject="...")."""
    return made_record


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/deep/mailward.db"


@pytest.fixture
def store(url):
    opened = storage.open(url)
    yield opened
    opened.close()
