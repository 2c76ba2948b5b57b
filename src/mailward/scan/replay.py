"""What another policy would have done with the mail of the last days: `decide` over stored facts, nothing is scanned again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mailward.policy import Policy
from mailward.scan.assessment import Assessment
from mailward.scan.decide import decide, rule
from mailward.scan.verdict import Kind, Verdict

MAX_EXAMPLES = 1_000  # changed messages listed; all are counted


@dataclass(frozen=True, slots=True)
class Changed:
    """One message that would fare otherwise."""

    assessment: Assessment
    before: Verdict
    after: Verdict


@dataclass(frozen=True, slots=True)
class Replay:
    """`moves` counts messages by (kind, action) before and after, the most frequent first; messages that stay are not in it."""

    judged: int
    changed: int
    newly_caught: int
    newly_delivered: int  # as clean
    moves: tuple[tuple[tuple[Kind, str], tuple[Kind, str], int], ...]
    examples: tuple[Changed, ...]

    def text(self) -> str:
        """The summary in words."""
        lines = [
            f"{self.judged} messages judged again: {self.changed} would fare otherwise, "
            f"{self.newly_caught} newly caught, {self.newly_delivered} newly delivered as clean."
        ]
        lines += [f"  {count:6d}  {_word(before)} -> {_word(after)}" for before, after, count in self.moves]
        return "\n".join(lines)


def replay(assessments: Iterable[Assessment], old: Policy, new: Policy) -> Replay:
    """Judge every assessment under both policies and sum up what differs. Memory stays bounded however many there are."""
    moves: Counter[tuple[tuple[Kind, str], tuple[Kind, str]]] = Counter()
    examples: list[Changed] = []
    judged = caught = delivered = 0
    for assessment in assessments:
        judged += 1
        before, after = rule(assessment, old), rule(assessment, new)
        if (before.kind, before.action) == (after.kind, after.action):
            continue
        moves[(before.kind, before.action.value), (after.kind, after.action.value)] += 1
        caught += before.kind is Kind.CLEAN
        delivered += after.kind is Kind.CLEAN
        if len(examples) < MAX_EXAMPLES:
            examples.append(Changed(assessment, decide(assessment, old), decide(assessment, new)))
    counted = tuple((before, after, count) for (before, after), count in moves.most_common())
    return Replay(judged, moves.total(), caught, delivered, counted, tuple(examples))


def _word(outcome: tuple[Kind, str]) -> str:
    kind, action = outcome
    return "clean" if kind is Kind.CLEAN else f"{kind} ({action})"
