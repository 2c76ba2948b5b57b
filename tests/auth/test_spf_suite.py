"""The openspf.org test suite for RFC 4408 (tests/vectors/spf, BSD licence), but for what RFC 7208 changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.auth.zone import Zone

from mailward.auth import spf
from mailward.auth.question import FAILED, Answer, Question

SUITE = Path(__file__).parents[1] / "vectors" / "spf" / "rfc4408-tests.yml"

# Cases whose expected result RFC 7208 changed, with our result and the section that asks for it
CHANGED: dict[str, tuple[str, str]] = {}


class SuiteZone(Zone):
    """The zone data of the suite: SPF records stand for TXT too, unless the name says `TXT: NONE`; TIMEOUT for all that is not there."""

    def __init__(self, data: dict[str, list[Any]]) -> None:
        records: dict[str, dict[str, list[str]]] = {}
        self.timeouts = set()
        for name, entries in data.items():
            found = records.setdefault(name.lower(), {})
            if "TIMEOUT" in entries:
                self.timeouts.add(name.lower())
            typed = [entry for entry in entries if isinstance(entry, dict)]
            has_text = any("TXT" in entry for entry in typed)
            for entry in typed:
                ((kind, value),) = entry.items()
                if kind == "SPF" and not has_text:
                    kind = "TXT"
                if value == "NONE":
                    found.setdefault(kind, [])
                elif kind == "MX":
                    found.setdefault(kind, []).append(str(value[1]).rstrip("."))
                else:
                    found.setdefault(kind, []).append("".join(value) if isinstance(value, list) else str(value))
        super().__init__(records)

    def answer(self, question: Question) -> Answer:
        name = question.name.lower()
        if name in self.timeouts and not self.records[name].get(question.kind.value):
            return FAILED
        return super().answer(question)


def cases() -> Iterator[Any]:
    for document in yaml.safe_load_all(SUITE.read_text("utf-8")):
        for name, case in document["tests"].items():
            yield pytest.param(name, case, document["zonedata"], id=name)


@pytest.mark.parametrize(("name", "case", "data"), cases())
def test_case(name: str, case: dict[str, Any], data: dict[str, list[Any]]) -> None:
    """The result is the expected one, or the one that RFC 7208 made of it; so is the explanation."""
    checking = spf.check(str(case["host"]), case["mailfrom"] or "", case["helo"] or "", explain=True, now=1_800_000_000)
    found = SuiteZone(data).run(checking)
    wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
    if name in CHANGED:
        changed, section = CHANGED[name]
        assert found.outcome == changed, section
        assert changed not in wanted, "no longer an exception"
        return
    assert found.outcome in wanted, found.why
    explanation = case.get("explanation")
    if explanation is not None and found.outcome == "fail":
        assert found.explanation == ("" if explanation == "DEFAULT" else explanation)
