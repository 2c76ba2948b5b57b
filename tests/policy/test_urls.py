"""Lists of URLs."""

import pytest

from mailward.policy import ListError, UrlList


@pytest.mark.parametrize(
    ("entry", "matched", "not_matched"),
    [
        (
            "example.com",
            ["http://example.com/", "https://a.b.example.com:8443/x?y"],
            ["http://notexample.com/", "http://example.com.evil.test/"],
        ),
        (
            "example.com/a/b",
            ["http://example.com/a/b", "http://www.example.com/a/b/c", "http://example.com/a/b?q"],
            ["http://example.com/a/bc"],
        ),
        (
            "example.com/a",
            ["http://example.com/a/"],
            ["http://example.com/A", "http://example.com/a/../b", "http://example.com@evil.test/a"],
        ),
        ("BÜCHER.example/", ["http://xn--bcher-kva.example/"], ["http://bucher.example/"]),
        ("https://example.com/a", ["http://example.com/a"], ["nonsense", "mailto:x@example.com", "http://"]),
    ],
)
def test_an_entry_matches_its_host_and_below(entry, matched, not_matched):
    """Hosts with all sub-domains, paths by whole steps, URLs as a browser reads them."""
    entries = UrlList([entry])
    assert all(entries.match(url) for url in matched)
    assert not any(entries.match(url) for url in not_matched)


def test_the_most_exact_entry_is_named():
    """The longest host, of that the longest path."""
    entries = UrlList(["example.com", "example.com/a", "www.example.com"])
    assert entries.match("http://example.com/a/b") == "example.com/a"
    assert entries.match("http://www.example.com/a") == "www.example.com"


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "*.example.com",
        "com",
        "example.com:80",
        "user@example.com",
        "example.com/?q",
        "192.0.2.1.",
        "a" * 300 + ".com",
        "x.com/" + "a/" * 9,
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(entry):
    """The good lines around it are no help."""
    with pytest.raises(ListError) as refused:
        UrlList.from_text(f"# ours\nexample.com\n{entry}\nexample.org\n", "urls.txt")
    assert [problem.line for problem in refused.value.problems] == [3]


def test_text_comes_back_as_it_went():
    """Export and import."""
    entries = UrlList(["example.com", "example.org/a/b"])
    assert UrlList.from_text(entries.to_text()) == entries
