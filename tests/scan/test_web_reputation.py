"""Links and what the policy makes of them."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scan.conftest import made_assessment

from mailward.message import Envelope, parse
from mailward.policy import Action, DomainList, Policy, SenderList, UrlList, WebLevel
from mailward.reputation.url.rating import Rating, band_of
from mailward.scan import Kind, RatedUrl, Site, assess, counterfactuals, decide, explain, replay, reply, to_json
from mailward.scan.counterfactual import effect, find

TARGET = "web_reputation.target."
BAD = "http://login.evil.test/a/b"


def rated(rating, url=BAD) -> RatedUrl:
    band = band_of(rating).value if isinstance(rating, int) else rating
    return RatedUrl(url, "html", rating, band, "it was seen on a phishing feed")


def policy_with(**values) -> Policy:
    policy = Policy()
    for name, value in values.items():
        policy = policy.changed(TARGET + name, value)
    return policy


@pytest.mark.parametrize(
    ("rating", "low", "medium", "high"),
    [
        *[(rating, True, True, True) for rating in (0, 50)],
        *[(rating, False, True, True) for rating in (51, 65)],
        *[(rating, False, False, True) for rating in (66, 80)],
        *[(rating, False, False, False) for rating in (81, 100, "untested", "unchecked")],
    ],
)
def test_each_level_acts_below_its_threshold(facts, rating, low, medium, high):
    """Low acts on dangerous links, medium on highly suspicious ones too, high on suspicious ones too."""
    message = facts(1.0, urls=(rated(rating), rated(100, "http://good.test/")))
    for level, caught in zip(WebLevel, (low, medium, high), strict=True):
        verdict = decide(message, policy_with(level=level))
        assert (verdict.kind is Kind.MALICIOUS_URL) == caught
        assert verdict.thresholds["web"] == level.threshold
        assert verdict.action is (Action.QUARANTINE if caught else Action.PASS)


def test_the_lowest_rating_decides_and_is_told_without_a_link(facts):
    """The reason names the worst URL first, defanged, with where it stood, its band and why."""
    message = facts(1.0, urls=(rated(60, "http://b.test/"), rated(31), rated(90, "http://c.test/")))
    verdict = decide(message, Policy())
    first, second = (reason.text for reason in verdict.reasons[:2])
    assert first == "A link to hxxp://login[.]evil[.]test/a/b (in: html) is rated 31 (dangerous): it was seen on a phishing feed"
    assert "hxxp://b[.]test/" in second
    assert verdict.scores["web"] == 31
    text = explain(message, verdict, Policy()).text()
    assert "http://" not in text
    assert "acts on links rated below 66" in text


def test_untested_acts_only_where_the_policy_says_so(facts):
    """And what leads nowhere on the web never does."""
    ticked = policy_with(act_on_untested=True)
    assert decide(facts(urls=(rated("untested"),)), ticked).kind is Kind.MALICIOUS_URL
    assert decide(facts(urls=(rated("untested", "mailto:a@b.test"), rated("unchecked"))), ticked).kind is Kind.CLEAN


@pytest.mark.parametrize("entry", ["evil.test", "login.evil.test", "evil.test/a", "evil.test/a/b"])
def test_an_approved_url_wins(facts, entry):
    """The entry is named."""
    verdict = decide(facts(urls=(rated(0),)), policy_with(approved_urls=UrlList([entry])))
    assert (verdict.kind, verdict.entry) == (Kind.CLEAN, f"web_reputation.approved_urls: {entry}")


def test_internal_domains_are_left_alone_where_the_policy_says_so(facts):
    """With all that is below them."""
    message, policy = facts(urls=(rated(0),)), Policy().changed("organisation.internal_domains", DomainList(["evil.test"]))
    assert decide(message, policy).kind is Kind.CLEAN
    assert decide(message, policy.changed(TARGET + "skip_internal_domains", False)).kind is Kind.MALICIOUS_URL


@pytest.mark.parametrize(
    ("aligned", "required", "exempt"), [(True, True, True), (False, True, False), (None, True, False), (False, False, True)]
)
def test_an_approved_sender_counts_when_authenticated(facts, aligned, required, exempt):
    """As for Content Scanning; and why an approval does not count is told."""
    message = facts(urls=(rated(0),), from_aligned=aligned)
    verdict = decide(message, policy_with(approved_senders=SenderList(["example.org"]), approval_requires_authentication=required))
    assert (verdict.kind is Kind.CLEAN) == exempt
    assert exempt or any("did not count" in reason.text for reason in verdict.reasons)


def test_an_approved_sender_of_content_scanning_is_still_judged_by_its_links(facts):
    """Such an approval skips spam filters only."""
    policy = Policy().changed("content_scanning.target.approved_senders", SenderList(["example.org"]))
    assert decide(facts(9.0, urls=(rated(0),), from_aligned=True), policy).kind is Kind.MALICIOUS_URL


def test_it_can_observe_and_be_switched_off(facts):
    """Observing delivers, with the hit on record; switched off, nothing is there and no threshold is told."""
    message = facts(urls=(rated(0),))
    observed = decide(message, Policy().changed("web_reputation.log_only", True))
    assert (observed.kind, observed.hits[0].log_only) == (Kind.CLEAN, True)
    off = decide(message, Policy().changed("web_reputation.enabled", False))
    assert (off.kind, off.hits, "web" in off.thresholds) == (Kind.CLEAN, (), False)


def test_what_would_have_changed_it(facts):
    """The host approved, a lower level, only observing; and each of them does flip it."""
    message = facts(urls=(rated(60),))
    told = counterfactuals(message, Policy())
    assert "would be delivered if login[.]evil[.]test was approved (on web_reputation.approved_urls)" in told
    assert "would be delivered at level Low of Web Reputation" in told
    assert "would be quarantined as mail with a malicious link at level High of Web Reputation" in counterfactuals(
        facts(urls=(rated(70),)), Policy()
    )


def test_replay_judges_stored_ratings_by_another_policy(facts):
    """Nothing is rated again."""
    assert replay([facts(urls=(rated(60),))], Policy(), policy_with(level=WebLevel.LOW)).newly_delivered == 1


def test_a_refusal_has_the_words_of_this_filter(facts):
    """Not those of Content Scanning."""
    policy = Policy().changed("web_reputation.action.action", Action.REJECT)
    message = facts(urls=(rated(0),))
    assert reply(decide(message, policy), policy, message) == (550, "5.7.1 Message refused because of a link in it")


class Known:
    """Rates what it was told; the rest is untested."""

    def __init__(self, **ratings: int) -> None:
        self.ratings = ratings

    def rate(self, url: str) -> Rating:
        return Rating(url, self.ratings.get(url.split("/")[2].replace(".", "_")) if "://" in url else None, "so it is", "own")


class Silent:
    name = "silent"

    def score(self, message, origin, envelope, auth, local=None, evidence=None):
        return ()

    def judge(self, evidence):
        return ()


def test_links_are_rated_once_each_and_printed_as_they_are():
    """The JSON holds the URL, its rating and band."""
    page = "".join(f"<a href='http://h{n}.test/'>x</a>" for n in range(600))
    raw = b"Content-Type: text/html\n\n<a href='http://evil.test/'>my bank</a><a href='http://evil.test/'>it</a>" + page.encode()
    found = assess(parse(raw), Envelope(), Site(), Silent(), None, 1.0, "x", rater=Known(evil_test=10))
    assert len(found.urls) == len({url.url for url in found.urls}) > 400
    assert found.urls[0] == RatedUrl("http://evil.test/", "html", 10, "dangerous", "so it is", "own", "my bank")
    assert found.urls[1].rating == found.urls[1].band == "untested"
    printed = json.loads(to_json("x", found, decide(found, Policy()), (), 1.0, Policy()))
    assert printed["verdict"] == "malicious_url"
    assert printed["urls"][0] == {"url": "http://evil.test/", "found_in": "html", "rating": 10, "band": "dangerous"} | {
        "why": "so it is",
        "text": "my bank",
        "source": "own",
        "lists": [],
    }
    assert (printed["scores"]["web"], printed["thresholds"]["web"]) == (10, 66)


RATINGS = st.integers(0, 100) | st.sampled_from(["untested", "unchecked"])
HOSTS = st.sampled_from(["http://a.test/", "http://b.a.test/x", "http://c.test/", "https://[::1]/", "http://", "mailto:x@y.test"])
URLS = st.lists(st.builds(rated, RATINGS, HOSTS), max_size=6).map(tuple)
POLICIES = st.builds(
    lambda level, untested, approved, action: policy_with(level=level, act_on_untested=untested, approved_urls=UrlList(approved)).changed(
        "web_reputation.action.action", action
    ),
    st.sampled_from(WebLevel),
    st.booleans(),
    st.lists(st.sampled_from(["a.test", "b.a.test/x", "c.test"]), max_size=2),
    st.sampled_from(Action),
)


@given(URLS, POLICIES)
def test_untested_never_acts_unless_ticked(urls, policy):
    """Without the box, untested links might as well not be there."""
    policy = policy.changed(TARGET + "act_on_untested", False)
    known = tuple(url for url in urls if isinstance(url.rating, int))
    assert decide(made_assessment(urls=urls), policy).hits == decide(made_assessment(urls=known), policy).hits


@given(URLS, POLICIES)
def test_approving_every_host_and_observing_both_deliver(urls, policy):
    """Approved wins, and log_only delivers, whatever the ratings."""
    message = made_assessment(urls=tuple(url for url in urls if ".test" in url.url and not url.url.startswith("mailto")))
    assert decide(message, policy.changed(TARGET + "approved_urls", UrlList(["a.test", "c.test"]))).kind is Kind.CLEAN
    assert decide(replace(message, urls=urls), policy.changed("web_reputation.log_only", True)).kind is Kind.CLEAN


@given(URLS, POLICIES, st.floats(-9, 15))
def test_every_counterfactual_flips_and_a_catch_has_a_way_out(urls, policy, score):
    """With Content Scanning at work too."""
    message = made_assessment(score, urls=urls)
    verdict, found = decide(message, policy), find(message, policy)
    assert all(effect(decide(each.assessment, each.policy)) != effect(verdict) for each in found)
    assert found or verdict.kind is Kind.CLEAN
