"""What is known here of a sender and of a conversation, as signs of an impersonation."""

import json

import pytest
from tests.scan.conftest import made_assessment

from mailward.policy import Action, Policy
from mailward.scan import Assessment, Kind, counterfactuals, decide, explain, to_json
from mailward.scan.counterfactual import effect, find
from mailward.scan.impersonation import IMPERSONATION, signs

POLICY = Policy.from_toml("""
    [organisation]
    internal_domains = ["example.com"]
    [advanced_spam_prevention.impersonation.target]
    high_profile_users = ["Erika Muster <erika@example.com>"]
    internal_names = ["Max Beispiel <max@web.de>"]
    partner_domains = ["supplier-gmbh.de"]
""")
PLAIN = Policy.from_toml('organisation.internal_domains = ["example.com"]')
TARGET = f"{IMPERSONATION}.target."
GMAIL, FIRM = "x@gmail.com", "x@firm.example"
CONFIRMED, PROBABLE, CLEAN = Action.QUARANTINE, Action.TAG, Action.PASS
STRANGER = {"first_contact": True, "first_of_domain": True}
KNOWN = {"first_contact": False, "first_of_domain": False}
UNKNOWN_THREAD = {"thread": "unknown"}


def mail(shown: str = "", address: str = GMAIL, aligned: bool | None = True, **facts) -> Assessment:
    return made_assessment(1.0, **{"header_from": (address,), "shown_from": (shown,), "from_aligned": aligned, **facts})


def ours(shown: str = "Anna Schmidt", address: str = GMAIL, aligned: bool | None = True, **facts) -> Assessment:
    """Mail under a name that was learned."""
    return mail(shown, address, aligned, named_internal=(shown,), **facts)


def names(message: Assessment, policy: Policy = POLICY) -> set[str]:
    return {sign.name for sign in signs(message, policy)}


@pytest.mark.parametrize("facts", [STRANGER, UNKNOWN_THREAD, {**STRANGER, **UNKNOWN_THREAD}, KNOWN])
@pytest.mark.parametrize("aligned", [True, False, None])
def test_a_stranger_is_no_imitator(facts, aligned):
    """Neither a first contact nor a conversation that never passed here says anything by itself, nor both: people are drawn into conversations."""
    assert decide(mail("Kim Client", FIRM, aligned, **facts), POLICY).kind is Kind.CLEAN


@pytest.mark.parametrize(
    ("message", "action"),
    [
        # a namesake at a company, and somebody who writes from home, stay tagged (decision 0093)
        (mail("Max Beispiel", FIRM, True), PROBABLE),
        (mail("Max Beispiel", FIRM, True, **STRANGER), PROBABLE),
        (mail("Max Beispiel", GMAIL, True, **STRANGER), PROBABLE),
        (mail("Max Beispiel", FIRM, False, **KNOWN), PROBABLE),
        (mail("Max Beispiel", FIRM, False, **STRANGER), CONFIRMED),
        (mail("Max Beispiel", GMAIL, True, **UNKNOWN_THREAD), CONFIRMED),
        (mail("Max Beispiel", GMAIL, True, thread="known"), PROBABLE),
        (mail("E. Muster", GMAIL, True), PROBABLE),
        (mail("E. Muster", GMAIL, True, **STRANGER), CONFIRMED),
        (mail("Erika Muster", FIRM, True, **STRANGER), PROBABLE),
        (mail("Erika Muster", FIRM, True, **UNKNOWN_THREAD), CONFIRMED),
        # look-alikes sign for themselves
        (mail("Sales", "x@supplier-gmbh.com", True), PROBABLE),
        (mail("Sales", "x@supplier-gmbh.com", True, **KNOWN), PROBABLE),
        (mail("Sales", "x@supplier-gmbh.com", True, **STRANGER), CONFIRMED),
        (mail("Sales", "x@supplier-gmbh.com", True, **UNKNOWN_THREAD), CONFIRMED),
    ],
)
def test_it_adds_to_another_sign(message, action):
    assert decide(message, POLICY).action is action


@pytest.mark.parametrize(
    ("message", "action"),
    [
        (ours(), PROBABLE),
        (ours(**STRANGER), PROBABLE),  # she may write from home
        (ours(**UNKNOWN_THREAD), CONFIRMED),
        (ours(written_to=True, **KNOWN), CLEAN),  # one of our users writes to her private address
        (ours(address=FIRM, aligned=False, **KNOWN), PROBABLE),
        (ours(address=FIRM, aligned=False, written_to=True, **KNOWN), PROBABLE),
        (ours(address=FIRM, aligned=False, **STRANGER), CONFIRMED),
        (ours(address=FIRM, **STRANGER), PROBABLE),
        (ours(address=FIRM, **KNOWN), CLEAN),  # a service we use, or a namesake
        (ours(address=FIRM), CLEAN),  # nobody knows
        (ours(address=FIRM, first_contact=True, first_of_domain=False), CLEAN),
        (ours(address="anna@example.com"), CLEAN),
        (ours(address="anna@linkedin.com", **STRANGER), CLEAN),  # it writes in the names of those who use it
    ],
)
@pytest.mark.parametrize("policy", [POLICY, PLAIN])
def test_names_that_were_learned_count_with_an_address_that_nobody_knows(message, action, policy):
    """With names in the policy and without."""
    assert decide(message, policy).action is action


def test_learned_names_can_be_switched_off():
    policy = POLICY.changed(f"{TARGET}learn_names", False)
    assert names(ours(**UNKNOWN_THREAD), policy) == set()


def test_her_own_address_in_the_policy_counts_before_what_was_learned():
    """The entry of the policy knows her addresses."""
    assert names(ours("Max Beispiel", "max@web.de")) == set()
    assert names(ours("Max Beispiel", GMAIL)) == {"internal-name"}


def test_strangers_count_for_nothing_where_that_is_switched_off():
    policy = POLICY.changed(f"{TARGET}first_contact", False)
    assert names(mail("Sales", "x@supplier-gmbh.com", **STRANGER, **UNKNOWN_THREAD), policy) == {"partner-lookalike"}


def test_unknown_conversations_of_strangers_can_be_tagged():
    """Off by default: those who are drawn into a conversation look the same."""
    policy = POLICY.changed(f"{TARGET}suspect_unknown_threads", True)
    message = mail("Kim Client", FIRM, **STRANGER, **UNKNOWN_THREAD)
    assert decide(message, policy).action is PROBABLE
    assert decide(mail("Kim Client", FIRM, **KNOWN, **UNKNOWN_THREAD), policy).action is CLEAN
    assert decide(mail("Kim Client", FIRM, **UNKNOWN_THREAD), policy).action is CLEAN


def test_reasons_are_plain_words():
    verdict = decide(mail("Sales", "x@supplier-gmbh.com", **STRANGER, **UNKNOWN_THREAD), POLICY)
    told = [reason.text for reason in verdict.reasons if reason.filter == IMPERSONATION]
    assert "It is the first mail from anybody at supplier-gmbh[.]com, and nobody here ever wrote there" in told
    assert "It says it is an answer, but no message of that conversation was ever sent or received here" in told
    known_domain = mail("Sales", "x@supplier-gmbh.com", first_contact=True, first_of_domain=False)
    assert any("the first mail from x@supplier-gmbh.com" in reason.text for reason in decide(known_domain, POLICY).reasons)
    (sign,) = signs(ours(), POLICY)
    assert sign.text == (
        "The name 'Anna Schmidt' is that of somebody who writes from the organisation, "
        "but x@gmail.com is none of its addresses (anybody can have one there)"
    )


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            mail("Sales", "x@supplier-gmbh.com", **STRANGER),
            "would be tagged as an impersonation and delivered if x@supplier-gmbh.com had written here before",
        ),
        (
            mail("Sales", "x@supplier-gmbh.com", **UNKNOWN_THREAD),
            "would be tagged as an impersonation and delivered if the conversation it answers to had passed here",
        ),
        (ours(), "would be delivered with learn_names off"),
        (ours(), "would be delivered if x@gmail.com were a known address of Anna Schmidt"),
        (ours(**UNKNOWN_THREAD), "would be delivered if x@gmail.com were a known address of Anna Schmidt"),
    ],
)
def test_what_would_have_changed_it(message, told):
    assert told in counterfactuals(message, POLICY)
    for found in find(message, POLICY):
        assert effect(decide(found.assessment, found.policy)) != effect(decide(message, POLICY))


def test_the_facts_are_shown():
    """In `explain` and in JSON; what is not known is called unknown."""
    message = ours(address=FIRM, **STRANGER, **UNKNOWN_THREAD)
    verdict = decide(message, POLICY)
    facts = dict(explain(message, verdict, POLICY).facts)
    assert facts["contact"] == "first mail from anybody at this domain"
    assert facts["conversation"] == "of which nothing ever passed here"
    shown = json.loads(to_json("x.eml", message, verdict, (), 1.0, POLICY))
    assert [shown[name] for name in ("first_contact", "first_of_domain", "written_to", "thread", "named_internal")] == [
        True,
        True,
        False,
        "unknown",
        ["Anna Schmidt"],
    ]
    nobody = mail()
    assert "contact" not in dict(explain(nobody, decide(nobody, POLICY), POLICY).facts)
    assert json.loads(to_json("x.eml", nobody, decide(nobody, POLICY), (), 1.0, POLICY))["first_contact"] == "unknown"
