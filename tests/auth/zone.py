"""A zone as data, for checks that name their questions instead of asking."""

from __future__ import annotations

from collections.abc import Mapping

from mailward.auth.question import FAILED, Answer, Kind, Question, Result, Steps


class Zone:
    """Answers from records: {name: {"TXT": [...], ...}}; what is not there does not exist. `asked` holds every question."""

    def __init__(self, records: Mapping[str, Mapping[str, list[str]]], silent: frozenset[str] = frozenset()) -> None:
        self.records = {name.lower(): found for name, found in records.items()}
        self.silent = silent
        self.asked: list[Question] = []

    def answer(self, question: Question) -> Answer:
        self.asked.append(question)
        name = question.name.lower()
        if name in self.silent:
            return FAILED
        found = self.records.get(name)
        if found is None:
            return Answer(missing=not any(other.endswith("." + name) for other in self.records))
        return Answer(tuple(found.get(question.kind.value, ())))

    def run(self, steps: Steps[Result]) -> Result:
        try:
            questions = next(steps)
            while True:
                questions = steps.send(tuple([self.answer(question) for question in questions]))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def texts(**records: str) -> Zone:
    """TXT records only; `__` in a name stands for a dot, `___` for a dot and an underscore."""
    return Zone({name.replace("___", "._").replace("__", "."): {Kind.TXT.value: [text]} for name, text in records.items()})
