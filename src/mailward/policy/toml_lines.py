"""Find the line of every key and list entry of a TOML document, so that an error can name it.

Only called on text that `tomllib` has accepted, and only when something in it is wrong; so the scanner knows the shapes of
TOML 1.0 but does not validate.
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\r\n]*")
_SPACE = re.compile(r"[ \t]*")
_VOID = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BASIC = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL = re.compile(r"'[^']*'")


def locate(text: str) -> dict[Path, int]:
    """Map the path of every table, key and array item to its line, counted from 1."""
    return _Scanner(text).document()


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of `path`, or of the nearest part of the document above it; 0 if there is none."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 0


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.counted = 0  # lines are counted up to here
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}  # items seen of each array of tables

    def document(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip(_VOID) < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.lines

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def _mark(self, path: Path) -> None:
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        self.lines.setdefault(path, self.line)

    def _header(self) -> Path:
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        *above, last = self._key()
        path: Path = ()
        for name in above:
            path = self._inside((*path, name))
            self._mark(path)
        path = (*path, last)
        if array:
            self.tables[path] = self.tables.get(path, -1) + 1
            self._mark(path)
            path = self._inside(path)
        self._mark(path)
        self.at = self.text.index("]", self.at) + (2 if array else 1)
        return path

    def _inside(self, path: Path) -> Path:
        """Below an array of tables, the table that was opened last."""
        return (*path, self.tables[path]) if path in self.tables else path

    def _key(self) -> tuple[str, ...]:
        names: list[str] = []
        while True:
            self._skip(_SPACE)
            names.append(self._name())
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return tuple(names)
            self.at += 1

    def _name(self) -> str:
        start = self.at
        if self.text[start] in "\"'":
            self._skip(_BASIC if self.text[start] == '"' else _LITERAL)
            return str(tomllib.loads(f"key = {self.text[start : self.at]}")["key"])
        self._skip(_BARE)
        if self.at == start:
            raise ValueError(f"no key at position {start}")
        return self.text[start : self.at]

    def _pair(self, table: Path) -> None:
        start = self.at
        key = self._key()
        after, self.at = self.at, start
        for end in range(1, len(key) + 1):
            self._mark(table + key[:end])
        self.at = self.text.index("=", after) + 1
        self._skip(_SPACE)
        self._value(table + key)

    def _value(self, path: Path) -> None:
        opening = self.text[self.at]
        if opening in "\"'":
            self._string(opening)
        elif opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline(path)
        else:
            self._skip(_SCALAR)

    def _string(self, quote: str) -> None:
        if not self.text.startswith(quote * 3, self.at):
            self._skip(_BASIC if quote == '"' else _LITERAL)
            return
        self.at += 3
        while not self.text.startswith(quote * 3, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += 3
        while self.text.startswith(quote, self.at):  # """a"""" ends in a quote of its own
            self.at += 1

    def _array(self, path: Path) -> None:
        self.at += 1
        number = 0
        while self.text[self._skip(_VOID)] != "]":
            self._mark((*path, number))
            self._value((*path, number))
            number += 1
            if self.text[self._skip(_VOID)] == ",":
                self.at += 1
        self.at += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while self.text[self._skip(_VOID)] != "}":
            self._pair(path)
            if self.text[self._skip(_VOID)] == ",":
                self.at += 1
        self.at += 1
