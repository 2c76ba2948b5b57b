"""Since when a domain is registered: asked of a real RDAP server by HTTPS, and what follows for ratings."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.https import Page, Site, page

from mailward.gateway import databases, registrations
from mailward.gateway.settings import Settings, SettingsError
from mailward.policy import Policy
from mailward.reputation.url import registration
from mailward.reputation.url.evidence import UrlEvidence, UrlEvidenceKind, append
from mailward.reputation.url.place import Scope
from mailward.reputation.url.rater import Rater, load
from mailward.reputation.url.ratings import OwnRating
from mailward.reputation.url.registration import Registrations, Unanswered, Wanted, ask, read

DAY = 86_400


def answered(domain: str, when: str, **more: object) -> dict[str, object]:
    """An answer as registries give it."""
    changed = {"eventAction": "last changed", "eventDate": "2026-11-24T00:00:00Z"}
    return {
        "objectClassName": "domain",
        "ldhName": domain.upper(),
        "events": [changed, {"eventAction": "registration", "eventDate": when}],
        **more,
    }


def registry(days: dict[str, float]) -> Page:
    """A service that knows when these domains were registered, in days before now, and no other."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("/")[2]
        when = datetime.fromtimestamp(time.time() - days.get(name, 0) * DAY, UTC)
        (page(json.dumps(answered(name, when.isoformat()))) if name in days else page("", 404))(request)

    return answer


def known(folder: Path, **days: float) -> Rater:
    """A rater where registries said so of `NAME.example`."""
    kept, now = Registrations(folder / "reputation", folder / "snapshots"), time.time()
    for name, age in days.items():
        kept.remember(f"{name}.example", int(now - age * DAY) if age >= 0 else 0, now)
    kept.publish(now)
    return load(folder / "snapshots")


def test_an_answer_is_read() -> None:
    """The last registration of that domain counts, with or without a time zone; another name, no date and no JSON are no answer."""
    ask_of = lambda **found: read(json.dumps(found).encode(), "evil.example")  # noqa: E731
    assert ask_of(**answered("evil.example", "2026-11-20T10:00:00Z")) == 1_795_168_800
    assert ask_of(**answered("evil.example.", "2026-11-20T11:00:00.5+01:00")) == 1_795_168_800
    assert ask_of(**answered("evil.example", "2026-11-20T10:00:00")) == 1_795_168_800
    twice = [
        {"eventAction": "reregistration", "eventDate": "2026-11-20T10:00:00Z"},
        {"eventAction": "registration", "eventDate": "1999-01-01"},
    ]
    assert ask_of(ldhName="evil.example", events=twice) == 1_795_168_800
    for bad in (answered("other.example", "2026-11-20T10:00:00Z"), answered("evil.example", "soon"), {"ldhName": "evil.example"}, {}):
        with pytest.raises(ValueError, match=r".+"):
            ask_of(**bad)
    with pytest.raises(ValueError, match="JSON"):
        read(b"<html>", "evil.example")


def test_the_service_is_asked_by_https(site: Site) -> None:
    """Only the domain is told, with what RDAP asks for; a redirect to the registry is followed."""
    site.answer = registry({"evil.example": 3})
    assert ask(site.url("/domain/"), "evil.example") == pytest.approx(time.time() - 3 * DAY, abs=5)
    assert (site.asked[0]["path"], site.asked[0]["Accept"]) == ("/domain/evil.example", "application/rdap+json")
    straight = site.answer

    def leading(request: BaseHTTPRequestHandler) -> None:
        if request.path.startswith("/rdap/"):
            page("", 302, Location=site.url("/domain/evil.example"))(request)
        else:
            straight(request)

    site.answer = leading
    assert ask(site.url("/rdap/"), "evil.example") > 0


@pytest.mark.parametrize(("status", "text"), [(404, ""), (400, ""), (200, "no JSON"), (200, "{}")])
def test_what_a_registry_does_not_know_is_unknown(site: Site, status: int, text: str) -> None:
    site.answer = page(text, status)
    assert ask(site.url("/domain/"), "evil.example") == 0


@pytest.mark.parametrize("answer", [page("", 429), page("", 503), page("x" * (2 << 20))])
def test_a_service_that_cannot_answer_is_left_in_peace(site: Site, answer: Page) -> None:
    """Too many questions, an overload and an endless answer."""
    site.answer = answer
    with pytest.raises(Unanswered):
        ask(site.url("/domain/"), "evil.example")
    with pytest.raises(Unanswered):
        ask("https://localhost:1/domain/", "evil.example")


def test_a_young_domain_is_rated_worse(tmp_path: Path) -> None:
    """Of what nothing is known it is suspicious, and the reason says so; an old one, and one that nobody knows the age of, are as before."""
    rate = known(tmp_path, young=3.5, old=31, unknown=-1).rate
    found = rate("http://www.young.example/a")
    assert (found.rating, found.source) == (75, "registration")
    assert found.why == "nothing is known of it; its domain was registered 3 days ago"
    for url in ("http://old.example/a", "http://unknown.example/a", "http://other.example/a"):
        assert (rate(url).rating, rate(url).why) == (None, "nothing is known of it")


def test_a_young_domain_that_looks_bad_is_worse(tmp_path: Path) -> None:
    """What the model says counts one step more, and dangerous is the end."""
    plain = load(tmp_path)
    looks = {}
    for host in (
        "paypal-login-verify",
        "secure-update-billing",
        "pay-order-online",
        "track-parcel-now",
        "account-notice-help",
        "bank-id-app",
    ):
        for path in ("/", "/login.php", "/wp-content/verify/index.html", "/order?id=1"):
            looks.setdefault(plain.rate(f"http://{host}.example{path}").rating, (host, f"http://{host}.example{path}"))
    assert {40, 60, 75} & looks.keys(), "the model calls none of these names bad"
    for before, (host, url) in looks.items():
        after = known(tmp_path / host, **{host: 0.1}).rate(url)
        assert after.rating == {None: 75, 75: 60, 60: 40, 40: 40}[before]
        assert after.why.endswith("its domain was registered today")


def test_what_people_and_lists_say_counts_before_age(tmp_path: Path) -> None:
    rater = known(tmp_path, partner=1)
    database = databases.url_database(Settings.load(state=tmp_path))
    database.rate([OwnRating(scope=Scope.DOMAIN, name="partner.example", rating=95, time=1, who="ann")], time.time())
    database.publish_if_due(time.time())
    rater = load(tmp_path / "snapshots")
    assert rater.rate("http://partner.example/").rating == 95


def test_answers_are_kept_and_end(tmp_path: Path) -> None:
    """Over restarts; a table with another salt, or that cannot be read, is nothing; only digests of names are written."""
    now = time.time()
    known(tmp_path, young=3, unknown=-1)
    again = Registrations(tmp_path / "reputation", tmp_path / "snapshots")
    assert again.knows("young.example", now)
    assert again.knows("unknown.example", now)
    assert not again.knows("unknown.example", now + 4 * DAY)
    assert not again.knows("young.example", now + 91 * DAY)
    assert not again.knows("other.example", now)
    table = tmp_path / "snapshots" / "registered.urls"
    assert b"young" not in table.read_bytes()
    (tmp_path / "reputation" / "urls" / "salt").unlink()
    assert not Registrations(tmp_path / "reputation", tmp_path / "snapshots").knows("young.example", now)
    table.write_bytes(b"damaged")
    assert not Registrations(tmp_path / "reputation", tmp_path / "snapshots").knows("young.example", now)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of names that wait the first are kept, of answers those that hold longest."""
    monkeypatch.setattr(registration, "MAX_WAITING", 2)
    monkeypatch.setattr(registration, "MAX_KEPT", 2)
    wanted = Wanted()
    for name in ("a.example", "b.example", "a.example", "c.example"):
        wanted.add(name)
    assert [wanted.take() for _ in range(3)] == ["a.example", "b.example", None]
    kept = Registrations(tmp_path / "reputation", tmp_path / "snapshots")
    for number in range(4):
        kept.remember(f"d{number}.example", 1, 1e9 + number)
    kept.publish(1e9 + 5)
    assert [kept.knows(f"d{number}.example", 1e9 + 5) for number in range(4)] == [False, False, True, True]


def settings_of(folder: Path, service: str, more: str = "") -> Settings:
    path = folder / "mailward.toml"
    path.write_text(f'[state]\nfolder = "{folder}"\n[urls]\nregistrations = "{service}"\nregistrations_per_hour = 3600\n{more}')
    return Settings.load(path)


async def looked_up(settings: Settings, policy: Policy, names: list[str], until: float) -> None:
    """Mail with links to these domains was judged; the duty of the control process runs for so many seconds."""
    now = time.time()
    append(settings.urls_folder, [UrlEvidence(now, UrlEvidenceKind.SEEN_CLEAN, Scope.DOMAIN, name, 1, "gateway") for name in names])
    wanted, stop = Wanted(), asyncio.Event()
    with databases.url_keeper(settings, wanted.add) as keeper:
        keeper.catch_up(force=True)
    duty = asyncio.ensure_future(registrations.look_up_forever(settings, policy, wanted, stop))
    await asyncio.sleep(until)
    stop.set()
    await duty


def test_only_names_that_nothing_is_known_of_are_asked_about(site: Site, tmp_path: Path) -> None:
    """Not well-known sites, customers of a platform, our own and approved domains, what people rated, and nothing twice."""
    site.answer = registry({"young.example": 2, "old.example": 4000})
    settings = settings_of(tmp_path, site.url("/domain/"))
    database = databases.url_database(settings)
    database.rate([OwnRating(scope=Scope.DOMAIN, name="rated.example", rating=95, time=1, who="ann")], time.time())
    database.publish_if_due(time.time())
    policy = Policy.from_toml(
        '[organisation]\ninternal_domains = ["ours.example"]\n[web_reputation.target]\napproved_urls = ["partner.example"]\n', "test"
    )
    names = ["google.com", "someone.pages.dev", "ours.example", "partner.example", "rated.example", "young.example", "old.example"]
    asyncio.run(
        looked_up(
            settings, policy, [*names, "nobody-knows.example", "young.example", "192.0.2.7", "x.example/../admin", "below.old.example"], 5
        )
    )
    assert [asked["path"] for asked in site.asked] == [f"/domain/{name}.example" for name in ("young", "old", "nobody-knows")]
    assert databases.url_rater(settings).rate("http://x.young.example/").rating == 75
    asyncio.run(looked_up(settings, policy, names, 1.5))
    assert len(site.asked) == 3  # known for 90 days; also that a registry does not know a name is remembered


def test_a_service_that_fails_is_not_asked_again_soon(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One question, then a pause; the log says so."""
    site.answer = page("", 429)
    asyncio.run(looked_up(settings_of(tmp_path, site.url("/domain/")), Policy(), ["a.example", "b.example", "c.example"], 3.5))
    assert len(site.asked) == 1
    assert "asked again in 15 minutes" in caplog.text


def test_nobody_is_asked_by_default(site: Site, tmp_path: Path) -> None:
    site.answer = registry({})
    asyncio.run(looked_up(settings_of(tmp_path, ""), Policy(), ["a.example"], 1.5))
    assert not site.asked
    assert Settings().urls.registrations == ""


@pytest.mark.parametrize(
    ("service", "more", "says"),
    [
        ("http://rdap.example/domain/", "", "https"),
        ("https://rdap.example/domain", "", "to which the domain is added"),
        ("https://ann:secret@rdap.example/", "", "password"),
        ("https://rdap.example/", "learn = false\n", "needs learn = true"),
    ],
)
def test_mistakes_in_the_settings_are_named(tmp_path: Path, service: str, more: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        settings_of(tmp_path, service, more)
