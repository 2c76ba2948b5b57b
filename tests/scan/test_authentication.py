"""The filter Authentication: what the owner of the From domain asks for, where the policy says to follow it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailward.auth import Authentication, DmarcPolicy, Outcome, Signature
from mailward.auth.model import HERE
from mailward.content.mail import proven
from mailward.message import Address
from mailward.policy import Policy
from mailward.scan.alignment import aligned
from mailward.scan.assessment import Assessment, SenderIp
from mailward.scan.counterfactual import find
from mailward.scan.decide import decide, rule
from mailward.scan.reply import reply

FAILED = Authentication(
    Outcome.FAIL, Outcome.NONE, Outcome.FAIL, Outcome.NONE, "example.net", source=HERE, dmarc_domain="example.com", dmarc_policy=DmarcPolicy.REJECT
)  # fmt: skip


def facts(auth: Authentication = FAILED) -> Assessment:
    return Assessment(
        "id", 0.0, "smtp", 1, "", "", "ann@example.com", (), ("ann@example.com",), "", SenderIp("192.0.2.1"), auth, False, ()
    )  # fmt: skip


def policy(act_on: str = "reject", more: str = "", action: str = "reject") -> Policy:
    return Policy.from_toml(f'[authentication.target]\nact_on = "{act_on}"\n{more}[authentication.action]\naction = "{action}"\n')


@pytest.mark.parametrize(
    ("act_on", "asked", "action"),
    [
        ("nothing", "reject", "pass"),
        ("reject", "reject", "reject"),
        ("reject", "quarantine", "pass"),
        ("quarantine", "quarantine", "reject"),
        ("quarantine", "reject", "reject"),
        ("quarantine", "none", "pass"),
    ],
)
def test_what_is_acted_on(act_on: str, asked: str, action: str) -> None:
    """By default a failure only counts in the scores."""
    verdict = decide(facts(replace(FAILED, dmarc_policy=DmarcPolicy(asked))), policy(act_on))
    assert verdict.action == action
    assert verdict.kind == ("impersonation" if action == "reject" else "clean")


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FAIL])
def test_only_a_failure_counts(outcome: Outcome) -> None:
    """What the DNS did not answer refuses no mail."""
    assert decide(facts(replace(FAILED, dmarc=outcome)), policy()).action == "pass"


def test_who_is_exempt_and_what_is_told() -> None:
    """A trusted sealer's word, an approved sender and log_only hold it back; each is told."""
    vouched = decide(facts(replace(FAILED, vouched="example.com", arc_sealer="list.test")), policy())
    assert (vouched.action, vouched.reasons[0].text) == ("pass", "list.test forwarded it, whose word is taken: it had passed DMARC before")
    approved = decide(facts(), policy(more='approved_senders = ["example.com"]\n'))
    assert (approved.action, approved.entry) == ("pass", "authentication.approved_senders: example.com")
    observed = decide(facts(), policy().changed("authentication.log_only", True))
    assert (observed.action, observed.hits[0].log_only) == ("pass", True)
    assert decide(facts(), policy().changed("authentication.enabled", False)).action == "pass"
    assert reply(decide(facts(), policy()), policy(), facts()) == (550, "5.7.1 Message refused by the DMARC policy of its From domain")


def test_counterfactuals_are_true() -> None:
    """Every sentence of what would have changed it holds, for mail refused and for mail delivered."""
    refused = find(facts(), policy())
    assert [found.text for found in refused] == [
        "would be delivered if it had passed DMARC",
        "would be delivered if ann@example.com were on authentication.approved_senders",
        'would be delivered with authentication.target.act_on = "nothing"',
        "would be delivered if Authentication only observed (log_only)",
    ]
    assert all(rule(found.assessment, found.policy).action == "pass" for found in refused)
    delivered = [found for found in find(facts(), policy("nothing")) if "act_on" in found.text]
    assert [rule(found.assessment, found.policy).action for found in delivered] == ["reject"]


SENDER = (Address("", "ann", "example.com"),)


@pytest.mark.parametrize(
    ("auth", "strictly", "for_the_score"),
    [
        (FAILED, False, False),
        (replace(FAILED, dmarc=Outcome.PASS), True, True),
        (replace(FAILED, vouched="example.com"), True, True),
        (replace(FAILED, vouched="example.net"), False, False),
        (replace(FAILED, dmarc=Outcome.TEMPERROR), None, None),
        (replace(FAILED, spf=Outcome.TEMPERROR), False, False),  # a stranger's silence proves nothing
        (replace(FAILED, spf=Outcome.TEMPERROR, spf_domain="bounce.example.com"), None, None),
        (replace(FAILED, signatures=(Signature("example.com", "s", Outcome.TEMPERROR),)), None, None),
        (replace(FAILED, dkim=Outcome.PASS, dkim_domains=("example-com.20230601.gappssmtp.com",)), False, True),
        (Authentication(), None, None),
    ],
)
def test_approvals_are_stricter_than_the_score(auth: Authentication, strictly: bool | None, for_the_score: bool | None) -> None:
    assert aligned(SENDER, auth) is strictly
    assert proven("example.com", auth) is for_the_score
