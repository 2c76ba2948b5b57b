"""/api/v1/reputation: who may do what, and what it leads to."""

from __future__ import annotations

import stat
import time
from itertools import pairwise

import msgspec
import pytest
from tests.console.conftest import Serve, Served

from mailward.console.access import TOKEN_FILE, operator_token
from mailward.console.gate import MAX_NODE, MAX_STRANGER
from mailward.reputation import evidence
from mailward.reputation.dnsbl.health import HEALTH_FILE, Fault, Health, write_health
from mailward.reputation.evidence import Evidence, EvidenceKind

ROUTES = {  # the least that a caller has to be
    ("GET", "/api/v1/reputation/lookup?ip=192.0.2.1"): "anybody",
    ("GET", "/api/v1/reputation/zones"): "anybody",
    ("POST", "/api/v1/reputation/evidence"): "node",
    ("GET", "/api/v1/reputation/lists"): "operator",
    ("POST", "/api/v1/reputation/import?name=x"): "operator",
    ("POST", "/api/v1/reputation/delist"): "operator",
    ("GET", "/api/v1/reputation/requests"): "operator",
    ("POST", "/api/v1/reputation/requests/1"): "operator",
}
BODIES = {
    "/api/v1/reputation/evidence": {"evidence": []},
    "/api/v1/reputation/delist": {"address": "192.0.2.1"},
    "/api/v1/reputation/requests/1": {"decision": "grant"},
}


def spool(served: Served) -> list[Evidence]:
    """What was taken."""
    path = served.settings.reputation_folder / evidence.SPOOL
    lines = path.read_text().splitlines() if path.exists() else []
    return [piece for line in lines if (piece := evidence.parse(line))]


def send(served: Served, *pieces: dict[str, object], who: dict[str, str] | None = None) -> dict[str, object]:
    with served.client() as client:
        answer = client.post("/api/v1/reputation/evidence", json={"evidence": pieces}, headers=who or served.node)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: " ".join(route))
def test_each_route_is_open_to_those_it_is_for(served: Served, route: tuple[str, str]) -> None:
    """Without a token 401, with a node's 403 where the operator's is needed; a wrong one is never anybody."""
    method, url = route
    wanted = ROUTES[route]
    with served.client() as client:
        found = {
            who: client.request(method, url, json=BODIES.get(url.partition("?")[0], {}), headers=headers).status_code
            for who, headers in {
                "anybody": {},
                "node": served.node,
                "operator": served.operator,
                "wrong": {"Authorization": "Bearer x"},
            }.items()
        }
    refused = {who: code for who, code in found.items() if code in (401, 403)}
    expected = {"anybody": {"wrong": 401}, "node": {"anybody": 401, "wrong": 401}, "operator": {"anybody": 401, "node": 403, "wrong": 401}}
    assert refused == expected[wanted]
    assert max(found.values()) < 500


def test_the_operators_token_is_the_owners_alone_and_lasts(served: Served, serve: Serve) -> None:
    """Made once, mode 0600, and the same for everybody who starts later."""
    path = served.settings.state_folder / TOKEN_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(served.token) >= 40
    assert operator_token(served.settings.state_folder) == served.token
    assert serve().token == served.token
    assert serve("other").token != served.token


def test_secrets_stand_in_no_text_about_the_settings(serve: Serve) -> None:
    """Neither tokens of nodes nor those for peers are shown."""
    settings = serve(reputation={"node_tokens": ["node2:" + "s3cret" * 5], "peers": ["https://node2.example/ " + "s3cret" * 5]}).settings
    assert "s3cret" not in repr(settings)


def test_guessing_tokens_is_slowed_down(served: Served) -> None:
    """After some wrong tokens the network is told to wait; the right one still counts, so that nobody can lock the operator out."""
    with served.client() as client:
        wrong = [
            client.get("/api/v1/reputation/lists", headers={"Authorization": f"Bearer guess{number}"}).status_code for number in range(25)
        ]
        right = client.get("/api/v1/reputation/lists", headers=served.operator).status_code
    assert (wrong[0], wrong[-1], right) == (401, 429, 200)


def test_evidence_of_a_node_is_marked_and_believed_only_so_far(served: Served) -> None:
    """Who it came from is written by us; weight and time are kept within bounds, and a node cannot delist."""
    now = time.time()
    answer = send(
        served,
        {"address": "192.0.2.1", "kind": "spam", "time": now + 9999, "weight": 50, "detail": "a\tb\nc"},
        {"address": "192.0.2.2", "kind": "trap", "time": 5},
        {"address": "192.0.2.3", "kind": "delist"},
        {"address": "192.0.2.4", "kind": "ham", "weight": -3},
        {"address": "nonsense", "kind": "spam"},
        {"address": "192.0.2.5", "kind": "opinion"},
    )
    assert (answer["taken"], answer["refused"]) == (3, 3)
    assert [refusal["at"] for refusal in answer["refusals"]] == [2, 4, 5]  # type: ignore[attr-defined]
    first, second, third = spool(served)
    assert {piece.by for piece in (first, second, third)} == {"node:node2"}
    assert (first.weight, first.detail) == (1.0, "a b c")
    assert now - 5 <= first.time <= time.time()
    assert now - 86_500 <= second.time <= now - 86_300
    assert (second.weight, third.weight) == (3.0, 0.0)


def test_evidence_by_api_ends_in_a_listing(served: Served) -> None:
    """What a node tells is learned like everything else."""
    send(served, *[{"address": "192.0.2.1", "kind": "spam"}] * 40)
    served.keep()
    with served.client() as client:
        answer = client.get("/api/v1/reputation/lookup", params={"ip": "192.0.2.1"}).json()
    assert answer["listed"]
    assert answer["evidence"] == {"spam": 40}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b'{"evidence": 1}', "body.evidence"),
        (b'{"evidence": [{"kind": "spam"}]}', "body.evidence.0.address"),
        (b'{"evidence": [{"kind": "spam", "address": "192.0.2.1", "time": "yesterday"}]}', "body.evidence.0.time"),
        (b"[" * 100_000, "body"),
    ],
    ids=["nothing", "cut", "list", "number", "no address", "text for a time", "deep"],
)
def test_a_batch_that_does_not_fit_is_refused_with_the_place(served: Served, body: bytes, where: str) -> None:
    """The answer names where; nothing is taken."""
    with served.client() as client:
        answer = client.post("/api/v1/reputation/evidence", content=body, headers={**served.node, "Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    if answer.status_code == 422:
        assert answer.json()["problems"][0]["where"].startswith(where)
    assert answer.json()["error"]
    assert spool(served) == []


def test_bodies_are_limited_by_who_sends_them(served: Served) -> None:
    """Strangers may send a form, nodes a batch; declared or not."""
    with served.client() as client:
        for who, limit in (({}, MAX_STRANGER), (served.node, MAX_NODE)):
            declared = client.post("/api/v1/reputation/evidence", content=b" " * (limit + 1), headers=who)
            pieces = iter([b" " * 65_536] * (limit // 65_536 + 1))
            streamed = client.post("/api/v1/reputation/evidence", content=pieces, headers=who)
            assert (declared.status_code, streamed.status_code) == (413, 413)
    assert spool(served) == []


def test_a_list_is_imported_and_published(served: Served) -> None:
    """The entries count at once; lines that were refused are told with their number."""
    with served.client() as client:
        answer = client.post(
            "/api/v1/reputation/import",
            params={"name": "test", "kind": "emerging-threat", "origin": "our own list"},
            content="198.51.100.0/24\n10.0.0.1\n2001:db8::/48\n",
            headers=served.operator,
        )
        found = client.get("/api/v1/reputation/lookup", params={"ip": "198.51.100.9"}).json()["listings"]
        listed = client.get("/api/v1/reputation/lists", headers=served.operator).json()
    assert answer.status_code == 200, answer.text
    assert answer.json()["list"]["entries"] == 2
    assert [refusal["line"] for refusal in answer.json()["refusals"]] == [2]
    assert [(each["kind"], each["network"]) for each in found] == [("emerging-threat", "198.51.100.0/24")]
    assert "test" in [each["name"] for each in listed["imported"]]


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ({"name": "../x"}, "192.0.2.1\n"),
        ({"name": "x", "kind": "burst"}, "192.0.2.1\n"),
        ({"name": "x", "kind": "nonsense"}, "192.0.2.1\n"),
        ({"name": "x", "format": "nonsense"}, "192.0.2.1\n"),
        ({"name": "x"}, ""),
        ({"name": "x"}, "<html>\n<body>\n"),
    ],
    ids=["path", "dynamic kind", "kind", "format", "empty", "no list"],
)
def test_a_list_that_cannot_be_taken_is_refused_with_words(served: Served, params: dict[str, str], body: str) -> None:
    """Nothing is kept of it."""
    with served.client() as client:
        answer = client.post("/api/v1/reputation/import", params=params, content=body, headers=served.operator)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert not list(served.settings.state_folder.rglob("x.npz"))


def test_the_operator_takes_an_address_off_both_databases(served: Served) -> None:
    """The standard one says so at once, the dynamic one when it has learned it."""
    served.observe("192.0.2.1", EvidenceKind.TRAP, 5)
    with served.client() as client:
        client.post("/api/v1/reputation/import", params={"name": "test"}, content="192.0.2.0/24\n", headers=served.operator)
        served.keep()
        assert client.get("/api/v1/reputation/lookup", params={"ip": "192.0.2.1"}).json()["listed"]
        answer = client.post("/api/v1/reputation/delist", json={"address": "192.0.2.1"}, headers=served.operator)
        served.keep()
        assert answer.json() == {"address": "192.0.2.1", "delisted": True}
        assert not client.get("/api/v1/reputation/lookup", params={"ip": "192.0.2.1"}).json()["listed"]
        assert client.get("/api/v1/reputation/lookup", params={"ip": "192.0.2.2"}).json()["listed"]


def test_a_broken_list_of_others_has_a_banner(served: Served) -> None:
    """API and page name the list that is switched off, why, and what to do."""
    now = int(time.time())
    broken = Health("broken.example", Fault.EVERYTHING, "it lists 127.0.0.1, which no list may list", since=now - 60, checked=now)
    write_health(served.settings.snapshots_folder / HEALTH_FILE, [Health("good.example", since=now, checked=now), broken], now)
    with served.client() as client:
        answer = client.get("/api/v1/reputation/lists", headers=served.operator).json()
        page = client.get("/reputation").text
    assert [(each["zone"], each["works"]) for each in answer["foreign"]] == [("broken.example", False), ("good.example", True)]
    (banner,) = answer["banners"]
    assert banner.startswith("broken.example is switched off and refuses no mail: it lists 127.0.0.1")
    assert "broken.example is switched off" in page
    assert "good.example is switched off" not in page


def test_zones_are_told_the_standard_one_first(served: Served) -> None:
    """Names, entries and serials, which only grow."""
    with served.client() as client:
        serials = []
        for number in range(3):
            served.observe(f"192.0.2.{number}", count=40)
            served.keep()
            standard, dynamic = client.get("/api/v1/reputation/zones").json()
            serials.append(dynamic["serial"])
    assert (standard["zone"], dynamic["zone"]) == ("std.rep.internal", "dyn.rep.internal")
    assert dynamic["entries"] >= 3
    assert all(before <= after for before, after in pairwise(serials))


@pytest.mark.bench
def test_intake_takes_20000_pieces_a_second(served: Served) -> None:
    """Through the API, from one sender, in batches of 5,000."""
    now = time.time()
    pieces = [{"time": now, "kind": "spam", "address": f"192.0.{n >> 8 & 255}.{n & 255}", "weight": 1.0} for n in range(5000)]
    body = msgspec.json.encode({"evidence": pieces})
    with served.client(headers={**served.node, "Content-Type": "application/json"}) as client:
        client.post("/api/v1/reputation/evidence", content=body).raise_for_status()
        started = time.perf_counter()
        for _ in range(20):
            client.post("/api/v1/reputation/evidence", content=body).raise_for_status()
        took = time.perf_counter() - started
    print(f"{20 * 5000 / took:,.0f} pieces a second")
    assert len(spool(served)) == 21 * 5000
    assert 20 * 5000 / took >= 20_000
