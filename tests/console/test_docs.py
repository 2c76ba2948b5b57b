"""docs/api.md says what the API does."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from tests.console.conftest import Served, settings_in

from mailward import console
from mailward.console.delisting import Request, Requests
from mailward.reputation.dnsbl.health import HEALTH_FILE, Fault, Health, write_health
from mailward.reputation.evidence import EvidenceKind

SECTION = re.compile(r"^### (\w+) (\S+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
REQUEST = re.compile(r"```http\n(?P<method>\w+) (?P<url>\S+)\n(?P<headers>(?:[\w-]+: [^\n]*\n)*)(?:\n(?P<body>.*?))?```", re.DOTALL)
TEXT = re.compile(r"```text\n(.*?)```", re.DOTALL)
ANSWER = re.compile(r"```json\n(.*?)```", re.DOTALL)


def sections(root: Path) -> dict[tuple[str, str], str]:
    page = (root / "docs" / "api.md").read_text("utf-8")
    return {(method, path): text for method, path, text in SECTION.findall(page)}


def routes(app: FastAPI) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}


def test_every_route_is_documented_and_no_other(root: Path, tmp_path: Path) -> None:
    """A section for each route of the OpenAPI description."""
    assert set(sections(root)) == routes(console.create(settings_in(tmp_path)))


def shape(value: Any) -> Any:
    """Names and types, without the values; of a list what its first element is like."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_the_examples_are_what_happens(root: Path, served: Served) -> None:
    """Each request is sent as it stands there; the answer has the documented names and types."""
    served.observe("192.0.2.1", count=40)
    served.observe("192.0.2.1", EvidenceKind.HAM, 2)
    served.keep()
    now = int(time.time())
    fault = Health("list.example.org", Fault.EVERYTHING, "it lists 127.0.0.1, which no list may list", since=now, checked=now)
    write_health(served.settings.snapshots_folder / HEALTH_FILE, [fault], now)
    waiting = Request(id="658acf8b0358e0b1", time=now, address="198.51.100.23", client="203.0.113.9", contact="a", comment="b")
    Requests(served.settings.reputation_folder).add(waiting, now)
    with served.client() as client:
        for (method, path), text in sections(root).items():
            request = REQUEST.search(text)
            assert request, f"{method} {path} has no example"
            assert request["method"] == method
            assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request["url"].partition("?")[0])
            headers = dict(line.split(": ", 1) for line in request["headers"].splitlines())
            for name, who in (("OPERATOR", served.operator), ("NODE", served.node)):
                if headers.get("Authorization", "").endswith(name):
                    headers |= who
            answer = client.request(method, request["url"], headers=headers, content=request["body"] or None)
            assert answer.status_code == 200, answer.text
            if words := TEXT.search(text):
                assert answer.text == words[1]
                continue
            documented = ANSWER.search(text)
            assert documented, f"{method} {path} shows no answer"
            assert shape(answer.json()) == shape(json.loads(documented[1])), f"{method} {path}"
