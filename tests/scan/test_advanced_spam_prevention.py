"""The phishing score and what the policy makes of it."""

from dataclasses import replace

import pytest
from tests.scan.conftest import made_assessment

from mailward.message import Envelope, parse
from mailward.phishing import load
from mailward.policy import Action, Level, Policy, SenderList
from mailward.scan import Contribution, Kind, Site, assess, counterfactuals, decide, explain, reply
from mailward.scan.counterfactual import effect, find

TARGET = "advanced_spam_prevention.target."


def phishing(*values, **facts):
    """An assessment whose phishing score is the sum of `values`."""
    shares = tuple(Contribution(f"brand:fact{number}", value, f"Pretence {number}") for number, value in enumerate(values))
    return made_assessment(1.0, phishing=shares, **facts)


def policy_with(**values) -> Policy:
    policy = Policy()
    for name, value in values.items():
        policy = policy.changed(TARGET + name, value)
    return policy


@pytest.mark.parametrize("level", [Level.HIGH, Level.MEDIUM, Level.LOW])
@pytest.mark.parametrize("score", [3.99, 4.0, 4.99, 5.0, 7.99, 8.0])
def test_each_level_acts_from_its_threshold(level, score):
    """High from 4.0, medium from 5.0, low from 8.0; the verdict tells score and threshold."""
    verdict = decide(phishing(score), policy_with(level=level))
    caught = score >= {"high": 4.0, "medium": 5.0, "low": 8.0}[level]
    assert verdict.kind is (Kind.PHISHING if caught else Kind.CLEAN)
    assert verdict.action is (Action.QUARANTINE if caught else Action.PASS)
    assert (verdict.scores["phishing"], verdict.thresholds["phishing"]) == (
        score,
        policy_with(level=level).advanced_spam_prevention.target.threshold,
    )


def test_medium_is_the_default_and_a_custom_threshold_counts():
    assert decide(phishing(5.0), Policy()).kind is Kind.PHISHING
    assert decide(phishing(6.0), policy_with(level=Level.CUSTOM, custom_threshold=6.1)).kind is Kind.CLEAN


def test_the_reasons_begin_with_what_spoke_most_for_phishing():
    """Not with the spam score, which did not decide; the explanation has both sums."""
    message = phishing(2.0, 4.5, -0.5)
    verdict = decide(message, Policy())
    assert [reason.text for reason in verdict.reasons[:3]] == ["Pretence 1", "Pretence 0", "Pretence 2"]
    text = explain(message, verdict, Policy()).text()
    assert "+6.000  score        the sum; phishing from 5.0 on" in text
    assert "+1.000  score        the sum; spam from 8.0 on" in text
    assert "The phishing score 6.00 reaches the threshold 5.0 of level Medium" in text


def test_nobody_looked_is_unchecked_and_fires_nothing():
    verdict = decide(made_assessment(1.0), Policy())
    assert (verdict.kind, verdict.scores["phishing"]) == (Kind.CLEAN, "unchecked")


def test_switched_off_it_decides_nothing_and_has_no_threshold():
    policy = Policy().changed("advanced_spam_prevention.enabled", False)
    verdict = decide(phishing(9.0), policy)
    assert (verdict.kind, verdict.thresholds.get("phishing"), verdict.scores["phishing"]) == (Kind.CLEAN, None, 9.0)


def test_an_observer_delivers_and_says_what_it_would_have_done():
    verdict = decide(phishing(9.0), Policy().changed("advanced_spam_prevention.log_only", True))
    assert (verdict.kind, verdict.action, verdict.hits[0].kind) == (Kind.CLEAN, Action.PASS, Kind.PHISHING)
    assert "it would have used the action quarantine" in verdict.reasons[0].text


@pytest.mark.parametrize(
    ("aligned", "required", "caught"), [(True, True, False), (False, True, True), (None, True, True), (False, False, False)]
)
def test_an_approved_sender_counts_when_it_is_authenticated(aligned, required, caught):
    """Phishing uses the names of those one trusts: a name alone approves nothing, unless the policy says so."""
    policy = policy_with(approved_senders=SenderList(("example.org",)), approval_requires_authentication=required)
    verdict = decide(phishing(9.0, from_aligned=aligned), policy)
    assert (verdict.kind is Kind.PHISHING) == caught
    assert "advanced_spam_prevention.approved_senders: example.org" in verdict.reasons[0].text


def test_approval_for_content_scanning_approves_no_phishing():
    policy = Policy().changed("content_scanning.target.approved_senders", SenderList(("example.org",)))
    assert decide(phishing(9.0, from_aligned=True), policy).kind is Kind.PHISHING


def test_the_texts_of_this_filter_are_used():
    policy = Policy().changed("advanced_spam_prevention.action.action", Action.REJECT)
    message = phishing(9.0)
    assert reply(decide(message, policy), policy, message) == (550, "5.7.1 Message refused as phishing")


@pytest.mark.parametrize(
    ("message", "policy", "sentence"),
    [
        (phishing(4.5, 2.0), Policy(), "would be delivered at level Low of Advanced Spam Prevention (phishing score 6.50, threshold 8.0)"),
        (phishing(9.0), Policy(), "would be delivered with a custom threshold of 9.1 for phishing (score 9.00)"),
        (phishing(4.5, 2.0), Policy(), "would be delivered without brand:fact0 (+4.50)"),
        (
            phishing(9.0, from_aligned=True),
            Policy(),
            "would be delivered if news@example.org was approved (on advanced_spam_prevention.approved_senders)",
        ),
        (
            phishing(9.0),
            Policy(),
            "would be delivered if news@example.org was approved (on advanced_spam_prevention.approved_senders) and it had passed authentication",
        ),
        (phishing(9.0), Policy(), "would be delivered if Advanced Spam Prevention only observed (log_only)"),
        (
            phishing(4.2),
            Policy(),
            "would be quarantined as phishing at level High of Advanced Spam Prevention (phishing score 4.20, threshold 4.0)",
        ),
        (
            phishing(6.0),
            Policy().changed("advanced_spam_prevention.enabled", False),
            "would be quarantined as phishing if Advanced Spam Prevention was switched on",
        ),
        (
            phishing(6.0, from_aligned=True),
            policy_with(approved_senders=SenderList(("example.org",))),
            "would be quarantined as phishing without example.org on advanced_spam_prevention.approved_senders",
        ),
    ],
)
def test_counterfactuals_name_what_flips_the_verdict(message, policy, sentence):
    """Each sentence is there, and the changed facts and policy really give another outcome."""
    assert sentence in counterfactuals(message, policy)
    before = decide(message, policy)
    for found in find(message, policy):
        assert effect(decide(found.assessment, found.policy)) != effect(before)


LURE = (
    b"From: PayPal Service <alerts@mail-center.example.net>\nTo: ann@example.com\nSubject: Your PayPal account has been limited\nMessage-ID: <1@example.net>\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n"
    b"<html><body><p>Dear customer, we noticed unusual activity. Your account has been limited. Verify your account within 24 hours.</p>"
    b'<p><a href="https://paypa1-secure.example.net/login#ann@example.com">Log in to PayPal</a></p><p>\xc2\xa9 2026 PayPal</p></body></html>\n'
)
NOTE = (
    b"From: Ann Lee <ann@example.net>\nTo: ben@example.com\nSubject: Tuesday\nMessage-ID: <2@example.net>\nDate: Mon, 23 Nov 2026 10:00:00 +0000\n\n"
    b"Hello Ben,\n\nshall we meet on Tuesday at noon? The minutes of last week are in the folder.\n\nAnn\n"
)
ENVELOPE = Envelope("192.0.2.7", "mail.example.net", "mail.example.net", "bounce@example.net", ("ann@example.com",), way_in="smtp")


class Silent:
    """A content model that says nothing."""

    name = "silent"

    def score(self, message, origin, envelope, auth, local=None, evidence=None):
        return ()

    def judge(self, evidence):
        return ()


def assessed(raw: bytes, model=None):
    return assess(parse(raw), ENVELOPE, Site(), Silent(), None, 1_790_000_000.0, "x", phishing=model or load())


def test_the_packaged_model_tells_a_lure_from_a_note():
    """A brand's name, a lure and a link elsewhere reach Medium with their reasons in words; two colleagues stay far below."""
    lure, note = assessed(LURE), assessed(NOTE)
    verdict = decide(lure, Policy())
    assert (verdict.kind, decide(note, Policy()).kind) == (Kind.PHISHING, Kind.CLEAN)
    assert decide(note, Policy()).scores["phishing"] < 1.0
    assert any("PayPal" in reason.text for reason in verdict.reasons[:4])


def test_a_score_that_is_no_number_is_unscannable():
    class Broken:
        def judge(self, evidence):
            return (Contribution("start", float("nan"), "Broken."),)

    verdict = decide(assessed(LURE, Broken()), Policy())
    assert (verdict.kind, verdict.scores["phishing"]) == (Kind.UNSCANNABLE, "unchecked")


def test_what_the_client_never_sent_is_not_judged():
    assert decide(replace(phishing(9.0), connection_only=True), Policy()).kind is Kind.CLEAN
