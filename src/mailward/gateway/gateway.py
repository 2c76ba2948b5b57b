"""Judge a message and remember the judgement. Every way in and the command line come through here."""

from __future__ import annotations

import logging
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from mailward import content, storage
from mailward.auth import Authentication
from mailward.auth.model import UNCHECKED
from mailward.content.local import LocalModel
from mailward.gateway.identity import new_id
from mailward.gateway.journal import Journal
from mailward.gateway.local import load_local, local_file
from mailward.gateway.settings import Settings
from mailward.message import Envelope, Html, Message, parse
from mailward.policy import Action, Policy
from mailward.policy.addresses import canonical_address
from mailward.scan.assess import Model, Site, assess
from mailward.scan.assessment import Assessment, SenderIp
from mailward.scan.decide import decide
from mailward.scan.verdict import Hit, Kind, Reason, Verdict

LOCAL_AGE = 1.0  # seconds a worker may judge by an old local model
SLOW_MS = 2_000.0  # a judgement that took longer is marked, so that it can be found

log = logging.getLogger("mailward.gateway")


@dataclass(frozen=True, slots=True)
class Judgement:
    """A message, its facts, and what the policy says. `elapsed_ms` covers parse, assess and decide."""

    message: Message
    assessment: Assessment
    verdict: Verdict
    elapsed_ms: float


class Gateway:
    """One a process. Open it before forking: the model is shared, the storage is opened by each process when first needed."""

    def __init__(self, settings: Settings, policy: Policy, model: Model, local: LocalModel | None = None) -> None:
        self.settings = settings
        self.policy = policy
        self.model = model
        self.local = local
        self.site = Site.of(policy)
        self.journal = Journal(settings.storage_url)
        self._looked = 0.0
        self._local_written = 0

    @classmethod
    def open(cls, settings: Settings, policy: Policy | None = None) -> Gateway:
        """Load model and policy. `policy` stands in for the stored one.

        Raises StorageError or PolicyError when the stored policy cannot be read.
        """
        return cls(settings, policy or stored_policy(settings), content.load(), load_local(settings))

    def judge(self, raw: bytes, envelope: Envelope, id: str = "", now: float | None = None) -> Judgement:
        """Parse, assess and decide. Never raises: whatever goes wrong is an unscannable message that names the error."""
        started = time.perf_counter()
        self._follow_reports(started)
        now = time.time() if now is None else now
        id = id or new_id(now)
        message = _unread(len(raw))
        try:
            message = parse(raw)
            assessment = assess(message, envelope, self.site, self.model, self.local, now, id)
        except Exception as error:  # the one place that must hold whatever a message does to us
            assessment = _unscannable(message, envelope, now, id, _words(error))
        elapsed = (time.perf_counter() - started) * 1000
        if elapsed > SLOW_MS:
            assessment = replace(assessment, findings=(*assessment.findings, "limit:time"))
        verdict = self._decide(assessment)
        return Judgement(message, assessment, verdict, (time.perf_counter() - started) * 1000)

    def _follow_reports(self, now: float) -> None:
        """Take up a new local model within LOCAL_AGE seconds of a report; one that cannot be read is left alone."""
        if now < self._looked + LOCAL_AGE:
            return
        self._looked = now
        try:
            written = local_file(self.settings).stat().st_mtime_ns
            if written != self._local_written:
                self.local = load_local(self.settings)
                self._local_written = written
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("the local model cannot be read, the old one stays in force: %s", error)

    def _decide(self, assessment: Assessment) -> Verdict:
        try:
            return decide(assessment, self.policy)
        except Exception as error:
            return _undecided(self.policy, _words(error))

    def record(self, judgement: Judgement, outcome: str, rcpt_outcomes: dict[str, str] | None = None) -> None:
        """Remember what became of a message. Returns at once; the journal writes in the background."""
        self.journal.add(storage.Record(judgement.assessment, judgement.verdict, outcome, rcpt_outcomes or {}, judgement.elapsed_ms))

    def flush(self) -> None:
        """Return when everything recorded so far is stored, or could not be."""
        self.journal.flush()

    def close(self) -> None:
        """Store what is left and end the background writer."""
        self.journal.close()

    def reload(self) -> None:
        """Take up the policy and the local model that are stored now. On an error the old ones stay in force, and it is raised."""
        policy = stored_policy(self.settings)
        local = load_local(self.settings)
        self.policy, self.site, self.local = policy, Site.of(policy), local


def stored_policy(settings: Settings) -> Policy:
    """The policy in force, or the defaults where none was ever saved. Leaves no database open."""
    if not Path(settings.database).is_file():
        return Policy()
    store = storage.open(settings.storage_url)
    try:
        version = store.policy()
    finally:
        store.close()
    return Policy.from_toml(version.toml, f"stored policy {version.n}") if version else Policy()


def _words(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" in {Path(frame[0].filename).name}:{frame[0].lineno}" if frame else ""
    return f"{type(error).__name__}{place}: {str(error)[:200]}"


def _unread(size: int) -> Message:
    """The message when nothing of it could be read."""
    return Message(size, (), "", (), (), (), (), (), None, "", "", (), (), "", "", Html(), (), ())


def _unscannable(message: Message, envelope: Envelope, now: float, id: str, why: str) -> Assessment:
    """Facts of a message that could not be assessed: what the envelope knows."""
    auth: Authentication = UNCHECKED
    return Assessment(
        id=id,
        time=now,
        way_in=envelope.way_in,
        size=message.size,
        subject=_plain(message.subject),
        message_id=_plain(message.message_id),
        mail_from=None if envelope.mail_from is None else _plain(canonical_address(envelope.mail_from)),
        rcpt_to=tuple(_plain(recipient) for recipient in envelope.rcpt_to),
        header_from=tuple(_plain(canonical_address(address.addr)) for address in message.from_[:100]),
        helo=_plain(envelope.helo or ""),
        sender_ip=SenderIp(envelope.client_ip),
        auth=auth,
        from_aligned=None,
        spam=(),
        unscannable=_plain(why),
    )


def _plain(text: str) -> str:
    return text[:998].encode("utf-8", "replace").decode("utf-8")


def _undecided(policy: Policy, why: str) -> Verdict:
    """The verdict when the policy could not be applied: unscannable, as the policy wants it."""
    action = Action(policy.unscannable.action.value)
    return Verdict(
        kind=Kind.UNSCANNABLE,
        action=action,
        filter="unscannable",
        entry="",
        hits=(Hit("unscannable", Kind.UNSCANNABLE, action, False),),
        reasons=(Reason("unscannable", "unscannable", 0.0, f"The policy could not be applied: {_plain(why)}"),),
        scores={"spam": "unchecked", "phishing": "unchecked", "web": None},
        thresholds={"spam": policy.content_scanning.target.threshold},
        policy=policy.digest,
    )
