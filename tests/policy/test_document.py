"""The policy document: defaults, TOML in and out, errors."""

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mailward.policy import Action, Level, Policy, PolicyError
from mailward.policy.document import THRESHOLDS, UnscannableAction
from mailward.policy.lists import NetworkList, SenderList
from mailward.policy.rendering import default_of, literal, settings

REFERENCE = Path(__file__).parents[2] / "docs" / "policy.md"

SENDERS = st.lists(st.sampled_from(["a@example.com", "example.org", "*.example.net", "*@example.test"]), max_size=3, unique=True)
CHANGES = {
    "organisation.gateway_networks": st.sampled_from([NetworkList(), NetworkList(["192.0.2.0/24", "2001:db8::1"])]),
    "organisation.trusted_authserv_ids": st.sampled_from([(), ("mx.example.com",)]),
    "content_scanning.enabled": st.booleans(),
    "content_scanning.log_only": st.booleans(),
    "content_scanning.target.level": st.sampled_from(Level),
    "content_scanning.target.custom_threshold": st.floats(3, 10),
    "content_scanning.target.approved_senders": SENDERS.map(SenderList),
    "content_scanning.target.blocked_senders": SENDERS.map(SenderList),
    "content_scanning.target.approval_requires_authentication": st.booleans(),
    "content_scanning.action.action": st.sampled_from(Action),
    "content_scanning.action.tag_text": st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=60),
    "content_scanning.action.reject_code": st.integers(500, 599),
    "unscannable.action": st.sampled_from(UnscannableAction),
    "quarantine.retention_days": st.integers(1, 3650),
    "headers.reasons": st.integers(0, 20),
}


@st.composite
def policies(draw):
    policy = Policy()
    for path in draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=8, unique=True)):
        policy = policy.changed(path, draw(CHANGES[path]))
    return policy


def test_defaults_are_those_of_the_filter_descriptions():
    """An empty document is the policy of the first day."""
    policy = Policy.from_toml("")
    assert policy == Policy()
    scanning = policy.content_scanning
    assert scanning.enabled
    assert not scanning.log_only
    assert (scanning.target.level, scanning.target.threshold) == (Level.LOW, 8.0)
    assert THRESHOLDS == {Level.HIGH: 4.0, Level.MEDIUM: 5.0, Level.LOW: 8.0}
    assert scanning.target.approval_requires_authentication
    assert scanning.action.action is Action.JUNK
    assert policy.unscannable.action is UnscannableAction.PASS
    assert (policy.quarantine.retention_days, policy.tracking.retention_days) == (30, 30)


def test_actions_rise_in_severity():
    """The order of filters.md."""
    assert sorted(Action, key=lambda action: action.severity) == list(Action)
    assert [action.value for action in Action] == ["pass", "tag", "junk", "quarantine", "defer", "reject", "disconnect", "delete"]
    assert {action for action in Action if action.without_refusal() is not action} == {Action.DEFER, Action.REJECT, Action.DISCONNECT}


@given(policies())
def test_toml_round_trip(policy):
    """What is written is read as the same policy with the same digest."""
    text = policy.to_toml()
    again = Policy.from_toml(text)
    assert again == policy
    assert again.digest == policy.digest
    assert again.to_toml() == text


@given(policies(), policies())
def test_digest_names_the_settings(one, other):
    """Two policies have the same digest exactly when they are equal."""
    assert (one == other) == (one.digest == other.digest)


def test_digest_does_not_depend_on_the_layout():
    """Comments, order and the way of writing do not change the digest."""
    one = Policy.from_toml('[content_scanning]\nlog_only = true\n[content_scanning.target]\nlevel = "high"\n')
    other = Policy.from_toml('# strict\ncontent_scanning = { target.level = "high", log_only = true }\n')
    assert one.digest == other.digest
    assert re.fullmatch("sha256:[0-9a-f]{64}", one.digest)


def test_a_changed_copy_leaves_the_original_alone():
    """Policies are values; a copy shares the lists and has a digest of its own."""
    policy = Policy.from_toml('[content_scanning.target]\nblocked_senders = ["example.com"]\n')
    before = policy.digest
    changed = policy.changed("content_scanning.target.level", Level.HIGH)
    assert (policy.content_scanning.target.level, policy.digest) == (Level.LOW, before)
    assert changed.digest != before
    assert changed.content_scanning.target.blocked_senders is policy.content_scanning.target.blocked_senders
    with pytest.raises(ValidationError):
        policy.content_scanning.enabled = False


MISTAKES = '''# a policy full of mistakes
[content_scanning]
enabled = "yes"
enabeld = true
target.level = "mid"
[content_scanning.action]
tag_text = "two\\nlines"
defer_code = 500
reject_text = "4.7.1 refused"
[organisation]
internal_domains = [ # ours
    "example.com",
    "*.com*", "a@example.com",
    """
*
""",
]
gateway_networks = ["::/0", "192.0.2.1/24"]
trusted_authserv_ids = [" "]
[nonsense]
x = 1
[[headers]]
'''

EXPECTED = [
    (3, "content_scanning.enabled", "'yes' does not fit"),
    (4, "content_scanning.enabeld", "no such setting. Did you mean enabled?"),
    (5, "content_scanning.target.level", "'mid' is not possible here. Write one of 'high', 'medium', 'low' or 'custom'."),
    (7, "content_scanning.action.tag_text", "control characters"),
    (8, "content_scanning.action.defer_code", "500 is too large. The most is 499."),
    (9, "content_scanning.action.reject_text", "4.7.1 does not belong to a reply that starts with 5"),
    (13, "organisation.internal_domains[1]", "* where none can stand"),
    (13, "organisation.internal_domains[2]", "is an address, not a domain"),
    (14, "organisation.internal_domains[3]", "would match every"),
    (18, "organisation.gateway_networks[0]", "would match every address"),
    (18, "organisation.gateway_networks[1]", "Write 192.0.2.0/24"),
    (19, "organisation.trusted_authserv_ids[0]", "would trust every line"),
    (20, "nonsense", "no such setting. Known here: organisation, email_reputation, authentication, content_scanning"),
    (22, "headers", "This is a table"),
]


def test_every_mistake_is_reported_with_its_line():
    """All mistakes at once, in order, each with line, setting, what is wrong and what to do."""
    with pytest.raises(PolicyError) as refused:
        Policy.from_toml(MISTAKES, "site.toml")
    problems = refused.value.problems
    assert [(problem.line, problem.where) for problem in problems] == [(line, where) for line, where, _ in EXPECTED]
    for problem, (line, where, words) in zip(problems, EXPECTED, strict=True):
        assert words in str(problem)
        assert str(problem).startswith(f"site.toml:{line}: {where}: ")
        assert problem.remedy


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = \n", 1), ("[x]\n[x]\n", 2), ("[content_scanning]\nenabled = true\nenabled = true\n", 3), ("x = [1,\n2,\n", 3), ("\n\n= 3\n", 3)],
)
def test_what_is_no_toml_names_the_line(text, line):
    """A syntax error is one problem at its line."""
    with pytest.raises(PolicyError) as refused:
        Policy.from_toml(text)
    assert [problem.line for problem in refused.value.problems] == [line]


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_a_policy_error(text):
    """Reading never fails in another way."""
    with suppress(PolicyError):
        assert isinstance(Policy.from_toml(text), Policy)


def test_many_mistakes_are_counted():
    """A list of a thousand bad entries does not bury the reader."""
    entries = ", ".join(['"*"'] * 1000)
    with pytest.raises(PolicyError) as refused:
        Policy.from_toml(f"[content_scanning.target]\nblocked_senders = [{entries}]")
    assert len(refused.value.problems) == 101
    assert "900 more mistakes" in str(refused.value)


def test_every_setting_explains_itself():
    """The written document holds every setting below a comment with its meaning and default."""
    text = Policy().to_toml()
    assert tomllib.loads(text)
    for path, field in settings(Policy):
        assert field.description, path
        assert f"Default: {literal(default_of(field))}" in " ".join(text.replace("\n#", " ").split()).replace(
            " \\n", "\\n"
        ) or path.endswith("tag_text")


@pytest.mark.parametrize(("path", "default"), [(path, literal(default_of(field))) for path, field in settings(Policy)])
def test_every_setting_is_documented(path, default):
    """docs/policy.md names every setting with its default."""
    row = next((line for line in REFERENCE.read_text("utf-8").splitlines() if line.startswith(f"| `{path}` |")), "")
    assert row, f"{path} is not in docs/policy.md"
    assert f"| `{default}` |" in row


def test_no_other_setting_is_documented():
    """docs/policy.md describes nothing that does not exist."""
    documented = set(re.findall(r"^\| `([a-z_]+\.[a-z_.]+)` \|", REFERENCE.read_text("utf-8"), re.M))
    assert documented == {path for path, _ in settings(Policy)}
