"""The sentences that say what would have changed the outcome."""

import time

import pytest

from mailward.policy import Level, Policy
from mailward.policy.lists import SenderList
from mailward.scan import counterfactuals, decide

MEDIUM = Policy().changed("content_scanning.target.level", Level.MEDIUM)


def test_a_lower_level_would_deliver(facts):
    """The nearest level at which the message is delivered comes first, with score and threshold."""
    assert counterfactuals(facts(3.0, 2.0, 1.2), MEDIUM)[0] == "would be delivered at level Low (score 6.20, threshold 8.0)"


def test_a_higher_level_would_catch(facts):
    """For delivered mail: the nearest level that catches it, and the distance to the threshold."""
    sentences = counterfactuals(facts(3.0, 2.0, 1.2), Policy())
    assert sentences[0] == "would be delivered to the junk folder as spam at level Medium (score 6.20, threshold 5.0)"
    assert "would be delivered to the junk folder as spam with a score 1.80 higher (score 6.20, threshold 8.0)" in sentences


def test_a_custom_threshold_is_named_where_no_level_helps(facts):
    """Between the levels and 10.0 only a custom threshold delivers."""
    assert "would be delivered with a custom threshold of 9.4 (score 9.31)" in counterfactuals(facts(9.31), Policy())
    assert not any("threshold" in sentence for sentence in counterfactuals(facts(30.0), Policy()) if "level" in sentence)


def test_the_fewest_contributions_are_left_out(facts):
    """One large contribution is named rather than several small ones."""
    assert "would be delivered without group:fact1 (+4.00)" in counterfactuals(facts(3.0, 4.0, 2.0), Policy())
    assert "would be delivered without group:fact0 (+6.00) and group:fact1 (+6.00)" in counterfactuals(facts(6.0, 6.0, 6.0), Policy())


def test_what_spoke_for_a_message_is_named(facts):
    """Clean only because of one strong fact."""
    sentences = counterfactuals(facts(9.0, -3.0), Policy())
    assert "would be delivered to the junk folder as spam without group:fact1 (-3.00)" in sentences


def test_an_approval_that_failed_for_lack_of_authentication(facts):
    """The missing authentication is named first, with the entry."""
    policy = Policy().changed("content_scanning.target.approved_senders", SenderList(["example.org"]))
    sentences = counterfactuals(facts(9.0, from_aligned=False), policy)
    assert sentences[0] == "would be delivered if it had passed authentication (approved_senders: example.org)"
    assert "would be delivered with approval_requires_authentication off" in sentences


@pytest.mark.parametrize(
    ("aligned", "condition"), [(True, "were on approved_senders"), (False, "were on approved_senders and it had passed authentication")]
)
def test_an_approved_entry_would_deliver(facts, aligned, condition):
    """Where the entry alone would not count, the sentence says what else it takes."""
    assert f"would be delivered if news@example.org {condition}" in counterfactuals(facts(9.0, from_aligned=aligned), Policy())


def test_blocked_entries_are_named(facts):
    """All entries that block have to go."""
    policy = Policy().changed("content_scanning.target.blocked_senders", SenderList(["example.org", "mta.example.net"]))
    assert "would be delivered without example.org and mta.example.net on blocked_senders" in counterfactuals(facts(0.0), policy)
    assert not any("blocked_senders" in sentence for sentence in counterfactuals(facts(9.0), policy))


def test_the_entry_that_spared_a_message_is_named(facts):
    """Without the approved entry, or without authentication, it would have been caught."""
    policy = Policy().changed("content_scanning.target.approved_senders", SenderList(["example.org"]))
    assert counterfactuals(facts(9.0, from_aligned=True), policy) == (
        "would be delivered to the junk folder as spam without example.org on approved_senders",
        "would be delivered to the junk folder as spam if it had not passed authentication",
    )


@pytest.mark.parametrize("switch", ["content_scanning.enabled", "content_scanning.log_only"])
def test_a_switch_that_hides_spam_is_named(facts, switch):
    """Spam that nobody acts on says so."""
    policy = Policy().changed(switch, switch.endswith("log_only"))
    assert decide(facts(9.0), policy).kind == "clean"
    (sentence,) = counterfactuals(facts(9.0), policy)
    assert sentence.startswith("would be delivered to the junk folder as spam if Content Scanning ")


def test_a_list_of_a_hundred_thousand_entries_costs_nothing(facts):
    """What-if lists are layers over the real one, not copies of it: under 5 ms each, where a copy takes 50."""
    entries = SenderList(f"host{number}.example.com" for number in range(100_000))
    policy = MEDIUM.changed("content_scanning.target.approved_senders", entries).changed("content_scanning.target.blocked_senders", entries)
    decide(facts(6.0), policy)
    start = time.perf_counter()
    for _ in range(20):
        assert counterfactuals(facts(6.0), policy)
    assert time.perf_counter() - start < 20 * 0.005 * 3  # threefold for a busy machine
