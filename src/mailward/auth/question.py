"""Questions to the DNS as values: a check yields them and is sent the answers. So nothing here opens or awaits anything."""

from __future__ import annotations

from collections.abc import Generator
from enum import StrEnum
from typing import NamedTuple, TypeVar


class Kind(StrEnum):
    """Record types that are asked for."""

    A = "A"
    AAAA = "AAAA"
    MX = "MX"
    PTR = "PTR"
    TXT = "TXT"


class Question(NamedTuple):
    """`name` without the last dot, ASCII."""

    name: str
    kind: Kind


class Answer(NamedTuple):
    """What the DNS says. No records and no failure: the name does not exist (`missing`), or has none of that type.

    A, AAAA: addresses; MX: hosts by preference; PTR: hosts; TXT: texts with their strings joined, bytes as Latin-1 characters.
    """

    records: tuple[str, ...] = ()
    failed: bool = False  # no usable answer: time-out, SERVFAIL, garbage
    missing: bool = False  # NXDOMAIN


NO_RECORDS = Answer()
FAILED = Answer(failed=True)

Result = TypeVar("Result")
Steps = Generator[
    tuple[Question, ...], tuple[Answer, ...], Result
]  # questions out, their answers in, in the same order; returns the result


def answered(steps: Steps[Result], answers: dict[Question, Answer]) -> Result:
    """Run a check with answers at hand; what is not among them failed."""
    try:
        questions = next(steps)
        while True:
            questions = steps.send(tuple([answers.get(question, FAILED) for question in questions]))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
