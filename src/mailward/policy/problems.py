"""Errors in a document an administrator wrote: where, what is wrong, what to do. All at once, not the first only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `line` counts from 1, 0 where no line can be named; `where` is the dotted setting, "" for the whole document."""

    source: str
    line: int
    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        setting = f" {self.where}:" if self.where else ""
        return f"{place}:{setting} {self.what}. {self.remedy}".rstrip()


class DocumentError(ValueError):
    """A document that cannot be used. `problems` is never empty and ordered by line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PolicyError(DocumentError):
    """A policy document that cannot be used."""


class ListError(DocumentError):
    """A list file with entries that cannot be used."""


class EntryError(ValueError):
    """One list entry that cannot be used: what is wrong and what to write instead."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}. {remedy}")
