"""From facts and a policy to a verdict."""

import math

import pytest

from mailward.policy import Action, Level, Policy
from mailward.policy.document import UnscannableAction
from mailward.policy.lists import NetworkList, SenderList
from mailward.scan import Kind, RatedUrl, decide, reply

TARGET = "content_scanning.target."


def with_lists(approved=(), blocked=(), ips=(), **changes) -> Policy:
    policy = Policy()
    for name, entries in (
        ("approved_senders", SenderList(approved)),
        ("blocked_senders", SenderList(blocked)),
        ("approved_ips", NetworkList(ips)),
    ):
        policy = policy.changed(TARGET + name, entries)
    for path, value in changes.items():
        policy = policy.changed(path.replace("__", "."), value)
    return policy


@pytest.mark.parametrize(("level", "threshold"), [(Level.HIGH, 4.0), (Level.MEDIUM, 5.0), (Level.LOW, 8.0), (Level.CUSTOM, 6.5)])
def test_spam_starts_at_the_threshold(facts, level, threshold):
    """A score at the threshold is spam, the next smaller number is not."""
    policy = Policy().changed(TARGET + "level", level).changed(TARGET + "custom_threshold", 6.5)
    at, below = decide(facts(threshold), policy), decide(facts(math.nextafter(threshold, 0)), policy)
    assert (at.kind, at.action, at.filter) == (Kind.SPAM, Action.JUNK, "content_scanning")
    assert (below.kind, below.action, below.filter) == (Kind.CLEAN, Action.PASS, "")
    assert at.thresholds["spam"] == threshold


def test_the_score_is_the_exact_sum(facts):
    """Contributions are summed without the error of adding one by one."""
    shares = [0.1] * 10 + [1e16, -1e16]
    assert decide(facts(*shares), Policy()).scores["spam"] == 1.0


def test_reasons_are_the_contributions_by_weight(facts):
    """The weightiest first, whichever way it pulls; their sum is the score."""
    verdict = decide(facts(1.0, -3.0, 2.0), Policy())
    assert [reason.contribution for reason in verdict.reasons] == [-3.0, 2.0, 1.0]
    assert {reason.filter for reason in verdict.reasons} == {"content_scanning"}
    assert verdict.scores["spam"] == 0.0


def test_what_nobody_looked_at_is_unchecked(facts):
    """Phishing without a phishing filter is unchecked, the web rating without a rated URL is None."""
    assert decide(facts(1.0), Policy()).scores == {"spam": 1.0, "phishing": "unchecked", "web": None}
    urls = (
        RatedUrl("http://a.test", "html"),
        RatedUrl("http://b.test", "html", 31, "dangerous"),
        RatedUrl("http://c.test", "text", 90, "safe"),
    )
    assert decide(facts(1.0, urls=urls, phishing=()), Policy()).scores == {"spam": 1.0, "phishing": 0.0, "web": 31}


def test_a_blocked_sender_is_spam_whatever_the_score(facts):
    """The visible From is compared, and the envelope sender."""
    for entry in ("news@example.org", "example.org", "*.example.net", "bounce@mta.example.net"):
        verdict = decide(facts(-5.0), with_lists(blocked=[entry]))
        assert (verdict.kind, verdict.action, verdict.entry) == (Kind.BLOCKED_SENDER, Action.JUNK, f"blocked_senders: {entry}")
        assert entry in verdict.reasons[0].text


@pytest.mark.parametrize("aligned", [True, False, None])
@pytest.mark.parametrize("required", [True, False])
def test_an_approval_counts_when_the_mail_is_authenticated(facts, aligned, required):
    """With approval_requires_authentication an unauthenticated or unchecked mail gets no exemption, and is told why."""
    policy = with_lists(approved=["example.org"]).changed(TARGET + "approval_requires_authentication", required)
    verdict = decide(facts(9.0, from_aligned=aligned), policy)
    if aligned or not required:
        assert (verdict.kind, verdict.entry) == (Kind.CLEAN, "approved_senders: example.org")
    else:
        assert verdict.kind is Kind.SPAM
        word = "could not be checked" if aligned is None else "was not authenticated"
        assert verdict.reasons[0].text.startswith("approved_senders: example.org did not count because the mail")
        assert word in verdict.reasons[0].text


def test_approved_beats_blocked(facts):
    """On the same mail the approved entry wins, and the reason names both."""
    verdict = decide(facts(9.0, from_aligned=True), with_lists(approved=["*@example.org"], blocked=["news@example.org"]))
    assert (verdict.kind, verdict.entry) == (Kind.CLEAN, "approved_senders: *@example.org")
    assert "beats blocked_senders: news@example.org" in verdict.reasons[0].text


def test_an_approval_that_does_not_count_beats_nothing(facts):
    """A forged approved sender on the blocked list stays blocked."""
    verdict = decide(facts(0.0, from_aligned=False), with_lists(approved=["example.org"], blocked=["*.example.net"]))
    assert verdict.kind is Kind.BLOCKED_SENDER


def test_every_visible_sender_has_to_be_approved(facts):
    """A second From address cannot borrow the approval of the first, nor can an approved envelope sender."""
    policy = with_lists(approved=["example.org", "mta.example.net"])
    assert decide(facts(9.0, from_aligned=True, header_from=("news@example.org", "x@evil.test")), policy).kind is Kind.SPAM
    assert decide(facts(9.0, from_aligned=True, header_from=("x@evil.test",)), policy).kind is Kind.SPAM
    assert decide(facts(9.0, from_aligned=True, header_from=()), policy).kind is Kind.SPAM


def test_an_approved_address_needs_no_authentication(facts):
    """The sender IP cannot be forged."""
    verdict = decide(facts(9.0), with_lists(ips=["192.0.2.0/24"], blocked=["example.org"]))
    assert (verdict.kind, verdict.entry) == (Kind.CLEAN, "approved_ips: 192.0.2.0/24")


def test_log_only_observes(facts):
    """The mail is delivered as clean; what would have happened is kept."""
    verdict = decide(facts(9.0), Policy().changed("content_scanning.log_only", True))
    assert (verdict.kind, verdict.action, verdict.filter) == (Kind.CLEAN, Action.PASS, "")
    assert [(hit.kind, hit.action, hit.log_only) for hit in verdict.hits] == [(Kind.SPAM, Action.JUNK, True)]
    assert "log_only" in verdict.reasons[0].text


def test_switched_off_decides_nothing(facts):
    """No lists, no threshold; the score is still told."""
    verdict = decide(facts(9.0), with_lists(blocked=["example.org"], content_scanning__enabled=False))
    assert (verdict.kind, verdict.hits, verdict.scores["spam"]) == (Kind.CLEAN, (), 9.0)


@pytest.mark.parametrize(("wanted", "action"), [(UnscannableAction.PASS, Action.PASS), (UnscannableAction.DEFER, Action.DEFER)])
def test_what_cannot_be_judged_is_handled_as_wanted(facts, wanted, action):
    """An unscannable message has no score, and the reason is told."""
    verdict = decide(facts(unscannable="ValueError: nothing"), Policy().changed("unscannable.action", wanted))
    assert (verdict.kind, verdict.action, verdict.scores["spam"]) == (Kind.UNSCANNABLE, action, "unchecked")
    assert "ValueError: nothing" in verdict.reasons[0].text


def test_an_entry_is_named_only_where_it_decided(facts):
    """An approved sender's mail that cannot be judged is unscannable, not approved; an observed block decides nothing."""
    approved = decide(facts(unscannable="broken", from_aligned=True), with_lists(approved=["example.org"]))
    assert (approved.kind, approved.entry) == (Kind.UNSCANNABLE, "")
    observed = decide(facts(0.0), with_lists(blocked=["example.org"], content_scanning__log_only=True))
    assert (observed.kind, observed.entry) == (Kind.CLEAN, "")


@pytest.mark.parametrize("action", list(Action))
def test_the_most_severe_action_wins(facts, action):
    """Of a blocked sender and an unscannable message (defer), whichever is more severe; every hit is kept, the most severe first."""
    policy = with_lists(blocked=["example.org"], content_scanning__action__action=action, unscannable__action=UnscannableAction.DEFER)
    verdict = decide(facts(unscannable="too deep"), policy)
    assert verdict.action is max((action, Action.DEFER), key=lambda each: each.severity)
    assert [hit.action for hit in verdict.hits] == sorted([action, Action.DEFER], key=lambda each: -each.severity)


def test_replies_to_the_sender(facts):
    """Only refusals have a reply; its code and text are the policy's."""
    for action in Action:
        verdict = decide(facts(9.0), Policy().changed("content_scanning.action.action", action))
        expected = {Action.DEFER: 451, Action.REJECT: 550, Action.DISCONNECT: 550}.get(action)
        answer = reply(verdict, Policy(), facts(9.0))
        assert (answer[0] if answer else None) == expected
    unscannable = decide(facts(unscannable="x"), Policy().changed("unscannable.action", UnscannableAction.DEFER))
    assert reply(unscannable, Policy(), facts()) == (451, "4.7.1 Message could not be examined, try again later")
