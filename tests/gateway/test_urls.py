"""Domains that were seen, and bad ones, on their way to the process that learns."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from pathlib import Path

import pytest

from mailward.gateway import Gateway, databases
from mailward.gateway import urls as links
from mailward.gateway.urls import Links
from mailward.message import Envelope
from mailward.policy import Policy
from mailward.reputation.url import evidence
from mailward.reputation.url.evidence import UrlEvidenceKind, parse
from mailward.reputation.url.place import Scope

HEAD = b"From: a@example.net\r\nTo: b@example.org\r\nSubject: x\r\nMessage-ID: <1@example.net>\r\n\r\n"
MAIL = HEAD + b"See http://www.shop.example/a and http://b.shop.example/ and http://192.0.2.1/\r\n"


def pieces(folder: Path) -> list[evidence.UrlEvidence]:
    spool = folder / evidence.SPOOL
    found = [parse(line) for line in spool.read_text().splitlines()] if spool.exists() else []
    assert None not in found
    return [piece for piece in found if piece is not None]


def test_a_domain_is_told_once_and_then_counted(make_gateway) -> None:
    """A hundred messages with the same links are two lines: the first at once, the others when the process ends or an hour is over."""
    gateway: Gateway = make_gateway(0.1)
    for _ in range(100):
        gateway.record(
            gateway.judge(MAIL, Envelope(client_ip="192.0.2.7", mail_from="a@example.net", rcpt_to=("b@example.org",))), "delivered"
        )
    gateway.flush()
    folder = gateway.settings.urls_folder
    assert [(piece.kind, piece.name, piece.weight) for piece in pieces(folder)] == [(UrlEvidenceKind.SEEN_CLEAN, "shop.example", 1)]
    gateway.close()
    assert [piece.weight for piece in pieces(folder)] == [1, 99]
    with databases.url_keeper(gateway.settings) as keeper:
        keeper.catch_up(force=True)
        life = keeper.domains.life
        assert (len(life), list(life.columns["count"]), list(life.columns["clean"])) == (1, [100], [100])


def test_accusing_is_one_call(tmp_path: Path) -> None:
    """What a filter calls: the places of the bad links, with the address they came from."""
    told = Links(tmp_path)
    told.accuse(["http://x.evil.example/a", "https://www.debian.org/"], time.time(), "192.0.2.7")
    told.close()
    (piece,) = pieces(tmp_path)
    assert (piece.kind, piece.scope, piece.name, piece.detail) == (UrlEvidenceKind.NEW_SOURCE, Scope.DOMAIN, "evil.example", "192.0.2.7")


def test_a_report_speaks_of_the_links_in_the_message(make_gateway) -> None:
    """Not of our own domains, nor of approved ones; a report that is taken back says nothing more."""
    policy = Policy.from_toml(
        '[organisation]\ninternal_domains = ["*.ours.example"]\n[web_reputation.target]\napproved_urls = ["partner.example"]\n', "test"
    )
    gateway: Gateway = make_gateway(0.1, policy=policy)
    urls = ["http://www.ours.example/", "https://x.partner.example/y", "www.evil.example"]
    gateway.reported("192.0.2.7", "spam", "ann", urls=urls)
    gateway.reported("192.0.2.7", "spam", "ann", undone=True, urls=urls)
    gateway.flush()
    found = [(piece.kind, piece.name, piece.weight, piece.by) for piece in pieces(gateway.settings.urls_folder)]
    assert found == [(UrlEvidenceKind.REPORT_SPAM, "evil.example", evidence.MESSAGE_REPORTED, "ann")]


def test_nothing_is_remembered_where_the_operator_does_not_want_it(tmp_path: Path) -> None:
    told = Links(tmp_path, learn=False)
    told.accuse(["http://x.evil.example/a"], time.time())
    told.close()
    assert pieces(tmp_path) == []


def test_memory_is_bounded_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Domains that make room are told with what was counted of them."""
    monkeypatch.setattr(links, "REMEMBERED", 10)
    told = Links(tmp_path)
    wanted: Counter[str] = Counter()
    for n in range(500):
        name = f"d{n * 7 % 40}.example"
        told._count(name, 1.0, True)
        told._count(name, 1.0, True)
        wanted[name] += 2
        assert len(told._counts) <= 11
    told.close()
    found: Counter[str] = Counter()
    for piece in pieces(tmp_path):
        found[piece.name] += int(piece.weight)
    assert found == wanted


def _child(told: Links) -> None:
    told._count("child.example", 1.0, True)
    told.close()


def test_a_forked_worker_tells_its_own(tmp_path: Path) -> None:
    """What the parent had counted is told by the parent, once."""
    told = Links(tmp_path)
    told._count("parent.example", 1.0, True)
    told._count("parent.example", 1.0, True)
    process = multiprocessing.get_context("fork").Process(target=_child, args=(told,))
    process.start()
    process.join(20)
    told.close()
    found = Counter({piece.name: 0 for piece in pieces(tmp_path)})
    for piece in pieces(tmp_path):
        found[piece.name] += int(piece.weight)
    assert found == {"parent.example": 2, "child.example": 1}


def test_a_judgement_follows_what_is_published(make_gateway, tmp_path: Path) -> None:
    """A gateway that runs rates by a rating that was set after it began."""
    gateway: Gateway = make_gateway(0.1)
    gateway.rater = databases.url_rater(gateway.settings)
    envelope = Envelope(client_ip="192.0.2.7", mail_from="a@example.net", rcpt_to=("b@example.org",))
    assert gateway.judge(MAIL, envelope).assessment.urls[0].rating == "untested"
    from mailward.reputation.url.ratings import OwnRating

    database = databases.url_database(gateway.settings)
    database.rate([OwnRating(scope=Scope.DOMAIN, name="shop.example", rating=3, time=1, who="ann")], time.time())
    database.publish_if_due(time.time())
    until = time.monotonic() + 5
    while (judged := gateway.judge(MAIL, envelope)).assessment.urls[0].rating != 3:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert judged.verdict.kind == "malicious_url"
    assert "its domain is rated dangerous by ann" in judged.assessment.urls[0].why
