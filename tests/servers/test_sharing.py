"""Evidence goes from node to node: two and three real consoles, real spools."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.console.conftest import Served, serving, settings_in

from mailward.gateway.settings import Settings, SettingsError
from mailward.reputation import evidence
from mailward.reputation.address import source
from mailward.reputation.evidence import Evidence, EvidenceKind
from mailward.reputation.ip.keeper import OLD_SPOOL
from mailward.servers import sharing
from mailward.servers.sharing import CannotShare, Follower, Peer, share_forever, tell

TOKEN = "a-token-of-twenty-and-more"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Served]:
    with serving(settings_in(tmp_path / "receiver", reputation={"node_tokens": [f"node1:{TOKEN}"]})) as served:
        yield served


def sender(tmp_path: Path, *urls: str, name: str = "sender") -> Settings:
    return settings_in(tmp_path / name, reputation={"peers": [f"{url} {TOKEN}" for url in urls]})


def observed(settings: Settings, address: str, kind: EvidenceKind = EvidenceKind.SPAM, by: str = "gateway", age: float = 0.0) -> None:
    found = source(address)
    assert found is not None
    evidence.append(settings.reputation_folder, [Evidence(time.time() - age, kind, found, by=by, detail="secret-trap@example.com")])


def arrived(settings: Settings) -> list[Evidence]:
    path = settings.reputation_folder / evidence.SPOOL
    return [piece for line in (path.read_text().splitlines() if path.exists() else []) if (piece := evidence.parse(line))]


@contextlib.contextmanager
def sharing_from(settings: Settings) -> Iterator[None]:
    """`share_forever` in a thread."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(share_forever(settings, stop),))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.02)


def test_what_is_observed_here_is_told_there(tmp_path: Path, receiver: Served) -> None:
    """Marked with the name the other knows us by; trap addresses, delistings, old pieces and what others told us stay here."""
    settings = sender(tmp_path, receiver.url)
    observed(settings, "192.0.2.1", EvidenceKind.TRAP)
    observed(settings, "192.0.2.2", by="node:node3")
    observed(settings, "192.0.2.3", EvidenceKind.DELIST, by="operator")
    observed(settings, "192.0.2.4", age=2 * 86_400)
    with sharing_from(settings):
        wait_until(lambda: len(arrived(receiver.settings)) == 1)
        observed(settings, "2001:db8::1")
        wait_until(lambda: len(arrived(receiver.settings)) == 2)
    pieces = arrived(receiver.settings)
    assert [(str(piece.source), piece.kind, piece.by, piece.detail) for piece in pieces] == [
        ("192.0.2.1", EvidenceKind.TRAP, "node:node1", ""),
        ("2001:db8::1", EvidenceKind.SPAM, "node:node1", ""),
    ]


def test_nothing_circles_between_nodes_that_tell_each_other(tmp_path: Path) -> None:
    """One piece seen by one node arrives once at the other, and does not come back."""
    with contextlib.ExitStack() as stack:
        tokens = {"reputation": {"node_tokens": [f"other:{TOKEN}"]}}
        one, two = (stack.enter_context(serving(settings_in(tmp_path / name, **tokens))) for name in ("one", "two"))
        to_two = settings_in(tmp_path / "one", reputation={"peers": [f"{two.url} {TOKEN}"]})
        to_one = settings_in(tmp_path / "two", reputation={"peers": [f"{one.url} {TOKEN}"]})
        stack.enter_context(sharing_from(to_two))
        stack.enter_context(sharing_from(to_one))
        observed(to_two, "192.0.2.1")
        wait_until(lambda: bool(arrived(to_one)))
        observed(to_one, "192.0.2.9")  # when this has come over, two has read beyond what one told it
        wait_until(lambda: len(arrived(to_two)) == 2)
        assert [str(piece.source) for piece in arrived(to_two)] == ["192.0.2.1", "192.0.2.9"]
        assert [str(piece.source) for piece in arrived(to_one)] == ["192.0.2.1", "192.0.2.9"]


def test_a_peer_that_was_away_is_told_later(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost and nothing told twice, also when we were restarted meanwhile."""
    monkeypatch.setattr(sharing, "FIRST_DELAY", 0.1)
    monkeypatch.setattr(sharing, "LAST_DELAY", 0.5)
    url = f"http://127.0.0.1:{free_port}"
    settings = sender(tmp_path, url)
    observed(settings, "192.0.2.1")
    with pytest.raises(OSError, match="refused"):
        tell(Follower(settings.reputation_folder, url), Peer(url, TOKEN))
    with serving(settings_in(tmp_path / "there", reputation={"node_tokens": [f"node1:{TOKEN}"]})) as there:
        moved = sender(tmp_path, there.url)
        for address in ("192.0.2.2", "192.0.2.3"):
            with sharing_from(moved):
                observed(moved, address)
                wait_until(lambda last=address: last in [str(piece.source) for piece in arrived(there.settings)])  # type: ignore[misc]
        assert [str(piece.source) for piece in arrived(there.settings)] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_a_new_spool_is_followed_after_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper renames the spool when it is large; what was not read of it comes first."""
    monkeypatch.setattr(sharing, "SETTLE_SECONDS", 0.0)
    settings = sender(tmp_path)
    folder = settings.reputation_folder
    follower = Follower(folder, "http://127.0.0.1:1")
    assert follower.read() == []
    observed(settings, "192.0.2.1")
    assert len(follower.read()) == 1
    follower.advance()
    observed(settings, "192.0.2.2")
    (folder / evidence.SPOOL).replace(folder / OLD_SPOOL)
    observed(settings, "192.0.2.3")
    read = []
    for _ in range(2):
        read += follower.read()
        follower.advance()
        follower = Follower(folder, "http://127.0.0.1:1")
    assert [line.split("\t")[3] for line in read] == ["192.0.2.2", "192.0.2.3"]
    assert follower.read() == []


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    """Half a line is no evidence yet."""
    settings = sender(tmp_path)
    observed(settings, "192.0.2.1")
    spool = settings.reputation_folder / evidence.SPOOL
    line = spool.read_text()
    with spool.open("a") as file:
        file.write(line[:20])
    follower = Follower(settings.reputation_folder, "http://127.0.0.1:1")
    assert follower.read() == [line.rstrip("\n")]
    follower.advance()
    assert follower.read() == []
    with spool.open("a") as file:
        file.write(line[20:])
    assert follower.read() == [line.rstrip("\n")]


@contextlib.contextmanager
def answering(status: int, headers: dict[str, str], seen: list[str]) -> Iterator[str]:
    """A peer that answers always the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"no " * 100_000)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_the_token_follows_no_redirection(tmp_path: Path) -> None:
    """A peer that sends us elsewhere has not taken the batch, and elsewhere is not asked."""
    seen: list[str] = []
    with answering(200, {}, seen) as elsewhere, answering(307, {"Location": f"{elsewhere}/steal"}, seen) as url:
        settings = sender(tmp_path, url)
        observed(settings, "192.0.2.1")
        with pytest.raises(CannotShare, match="307"):
            tell(Follower(settings.reputation_folder, url), Peer(url, TOKEN))
    assert seen == [sharing.PATH]


@pytest.mark.parametrize(("status", "kept"), [(401, True), (429, True), (500, True), (422, False), (413, False)])
def test_a_batch_is_kept_unless_it_never_will_be_taken(tmp_path: Path, status: int, kept: bool) -> None:
    """A batch that the peer cannot read must not hold up those that follow."""
    with answering(status, {}, []) as url:
        settings = sender(tmp_path, url)
        observed(settings, "192.0.2.1")
        follower = Follower(settings.reputation_folder, url)
        with pytest.raises(CannotShare) if kept else contextlib.nullcontext():
            tell(follower, Peer(url, TOKEN))
        assert bool(follower.read()) is kept


@pytest.mark.parametrize(
    "entry",
    [
        "http://node2.example/ " + TOKEN,
        "https://node2.example/",
        "ftp://node2.example/ " + TOKEN,
        "https://a@node2/ " + TOKEN,
        "https://x/ short",
    ],
)
def test_a_peer_that_cannot_be_is_refused_without_showing_its_token(tmp_path: Path, entry: str) -> None:
    """Plain http is taken for loopback and private addresses only; the message does not repeat the secret."""
    file = tmp_path / "mailward.toml"
    file.write_text(f'[reputation]\npeers = ["{entry}"]\n')
    with pytest.raises(SettingsError) as refused:
        Settings.from_file(file)
    assert TOKEN not in str(refused.value)
    assert TOKEN not in repr(Peer.read(entry))
