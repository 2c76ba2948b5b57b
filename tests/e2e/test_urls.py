"""What is known of URLs from end to end: evidence, ratings and mail on one side, mail and DNS on the other."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running import Served, Talk, free_port, serving, wait_until
from tests.e2e.test_reputation import LIMIT_SECONDS, dig
from tests.https import Site, page

from mailward.gateway import databases
from mailward.gateway.urls import Links
from mailward.reputation.url.place import Scope
from mailward.reputation.url.ratings import OwnRating
from mailward.reputation.url.table import LIFE_FILE, UrlTable

pytestmark = [
    pytest.mark.xdist_group("servers"),
    pytest.mark.skipif(not shutil.which("dig"), reason="needs dig (Debian package bind9-dnsutils)"),
]

ZONE = "url.rep.internal"
POLICY = '[web_reputation.action]\naction = "reject"\n'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, workers=1, policy=POLICY, dns={"listen": f"127.0.0.1:{free_port()}"}) as (served, _):
        yield served


def answer(served: Served, link: str) -> str:
    with Talk(served.port) as talk:
        talk.say("EHLO client.example.net")
        return talk.mail(body=f"See http://{link} please")


def test_from_a_bad_link_to_refused_mail_and_an_answer(served: Served) -> None:
    """A high verdict lists the link's domain on the DNS port and for the running workers within a minute, through kills and restarts."""
    assert answer(served, "pills.unheard-of.example/a").startswith("250")
    started = time.monotonic()
    told = Links(served.settings.urls_folder)
    told.accuse(["http://pills.unheard-of.example/a"], time.time(), "192.0.2.77")
    told.close()
    wait_until(lambda: dig(served, f"unheard-of.example.{ZONE}") == "127.0.0.20", LIMIT_SECONDS, "the listing")
    wait_until(lambda: answer(served, "other.unheard-of.example/b").startswith("550"), LIMIT_SECONDS, "the refusal")
    assert time.monotonic() - started < LIMIT_SECONDS
    for pid in served.pids("ctrl"):
        os.kill(pid, signal.SIGKILL)
    told = Links(served.settings.urls_folder)
    told.accuse(["http://second-one.example/"], time.time(), "192.0.2.78")
    told.close()
    wait_until(lambda: dig(served, f"second-one.example.{ZONE}") == "127.0.0.20", LIMIT_SECONDS, "the listing after a kill")
    words = dig(served, f"unheard-of.example.{ZONE}", "TXT")
    assert "highly suspicious" in words
    served.stop()
    served.run()
    wait_until(lambda: dig(served, f"unheard-of.example.{ZONE}", "TXT") == words, 10, "the same answer after a restart")


def test_a_person_has_the_last_word(served: Served) -> None:
    """A rating is in force for running workers and on the DNS port within seconds, over evidence too, and so is its end."""
    told = Links(served.settings.urls_folder)
    told.accuse(["http://disputed.example/"], time.time(), "192.0.2.77")
    told.close()
    wait_until(lambda: answer(served, "www.disputed.example/").startswith("550"), LIMIT_SECONDS, "the refusal")
    database = databases.url_database(served.settings)
    for rating, listed, code in ((95, "", "250"), (-1, "127.0.0.20", "550")):
        database.rate(
            [OwnRating(scope=Scope.DOMAIN, name="disputed.example", rating=rating, time=int(time.time()), who="ann")], time.time()
        )
        wait_until(lambda listed=listed: dig(served, f"disputed.example.{ZONE}") == listed, 10, "the answer")
        wait_until(lambda code=code: answer(served, "disputed.example/x").startswith(code), 10, "the verdict")


def test_domains_of_links_are_remembered(served: Served) -> None:
    """Mail that comes in leaves the life of its domains behind, over a restart; nothing else of a link is kept for that."""
    for n in range(3):
        assert answer(served, f"www.seen-{n}.example/secret-path?user=ann").startswith("250")
    served.stop()
    with databases.url_keeper(served.settings) as keeper:
        keeper.catch_up(force=True)
    assert len(UrlTable.open(served.settings.snapshots_folder / LIFE_FILE)) == 3
    spool = (served.settings.urls_folder / "evidence.tsv").read_text()
    assert "domain seen-1.example" in spool
    assert "secret" not in spool


def test_a_young_registration_is_asked_for_once_and_counts(site: Site, tmp_path: Path) -> None:
    """Mail with an unknown link has the service asked since when its domain is registered; the next mail at level high is refused for it."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 2 * 86_400))
    site.answer = page(f'{{"ldhName": "unheard-of.example", "events": [{{"eventAction": "registration", "eventDate": "{when}"}}]}}')
    policy = POLICY + '[web_reputation.target]\nlevel = "high"\n'
    with serving(tmp_path, workers=1, policy=policy, urls={"registrations": site.url("/domain/")}) as (served, _):
        assert answer(served, "www.unheard-of.example/a").startswith("250")
        wait_until(lambda: answer(served, "www.unheard-of.example/b").startswith("550"), 30, "the refusal")
        assert [asked["path"] for asked in site.asked] == ["/domain/unheard-of.example"]
