"""Link and sender together, and what the policy makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.message import Envelope, parse
from mailward.policy import Action, DomainList, Policy, PolicyError, SenderList, UrlList
from mailward.reputation.answer import ListAnswer, Outcome
from mailward.reputation.listing import Database
from mailward.scan import Kind, RatedUrl, SenderIp, Site, counterfactuals, decide, explain
from mailward.scan.new_spam_sources import Suspicion, accused, finding

ON = Policy().changed("new_spam_sources.enabled", True)
LINKS = {"safe": 90, "untested": "untested", "suspicious": 70, "highly suspicious": 60, "dangerous": 10}
SENDERS = ("good", "unknown", "dynamic", "standard")
EXPECTED = {  # as filters.md, section 5, has it
    "safe": "none none low medium",
    "untested": "none low high high",
    "suspicious": "low medium high high",
    "highly suspicious": "medium high high high",
    "dangerous": "medium high high high",
}


def link(band, url="http://shop.test/a") -> RatedUrl:
    return RatedUrl(url, "html", LINKS[band], band, "so it is")


def of(facts, band, standing, **more):
    return facts(urls=(link(band),), sender_ip=SenderIp("192.0.2.7", standing), **more)


@pytest.mark.parametrize("band", EXPECTED)
def test_the_table(facts, band):
    """Each link with each standing, as specified; only high is acted on, and only where the filter is on."""
    for standing, expected in zip(SENDERS, EXPECTED[band].split(), strict=True):
        message = of(facts, band, standing)
        found = finding(message, ON)
        assert found.suspicion is Suspicion[expected.upper()]
        acted = decide(message, ON.changed("web_reputation.log_only", True)).kind is Kind.NEW_SPAM_SOURCE
        assert acted == (expected == "high")
        assert finding(message, Policy()) is None


def test_what_nobody_has_seen_is_accused(facts):
    """A link that is only suspicious by its look, or by the age of its domain, becomes evidence; one that a feed knows is known already."""
    for source, expected in (("", 1), ("model:urls", 1), ("registration", 1), ("feed:phish", 0), ("own", 0), ("evidence", 0)):
        url = RatedUrl("http://shop.test/a", "html", 75, "suspicious", "so it is", source)
        assert len(accused(facts(urls=(url,), sender_ip=SenderIp("192.0.2.7", "dynamic")), ON)) == expected, source


def test_a_standing_nobody_looked_up_counts_as_unknown(facts):
    """An outage of the databases must not make every link suspicious, nor any sender good."""
    assert finding(of(facts, "dangerous", "unchecked"), ON).suspicion is Suspicion.HIGH
    assert finding(of(facts, "untested", "unchecked"), ON).suspicion is Suspicion.LOW


def test_the_worst_link_counts_and_is_told(facts):
    """With address, standing and rating, and without a link anybody could click."""
    urls = (link("safe", "http://a.test/"), link("untested", "http://b.test/"), link("suspicious", "http://c.test/x"))
    message = facts(urls=urls, sender_ip=SenderIp("192.0.2.7", "dynamic"))
    verdict = decide(message, ON)
    assert (verdict.kind, verdict.action, verdict.filter) == (Kind.NEW_SPAM_SOURCE, Action.JUNK, "new_spam_sources")
    told = verdict.reasons[0].text
    assert told.startswith("A link rated 70 (suspicious) to hxxp://c[.]test/x came from 192.0.2.7, an address that sends spam right now")
    assert "new_spam_sources.action is junk" in explain(message, verdict, ON).text()


@pytest.mark.parametrize("more", [{"authenticated": True}, {"sender_ip": SenderIp(None, "unchecked")}, {"urls": ()}])
def test_nothing_is_said_without_a_foreign_sender_and_a_link(facts, more):
    """Our own users may send what they like; mail without links is not judged here."""
    assert finding(facts(**{"urls": (link("dangerous"),), "sender_ip": SenderIp("192.0.2.7", "standard"), **more}), ON) is None


def test_approved_and_internal_links_are_left_out(facts):
    """As in Web Reputation."""
    message = of(facts, "untested", "dynamic")
    assert finding(message, ON.changed("web_reputation.target.approved_urls", UrlList(["shop.test"]))) is None
    assert finding(message, ON.changed("organisation.internal_domains", DomainList(["shop.test"]))) is None


@pytest.mark.parametrize(("aligned", "exempt"), [(True, True), (False, False), (None, False)])
def test_an_approved_sender_has_to_be_authenticated(facts, aligned, exempt):
    """And why an approval does not count is told."""
    policy = ON.changed("new_spam_sources.target.approved_senders", SenderList(["example.org"]))
    verdict = decide(of(facts, "untested", "dynamic", from_aligned=aligned), policy)
    assert (verdict.kind is Kind.CLEAN) == exempt
    assert exempt or any("did not count" in reason.text for reason in verdict.reasons)


def test_it_can_only_observe_and_says_what_would_have_changed_it(facts):
    """Every sentence is tried by deciding again."""
    message = of(facts, "untested", "dynamic")
    told = counterfactuals(message, ON)
    assert "would be delivered if 192.0.2.7 were not listed" in told
    assert any("shop[.]test was approved" in sentence for sentence in told)
    assert decide(message, ON.changed("new_spam_sources.log_only", True)).kind is Kind.CLEAN
    off = counterfactuals(message, Policy())
    assert "would be delivered to the junk folder as mail from a new spam source if New Spam Sources was switched on" in off


def test_it_needs_web_reputation():
    """A policy that has the one without the other is refused, with what to do."""
    with pytest.raises(PolicyError, match="needs the ratings of web_reputation"):
        Policy.from_toml("[new_spam_sources]\nenabled = true\n[web_reputation]\nenabled = false\n")


def test_a_domain_that_a_dns_list_lists_is_rated_dangerous(facts):
    """Only where the policy names the list and the code counts; the reason names list and code."""
    answer = ListAnswer("dbl.spamhaus.org", Database.DOMAINS, Outcome.LISTED, ("127.0.1.4",))
    url = RatedUrl("http://shop.test/a", "text", "untested", "untested", "nothing is known of it", lists=(answer,))
    message = facts(urls=(url,), sender_ip=SenderIp("192.0.2.7", "good"))
    asking = Policy.from_toml('[web_reputation.target]\ndomain_lists = ["dbl.spamhaus.org"]\n')
    verdict = decide(message, asking)
    assert (verdict.kind, verdict.scores["web"]) == (Kind.MALICIOUS_URL, 25)
    assert "its domain is listed in dbl.spamhaus.org (127.0.1.4 phishing)" in verdict.reasons[0].text
    assert "would be delivered if dbl.spamhaus.org did not count" in counterfactuals(message, asking)
    for policy in (Policy(), Policy.from_toml('[web_reputation.target]\ndomain_lists = ["off dbl.spamhaus.org"]\n'),
                   Policy.from_toml('[web_reputation.target]\ndomain_lists = ["dbl.spamhaus.org=127.0.1.2"]\n')):  # fmt: skip
        assert decide(message, policy).kind is Kind.CLEAN


OCTET = st.integers(1, 254)
FOREIGN = st.builds("{}.{}.{}.{}".format, st.sampled_from([11, 45, 80, 185]), OCTET, OCTET, OCTET)
FORGED_BY = st.sampled_from(["mx.example.com", "inside.example.com", "mail.evil.test", "localhost"])


@given(
    FOREIGN,
    st.integers(0, 3),
    st.lists(st.tuples(FOREIGN | st.sampled_from(["10.0.0.5", "203.0.113.9", "127.0.0.1"]), FORGED_BY), max_size=8),
)
def test_forged_trace_lines_never_move_the_sender(client, own, forged):
    """Whatever a client writes below, the sender IP is the address from which our first hop took the message."""
    site = Site.of(Policy.from_toml('[organisation]\ngateway_networks = ["203.0.113.0/24"]\n'))
    date = "Mon, 2 Nov 2026 10:00:00 +0000"
    lines = [f"Received: from in{n}.example.com (in{n}.example.com [203.0.113.{n + 1}]) by in.example.com; {date}" for n in range(own)]
    lines.append(f"Received: from x.test (unknown [{client}]) by mx.example.com; {date}")
    lines += [f"Received: from a.test (a.test [{address}]) by {by}; {date}" for address, by in forged]
    message = parse("\r\n".join([*lines, "From: a@evil.test", "", "x"]).encode())
    assert site.origin(message, Envelope(client_ip="203.0.113.1", way_in="smtp")).address == client
    direct = parse("\r\n".join([*lines[own + 1 :], "From: a@evil.test", "", "x"]).encode())
    assert site.origin(direct, Envelope(client_ip=client, way_in="smtp")).address == client
