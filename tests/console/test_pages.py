"""What holds for every page, and the operator's page."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser
from tests.console.conftest import Serve, Served, serving, settings_in

from mailward.console.delisting import Requests
from mailward.reputation.evidence import EvidenceKind

PAGES = ["/lookup", "/lookup?ip=192.0.2.1", "/lookup?ip=nonsense", "/reputation", "/nowhere", "/reputation/requests"]
LISTED = "192.0.2.1"


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(settings_in(tmp_path_factory.mktemp("console") / "state")) as served:
        served.observe(LISTED, EvidenceKind.TRAP, 9)
        served.keep()
        with served.client() as client:
            page = client.get("/lookup", params={"ip": LISTED}).text
            hostile = {"comment": "<img src=x onerror=alert(1)>", "contact": "\"'><script>"}
            client.post("/lookup", data=hidden(page) | hostile).raise_for_status()
        yield served


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the first form that posts."""
    form = LexborHTMLParser(page).css_first("form[method=post]")
    return {str(field.attributes["name"]): str(field.attributes["value"]) for field in form.css("input[type=hidden]")}


@pytest.mark.parametrize("url", PAGES)
def test_every_page_is_made_for_everybody(shared_server: Served, url: str) -> None:
    """Language, title, one heading, labels, a way past the menu, unique ids; no script, no style and nothing remote in it."""
    with shared_server.client() as client:
        page = LexborHTMLParser(client.get(url).text)
    assert page.css_first("html").attributes["lang"] == "en"
    assert "mailward" in page.css_first("title").text()
    assert len(page.css("h1")) == 1
    assert page.css_first("a.skip").attributes["href"] == f"#{page.css_first('main').id}"
    ids = [node.id for node in page.css("[id]")]
    assert len(ids) == len(set(ids))
    for field in page.css("input:not([type=hidden]), textarea"):
        assert page.css_first(f"label[for={field.id}]") is not None
    assert not page.css("script, style, iframe, object")
    for node in page.css("*"):
        assert not [name for name in node.attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            assert (node.attributes.get(name) or "/").startswith(("/", "#"))


@pytest.mark.parametrize("url", [*PAGES, "/static/console.css", "/api/v1/reputation/zones", "/api/v1/reputation/nothing", "/robots.txt"])
def test_every_answer_has_the_headers_that_protect(shared_server: Served, url: str) -> None:
    """Nothing is loaded from elsewhere, framed or sniffed; pages are not kept, and the server does not name itself."""
    with shared_server.client() as client:
        headers = client.get(url).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"].startswith("public, max-age=" if url.startswith(("/static", "/robots")) else "no-store")
    assert "server" not in headers


@pytest.mark.parametrize("url", PAGES)
def test_head_is_get_without_a_body(shared_server: Served, url: str) -> None:
    """The same status and headers."""
    with shared_server.client() as client:
        got, head = client.get(url), client.head(url)
    assert head.status_code == got.status_code
    assert head.content == b""
    assert set(head.headers) == set(got.headers)


@pytest.mark.parametrize(
    ("method", "url", "code"), [("GET", "/x", 404), ("DELETE", "/lookup", 405), ("PUT", "/api/v1/reputation/zones", 405)]
)
def test_errors_have_the_style_of_their_place(shared_server: Served, method: str, url: str, code: int) -> None:
    """A page for people, JSON for programs."""
    with shared_server.client() as client:
        answer = client.request(method, url)
    assert answer.status_code == code
    if url.startswith("/api/"):
        assert answer.json()["error"]
    else:
        assert LexborHTMLParser(answer.text).css_first("h1") is not None


def test_static_files_only(shared_server: Served) -> None:
    """No way out of the folder, no listing of it."""
    with shared_server.client() as client:
        for url in ("/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd", "/static/%00"):
            assert client.get(url).status_code == 404, url


# The operator's page


def test_requests_of_strangers_are_shown_as_text(shared_server: Served) -> None:
    """What somebody wrote does nothing but stand there."""
    with shared_server.client() as client:
        page = client.get("/reputation").text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img src=x" not in page


def test_the_operator_grants_and_refuses(served: Served) -> None:
    """Grant takes the address off; refuse leaves it; each once, with the form of the page only."""
    for address in (LISTED, "192.0.2.2"):
        served.observe(address, EvidenceKind.TRAP, 9)
    served.keep()
    with served.client() as client:
        for address in (LISTED, "192.0.2.2"):
            client.post("/lookup", data=hidden(client.get("/lookup", params={"ip": address}).text)).raise_for_status()
        sent = hidden(client.get("/reputation").text)
        assert client.post("/reputation/requests", data={**sent, "token": "", "decision": "grant"}).status_code == 403
        decided = client.post("/reputation/requests", data={**sent, "decision": "grant"})
        assert (decided.status_code, decided.headers["location"]) == (303, "/reputation")
        assert client.post("/reputation/requests", data={**sent, "decision": "grant"}).status_code == 404
        client.post("/reputation/requests", data={**hidden(client.get("/reputation").text), "decision": "refuse"})
        served.keep()
        listed = [client.get("/api/v1/reputation/lookup", params={"ip": each}).json()["listed"] for each in (LISTED, "192.0.2.2")]
    states = {request.address: request.state.value for request in Requests(served.settings.reputation_folder).all()}
    assert sorted(states.values()) == ["granted", "refused"]
    assert listed == [states[each] == "refused" for each in (LISTED, "192.0.2.2")]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "rep.example.com"}, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}, {"Via": "1.1 proxy"}],
    ids=lambda headers: next(iter(headers)),
)
def test_loopback_opens_the_page_only_to_people_on_this_machine(served: Served, headers: dict[str, str]) -> None:
    """Neither a web site that points its name to 127.0.0.1 nor a client behind a reverse proxy counts as one."""
    with served.client() as client:
        assert client.get("/reputation").status_code == 200
        refused = client.get("/reputation", headers=headers)
        assert client.get("/", headers=headers).headers["location"] == "/lookup"
        assert client.post("/reputation/requests", data={"id": "1"}, headers=headers).status_code == 401
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")


def test_where_the_page_is_published_the_token_opens_it(serve: Serve) -> None:
    """With lookup_url set a proxy on this machine is likely: then a browser has to give the operator's token as password."""
    served = serve(reputation={"lookup_url": "https://rep.example.com/lookup", "node_tokens": ["node2:" + "t" * 20]})
    with served.client() as client:
        assert client.get("/reputation").status_code == 401
        assert client.get("/reputation", auth=("operator", served.token)).status_code == 200
        assert client.get("/reputation", auth=("node2", "t" * 20)).status_code == 401
        assert client.get("/reputation", headers=served.operator).status_code == 200


def test_a_trusted_proxy_tells_who_the_client_is(serve: Serve) -> None:
    """Limits count the client behind it; without the setting the header is believed by nobody."""
    for trusted, expected in (["127.0.0.1"], 200), ([], 429):
        served = serve(f"state{expected}", console={"trusted_proxies": trusted})
        with served.client() as client:
            codes = {client.get("/lookup?ip=192.0.2.1", headers={"X-Forwarded-For": f"10.0.{n}.1"}).status_code for n in range(140)}
        assert max(codes) == expected


# Hostile requests

TEXT = st.text(max_size=300)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/lookup", "/api/v1/reputation/lookup", "/api/v1/reputation/requests", "/reputation"]), ip=TEXT, other=TEXT)
def test_no_query_string_breaks_anything(shared_server: Served, path: str, ip: str, other: str) -> None:
    """No answer is an error of ours, and nothing comes back as mark-up."""
    with shared_server.client() as client:
        answer = client.get(path, params={"ip": ip, "state": other, other[:20]: ip})
    assert answer.status_code in (200, 401, 422, 429)
    if answer.headers["content-type"].startswith("text/html"):
        assert not LexborHTMLParser(answer.text).css("script, style, img[onerror]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)
PIECE = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("time", "kind", "address", "weight", "detail"), JSON) | {"address": TEXT | st.ip_addresses().map(str)}
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    route=st.sampled_from(["evidence", "delist", "requests/x", "import?name=x", "import?name=x&format=zone"]),
    body=st.binary(max_size=200) | JSON | st.fixed_dictionaries({"evidence": st.lists(PIECE, max_size=3)}),
)
def test_no_body_breaks_anything(shared_server: Served, route: str, body: object) -> None:
    """Whatever the operator's token comes with: taken, or refused with words in JSON."""
    with shared_server.client(headers=shared_server.operator) as client:
        sent = {"content": body} if isinstance(body, bytes) else {"content": repr_json(body)}
        answer = client.post(f"/api/v1/reputation/{route}", headers={"Content-Type": "application/json"}, **sent)  # type: ignore[arg-type]
    assert answer.status_code in (200, 400, 404, 413, 422)
    assert answer.json()


def repr_json(body: object) -> bytes:
    return json.dumps(body).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /lookup?ip=" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /lookup HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /lookup?ip=\x00\x01<b> HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET http://elsewhere.example/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ],
    ids=["long line", "long header", "control characters", "TLS", "smuggling"],
)
def test_what_is_no_proper_request_ends_its_connection_only(shared_server: Served, raw: bytes) -> None:
    """The client gets a 4xx or is hung up on; the next one is served."""
    host, port = re.findall(r"//([\d.]+):(\d+)", shared_server.url)[0]
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert not answer.startswith(b"HTTP/1.1 5")
    assert b"<b>" not in answer
    with shared_server.client() as client:
        assert client.get("/lookup").status_code == 200


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json", ""])
@pytest.mark.parametrize("url", ["/lookup", "/reputation/requests"])
def test_only_forms_as_browsers_send_them_are_read(shared_server: Served, url: str, kind: str) -> None:
    """Other kinds, too many fields and text that is no UTF-8 are refused."""
    with shared_server.client() as client:
        assert client.post(url, content=b"ip=192.0.2.1", headers={"Content-Type": kind}).status_code == 422
        for body in (b"&".join(b"a%d=1" % n for n in range(50)), b"ip=\xff", b"ip=%ff"):
            answer = client.post(url, content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
            assert answer.status_code == 422


@pytest.mark.parametrize("given_", ["Basic", "Basic !!!", "Basic /w==", "Bearer", "Bearer \x7f", "Digest x", "basic " + "A" * 3000])
def test_odd_authorization_headers_are_refused(shared_server: Served, given_: str) -> None:
    """Never an error of ours."""
    with httpx.Client(base_url=shared_server.url, trust_env=False) as client:
        assert client.get("/api/v1/reputation/lists", headers={"Authorization": given_}).status_code in (401, 429)
