"""What is remembered, as one narrow interface. `storage.open` gives one; nothing else in the house knows a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mailward.scan.assessment import Assessment
from mailward.scan.verdict import Verdict


class StorageError(Exception):
    """The storage cannot be used: what happened and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message as it is remembered. `outcome` is what became of it ("delivered", "quarantined", ...)."""

    assessment: Assessment
    verdict: Verdict
    outcome: str = ""
    rcpt_outcomes: dict[str, str] = field(default_factory=dict)  # where recipients differ
    elapsed_ms: float = 0.0

    @property
    def id(self) -> str:
        return self.assessment.id


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One saved policy. `n` counts from 1; the highest is in force."""

    n: int
    time: float
    who: str
    note: str
    toml: str


@dataclass(frozen=True, slots=True)
class Report:
    """One piece of local feedback. `kind` is "ham" or "spam"; `undone` is the time of `learn undo`, None while it counts."""

    id: int
    time: float
    kind: str
    message_id: str
    who: str
    features: bytes
    undone: float | None = None
    sender_ip: str = ""  # "" where it is not known, or the report is older than the notion


class Storage(Protocol):
    """Every method may raise StorageError. Usable by several processes, and by several threads of one."""

    def save_records(self, records: Sequence[Record]) -> None:
        """Store all or none. A record with a known id replaces it."""

    def record(self, id: str) -> Record | None: ...

    def records(
        self,
        since: float = 0.0,
        until: float | None = None,
        *,
        verdict: str = "",
        text: str = "",
        limit: int = 0,
        newest_first: bool = False,
    ) -> Iterator[Record]:
        """Records with since <= time < until, by time. `verdict` takes one kind; `text` is looked for in sender, recipients, subject,
        sender IP, id and Message-ID. `limit` 0 means all.
        """

    def count(self, since: float = 0.0) -> int: ...

    def save_policy(self, toml: str, who: str, note: str, now: float) -> int:
        """Keep a policy as the one in force; returns its number."""

    def policy(self, n: int | None = None) -> PolicyVersion | None:
        """One version, or the one in force; None if there is none."""

    def policies(self) -> list[PolicyVersion]:
        """The whole history, the newest first."""

    def rollback(self, n: int, who: str, now: float) -> int:
        """Put version `n` in force again, as a new version; returns the new number."""

    def add_report(self, kind: str, message_id: str, features: bytes, who: str, time: float, sender_ip: str = "") -> int: ...

    def undo_report(self, id: int, time: float) -> bool:
        """Whether the report was there and counted until now."""

    def reports(self, *, with_undone: bool = False) -> Iterator[Report]:
        """Feedback in the order it came."""

    def report(self, id: int) -> Report | None: ...

    def expire(self, before: float) -> int:
        """Forget records older than `before`; returns how many."""

    def close(self) -> None: ...
