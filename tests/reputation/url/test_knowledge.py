"""What is known of URLs here, and in which order it counts."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailward.gateway import databases
from mailward.gateway.settings import Settings
from mailward.reputation.mapped import SnapshotError
from mailward.reputation.url import rater as rating
from mailward.reputation.url.entry import FEED_KINDS
from mailward.reputation.url.imports import read
from mailward.reputation.url.knowledge import UrlKnowledge
from mailward.reputation.url.place import Keying, Scope, place_of, text
from mailward.reputation.url.rater import Rater, load
from mailward.reputation.url.rating import Band
from mailward.reputation.url.ratings import REMOVED, OwnRating, from_text, named, to_text, usual_scope
from mailward.reputation.url.store import UrlDatabase
from mailward.reputation.url.table import FEEDS_FILE, OWN_FILE, UrlTable

DAY = 86_400


class Here:
    """A database, and a rater over what it publishes."""

    def __init__(self, folder: Path) -> None:
        self.snapshots = folder / "snapshots"
        self.database = UrlDatabase(folder / "reputation", self.snapshots)

    def feed(self, name: str, content: str, kind: str = "phishing", expires: float = 0, at: float | None = None) -> None:
        now = time.time() if at is None else at
        chosen = FEED_KINDS[kind]
        feed = read(io.BytesIO(content.encode()), self.database.keying(), chosen, chosen.rating, now)
        self.database.import_feed(name, feed, chosen, name, int(expires), now)
        self.database.publish_if_due(now)

    def say(self, url: str, number: int, scope: Scope = Scope.HOST, until: int = 0, why: str = "") -> None:
        made = OwnRating(scope=scope, name=named(url, scope), rating=number, time=int(time.time()), who="ann", why=why, until=until)
        self.database.rate([made], time.time())
        self.database.publish_if_due(time.time())

    @property
    def rater(self) -> Rater:
        return load(self.snapshots)


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def test_feeds_know_the_url_its_host_and_names_below(here: Here) -> None:
    """Scheme, fragment, www and case of the host do not matter; path, query and port do."""
    here.feed("phish", "https://Evil.example/Login.php?a=1#top\nhttp://other.example:8080/x\n")
    here.feed("names", "bad.example\n", "malware")
    rate = here.rater.rate
    assert (rate("http://www.evil.example/Login.php?a=1").rating, rate("http://www.evil.example/Login.php?a=1").source) == (
        20,
        "feed:phish",
    )
    assert rate("http://evil.example/login.php?a=1").rating == 60
    assert "another page of its host is listed by phish" in rate("http://evil.example/").why
    assert rate("https://other.example:8080/x").rating == 20
    assert rate("https://deep.below.bad.example/").rating == 15
    assert "its domain is listed by names as malware since 20" in rate("https://deep.below.bad.example/").why
    assert rate("https://notbad.example/").source != "feed:names"


def test_private_suffixes_keep_customers_apart(here: Here) -> None:
    """A page of one customer says nothing of another, nor of the place that both are at."""
    here.feed("phish", "https://evil.pages.dev/\nhttps://evil.github.io/repo/\n")
    rate = here.rater.rate
    assert rate("https://evil.pages.dev/anything").rating == 20
    assert not rate("https://garden-club.pages.dev/").source.startswith("feed")
    assert not rate("https://pages.dev/").source.startswith("feed")


@pytest.mark.parametrize("url", ["http://192.0.2.7/x", "http://3221225991/", "http://[2001:db8::7]/", "http://0xC0000207/x"])
def test_bare_addresses_are_looked_up(here: Here, url: str) -> None:
    """Addresses are entries of feeds, however they are written."""
    here.feed("names", "192.0.2.7\n2001:db8::7\nx.example\n", "malware")
    assert (here.rater.rate(url).rating, here.rater.rate(url).source) == (15, "feed:names")


def test_bare_addresses_are_looked_up_in_our_address_databases(tmp_path: Path) -> None:
    """A link to an address that is listed as a source of spam is dangerous."""
    from tests.zones.serving import Row, publish

    publish(tmp_path / "standard.ips", [Row("198.51.100.7")])
    found = load(tmp_path).rate("http://198.51.100.7/a")
    assert (found.rating, found.source) == (rating.LISTED_ADDRESS_RATING, "ip:standard")
    assert load(tmp_path).rate("http://198.51.100.8/a").rating == rating.ADDRESS_RATING


def test_the_order(here: Here) -> None:
    """People first, then feeds, packaged lists, popularity, the model; the most exact of a person's words counts."""
    here.feed("phish", "https://shop.example/a\nhttps://www.debian.org/evil\n")
    assert here.rater.rate("https://www.debian.org/evil").rating == 20
    assert here.rater.rate("https://www.debian.org/").source == "list:popular"
    here.say("shop.example", 95, Scope.DOMAIN, why="our own shop")
    found = here.rater.rate("https://shop.example/a")
    assert (found.rating, found.source, found.band) == (95, "own", Band.SAFE)
    assert "rated safe by ann (our own shop) since 20" in found.why
    here.say("http://shop.example/a", 10, Scope.URL)
    assert here.rater.rate("https://shop.example/a").rating == 10
    here.say("http://shop.example/b/c", 30, Scope.PATH)
    assert here.rater.rate("https://x.shop.example/b/c").rating == 95
    assert here.rater.rate("https://shop.example/b/c/d?e").rating == 30
    assert here.rater.rate("https://shop.example/b/cd").rating == 95
    here.say("https://www.debian.org/", 5)
    assert here.rater.rate("https://debian.org/distrib/").rating == 5


def test_popularity_is_a_weak_hint(here: Here) -> None:
    """A well-ranked name that nothing speaks against is safe, a badly ranked one untested; a place for everybody is never safe by rank."""
    name = "paypal-account-verification-login.example"
    before = here.rater.rate(f"https://{name}/signin.php").rating
    assert before is not None
    assert before < 81
    here.feed("ranks", f"7,garden-club-hobart.example\n900000,far-behind.example\n3,{name}\n5,evil.pages.dev\n2,pages.dev\n", "popular")
    found = here.rater.rate("https://www.garden-club-hobart.example/")
    assert (found.rating, found.source) == (rating.RANKED_RATING, "feed:ranks")
    assert here.rater.rate("https://far-behind.example/").rating is None
    assert "900,000" in here.rater.rate("https://far-behind.example/").why
    after = here.rater.rate(f"https://{name}/signin.php").rating
    assert after is None or 81 > after > before
    assert here.rater.rate("https://somebody.duckdns.org/").band is not Band.SAFE
    assert here.rater.rate("https://sites.google.com/view/x").band is not Band.SAFE


def test_entries_end_by_themselves(here: Here) -> None:
    """A rating and a feed that are over say nothing, whether or not anything was published since."""
    now = time.time()
    here.feed("phish", "http://gone.example/\n", expires=now - 5, at=now - 60)
    here.say("soon.example", 1, until=int(now) - 1)
    assert here.rater.rate("http://gone.example/").rating is None
    assert here.rater.rate("http://soon.example/").rating is None


def test_a_running_rater_takes_up_what_is_published(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without being made anew, and though it had remembered the rating."""
    monkeypatch.setattr(rating, "FOLLOW_SECONDS", 0.0)
    rater = here.rater
    assert rater.rate("http://late.example/").rating is None
    here.say("late.example", 12)
    assert rater.rate("http://late.example/").rating == 12
    here.say("late.example", REMOVED)
    assert rater.rate("http://late.example/").rating is None


def test_an_entry_of_a_feed_keeps_the_day_it_was_first_named(here: Here) -> None:
    """Since when does not begin anew with every refresh."""
    then = time.time() - 10 * DAY
    here.feed("phish", "http://a.example/\n", at=then)
    here.feed("phish", "http://a.example/\nhttp://b.example/\n")
    rate = here.rater.rate
    assert rate("http://a.example/").since == int(then)
    assert rate("http://b.example/").since > then + 9 * DAY


def test_of_two_feeds_the_worse_word_counts(here: Here) -> None:
    here.feed("a-mild", "http://a.example/\n", "unwanted")
    here.feed("b-bad", "http://a.example/\n", "malware")
    assert here.rater.rate("http://a.example/").source == "feed:b-bad"
    assert here.database.remove_list("b-bad")
    here.database.publish_if_due(time.time())
    assert here.rater.rate("http://a.example/").source == "feed:a-mild"


def test_history_says_who_and_when(here: Here) -> None:
    """Everything that was ever said stays in the history; the last word counts."""
    here.say("a.example", 10, why="looked at it")
    here.say("a.example", 90)
    here.say("a.example", REMOVED)
    assert [(each.rating, each.who, each.why) for each in here.database.history()] == [
        (10, "ann", "looked at it"),
        (90, "ann", ""),
        (-1, "ann", ""),
    ]
    assert here.database.ratings(time.time()) == []


def test_ratings_as_text_come_back_as_they_were() -> None:
    """One a line; refusals name the line."""
    content = "# ours\n95\tdomain\tshop.example\t# our own: shop #1\n5 url http://evil.example/a?b=c#d # bad\n10 path evil.example/a/\n\n"
    found, refused = from_text(content, "ann", 1000)
    assert refused == []
    assert [(each.rating, each.scope, each.name, each.why) for each in found] == [
        (95, Scope.DOMAIN, "shop.example", "our own: shop #1"),
        (5, Scope.URL, "evil.example/a?b=c", "bad"),
        (10, Scope.PATH, "evil.example/a", ""),
    ]
    assert from_text(to_text(found), "ann", 1000) == (found, [])
    _, refused = from_text(
        "101 host a.example\n5 host\n5 world a.example\n5 domain 192.0.2.1\n5 path a.example\n5 host localhost\n", "ann", 1
    )
    assert [line for line, _ in refused] == [1, 2, 3, 4, 5, 6]


def test_what_somebody_means_who_names_no_scope() -> None:
    assert usual_scope("https://a.example/") is Scope.HOST
    assert usual_scope("a.example") is Scope.HOST
    assert usual_scope("a.example/x") is Scope.URL


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"not a table", b'{"format":"mailward-urls-2"}\n'])
def test_a_damaged_table_costs_its_entries_only(here: Here, damage: bytes) -> None:
    """It is logged, the one before stays, and it is written anew."""
    here.say("a.example", 10)
    knowledge = UrlKnowledge(here.snapshots)
    place = place_of("http://a.example/")
    assert place is not None
    (here.snapshots / "draft").write_bytes(damage)
    os.replace(here.snapshots / "draft", here.snapshots / OWN_FILE)
    knowledge.follow()
    assert knowledge.rated(place, time.time()) is not None
    with pytest.raises(SnapshotError, match="cannot be used"):
        UrlTable.open(here.snapshots / OWN_FILE)
    assert UrlDatabase(here.database.folder.parent, here.snapshots).publish_if_due(time.time())
    assert here.rater.rate("http://a.example/").rating == 10


def test_two_sites_have_different_keys(tmp_path: Path) -> None:
    """Nobody can look for a name that falls on the entry of another without the salt."""
    one, two = (Here(tmp_path / name).database.keying() for name in ("one", "two"))
    name = text(Scope.HOST, "a.example")
    assert one.key(name) != two.key(name)
    assert Keying(one.salt).key(name) == one.key(name)


def test_many_processes_rate_at_the_same_time(here: Here) -> None:
    """No rating is lost, and the last table holds them all."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom mailward.reputation.url.store import UrlDatabase\n"
        "from mailward.reputation.url.ratings import OwnRating\nfrom mailward.reputation.url.place import Scope\n"
        "d = UrlDatabase(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "for n in range(20):\n    d.rate([OwnRating(scope=Scope.HOST, name=f'h{n}.{sys.argv[3]}.example', rating=5, time=1, who='x')], 2.0)\n"
        "    d.publish_if_due(time.time())\n"
    )
    folder = here.database.folder.parent
    running = [subprocess.Popen([sys.executable, "-c", code, str(folder), str(here.snapshots), str(n)]) for n in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(UrlTable.open(here.snapshots / OWN_FILE)) == 60


def test_feeds_of_the_settings_are_fetched_and_the_last_good_copy_kept(tmp_path: Path) -> None:
    """From a file here; HTTPS is the way of the address lists (test_refresh.py). A feed that shrinks or breaks changes nothing."""
    from mailward.reputation.ip.refresh import Refresh, refresh

    list_ = tmp_path / "openphish.txt"
    list_.write_text("".join(f"http://evil{n}.example/\n" for n in range(300)))
    config = tmp_path / "mailward.toml"
    config.write_text(f'[[urls.feeds]]\nname = "openphish"\nsource = "{list_}"\nevery = "15m"\n')
    settings = Settings.load(config, tmp_path / "state")
    database, (source,) = databases.url_database(settings), settings.urls.feed_sources
    state = refresh(database, source, Refresh(), time.time())
    assert state.failure == ""
    database.publish_if_due(time.time())
    rater = databases.url_rater(settings)
    assert rater.rate("http://evil7.example/").source == "feed:openphish"
    list_.write_text("".join(f"http://evil{n}.example/\n" for n in range(100)))
    state = refresh(database, source, state, time.time())
    assert "shrank from 300 entries to 100" in state.failure
    assert "mailward urls remove openphish" in state.failure
    list_.write_text("<html>Service unavailable</html>\n")
    assert "most lines" in refresh(database, source, state, time.time()).failure
    list_.unlink()
    assert "No such file" in refresh(database, source, state, time.time()).failure
    note = database.find_list("openphish")
    assert note is not None
    assert note.entries == 300
    assert len(UrlTable.open(settings.snapshots_folder / FEEDS_FILE)) == 600
