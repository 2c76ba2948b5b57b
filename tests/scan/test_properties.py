"""What holds for any facts and any policy."""

import json
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mailward.auth import Authentication
from mailward.policy import Action, DnsLists, DomainLists, Level, ListedAction, Policy, ReputationLevel, UrlList, WebLevel
from mailward.policy.document import UnscannableAction
from mailward.policy.lists import NetworkList, SenderList
from mailward.reputation.answer import ListAnswer, Outcome, Standing
from mailward.reputation.listing import Database
from mailward.reputation.url.rating import band_of
from mailward.scan import Assessment, Contribution, RatedUrl, SenderIp, counterfactuals, decide, explain, replay, reply, to_json
from mailward.scan.counterfactual import effect, find
from mailward.scan.decide import rule
from mailward.scan.email_reputation import charges

ADDRESSES = st.sampled_from(["a@example.org", "b@example.org", "c@mail.example.org", "d@example.net", "no-domain", "odd name@x y"])
ENTRIES = st.lists(st.sampled_from(["example.org", "a@example.org", "*.example.org", "example.net", "*@example.org"]), max_size=3)
IPS = st.sampled_from([None, "192.0.2.1", "192.0.2.200", "2001:db8::1"])
STANDARD, DYNAMIC, OFF = "std.example=127.0.0.2", "dyn.example=127.0.0.[2..9]", "off off.example=127.0.0.2"
WEIGHTS = st.floats(-6, 6, allow_nan=False)


@st.composite
def answers(draw) -> ListAnswer:
    outcome = draw(st.sampled_from(Outcome))
    database = draw(st.sampled_from(Database))
    codes = ("127.0.0.2",) if outcome is Outcome.LISTED else ()
    if draw(st.booleans()):
        level = draw(st.integers(1, 4)) if codes and database is Database.DYNAMIC else 0
        return ListAnswer(f"{database}.own", database, outcome, codes, level=level, own=True)
    return ListAnswer(draw(st.sampled_from(["std.example", "dyn.example", "off.example", "unnamed.example"])), database, outcome, codes)


@st.composite
def urls(draw) -> RatedUrl:
    rating = draw(st.integers(0, 100) | st.just("untested"))
    band = band_of(rating).value if isinstance(rating, int) else rating
    listed = tuple(
        ListAnswer("uri.example", Database.DOMAINS, outcome, ("127.0.0.2",)) for outcome in draw(st.sets(st.sampled_from(Outcome)))
    )
    where = draw(st.sampled_from(["html", "attachment:a.pdf"]))
    return RatedUrl(
        draw(st.sampled_from(["http://a.test/", "http://b.a.test/x", "https://c.example.org/"])), where, rating, band, lists=listed
    )


@st.composite
def assessments(draw) -> Assessment:
    connection_only = draw(st.sampled_from([False, False, False, True]))
    weights = [] if connection_only else draw(st.lists(WEIGHTS, max_size=12))
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
        sender_ip=SenderIp(draw(IPS), draw(st.sampled_from(Standing))),
        auth=Authentication(),
        from_aligned=draw(st.sampled_from([True, False, None])),
        spam=tuple(Contribution(f"n:{number}", weight, "A sentence") for number, weight in enumerate(weights)),
        reputation=tuple(draw(st.lists(answers(), max_size=4))),
        urls=() if connection_only else tuple(draw(st.lists(urls(), max_size=3))),
        authenticated=draw(st.sampled_from([False, False, False, True])),
        connection_only=connection_only,
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
        "email_reputation.enabled": draw(st.sampled_from([True, True, True, False])),
        "email_reputation.log_only": draw(st.sampled_from([False, False, False, True])),
        "email_reputation.target.level": draw(st.sampled_from(ReputationLevel)),
        "email_reputation.target.own_standard": draw(st.booleans()),
        "email_reputation.target.own_dynamic": draw(st.booleans()),
        "email_reputation.target.standard_lists": DnsLists(draw(st.sampled_from([[], [STANDARD], [STANDARD, OFF]]))),
        "email_reputation.target.dynamic_lists": DnsLists(draw(st.sampled_from([[], [DYNAMIC]]))),
        "email_reputation.target.dynamic_level": draw(st.integers(0, 4)),
        "email_reputation.target.approved_ips": NetworkList(draw(st.sampled_from([[], [], ["192.0.2.0/25"]]))),
        "email_reputation.target.blocked_ips": NetworkList(draw(st.sampled_from([[], [], ["192.0.2.0/24", "192.0.2.1"]]))),
        "web_reputation.log_only": draw(st.sampled_from([False, False, False, True])),
        "web_reputation.action.action": draw(st.sampled_from(Action)),
        "web_reputation.target.level": draw(st.sampled_from(WebLevel)),
        "web_reputation.target.act_on_untested": draw(st.booleans()),
        "web_reputation.target.scan_attachments": draw(st.booleans()),
        "web_reputation.target.approved_urls": UrlList(draw(st.sampled_from([[], [], ["a.test"], ["b.a.test/x"]]))),
        "web_reputation.target.approved_senders": SenderList(draw(ENTRIES)),
        "web_reputation.target.domain_lists": DomainLists(draw(st.sampled_from([[], ["uri.example=127.0.0.2"]]))),
        "new_spam_sources.enabled": draw(st.booleans()),
        "new_spam_sources.log_only": draw(st.sampled_from([False, False, False, True])),
        "new_spam_sources.action.action": draw(st.sampled_from(Action)),
        "new_spam_sources.target.approved_senders": SenderList(draw(ENTRIES)),
        "unscannable.action": draw(st.sampled_from(UnscannableAction)),
    }
    for path, value in values.items():
        policy = policy.changed(path, value)
    return with_listed_actions(policy, draw)


def with_listed_actions(policy: Policy, draw) -> Policy:
    """Actions of Email Reputation with codes and texts that go with them, as a document has to have them."""
    for cause in ("standard", "dynamic", "blocked"):
        action = draw(st.sampled_from(ListedAction))
        number = "4" if action is ListedAction.DEFER else "5"
        values = {"action": action, "code": int(number + "50"), "text": f"{number}.7.1 [{{ip}}] no"}
        for name, value in values.items():
            policy = policy.changed(f"email_reputation.action.{cause}_{name}", value)
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
    assessment = replace(assessment, reputation=(), connection_only=False)
    policy = policy.changed("email_reputation.enabled", False)
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
    line = to_json("x.eml", assessment, verdict, counterfactuals(assessment, policy), elapsed, policy)
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
    unseen = assessment.connection_only or (assessment.unscannable and not assessment.spam)
    assert score == "unchecked" if unseen else abs(total - score) < 1e-6


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


@given(assessments(), policies())
def test_what_could_not_be_checked_never_refuses(assessment, policy):
    """With every answer unchecked or clear, and the address on no list of the policy, the filter does nothing at all."""
    unsure = tuple(
        replace(each, outcome=Outcome.CLEAR if each.outcome is Outcome.CLEAR else Outcome.UNCHECKED) for each in assessment.reputation
    )
    policy = policy.changed("email_reputation.target.blocked_ips", NetworkList())
    verdict = decide(replace(assessment, reputation=unsure), policy)
    assert not [hit for hit in verdict.hits if hit.filter == "email_reputation"]
    assert verdict.filter != "email_reputation"


@given(assessments(), policies())
def test_an_approved_address_is_never_refused_by_the_filter(assessment, policy):
    """Approved beats blocked, standard and dynamic, whatever the lists say."""
    policy = policy.changed("email_reputation.target.approved_ips", NetworkList(["192.0.2.0/24", "2001:db8::/32"]))
    assert decide(assessment, policy).filter != "email_reputation" or assessment.sender_ip.address is None


@given(assessments(), policies())
def test_lists_that_the_policy_does_not_ask_for_change_nothing(assessment, policy):
    """Answers of zones nobody named, and of zones that are off, might as well not be there."""
    unnamed = tuple(each for each in assessment.reputation if each.own or each.zone in {"std.example", "dyn.example"})
    assert rule(assessment, policy) == rule(replace(assessment, reputation=unnamed), policy)


@given(assessments(), policies())
def test_a_level_of_0_never_acts_on_a_dynamic_list(assessment, policy):
    """Dynamic lists are counted: the hit is there, observed."""
    policy = policy.changed("email_reputation.target.dynamic_level", 0)
    acting = [hit for hit in decide(assessment, policy).hits if hit.filter == "email_reputation" and not hit.log_only]
    assert not acting or next(charges(assessment, policy)).cause != "dynamic"


@given(assessments(), policies())
def test_every_refusal_has_its_words(assessment, policy):
    """Whatever refuses, the reply is one line of printable ASCII with a code of its class."""
    verdict = decide(assessment, policy)
    answer = reply(verdict, policy, assessment, "https://rep.example.com/lookup")
    assert (answer is None) == (verdict.action not in {Action.DEFER, Action.REJECT, Action.DISCONNECT})
    if answer is not None:
        assert 400 <= answer[0] < 600
        assert answer[1].isascii()
        assert answer[1].isprintable()
