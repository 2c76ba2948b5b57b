"""The policy of Email Reputation: which lists count, who is exempt, and what a listed source hears."""

import pytest

from mailward.policy import DnsLists, Policy, PolicyError


def mistakes(text: str) -> list[str]:
    with pytest.raises(PolicyError) as error:
        Policy.from_toml(text, "p.toml")
    return [str(problem) for problem in error.value.problems]


def test_lists_keep_their_order_and_their_codes():
    """Entries are read once; a zone stands on a list once, and one that is off is kept."""
    policy = Policy.from_toml(
        '[email_reputation.target]\nstandard_lists = ["b.example=127.0.0.[2..4]", "off a.example=127.0.0.2", "B.example=127.0.0.9"]\n'
    )
    lists = policy.email_reputation.target.standard_lists
    assert [(entry.zone, entry.on) for entry in lists.lists()] == [("b.example", True), ("a.example", False)]
    assert lists.get("b.example").counts((127, 0, 0, 4))
    assert not lists.get("b.example").counts((127, 0, 0, 9))
    assert lists.get("c.example") is None
    assert Policy.from_toml(policy.to_toml()) == policy


def test_a_known_list_needs_no_codes():
    """Its codes come from the catalogue, and the written policy does not repeat them."""
    assert DnsLists(["zen.spamhaus.org"]).entries == ("zen.spamhaus.org",)
    assert DnsLists(["zen.spamhaus.org"]).lists()[0].codes


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("list.example.org", "not in the catalogue"),
        ("list.example.org=127.0.0.1", "cannot mean listed"),
        ("list.example.org=127.255.255.[2..9]", "cannot mean listed"),
        ("list.example.org=10.0.0.2", "cannot mean listed"),
        ("list.example.org=spam", "no return codes"),
        ("no zone=127.0.0.2", "no zone name"),
        ("", "no zone name"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named_with_its_line(entry, words):
    """The line is that of the entry, and what to write instead is told."""
    (said,) = mistakes(f'[email_reputation.target]\nlevel = "standard"\nstandard_lists = [\n  "good.example=127.0.0.2",\n  "{entry}",\n]\n')
    assert said.startswith("p.toml:5: email_reputation.target.standard_lists[1]: ")
    assert words in said


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('dynamic_action = "reject"', 'dynamic_code: 450 does not go with dynamic_action = "reject"'),
        ('standard_action = "defer"\nstandard_code = 550', "550 does not go with"),
        ("standard_code = 551\nstandard_text = '4.7.1 no'", "does not belong to a reply that starts with standard_code = 551"),
        ('standard_text = "5.7.1 {reason}"', "{reason} stands for nothing"),
        ('standard_text = "5.7.1 {ip"', "{ stands for nothing"),
        ('blocked_text = "5.7.1 {link}"', "{link} stands for nothing"),
        ('standard_text = "5.7.1 one\\r\\n250 two"', "one line"),
        ('standard_action = "delete"', "not possible here"),
    ],
)
def test_a_reply_that_cannot_be_sent_is_refused(setting, words):
    """A code that says the opposite of its action, a text that is more than a line, a token nobody fills in."""
    (said,) = mistakes(f"[email_reputation.action]\n{setting}\n")
    assert words in said


def test_disconnect_takes_either_code():
    """A client that is hung up on may be told to come again or not to."""
    for code, text in ((450, "4.7.1 no"), (550, "5.7.1 no")):
        Policy.from_toml(f'[email_reputation.action]\ndynamic_action = "disconnect"\ndynamic_code = {code}\ndynamic_text = "{text}"\n')
