"""DNS lists as an administrator names them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.policy.dnsbl import catalogue, never_listed, read_codes, read_entry


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("zen.spamhaus.org", "zen.spamhaus.org"),
        (" off  Zen.Spamhaus.Org. ", "off zen.spamhaus.org"),
        ("zen.spamhaus.org=127.0.0.2", "zen.spamhaus.org=127.0.0.2"),
        ("list.example.org=127.0.0.[2..4]", "list.example.org=127.0.0.[2..4]"),
        ("list.example.org = 127.0.0.2, 127.0.1.[5;7..9]", "list.example.org=127.0.0.2;127.0.1.[5;7..9]"),
        ("office.example=127.0.0.3", "office.example=127.0.0.3"),
    ],
)
def test_an_entry_has_one_form_and_reads_back_the_same(text: str, shown: str) -> None:
    """Spelling does not matter; codes that are those of the catalogue are left out."""
    entry = read_entry(text)
    assert str(entry) == shown
    assert read_entry(shown) == entry
    assert entry.on is not shown.startswith("off ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("list.example.org", "is not in the catalogue"),
        ("list.example.org=", "are no return codes"),
        ("list.example.org=127.0.0", "are no return codes"),
        ("list.example.org=127.0.0.2;", "are no return codes"),
        ("list.example.org=127.0.0.2x", "are no return codes"),
        ("list.example.org=127.0.0.[4..2]", "the smaller first"),
        ("list.example.org=127.0.0.256", "from 0 to 255"),
        ("list.example.org=127.0.0.1", "cannot mean listed"),
        ("list.example.org=127.0.0.[0..9]", "cannot mean listed"),
        ("list.example.org=127.[0..255].[0..255].[2..254]", "cannot mean listed"),
        ("list.example.org=127.255.255.9", "cannot mean listed"),
        ("list.example.org=203.0.113.1", "cannot mean listed"),
        ("list.example.org=[126..127].0.0.2", "cannot mean listed"),
        ("example=127.0.0.2", "is no zone name"),
        ("a b.example=127.0.0.2", "is no zone name"),
        ("off", "is no zone name"),
        ("", "is no zone name"),
        ("list.example.org=" + ";".join(["127.0.0.2"] * 33), "at most 32"),
    ],
)
def test_an_entry_that_cannot_be_used_says_why(text: str, said: str) -> None:
    """Above all: nothing that any list uses for "go away" can be taken for "listed"."""
    with pytest.raises(ValueError, match=said):
        read_entry(text)


@pytest.mark.parametrize("zone", ["zen.dq.spamhaus.net", "spam.spamrats.com=127.0.0.38"])
def test_an_access_code_in_the_policy_is_refused_without_repeating_it(zone: str) -> None:
    """It would be shown in replies and logs; it belongs into the host settings."""
    with pytest.raises(ValueError, match="access_codes") as refused:
        read_entry(f"abcdefsecret.{zone}")
    assert "abcdefsecret" not in str(refused.value)


@given(st.tuples(*[st.integers(0, 255)] * 4), st.text("0123456789.[];,", max_size=40))
def test_no_code_that_is_accepted_ever_holds_a_forbidden_answer(address: tuple[int, ...], text: str) -> None:
    """Whatever an administrator writes: refused with words, or harmless."""
    try:
        codes = read_codes(text)
    except ValueError:
        return
    for forbidden in (
        (127, 0, 0, 1),
        (127, 255, 255, 254),
        (127, 255, 255, address[3]),
        address if never_listed(address) else (0, 0, 0, 0),
    ):
        assert not any(code.holds(forbidden) for code in codes)


def test_the_catalogue_is_complete() -> None:
    """Every list has terms, a site, a place in the policy, and words for codes that count."""
    assert len(catalogue()) >= 10
    for known in catalogue().values():
        entry = read_entry(known.zone, domains=known.database == "domains")
        assert known.terms
        assert known.site.startswith("https://")
        assert known.database in ("standard", "dynamic", "domains")
        assert not known.lookup or "{ip}" in known.lookup
        for code in known.meanings:
            assert entry.counts(tuple(map(int, code.split("."))))
