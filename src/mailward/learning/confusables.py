"""Build the packaged table of characters that pass for Latin letters (Unicode TS 39), from data that may be redistributed (see NOTICE).

`python -m mailward.learning.confusables FILE` makes it anew; FILE is `confusables.json` of the Python library confusable_homoglyphs.
"""

from __future__ import annotations

import json
import re
import string
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from mailward.content.lookalikes import LOOKALIKES
from mailward.phishing.packaged import DATA

_LETTERS = string.ascii_lowercase + string.digits
_NAMED = re.compile(
    r"LATIN (?:(?:SMALL|CAPITAL) LETTER|LETTER SMALL CAPITAL) (?:DOTLESS |SCRIPT |OPEN |LONG |INSULAR |BROKEN )?([A-Z])(?: WITH .*)?"
)
_HEAD = """\
# Characters that pass for a Latin letter or digit: it, a blank, and they. What compatibility decomposition (NFKD) resolves is left out.
# Made by mailward.learning.confusables from the Unicode confusables and the names of characters (see NOTICE).
"""


def _pairs(confusables: dict[str, list[dict[str, str]]]) -> Iterator[tuple[str, str]]:
    for code, letter in LOOKALIKES.items():
        yield chr(code), letter
    for character, alike in confusables.items():
        if len(character) == 1 and not character.isascii():
            found = [each["c"].lower() for each in alike if len(each["c"]) == 1 and each["c"].lower() in _LETTERS]
            if found:
                yield character, "l" if "l" in found else min(found, key=lambda each: (each.isdigit(), each))
    for code in range(0xC0, 0x1_0000):
        named = _NAMED.fullmatch(unicodedata.name(chr(code), ""))
        if named:
            yield chr(code), named[1].lower()


def build(confusables: Path) -> str:
    """The table as text."""
    table: dict[str, str] = {}
    for character, letter in _pairs(json.loads(confusables.read_text("utf-8"))):
        plain = unicodedata.normalize("NFKD", character)
        if not plain[0].isascii() and not unicodedata.category(character).startswith(("M", "C", "Z")):
            table.setdefault(plain[0], letter)
            for cased in {character.lower(), character.upper()} - {character}:
                if len(cased) == 1 and not cased.isascii():
                    table.setdefault(cased, letter)
    lines: dict[str, list[str]] = defaultdict(list)
    for character, letter in table.items():
        lines[letter].append(character)
    return _HEAD + "".join(f"{letter} {''.join(sorted(lines[letter]))}\n" for letter in sorted(lines))


if __name__ == "__main__":
    text = build(Path(sys.argv[1]))
    (Path(str(DATA)) / "confusables.txt").write_text(text, "utf-8")
    print(f"{len(text):,} characters")
