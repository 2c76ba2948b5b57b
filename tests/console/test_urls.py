"""/api/v1/urls."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.console.conftest import Served

from mailward.console.api.urls import MAX_URLS


@pytest.mark.parametrize(
    ("method", "path", "node"),
    [
        ("GET", "/api/v1/urls/rate?url=http://a.example/", 200),
        ("POST", "/api/v1/urls/rate", 422),
        ("GET", "/api/v1/urls/ratings", 403),
        ("POST", "/api/v1/urls/ratings", 403),
        ("DELETE", "/api/v1/urls/ratings?url=a.example", 403),
        ("GET", "/api/v1/urls/ratings.txt", 403),
        ("POST", "/api/v1/urls/ratings.txt", 403),
    ],
)
def test_who_may_do_what(served: Served, method: str, path: str, node: int) -> None:
    """Strangers nothing, nodes ask, only the operator says what a URL is."""
    body: dict[str, Any] = {"json": {"url": "a.example", "rating": 1}} if path.endswith("ratings") and method == "POST" else {}
    if path.endswith("ratings.txt") and method == "POST":
        body = {"content": b"5 host a.example\n", "headers": {"Content-Type": "text/plain"}}
    with served.client() as client:
        assert client.request(method, path, **body).status_code in (401, 422)
        headers = {**body.pop("headers", {}), **served.node}
        assert client.request(method, path, **body, headers=headers).status_code == node
        listed = client.get("/api/v1/urls/ratings", headers=served.operator).json()
        assert listed == []


def test_a_rating_counts_at_once_and_is_taken_back(served: Served) -> None:
    """Set, seen by the rater that runs, listed, gone; the history keeps both."""
    import time

    with served.client(headers=served.operator) as client:
        made = client.post("/api/v1/urls/ratings", json={"url": "http://www.bad.example/x", "rating": 7, "why": "seen"}).json()
        assert (made["scope"], made["name"], made["who"]) == ("url", "bad.example/x", "operator")
        until = time.monotonic() + 5
        while client.get("/api/v1/urls/rate", params={"url": "https://bad.example/x#y"}).json()["rating"] != 7:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert client.delete("/api/v1/urls/ratings", params={"url": "http://bad.example/other"}).status_code == 404
        assert client.delete("/api/v1/urls/ratings", params={"url": "http://bad.example/x"}).json() == {"taken": 1}
        assert client.get("/api/v1/urls/ratings").json() == []
        history = client.get("/api/v1/urls/ratings", params={"history": True}).json()
        assert [each["rating"] for each in history] == [7, -1]


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://", "rating": 5},
        {"url": "localhost", "rating": 5},
        {"url": "a.example", "rating": 101},
        {"url": "192.0.2.1", "rating": 5, "scope": "domain"},
        {"url": "a.example", "rating": 5, "scope": "path"},
        {"url": "x" * 9000, "rating": 5},
        {"url": "a.example", "rating": 5, "scope": "world"},
    ],
)
def test_what_cannot_be_rated_is_refused_with_words(served: Served, body: dict[str, Any]) -> None:
    with served.client(headers=served.operator) as client:
        answer = client.post("/api/v1/urls/ratings", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_many_lines_or_none(served: Served) -> None:
    """A list with a mistake changes nothing and names the line."""
    with served.client(headers={**served.operator, "Content-Type": "text/plain"}) as client:
        answer = client.post("/api/v1/urls/ratings.txt", content="5 host a.example\nnonsense\n")
        assert answer.status_code == 422
        assert "line 2" in answer.json()["error"]
        assert client.get("/api/v1/urls/ratings").json() == []
        assert client.post("/api/v1/urls/ratings.txt", content="5 host a.example # b\n6 domain c.example\n").json() == {"taken": 2}
        assert client.get("/api/v1/urls/ratings.txt").text == "5\thost\ta.example\t# b\n6\tdomain\tc.example\n"


def test_many_at_once_from_several_programs(served: Served) -> None:
    """At most MAX_URLS a request; answers come in the order of the question."""
    urls = [f"http://192.0.2.{n % 250}/{n}" for n in range(MAX_URLS)]
    found: list[list[str]] = []

    def ask() -> None:
        with served.client(headers=served.node) as client:
            found.append([each["url"] for each in client.post("/api/v1/urls/rate", json={"urls": urls}).json()])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [urls] * 4
    with served.client(headers=served.node) as client:
        assert client.post("/api/v1/urls/rate", json={"urls": [*urls, "http://a.example/"]}).status_code == 422
