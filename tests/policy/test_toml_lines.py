"""Finding the line of a key or an entry."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tomli_w import dumps

from mailward.policy.toml_lines import line_of, locate

TRICKY = '''# comment [not.a.table]
"quoted.key" = "a # no comment" # a comment
dotted . key = 'C:\\' # literal
[a.b] # table
text = """
[fake]
x = "1" \\""" still
"""
raw = \'\'\'
]\'\'\'
list = [ 1, # one
  [2,
   3], { x = 1, y = [
     4] },
]
[[many]]
x = 1
[[many]]
x = 2
date = 1979-05-27T07:32:00Z
'''


def test_tricky_documents_are_located():
    """Strings, comments, dotted keys, inline tables and arrays of tables do not confuse the lines."""
    tomllib.loads(TRICKY)
    lines = locate(TRICKY)
    expected = {
        ("quoted.key",): 2,
        ("dotted", "key"): 3,
        ("a", "b"): 4,
        ("a", "b", "text"): 5,
        ("a", "b", "raw"): 9,
        ("a", "b", "list"): 11,
        ("a", "b", "list", 1): 12,
        ("a", "b", "list", 1, 1): 13,
        ("a", "b", "list", 2, "y"): 13,
        ("a", "b", "list", 2, "y", 0): 14,
        ("many", 1, "x"): 19,
        ("many", 1, "date"): 20,
    }
    assert {path: lines.get(path) for path in expected} == expected


def test_an_unknown_path_has_the_line_of_what_holds_it():
    """A missing key is reported at its table."""
    lines = locate("[a]\nb = 1\n")
    assert line_of(lines, ("a", "missing", 3)) == 1
    assert line_of(lines, ("other",)) == 0


VALUES = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.booleans())
def test_every_key_of_any_document_has_a_line(document, multiline):
    """Whatever a TOML writer makes, every value is found, on a line that exists."""
    text = dumps(document, multiline_strings=multiline)
    lines = locate(text)
    count = text.count("\n") + 1
    for path in _paths(tomllib.loads(text)):
        assert 1 <= lines[path] <= count


def _paths(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


@pytest.mark.parametrize("text", ["", "\n", "# only a comment"])
def test_empty_documents_have_no_lines(text):
    """Nothing is found where nothing stands."""
    assert locate(text) == {}
