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

# The suite holds whole: RFC 7208 takes back none of its results. Where it leaves a choice, RFC 7208 takes some of it away:
NARROWED: dict[str, tuple[str, str]] = {
    "txtonly": ("fail", "3.1: TXT records only, type SPF is not asked for"),
    "spfonly": ("none", "3.1"),
    "spftimeout": ("fail", "3.1"),
    "txttimeout": ("temperror", "3.1"),
    "nospftxttimeout": ("temperror", "3.1"),
    "spfoverride": ("fail", "3.1"),
    "multitxt1": ("permerror", "3.1 and 4.5: several records"),
    "multispf1": ("permerror", "3.1 and 4.5"),
    "multispf2": ("pass", "3.1"),
    "invalid-domain-empty-label": ("fail", "4.8: a malformed name matches nothing"),
    "invalid-domain-long": ("fail", "4.8"),
    "invalid-domain-long-via-macro": ("fail", "4.8"),
    "exists-dnserr": ("temperror", "5: an error of the DNS ends the check"),
    "mx-limit": ("permerror", "4.6.4: more than 10 mail exchangers"),
}


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
    """Every case with the zone data of its section."""
    for document in yaml.safe_load_all(SUITE.read_text("utf-8")):
        for name, case in document["tests"].items():
            yield pytest.param(name, case, document["zonedata"], id=name)


@pytest.mark.parametrize(("name", "case", "data"), list(cases()))
def test_case(name: str, case: dict[str, Any], data: dict[str, list[Any]]) -> None:
    """The result is one the suite allows, the one RFC 7208 asks for where that says more; the explanation is right too."""
    checking = spf.check(str(case["host"]), case["mailfrom"] or "", case["helo"] or "", explain=True, now=1_800_000_000)
    found = SuiteZone(data).run(checking)
    wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert found.outcome in wanted, found.why
    if name in NARROWED:
        assert found.outcome == NARROWED[name][0], NARROWED[name][1]
    explanation = case.get("explanation")
    if explanation is not None and found.outcome == "fail":
        assert found.explanation == ("" if explanation == "DEFAULT" else explanation)


def test_the_whole_suite_is_there() -> None:
    """All 191 cases are run, and every case named above is one of them."""
    names = {case.id for case in cases()}
    assert len(list(cases())) == 191
    assert set(NARROWED) <= names
