"""Who writes with whom, from end to end: mail goes out, answers come in, strangers are strangers."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running import Served, Talk, serving, wait_until

from mailward import storage
from mailward.reputation.acquaintance import observation
from mailward.reputation.acquaintance.book import DAY
from mailward.reputation.acquaintance.observation import Observation
from mailward.storage import Record

pytestmark = pytest.mark.xdist_group("servers")

POLICY = '[organisation]\ninternal_domains = ["example.com"]\n[content_scanning]\nenabled = false\n'
USER, CLIENT, STRANGER = "ADDR=192.0.2.50 LOGIN=anna", "ADDR=192.0.2.60", "ADDR=192.0.2.70"
LIMIT_SECONDS = 30
number = itertools.count()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A gateway that has seen mail of both directions for more than two weeks."""
    old = time.time() - 15 * DAY
    observation.append(tmp_path / "gateway" / "state" / "acquaintance", [Observation(old, True, wrote=(1,), written_to=(2,))])
    with serving(tmp_path, policy=POLICY, smtp={"trusted_proxies": ["127.0.0.1"]}) as (served, _):
        yield served


def send(served: Served, who: str, sender: str, to: str, subject: str = "Offer", answers: str = "", message_id: str = "") -> Record:
    """Send a message through the gateway and return what it remembers of it."""
    message_id = message_id or f"<e2e-{next(number)}@client.example>"
    address = sender.rpartition("<")[2].rstrip(">")
    threaded = f"In-Reply-To: {answers}\r\nReferences: {answers}\r\n" if answers else ""
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n{threaded}"
    with Talk(served.port) as talk:
        talk.say("EHLO proxy.example.test")
        talk.say(f"XCLIENT {who}")
        talk.say("EHLO mta.example.net")
        for line in (f"MAIL FROM:<{address}>", f"RCPT TO:<{to}>", "DATA"):
            assert talk.say(line)[0] in "23"
        talk.send(f"{head}\r\nText\r\n.\r\n".encode())
        assert talk.hear().startswith("250")
    return wait_until(lambda: stored(served, message_id), what="the record")


def stored(served: Served, message_id: str) -> Record | None:
    store = storage.open(served.settings.storage_url)
    try:
        return next((record for record in store.records() if record.assessment.message_id == message_id), None)
    finally:
        store.close()


def answer(served: Served) -> Record:
    return send(served, CLIENT, "Kim Client <kim@client.example>", "anna@example.com", "Re: Offer", "<offer-0@example.com>")


def imitation(served: Served) -> Record:
    """From another address each time: one that was delivered is no stranger the next time."""
    return send(
        served,
        STRANGER,
        f"Anna Schmidt <director.office.{next(number)}@gmail.com>",
        "tom@example.com",
        "Re: Payment",
        "<never-was@example.com>",
    )


def check(served: Served) -> None:
    """What holds while it runs, after a kill, and after everything was killed."""
    known = wait_until(lambda: (found := answer(served)).assessment.thread == "known" and found, LIMIT_SECONDS, "the conversation")
    assert (known.verdict.kind, known.outcome) == ("clean", "delivered")
    assert (known.assessment.first_contact, known.assessment.written_to) == (False, True)
    caught = wait_until(lambda: (found := imitation(served)).assessment.named_internal and found, LIMIT_SECONDS, "the name to be learned")
    facts = caught.assessment
    assert (facts.first_contact, facts.thread, facts.named_internal) == (True, "unknown", ("Anna Schmidt",))
    assert (caught.verdict.kind, caught.verdict.action, caught.outcome) == ("impersonation", "quarantine", "quarantined")
    told = " ".join(reason.text for reason in caught.verdict.reasons)
    assert "is that of somebody who writes from the organisation" in told
    assert "no message of that conversation was ever sent or received here" in told


def test_answers_are_known_and_imitators_are_not(served: Served) -> None:
    """An answer to what a user sent is in a known conversation; a stranger with her name who answers to nothing is held. Kills change nothing."""
    for each in range(3):
        out = send(served, USER, "Anna Schmidt <anna@example.com>", "kim@client.example", message_id=f"<offer-{each}@example.com>")
        assert (out.outcome, out.assessment.authenticated) == ("delivered", True)
    check(served)
    for pid in served.pids("ctrl"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: served.pids("ctrl"), what="the control process")
    check(served)
    pids = served.pids()
    served.kill()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    (served.settings.snapshots_folder / "acquaintance.digests").unlink()
    served.run()
    check(served)


def test_switched_off_what_was_kept_is_deleted(served: Served) -> None:
    """Within seconds of the next start; and nothing is kept from then on."""
    send(served, USER, "Anna Schmidt <anna@example.com>", "kim@client.example")
    folder, table = served.settings.acquaintance_folder, served.settings.snapshots_folder / "acquaintance.digests"
    wait_until(table.exists, LIMIT_SECONDS, "the table")
    served.stop()
    served.config.write_text(served.config.read_text().replace("[state]\n", "[state]\nacquaintance = false\n"))
    served.run()
    wait_until(lambda: not table.exists() and not list(folder.iterdir()), LIMIT_SECONDS, "the end of what was kept")
    send(served, USER, "Anna Schmidt <anna@example.com>", "kim@client.example")
    served.stop()
    assert list(folder.iterdir()) == []
