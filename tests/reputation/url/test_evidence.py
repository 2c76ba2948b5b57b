"""Evidence about places on the web: what it is about, how it decays, and how it is learned across restarts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.reputation.url import domains, evidence, keeper
from mailward.reputation.url.domains import DAY, Domains
from mailward.reputation.url.evidence import UrlEvidence, UrlEvidenceKind, accused, of_message, parse
from mailward.reputation.url.keeper import UrlKeeper
from mailward.reputation.url.place import Keying, Scope, place_of
from mailward.reputation.url.rater import load
from mailward.reputation.url.rating import Band
from mailward.reputation.url.table import EVIDENCE_FILE, UrlTable

NOW = 1_795_000_000.0
HIGH, SEEN, CLEAN = UrlEvidenceKind.NEW_SOURCE, UrlEvidenceKind.SEEN, UrlEvidenceKind.SEEN_CLEAN


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://a.b.evil.example/x", (Scope.DOMAIN, "evil.example")),
        ("http://www.evil.co.uk/", (Scope.DOMAIN, "evil.co.uk")),
        ("https://evil.pages.dev/x", (Scope.DOMAIN, "evil.pages.dev")),
        ("https://deep.evil.github.io/x", (Scope.DOMAIN, "evil.github.io")),
        ("https://evil-my.sharepoint.com/x", (Scope.HOST, "evil-my.sharepoint.com")),
        ("https://sites.google.com/view/evil", (Scope.URL, "sites.google.com/view/evil")),
        ("https://github.com/evil/repo", (Scope.URL, "github.com/evil/repo")),
        ("https://www.github.com/", None),
        ("https://pages.dev/", None),
        ("http://192.0.2.1/x", (Scope.HOST, "192.0.2.1")),
        ("http://[2001:db8::1]:81/x", (Scope.HOST, "2001:db8::1")),
        ("http://intranet/x", None),
    ],
)
def test_evidence_is_about_no_more_than_belongs_to_one(url: str, place: tuple[Scope, str] | None) -> None:
    """A customer's name is listed, never the place that many share, nor a well-known site."""
    found = place_of(url)
    assert found is not None
    assert accused(found) == place


def test_a_message_speaks_of_each_place_once_and_of_few() -> None:
    urls = ["http://a.evil.example/", "http://b.evil.example/", "mailto:x@y.example", *(f"http://e{n}.example/" for n in range(20))]
    pieces = list(of_message(urls, NOW, address="192.0.2.7"))
    assert len(pieces) == evidence.MAX_PLACES
    assert pieces[0].name == "evil.example"
    assert {piece.detail for piece in pieces} == {"192.0.2.7"}


@given(st.text(max_size=50), st.text(max_size=50), st.sampled_from(Scope), st.sampled_from(UrlEvidenceKind))
def test_a_line_comes_back_as_it_was(by: str, detail: str, scope: Scope, kind: UrlEvidenceKind) -> None:
    """Whatever is in the texts, a piece is one line that says the same."""
    piece = UrlEvidence(NOW, kind, scope, "evil.example/a b", 2.0, by, detail)
    line = piece.line()
    assert line.count("\n") == 1
    back = parse(line)
    assert back is not None
    assert (back.time, back.kind, back.scope, back.name, back.weight) == (NOW, kind, scope, "evil.example/a b", 2.0)


@pytest.mark.parametrize(
    "line",
    ["", "x", "1\tseen\t1\tdomain \t\t", "1\tseen\tnan\tdomain a\t\t", "inf\tseen\t1\tdomain a\t\t", "1\tnew-source\t1e9\tdomain a\t\t"],
)
def test_what_is_no_evidence_is_left_out(line: str) -> None:
    assert parse(line) is None


def learned(*pieces: UrlEvidence) -> Domains:
    found = Domains(Keying(b"salt for tests"))
    for piece in pieces:
        found.learn(piece)
    return found


def high(at: float = NOW, address: str = "192.0.2.7", name: str = "evil.example", kind: UrlEvidenceKind = HIGH) -> UrlEvidence:
    return UrlEvidence(at, kind, Scope.DOMAIN, name, evidence.WEIGHTS[kind], "gateway", address)


def test_one_verdict_lists_for_a_day_and_more_make_it_dangerous() -> None:
    """It ends by itself; the same sender network counts once a day."""
    found = learned(high(), high(NOW + 5), high(NOW + 9, "192.0.2.99"))
    (held,) = found.listed(NOW + 10)
    assert (held.rating, held.pieces) == (domains.HIGHLY_SUSPICIOUS, 1)
    assert held.until == pytest.approx(NOW + DAY, abs=60)
    assert found.listed(NOW + DAY + 60) == []
    found.learn(high(NOW + 20, "198.51.100.1"))
    found.learn(high(NOW + 30, "203.0.113.1"))
    (held,) = found.listed(NOW + 40)
    assert held.rating == domains.DANGEROUS
    assert NOW + DAY < held.until <= NOW + domains.MOST + 40


def test_people_can_say_the_contrary() -> None:
    """A report that it is wanted weighs more than one verdict; the operator forgets everything."""
    assert learned(high(), high(NOW + 1, kind=UrlEvidenceKind.REPORT_HAM)).listed(NOW + 2) == []
    found = learned(high(), high(NOW, "198.51.100.1"), high(NOW, "203.0.113.1"))
    found.learn(high(NOW + 1, kind=UrlEvidenceKind.FORGET))
    assert found.held == {}


def test_a_reported_message_lists_nothing_by_itself() -> None:
    """What one person does not want may be a newsletter; it takes two."""

    def report(who: str) -> UrlEvidence:
        return UrlEvidence(NOW, UrlEvidenceKind.REPORT_SPAM, Scope.DOMAIN, "news.example", evidence.MESSAGE_REPORTED, who)

    assert learned(*[report("ann")] * 50).listed(NOW) == []
    assert len(learned(report("ann"), report("tom")).listed(NOW)) == 1


def test_an_established_domain_is_not_listed_by_evidence() -> None:
    """Many clean messages over weeks protect a correspondent whose name is put into spam."""
    seen = [UrlEvidence(NOW - 20 * DAY + n * DAY, CLEAN, Scope.DOMAIN, "partner.example", 1.0) for n in range(12)]
    assert learned(*seen, high(name="partner.example")).listed(NOW) == []
    assert len(learned(*seen[:9], high(name="partner.example")).listed(NOW)) == 1
    fresh = [UrlEvidence(NOW - DAY, CLEAN, Scope.DOMAIN, "partner.example", 100.0)]
    assert len(learned(*fresh, high(name="partner.example")).listed(NOW)) == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Domains not seen for longest make room, and so do the places with least evidence."""
    monkeypatch.setattr(domains, "MAX_DOMAINS", 100)
    monkeypatch.setattr(domains, "MAX_HELD", 50)
    found = Domains(Keying(b"salt for tests"))
    for n in range(1000):
        found.learn(UrlEvidence(NOW + n, SEEN, Scope.DOMAIN, f"d{n}.example", 1.0))
        found.learn(high(NOW + n, f"10.{n >> 8}.{n & 255}.1", f"e{n}.example"))
    assert len(found.life) <= 100
    assert found.life.array("last").max() == int(NOW) + 999
    assert len(found.held) <= 50
    assert (Scope.DOMAIN, "e999.example") in found.held


def test_a_million_domains_take_little_memory() -> None:
    """Twenty-four octets each, and the state comes back as it was."""
    found = Domains(Keying(b"salt for tests"))
    for n in range(200_000):
        found.learn(UrlEvidence(NOW, SEEN, Scope.DOMAIN, f"d{n}.example", 1.0))
    state = found.state()
    assert sum(array.nbytes for array in state.values()) < 200_000 * 26
    again = Domains(Keying(b"salt for tests"))
    again.restore(state)
    assert len(again.life) == 200_000
    assert all(np.array_equal(again.state()[name], state[name]) for name in state)


def test_learned_published_and_rated_within_a_second(tmp_path: Path) -> None:
    """From a line in the spool to the rating; nothing of it outlasts its time."""
    folder, snapshots = tmp_path / "reputation", tmp_path / "snapshots"
    now = time.time()
    with UrlKeeper(folder, snapshots) as keeping:
        rater = load(snapshots)
        assert rater.rate("http://x.evil.example/").rating is None
        evidence.append(folder / "urls", of_message(["http://x.evil.example/"], now, address="192.0.2.7"))
        while not keeping.catch_up():
            assert time.time() < now + 5
        while not len(UrlTable.open(snapshots / EVIDENCE_FILE)):
            keeping.catch_up()
            assert time.time() < now + 5
    found = load(snapshots).rate("http://y.evil.example/other")
    assert (found.band, found.source) == (Band.HIGHLY_SUSPICIOUS, "evidence")
    assert "its domain was in bad mail" in found.why
    assert found.until == pytest.approx(now + DAY, abs=60)


def test_the_life_of_a_domain_is_a_hint(tmp_path: Path) -> None:
    """New here is said of domains first seen lately or never, once mail was watched for long enough."""
    folder, snapshots = tmp_path / "reputation", tmp_path / "snapshots"
    now = time.time()
    pieces = [UrlEvidence(now - days * DAY, SEEN, Scope.DOMAIN, f"d{days}.example", 1.0) for days in (30, 20, 3, 1)]
    evidence.append(folder / "urls", pieces)
    with UrlKeeper(folder, snapshots) as keeping:
        keeping.catch_up(force=True)
    rate = load(snapshots).rate
    assert "first seen in mail here 3 days ago" in rate("http://d3.example/").why
    assert "1 day ago" in rate("http://x.d1.example/").why
    assert "seen" not in rate("http://d20.example/").why
    assert "never seen in mail here before today" in rate("http://nobody-knows.example/").why
    assert rate("http://nobody-knows.example/").rating is None
    assert "seen" not in rate("https://www.debian.org/").why


def test_where_nobody_has_watched_long_enough_new_says_nothing(tmp_path: Path) -> None:
    folder, snapshots = tmp_path / "reputation", tmp_path / "snapshots"
    evidence.append(folder / "urls", [UrlEvidence(time.time() - DAY, SEEN, Scope.DOMAIN, "d.example", 1.0)])
    with UrlKeeper(folder, snapshots) as keeping:
        keeping.catch_up(force=True)
    assert load(snapshots).rate("http://nobody-knows.example/").why == "nothing is known of it"


def test_a_popular_domain_is_not_listed_as_a_whole(tmp_path: Path) -> None:
    """An imported list of popular names protects, as the packaged ones do."""
    from tests.reputation.url.test_knowledge import Here

    Here(tmp_path).feed("ranks", "70,evil.example\n900000,behind.example\n", "popular")
    folder, snapshots = tmp_path / "reputation", tmp_path / "snapshots"
    evidence.append(folder / "urls", [high(time.time()), high(time.time(), name="behind.example")])
    with UrlKeeper(folder, snapshots) as keeping:
        keeping.catch_up(force=True)
    assert UrlTable.open(snapshots / EVIDENCE_FILE).names == ["behind.example"]


def test_a_damaged_state_is_put_aside(tmp_path: Path) -> None:
    folder, snapshots = tmp_path / "reputation", tmp_path / "snapshots"
    evidence.append(folder / "urls", [high(time.time())])
    with UrlKeeper(folder, snapshots) as keeping:
        keeping.catch_up(force=True)
    (folder / "urls" / keeper.STATE_FILE).write_bytes(b"PK\3\4 not really")
    with UrlKeeper(folder, snapshots) as keeping:
        keeping.catch_up(force=True)
        assert len(keeping.domains.held) == 1
    assert (folder / "urls" / "domains.damaged").exists()


KEEPER = """
import sys, time
from pathlib import Path
from mailward.reputation.url import keeper as keeping
keeping.SAVE_SECONDS = 0.02
while True:
    try:
        keeper = keeping.UrlKeeper(Path(sys.argv[1]), Path(sys.argv[2]))
        break
    except keeping.Busy:
        time.sleep(0.01)
print("go", flush=True)
while True:
    keeper.catch_up()
    time.sleep(0.002)
"""


@pytest.mark.fault
def test_killed_keepers_lose_nothing(tmp_path: Path) -> None:
    """Whenever keepers are killed, each message counts once."""
    folder, snapshots = tmp_path / "reputation", tmp_path / "snapshots"
    chance = random.Random(3)
    for round_ in range(6):
        with subprocess.Popen([sys.executable, "-c", KEEPER, str(folder), str(snapshots)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"go\n"
            for _ in range(20):
                pieces = [UrlEvidence(NOW + round_, SEEN, Scope.DOMAIN, f"d{n % 50}.example", 1.0) for n in range(100)]
                evidence.append(folder / "urls", pieces)
                time.sleep(chance.uniform(0.0, 0.02))
            os.kill(process.pid, signal.SIGKILL)
    with UrlKeeper(folder, snapshots) as keeping:
        keeping.catch_up(force=True)
        assert keeping.domains.life.array("count").sum() == 6 * 20 * 100
        assert len(keeping.domains.life) == 50
