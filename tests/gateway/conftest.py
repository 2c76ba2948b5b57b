"""A gateway with a model that gives a fixed score."""

import pytest

from mailward.gateway import Gateway, Settings
from mailward.message import Envelope
from mailward.policy import Policy
from mailward.scan import Contribution


class FixedModel:
    """Gives the contributions it was made with, or raises the error it was made with."""

    name = "fixed"

    def __init__(self, *values, error=None) -> None:
        self.values, self.error = values, error

    def score(self, message, origin, envelope, auth, local=None, evidence=None):
        if self.error:
            raise self.error
        return tuple(Contribution(f"group:fact{number}", value, f"Sentence {number}") for number, value in enumerate(self.values))


ENVELOPE = Envelope("192.0.2.7", "mta.example.net", "mta.example.net", "bounce@example.net", ("ann@example.com",), way_in="smtp")
MESSAGE = b"From: news@example.org\r\nTo: ann@example.com\r\nSubject: Hello\r\n\r\nBody\r\n"


@pytest.fixture
def make_gateway(tmp_path):
    """Makes gateways: make_gateway(9.0, policy=..., error=...). All share one state folder."""
    made = []

    def make(*values, policy=None, error=None):
        gateway = Gateway(Settings.load(None, tmp_path / "state"), policy or Policy(), FixedModel(*values, error=error))
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture(scope="session")
def envelope():
    return ENVELOPE


@pytest.fixture(scope="session")
def raw():
    return MESSAGE
