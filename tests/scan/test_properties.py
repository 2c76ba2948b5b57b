"""What holds for any facts and any policy."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from mailward.auth import Authentication
from mailward.policy import Action, Level, Policy
from mailward.policy.document import UnscannableAction
from mailward.policy.lists import NetworkList, SenderList
from mailward.scan import Assessment, Contribution, SenderIp, counterfactuals, decide, explain, replay, to_json
from mailward.scan.counterfactual import effect, find

ADDRESSES = st.sampled_from(["a@example.org", "b@example.org", "c@mail.example.org", "d@example.net", "no-domain", "odd name@x y"])
ENTRIES = st.lists(st.sampled_from(["example.org", "a@example.org", "*.example.org", "example.net", "*@example.org"]), max_size=3)
IPS = st.sampled_from([None, "192.0.2.1", "192.0.2.200", "2001:db8::1"])
WEIGHTS = st.floats(-6, 6, allow_nan=False)


@st.composite
def assessments(draw) -> Assessment:
    weights = draw(st.lists(WEIGHTS, max_size=12))
    return Assessment(
        id="x",
        time=draw(st.floats(0, 2e9)),
        way_in="file",
        size=1,
        subject=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=10)),
        message_id="",
        mail_from=draw(st.none() | st.just("") | ADDRESSES),
        rcpt_to=("r@example.com",),
        header_from=tuple(draw(st.lists(ADDRESSES, max_size=2))),
        helo="",
        sender_ip=SenderIp(draw(IPS)),
        auth=Authentication(),
        from_aligned=draw(st.sampled_from([True, False, None])),
        spam=tuple(Contribution(f"n:{number}", weight, "A sentence") for number, weight in enumerate(weights)),
        unscannable=draw(st.sampled_from(["", "", "", "broken"])),
    )


@st.composite
def policies(draw) -> Policy:
    policy = Policy()
    values = {
        "content_scanning.enabled": draw(st.sampled_from([True, True, True, False])),
        "content_scanning.log_only": draw(st.sampled_from([False, False, False, True])),
        "content_scanning.action.action": draw(st.sampled_from(Action)),
        "content_scanning.target.level": draw(st.sampled_from(Level)),
        "content_scanning.target.custom_threshold": draw(st.floats(3, 10)),
        "content_scanning.target.approved_senders": SenderList(draw(ENTRIES)),
        "content_scanning.target.blocked_senders": SenderList(draw(ENTRIES)),
        "content_scanning.target.approved_ips": NetworkList(draw(st.sampled_from([[], [], ["192.0.2.0/25"]]))),
        "content_scanning.target.approval_requires_authentication": draw(st.booleans()),
        "unscannable.action": draw(st.sampled_from(UnscannableAction)),
    }
    for path, value in values.items():
        policy = policy.changed(path, value)
    return policy


@given(assessments(), policies())
def test_decide_is_deterministic(assessment, policy):
    """The same facts and the same policy, read again from its document, give the same verdict."""
    assert decide(assessment, policy) == decide(assessment, policy) == decide(assessment, Policy.from_toml(policy.to_toml()))


@given(assessments(), policies())
def test_every_counterfactual_flips_the_outcome(assessment, policy):
    """Calling `decide` on the changed facts or policy gives what the sentence says, and not what happened."""
    verdict = decide(assessment, policy)
    found = find(assessment, policy)
    for each in found:
        changed = decide(each.assessment, each.policy)
        assert effect(changed) != effect(verdict)
        assert each.text.startswith("would be ")
        assert (each.assessment, each.policy) != (assessment, policy)
    assert counterfactuals(assessment, policy) == tuple(each.text for each in found)


@given(assessments(), policies())
def test_something_would_always_have_changed_a_catch(assessment, policy):
    """No mail that could be judged is caught without a way out being named."""
    if decide(assessment, policy).kind != "clean" and not assessment.unscannable:
        assert find(assessment, policy)


@given(assessments(), policies())
def test_the_left_out_contributions_are_the_fewest(assessment, policy):
    """No smaller set of contributions flips the outcome: with one of the largest less, the message is still caught."""
    threshold = policy.content_scanning.target.threshold
    for each in find(assessment, policy):
        gone = len(assessment.spam) - len(each.assessment.spam)
        if gone <= 0:
            continue
        best = sorted((share.value for share in assessment.spam), reverse=decide(assessment, policy).kind == "spam")
        before = math.fsum(best[gone - 1 :])
        assert (before >= threshold) == (decide(assessment, policy).kind == "spam")


@given(assessments(), policies(), st.floats(0, 1e6))
def test_the_printed_object_is_complete(assessment, policy, elapsed):
    """Every documented key in the documented order; the contributions sum to the score within a millionth."""
    verdict = decide(assessment, policy)
    line = to_json("x.eml", assessment, verdict, counterfactuals(assessment, policy), elapsed)
    assert line.isascii()
    assert "\n" not in line
    printed = json.loads(line)
    documented = [
        "path",
        "verdict",
        "action",
        "filter",
        "scores",
        "thresholds",
        "sender_ip",
        "auth",
        "urls",
        "reasons",
        "counterfactuals",
        "elapsed_ms",
        "model",
        "policy",
    ]
    assert list(printed)[: len(documented)] == documented
    assert list(printed["scores"]) == list(printed["thresholds"]) == ["spam", "phishing", "web"]
    total = math.fsum(reason["contribution"] for reason in printed["reasons"] if reason["filter"] == "content_scanning")
    score = printed["scores"]["spam"]
    assert score == "unchecked" if assessment.unscannable and not assessment.spam else abs(total - score) < 1e-6


@given(assessments(), policies())
def test_every_verdict_can_be_explained(assessment, policy):
    """The explanation names every contribution, and its sum is the score."""
    verdict = decide(assessment, policy)
    explanation = explain(assessment, verdict, policy)
    text = explanation.text()
    for share in assessment.spam:
        if share.value:
            assert share.name in text
    if explanation.score is not None:
        assert explanation.score == verdict.scores["spam"]
        assert math.isclose(math.fsum(reason.contribution for reason in explanation.contributions), explanation.score, abs_tol=1e-9)
    assert list(explanation.counterfactuals) == list(counterfactuals(assessment, policy))


@given(st.lists(assessments(), max_size=8), policies(), policies())
def test_replay_counts_what_differs(mails, old, new):
    """Every message is judged under both policies, and the sums agree with the list."""
    summary = replay(iter(mails), old, new)
    differing = [
        mail for mail in mails if (decide(mail, old).kind, decide(mail, old).action) != (decide(mail, new).kind, decide(mail, new).action)
    ]
    assert summary.judged == len(mails)
    assert summary.changed == len(differing) == sum(count for _, _, count in summary.moves)
    assert [each.assessment for each in summary.examples] == differing
    assert summary.newly_caught == sum(decide(mail, old).kind == "clean" for mail in differing)
    assert replay(mails, old, old).changed == 0
