"""Email Reputation: which answers count, in which order, and what is said about it."""

from dataclasses import replace

import pytest

from mailward.policy import Action, Policy
from mailward.reputation.answer import ListAnswer, Outcome
from mailward.reputation.listing import Database
from mailward.scan import Kind, SenderIp, counterfactuals, decide, explain, replay, reply, to_object

NOW = 1_790_000_000
OWN_STANDARD = ListAnswer(
    "std.rep.example", Database.STANDARD, Outcome.LISTED, ("127.0.0.2",), "drop.txt, imported", since=NOW, until=0, own=True
)
OWN_DYNAMIC = ListAnswer(
    "dyn.rep.example", Database.DYNAMIC, Outcome.LISTED, ("127.0.0.4",), "12 spam", level=2, since=NOW, until=NOW + 3600, own=True
)


def foreign(zone: str, *codes: str, outcome: Outcome = Outcome.LISTED) -> ListAnswer:
    return ListAnswer(zone, Database.STANDARD, outcome, codes)


def policy_of(target: str = "", action: str = "", table: str = "") -> Policy:
    return Policy.from_toml(f"[email_reputation]\n{table}\n[email_reputation.target]\n{target}\n[email_reputation.action]\n{action}\n")


def test_a_standard_listing_is_rejected_and_a_dynamic_one_deferred(facts):
    """The defaults: 550 5.7.1 and 450 4.7.1, with address, list and look-up page in the reply."""
    standard, dynamic = facts(reputation=(OWN_STANDARD,)), facts(reputation=(OWN_DYNAMIC,))
    verdict = decide(standard, Policy())
    assert (verdict.kind, verdict.action, verdict.filter) == (Kind.LISTED_SOURCE, Action.REJECT, "email_reputation")
    page = "https://rep.example/lookup"
    assert reply(verdict, Policy(), standard, page) == (550, f"5.7.1 [192.0.2.7] listed in std.rep.example: {page}?ip=192.0.2.7")
    assert reply(decide(dynamic, Policy()), Policy(), dynamic) == (450, "4.7.1 [192.0.2.7] listed in dyn.rep.example")


def test_the_reasons_name_list_why_since_and_until(facts):
    """An administrator reads in one sentence what a person behind the address wants to know."""
    assert decide(facts(reputation=(OWN_STANDARD,)), Policy()).reasons[0].text == (
        "192.0.2.7 is listed in std.rep.example as known spam source: drop.txt, imported (since 2026-09-21 14:13 UTC, until it is taken off)"
    )
    assert decide(facts(reputation=(OWN_DYNAMIC,)), Policy()).reasons[0].text == (
        "192.0.2.7 is listed in dyn.rep.example as burst of spam, from level 2 on: 12 spam (since 2026-09-21 14:13 UTC, until 2026-09-21 15:13 UTC)"
    )
    assert "listed in x.example (127.0.0.3)" in (
        decide(facts(reputation=(foreign("x.example", "127.0.0.3"),)), policy_of('standard_lists = ["x.example=127.0.0.3"]'))
        .reasons[0]
        .text
    )


def test_approved_beats_blocked_beats_standard_beats_dynamic(facts):
    """One after the other is taken away, and the next decides."""
    assessment = facts(reputation=(OWN_STANDARD, OWN_DYNAMIC))
    both = policy_of('approved_ips = ["192.0.2.0/24"]\nblocked_ips = ["192.0.2.7"]')
    spared = decide(assessment, both)
    assert (spared.kind, spared.entry) == (Kind.CLEAN, "email_reputation.approved_ips: 192.0.2.0/24")
    assert "beats email_reputation.blocked_ips: 192.0.2.7" in spared.reasons[0].text
    blocked = policy_of('blocked_ips = ["192.0.2.7"]')
    assert decide(assessment, blocked).entry == "email_reputation.blocked_ips: 192.0.2.7"
    assert reply(decide(assessment, blocked), blocked, assessment) == (550, "5.7.1 [192.0.2.7] is blocked here")
    assert decide(assessment, Policy()).entry == "email_reputation.own_standard: std.rep.example"
    assert decide(assessment, policy_of("own_standard = false")).entry == "email_reputation.own_dynamic: dyn.rep.example"
    assert decide(assessment, policy_of("own_standard = false\nown_dynamic = false")).kind is Kind.CLEAN


@pytest.mark.parametrize(
    ("entry", "answer", "counts"),
    [
        ("x.example=127.0.0.[2..4]", foreign("x.example", "127.0.0.3"), True),
        ("x.example=127.0.0.[2..4]", foreign("x.example", "127.0.0.9", "127.0.0.4"), True),
        ("x.example=127.0.0.[2..4]", foreign("x.example", "127.0.0.5"), False),
        ("off x.example=127.0.0.3", foreign("x.example", "127.0.0.3"), False),
        ("y.example=127.0.0.3", foreign("x.example", "127.0.0.3"), False),
        ("x.example=127.0.0.3", foreign("x.example", outcome=Outcome.UNCHECKED), False),
        ("x.example=127.0.0.3", foreign("x.example", outcome=Outcome.CLEAR), False),
    ],
)
def test_an_answer_counts_by_the_policys_list_and_codes(facts, entry, answer, counts):
    """A list that is not named, is off, says another code, or could not be asked changes nothing."""
    verdict = decide(facts(reputation=(answer,)), policy_of(f'standard_lists = ["{entry}"]'))
    assert (verdict.kind is Kind.LISTED_SOURCE) is counts


def test_a_list_belongs_where_the_policy_puts_it(facts):
    """The action is that of the policy's list, not of what the list calls itself."""
    assessment = facts(reputation=(foreign("x.example", "127.0.0.2"),))
    assert decide(assessment, policy_of('dynamic_lists = ["x.example=127.0.0.2"]')).action is Action.DEFER
    assert decide(assessment, policy_of('level = "standard"\ndynamic_lists = ["x.example=127.0.0.2"]')).kind is Kind.CLEAN


@pytest.mark.parametrize(("level", "listed"), [(0, False), (1, False), (2, True), (4, True)])
def test_the_dynamic_level_decides_which_listings_count(facts, level, listed):
    """A listing of level 2 counts from level 2 on; at level 0 it is counted and nothing is done."""
    verdict = decide(facts(reputation=(OWN_DYNAMIC,)), policy_of(f"dynamic_level = {level}"))
    assert (verdict.kind is Kind.LISTED_SOURCE) is listed
    assert [hit.log_only for hit in verdict.hits] == {0: [True], 1: []}.get(level, [False])


def test_log_only_lets_everybody_in_and_says_so(facts):
    """The hit is kept with the action that would have been taken."""
    verdict = decide(facts(reputation=(OWN_STANDARD,)), policy_of(table="log_only = true"))
    assert (verdict.kind, verdict.action) == (Kind.CLEAN, Action.PASS)
    assert [(hit.kind, hit.action, hit.log_only) for hit in verdict.hits] == [(Kind.LISTED_SOURCE, Action.REJECT, True)]
    assert "log_only" in verdict.reasons[0].text


def test_pass_marks_what_is_delivered(facts):
    """The verdict says listed_source, the mail goes on."""
    verdict = decide(facts(reputation=(OWN_STANDARD,)), policy_of(action='standard_action = "pass"'))
    assert (verdict.kind, verdict.action) == (Kind.LISTED_SOURCE, Action.PASS)


@pytest.mark.parametrize(
    ("recipients", "spared"),
    [
        (("postmaster@example.com",), True),
        (("Abuse@example.com", "postmaster"), True),
        (("postmaster@example.com", "ann@example.com"), False),
        (("postmaster.general@example.com",), False),
        ((), False),
    ],
)
def test_postmaster_and_abuse_can_be_reached(facts, recipients, spared):
    """Mail to them alone is let through (RFC 5321 4.5.1), and the reasons say so; one other recipient and it is not."""
    verdict = decide(facts(reputation=(OWN_STANDARD,), rcpt_to=recipients), Policy())
    assert (verdict.kind is Kind.CLEAN) is spared
    assert any("postmaster" in reason.name for reason in verdict.reasons) is spared


def test_our_own_users_are_exempt(facts):
    """Who signed in may send from any hotel."""
    assert decide(facts(reputation=(OWN_STANDARD,), authenticated=True), Policy()).kind is Kind.CLEAN


def test_refused_connections_have_no_score(facts):
    """What was never sent was not judged; spam, phishing and web stay open."""
    verdict = decide(facts(reputation=(OWN_STANDARD,), connection_only=True), Policy())
    assert verdict.scores == {"spam": "unchecked", "phishing": "unchecked", "web": None}
    text = explain(facts(reputation=(OWN_STANDARD,), connection_only=True), verdict, Policy()).text()
    assert "the client was refused before it sent the message" in text
    assert "email_reputation.action.standard_action is reject" in text
    assert "threshold" not in text


def test_counterfactuals_name_approval_level_and_lists(facts):
    """What an administrator can do about it, each tried by deciding again."""
    listed = counterfactuals(facts(reputation=(OWN_STANDARD,)), Policy())
    assert "would be delivered if 192.0.2.7 were approved (on email_reputation.approved_ips)" in listed
    assert "would be delivered if std.rep.example did not count" in listed
    dynamic = counterfactuals(facts(reputation=(OWN_DYNAMIC,)), Policy())
    assert "would be delivered at dynamic level 1" in dynamic
    assert "would be deferred as mail from a listed source at dynamic level 2" in counterfactuals(
        facts(reputation=(OWN_DYNAMIC,)), policy_of("dynamic_level = 1")
    )
    assert "would be deferred as mail from a listed source at level advanced, which asks dynamic lists too" in counterfactuals(
        facts(reputation=(OWN_DYNAMIC,)), policy_of('level = "standard"')
    )
    assert "would be rejected as mail from a listed source without 192.0.2.7 on email_reputation.approved_ips" in counterfactuals(
        facts(reputation=(OWN_STANDARD,)), policy_of('approved_ips = ["192.0.2.7"]')
    )
    assert "would be rejected as mail from a listed source if Email Reputation did not only observe (log_only)" in counterfactuals(
        facts(reputation=(OWN_STANDARD,)), policy_of(table="log_only = true")
    )


def test_replay_says_what_another_level_would_have_done(facts):
    """Stored facts are judged again: nobody is asked anew."""
    mails = [facts(reputation=(OWN_DYNAMIC,)), facts(reputation=(replace(OWN_DYNAMIC, level=4),)), facts()]
    summary = replay(mails, Policy(), policy_of("dynamic_level = 4"))
    assert (summary.changed, summary.newly_caught) == (1, 1)


def test_texts_are_the_policys_and_cannot_be_injected(facts):
    """What is filled in is not read again, and no octet of it can end the line."""
    hostile = replace(OWN_STANDARD, zone="{link}\r\n250 ok")
    assessment = facts(reputation=(hostile,), sender_ip=SenderIp("192.0.2.7"))
    policy = policy_of(action='standard_text = "5.7.1 {zone} {ip} see {link}, sorry"')
    code, text = reply(decide(assessment, policy), policy, assessment, "https://rep.example/")
    assert (code, text) == (550, "5.7.1 {link}250ok 192.0.2.7 see https://rep.example/?ip=192.0.2.7, sorry")
    assert reply(decide(assessment, policy), policy, assessment)[1] == "5.7.1 {link}250ok 192.0.2.7 see"


def test_a_foreign_list_is_linked_by_the_catalogue(facts):
    """Its own look-up page stands in the reply."""
    assessment = facts(reputation=(foreign("zen.spamhaus.org", "127.0.0.2"),))
    policy = policy_of('standard_lists = ["zen.spamhaus.org"]')
    _, text = reply(decide(assessment, policy), policy, assessment)
    assert text.startswith("5.7.1 [192.0.2.7] listed in zen.spamhaus.org: https://")
    assert "192.0.2.7" in text.rpartition("https")[2]


def test_the_printed_object_tells_standing_and_lists(facts):
    """The documented keys keep their shape; every list's answer stands below `reputation`."""
    assessment = facts(reputation=(OWN_STANDARD,), sender_ip=SenderIp("192.0.2.7", "standard"))
    printed = to_object("x", assessment, decide(assessment, Policy()), (), 1.0, Policy())
    assert printed["sender_ip"] == {"address": "192.0.2.7", "standing": "standard"}
    assert printed["verdict"] == "listed_source"
    assert printed["reputation"][0]["zone"] == "std.rep.example"
    assert printed["reputation"][0]["outcome"] == "listed"
