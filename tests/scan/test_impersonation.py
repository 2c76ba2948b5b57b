"""Mail that pretends to come from somebody here, or from somebody we write with."""

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scan.conftest import made_assessment

from mailward.auth import Authentication
from mailward.message import Envelope, parse
from mailward.policy import Action, PeopleList, Policy, PolicyError, SenderList
from mailward.scan import Assessment, Kind, RatedUrl, SenderIp, Site, assess, counterfactuals, decide, explain, replay, reply, to_json
from mailward.scan.counterfactual import effect, find
from mailward.scan.impersonation import IMPERSONATION, is_confirmed, signs

POLICY = Policy.from_toml("""
    [organisation]
    internal_domains = ["example.com"]
    gateway_networks = ["198.51.100.0/24"]
    [advanced_spam_prevention]
    own_brands = ["Contoso Bank: contoso.com contoso-mail.net"]
    [advanced_spam_prevention.impersonation.target]
    high_profile_users = ["Erika Müster | Erika Muster-Schmidt <erika@example.com> <erika.private@gmail.com>", "王小明 <wang@example.com>"]
    internal_names = ["Max Muster <max.muster@web.de>"]
    partner_domains = ["supplier-gmbh.de"]
""")
TARGET = f"{IMPERSONATION}.target."
GMAIL, FIRM = "x@gmail.com", "x@firm.example"
CONFIRMED, PROBABLE, CLEAN = Action.QUARANTINE, Action.TAG, Action.PASS


def mail(shown: str, address: str = GMAIL, aligned: bool | None = True, **facts) -> Assessment:
    return made_assessment(1.0, **{"header_from": (address,), "shown_from": (shown,), "from_aligned": aligned, **facts})


def names(message: Assessment) -> list[str]:
    return [sign.name for sign in signs(message, POLICY)]


@pytest.mark.parametrize(
    "shown",
    [
        "Erika Müster",
        "Muster Erika",
        "MUSTER, Erika",
        "Dr. Erika Muester",
        "Erika Müster, CEO",
        "erika muster-schmidt",
        "ERIKA MUSTER",
        "王小明",
        "Еrіka Мuster",
        "Erika M\u200buster",
        "Erika  \u202eMuster",
        "𝐄𝐫𝐢𝐤𝐚 𝐌𝐮𝐬𝐭𝐞𝐫",
    ],
)
def test_the_name_of_a_high_profile_user_with_an_address_of_anybody_is_confirmed(shown):
    """In any order, with titles, without accents, with umlauts spelled out, however it is disguised."""
    verdict = decide(mail(shown), POLICY)
    assert (verdict.kind, verdict.action, verdict.filter) == (Kind.IMPERSONATION, CONFIRMED, IMPERSONATION)


@pytest.mark.parametrize(
    ("shown", "address", "aligned", "action"),
    [
        ("Erika Muster", FIRM, False, CONFIRMED),  # fails authentication
        ("Erika Muster", FIRM, None, PROBABLE),  # nobody checked
        ("Erika Muster", FIRM, True, PROBABLE),  # a namesake is possible
        ("Erika Muster via Portal", FIRM, False, PROBABLE),
        ("Erika Muster via Portal", FIRM, True, CLEAN),  # a service in her name, and it is that service
        ("Erika Muster", "invitations@linkedin.com", True, CLEAN),  # a known service, which writes in the names of people
        ("Erika Muster", "invitations@linkedin.com", False, CONFIRMED),
        ("Erika Muster", "x@outlook.com", True, CONFIRMED),
        ("E. Muster", GMAIL, True, PROBABLE),
        ("E. Muster", FIRM, True, CLEAN),
        ("Erika Schmidt", GMAIL, True, PROBABLE),  # part of her other name
        ("Erika", GMAIL, True, CLEAN),
        ("Erika Meier", GMAIL, True, CLEAN),
        ("Muster Verlag Kundenservice", GMAIL, True, CLEAN),
        ("Erika Muster", "erika@example.com", True, CLEAN),
        ("Erika Muster", "e.muster@example.com", None, CLEAN),  # the organisation's own domain
        ("Erika Muster", "erika.private@gmail.com", True, CLEAN),
        ("Max Muster", GMAIL, True, PROBABLE),  # somebody of the organisation
        ("Max Muster", "max.muster@web.de", True, CLEAN),
        ("Max Muster via Portal", GMAIL, False, CLEAN),  # others are known by their whole name only
        ("Contoso Bank Security", FIRM, False, CONFIRMED),
        ("Contoso Bank Security", FIRM, True, PROBABLE),
        ("Contoso Bank", "news@mail.contoso.com", False, CLEAN),
        ("", GMAIL, True, CLEAN),
    ],
)
def test_grades(shown, address, aligned, action):
    """What may be chance is tagged only; what is theirs is left alone."""
    verdict = decide(mail(shown, address, aligned), POLICY)
    assert (verdict.action, verdict.kind is Kind.IMPERSONATION) == (action, action is not CLEAN)


@pytest.mark.parametrize(
    ("address", "name", "action"),
    [
        ("ceo@examp1e.com", "own-domain-lookalike", CONFIRMED),
        ("ceo@exarnple.com", "own-domain-lookalike", CONFIRMED),
        ("ceo@xn--exmple-4nf.com", "own-domain-lookalike", CONFIRMED),
        ("ceo@example-invoice.net", "own-domain-lookalike", PROBABLE),
        ("a@supplier-gnbh.de", "partner-lookalike", CONFIRMED),
        ("a@suppliergmbh.de", "partner-lookalike", CONFIRMED),
        ("a@example-group.com", "own-domain-lookalike", PROBABLE),
        ("a@exampletoast.com", "", CLEAN),  # a word of its own
        ("a@billing.supplier-gmbh.de", "", CLEAN),
        ("a@paypa1.com", "", CLEAN),  # a brand of the table: the phishing score counts it
    ],
)
def test_domains_that_look_like_ours_or_like_those_of_partners(address, name, action):
    """Authenticated or not: whoever registers such a domain can sign for it."""
    message = mail("Somebody", address)
    assert (decide(message, POLICY).action, names(message)) == (action, [name] if name else [])


def test_an_address_of_ours_in_the_name_shown():
    """Many clients show the name only."""
    assert decide(mail("erika@example.com", FIRM, False), POLICY).action is CONFIRMED
    assert decide(mail("Erika (erika@example.com)", GMAIL), POLICY).action is CONFIRMED
    assert decide(mail("ann@example.com via List", "list@groups.test", True), POLICY).action is PROBABLE
    assert decide(mail("x@firm.example", FIRM, False), POLICY).kind is Kind.CLEAN


@pytest.mark.parametrize(
    ("shown", "aligned", "answers", "action"),
    [
        ("Ann", False, (), PROBABLE),
        ("Erika Muster", False, (), CONFIRMED),
        ("Ann", False, ("ann@gmail.com",), CONFIRMED),  # two signs
        ("Ann", True, ("ann@gmail.com",), CLEAN),
        ("Ann", None, (), CLEAN),  # nobody checked
    ],
)
def test_our_own_domain_from_outside(shown, aligned, answers, action):
    """It has to be authenticated; with a high-profile name, or answers that go elsewhere, there is no doubt."""
    message = mail(shown, "ann@example.com", aligned, reply_to=answers)
    assert decide(message, POLICY).action is action
    assert decide(message, POLICY.changed(TARGET + "check_own_domains", False)).kind is Kind.CLEAN


def test_answers_that_go_elsewhere():
    """Together with a name of ours they confirm; answers to a look-alike of our domain suffice alone."""
    assert decide(mail("Max Muster", reply_to=("y@yahoo.com",)), POLICY).action is CONFIRMED
    assert decide(mail("Max Muster", reply_to=("max.muster@web.de",)), POLICY).action is PROBABLE
    assert decide(mail("Shop", FIRM, reply_to=("y@yahoo.com",)), POLICY).kind is Kind.CLEAN
    assert decide(mail("Shop", FIRM, reply_to=("y@examp1e.com",)), POLICY).action is CONFIRMED


@pytest.mark.parametrize(
    ("host", "action"),
    [
        ("examp1e.com", CONFIRMED),
        ("webmail.example.com-login.net", CONFIRMED),
        ("example.com.evil.test", CONFIRMED),
        ("example-webmail-login.test", PROBABLE),
        ("supplier-gnbh.de", CONFIRMED),
        ("example.com", CLEAN),
        ("intranet.example.com", CLEAN),
        ("example.net", CLEAN),  # somebody else of that name
        ("paypa1.com", CLEAN),  # the phishing score counts it
    ],
)
def test_links_to_hosts_that_look_like_ours(host, action):
    """Whoever sends them."""
    message = mail("Helpdesk", FIRM, urls=(RatedUrl(f"https://{host}/login", "html"), RatedUrl("mailto:a@examp1e.com", "html")))
    assert decide(message, POLICY).action is action


@pytest.mark.parametrize(
    "facts",
    [
        {"authenticated": True},
        {"sender_ip": SenderIp("198.51.100.7")},  # a hop of ours
        {"sender_ip": SenderIp("10.1.2.3")},
        {"sender_ip": SenderIp("127.0.0.1")},
        {"connection_only": True},
    ],
)
def test_mail_from_inside_is_not_looked_at(facts):
    """Users who signed in, hosts inside and our own hops."""
    assert decide(mail("Erika Muster", **facts), POLICY).kind is Kind.CLEAN


@pytest.mark.parametrize(
    ("aligned", "required", "exempt"), [(True, True, True), (False, True, False), (None, True, False), (False, False, True)]
)
def test_an_approved_sender_counts_when_authenticated(aligned, required, exempt):
    """As for the other filters; what was seen is still told."""
    policy = POLICY.changed(TARGET + "approved_senders", SenderList(["firm.example"])).changed(
        TARGET + "approval_requires_authentication", required
    )
    verdict = decide(mail("Erika Muster", FIRM, aligned), policy)
    assert (verdict.kind is Kind.CLEAN) == exempt
    assert verdict.entry == (f"{IMPERSONATION}.approved_senders: firm.example" if exempt else "")
    assert exempt or any("did not count" in reason.text for reason in verdict.reasons)
    assert any("is that of a high-profile user" in reason.text for reason in verdict.reasons)


@pytest.mark.parametrize("setting", ["advanced_spam_prevention.", f"{IMPERSONATION}."])
def test_it_can_observe_and_be_switched_off(setting):
    """By itself, and with the filter it belongs to."""
    message = mail("Erika Muster")
    observed = decide(message, POLICY.changed(setting + "log_only", True))
    assert (observed.kind, observed.hits[0].log_only, observed.hits[0].filter) == (Kind.CLEAN, True, IMPERSONATION)
    assert decide(message, POLICY.changed(setting + "enabled", False)).hits == ()


def test_each_grade_has_its_own_action_and_the_texts_are_its_own():
    """And a refusal has the words of this filter."""
    policy = POLICY.changed(f"{IMPERSONATION}.action.probable_action", Action.REJECT).changed(
        f"{IMPERSONATION}.action.action", Action.DEFER
    )
    probable, confirmed = mail("Max Muster"), mail("Erika Muster")
    assert reply(decide(probable, policy), policy, probable) == (550, "5.7.1 Message refused: it uses a name of ours")
    assert reply(decide(confirmed, policy), policy, confirmed) == (451, "4.7.1 Message uses a name of ours, try again later")


def test_it_is_told_in_plain_words():
    """Whose name, which address, what is known; names of attackers are cut, on one line, without what cannot be seen."""
    message = mail("Erika M\u200buster")
    text = decide(message, POLICY).reasons[0].text
    assert text == (
        "The name 'Erika Muster' is that of a high-profile user, but x@gmail.com is not one of the addresses known of Erika Müster "
        "(anybody can have one there)"
    )
    hostile = mail("Erika Muster \r\nX-Evil: yes " + "a" * 500)
    assert all("\n" not in reason.text and len(reason.text) < 400 for reason in decide(hostile, POLICY).reasons)
    explained = explain(message, decide(message, POLICY), POLICY).text()
    assert f"{IMPERSONATION}.action is quarantine" in explained
    assert "would be delivered if x@gmail.com were a known address of Erika Müster" in explained
    probable = mail("Max Muster")
    assert f"{IMPERSONATION}.probable_action is tag" in explain(probable, decide(probable, POLICY), POLICY).text()


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (mail("Max Muster"), "would be delivered if x@gmail.com were a known address of Max Muster"),
        (mail("Ann", "ann@example.com", False), "would be delivered if it had passed authentication"),
        (mail("Ann", "ann@example.com", False), "would be delivered with check_own_domains off"),
        (mail("S", "s@supplier-gnbh.de"), f"would be delivered if supplier-gnbh[.]de was on {IMPERSONATION}.partner_domains"),
        (mail("Erika Muster", FIRM, False), "would be tagged as an impersonation and delivered if it had passed authentication"),
        (mail("Erika Muster"), f"would be delivered if x@gmail.com was approved (on {IMPERSONATION}.approved_senders)"),
    ],
)
def test_what_would_have_changed_it(message, told):
    """An address that is known, authentication, a partner's domain, an approval."""
    assert told in counterfactuals(message, POLICY)


def test_what_would_have_caught_it():
    """Switched on, or acting."""
    off = POLICY.changed(f"{IMPERSONATION}.log_only", True)
    assert "would be quarantined as an impersonation if Impersonation did not only observe (log_only)" in counterfactuals(
        mail("Erika Muster"), off
    )


def test_replay_judges_stored_names_by_another_policy():
    """Nothing is scanned again."""
    people = PeopleList([*POLICY.advanced_spam_prevention.impersonation.target.high_profile_users, "Ann Other <ann@example.com>"])
    changed = POLICY.changed(TARGET + "high_profile_users", people)
    assert replay([mail("Ann Other")], POLICY, changed).newly_caught == 1


class Silent:
    name = "silent"

    def score(self, message, origin, envelope, auth, *rest):
        return ()

    def judge(self, evidence):
        return ()


def test_names_and_answers_are_facts_of_the_message():
    """One display name for each address, cut; they are printed, and a record without them can be read."""
    raw = b'From: "=?utf-8?q?Erika_M=C3=BCster?=" <X@Gmail.com>, b@b.test\nReply-To: R <Re@Ply.test>\nSubject: x\n\n' + b"x"
    found = assess(parse(raw), Envelope(client_ip="192.0.2.9", way_in="smtp"), Site(), Silent(), None, 1.0, "x")
    assert (found.header_from, found.shown_from, found.reply_to) == (("x@gmail.com", "b@b.test"), ("Erika Müster", ""), ("re@ply.test",))
    assert decide(found, POLICY).kind is Kind.IMPERSONATION
    printed = json.loads(to_json("x", found, decide(found, POLICY), (), 1.0, POLICY))
    assert (printed["verdict"], printed["filter"], printed["shown_from"][0]) == ("impersonation", IMPERSONATION, "Erika Müster")
    long = assess(parse(b"From: " + b"a" * 5000 + b" <a@b.test>\n\nx"), Envelope(), Site(), Silent(), None, 1.0, "x")
    assert len(long.shown_from[0]) <= 200
    stored = msgspec.to_builtins(found)
    del stored["shown_from"], stored["reply_to"]
    assert msgspec.convert(stored, Assessment).shown_from == ()


@pytest.mark.parametrize(
    ("setting", "entry", "words"),
    [
        ("impersonation.target.high_profile_users", "Erika", "is one word"),
        ("impersonation.target.high_profile_users", "<erika@example.com>", "has no name"),
        ("impersonation.target.high_profile_users", "Erika Muster <erika>", "is no address"),
        ("impersonation.target.high_profile_users", "Erika Muster <a@b.test> rest", "beside names and addresses"),
        ("impersonation.target.internal_names", "Max Muster | ", "has no name"),
        ("own_brands", "Contoso", "names no domain"),
        ("own_brands", "Contoso: *.contoso.com", "has a * in it"),
    ],
)
def test_entries_that_are_refused_say_why(setting, entry, words):
    """With the line, and what to write instead."""
    table, _, name = f"advanced_spam_prevention.{setting}".rpartition(".")
    with pytest.raises(PolicyError, match=r"policy.toml:2") as refused:
        Policy.from_toml(f"[{table}]\n{name} = [{json.dumps(entry)}]\n")
    assert words in str(refused.value)


def test_high_profile_users_are_at_most_500():
    """More are refused; on internal_names there is room for all."""
    many = [f"Erika {'abcdefghij'[n % 10]}{'abcdefghij'[n // 10 % 10]}{'abcdefghij'[n // 100]}er <e{n}@example.com>" for n in range(501)]
    for name in ("high_profile_users", "internal_names"):
        text = f"[{IMPERSONATION}.target]\n{name} = {json.dumps(many)}\n"
        if name == "internal_names":
            assert len(Policy.from_toml(text).advanced_spam_prevention.impersonation.target.internal_names) == 501
        else:
            with pytest.raises(PolicyError, match="at most 500"):
                Policy.from_toml(text)


def test_a_policy_is_written_and_read_again():
    """The lists are part of the document and of its digest."""
    again = Policy.from_toml(POLICY.to_toml())
    assert (again, again.digest) == (POLICY, POLICY.digest)
    assert Policy().digest != POLICY.digest


SHOWN = st.sampled_from(["Erika Muster", "Max Muster", "E. Muster", "", "Ann", "erika@example.com", "Contoso Bank"]) | st.text(max_size=60)
ADDRESSES = st.sampled_from([GMAIL, FIRM, "ann@example.com", "a@examp1e.com", "a@supplier-gnbh.de", "erika@example.com", "", "nobody"])
MESSAGES = st.builds(
    lambda shown, address, aligned, answers, score: mail(
        shown, address, aligned, reply_to=tuple(answers), spam=made_assessment(score).spam
    ),
    SHOWN,
    ADDRESSES,
    st.sampled_from([True, False, None]),
    st.lists(ADDRESSES, max_size=2),
    st.floats(-9, 15),
)


@settings(deadline=None)  # the first one loads the tables
@given(MESSAGES, st.sampled_from(Action), st.sampled_from(Action))
def test_every_counterfactual_flips_and_a_catch_has_a_way_out(message, action, probable):
    """Whatever is done with each grade."""
    policy = POLICY.changed(f"{IMPERSONATION}.action.action", action).changed(f"{IMPERSONATION}.action.probable_action", probable)
    verdict, found = decide(message, policy), find(message, policy)
    assert all(effect(decide(each.assessment, each.policy)) != effect(verdict) for each in found)
    assert found or verdict.kind is Kind.CLEAN


@settings(deadline=None)  # the first one loads the tables
@given(MESSAGES)
def test_authentication_and_knowing_the_address_never_make_it_worse(message):
    """What passes authentication has no more signs, and no stronger ones, than what failed; so has an address that is known."""
    failed, passed = (signs(replace(message, from_aligned=value), POLICY) for value in (False, True))
    assert {sign.name for sign in passed} <= {sign.name for sign in failed}
    assert is_confirmed(failed) or not is_confirmed(passed)


@settings(deadline=None)  # the first one loads the tables
@given(MESSAGES)
def test_without_names_in_the_policy_nothing_is_an_impersonation(message):
    """A fresh policy names nobody."""
    message = replace(message, auth=Authentication())
    assert all(hit.filter != IMPERSONATION for hit in decide(message, Policy()).hits)
