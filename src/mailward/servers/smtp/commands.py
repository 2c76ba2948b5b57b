"""SMTP command lines as values (RFC 5321 4.1, 6531 for addresses that are not ASCII)."""

from __future__ import annotations

from dataclasses import dataclass

from mailward.servers.smtp import limits


class SyntaxProblem(ValueError):  # noqa: N818
    """A command that cannot be understood; the text is the reply."""


@dataclass(frozen=True, slots=True)
class Command:
    """A verb in upper case and what follows it, without surrounding blanks."""

    verb: str
    argument: str


@dataclass(frozen=True, slots=True)
class Path:
    """MAIL FROM or RCPT TO: the address without angle brackets ("" is the null sender) and the parameters in order."""

    address: str
    parameters: tuple[tuple[str, str | None], ...]

    def get(self, name: str) -> str | None:
        """The value of a parameter, "" when it has none, None when it is not there."""
        return next((value or "" for key, value in self.parameters if key == name), None)

    def line(self, keyword: str, *, keep_size: bool = True) -> str:
        """MAIL or RCPT as it goes to the next hop."""
        words = [f"{name}={value}" if value is not None else name for name, value in self.parameters if keep_size or name != "SIZE"]
        return " ".join((f"{keyword}:<{self.address}>", *words))


def parse(line: bytes) -> Command:
    """Split a line. Raises `SyntaxProblem` when it has control characters or is not UTF-8."""
    try:
        text = line.decode("utf-8").replace("\t", " ")
    except UnicodeDecodeError:
        raise SyntaxProblem("500 5.5.2 a command is not UTF-8") from None
    if any(c < " " or c == "\x7f" for c in text):
        raise SyntaxProblem("500 5.5.2 control characters in a command")
    verb, _, argument = text.strip().partition(" ")
    return Command(verb.upper(), argument.strip())


def parse_path(argument: str, keyword: str) -> Path:
    """Read `FROM:<address> NAME=VALUE ...`. Raises `SyntaxProblem` with the reply.

    A blank after the colon and an address without brackets are let pass, as every MTA does. A source route is dropped.
    """
    if not argument.upper().startswith(keyword + ":"):
        raise SyntaxProblem(f"501 5.5.4 syntax: {'MAIL' if keyword == 'FROM' else 'RCPT'} {keyword}:<address>")
    rest = argument[len(keyword) + 1 :].lstrip()
    end = _path_end(rest)
    path, tail = rest[:end], rest[end:]
    if tail and not tail.startswith(" "):
        raise SyntaxProblem("501 5.5.4 no blank between address and parameters")
    address = path.removeprefix("<").removesuffix(">")
    if address.startswith("@") and ":" in address:
        address = address.partition(":")[2]
    if len(address) > limits.COMMAND_BYTES // 2 or (keyword == "TO" and not address):
        raise SyntaxProblem("501 5.1.3 bad address")
    return Path(address, tuple(_parameter(word) for word in tail.split()))


def _path_end(text: str) -> int:
    """Where the path ends: after `>`, or before a blank when there are no brackets. Quoted strings are skipped."""
    quoted = escaped = False
    bracket = text.startswith("<")
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif not quoted and bracket and char == ">":
            return index + 1
        elif not quoted and not bracket and char == " ":
            return index
        elif not quoted and char in "<>" and index:
            break
    else:
        if not bracket and not quoted and text:
            return len(text)
    raise SyntaxProblem("501 5.1.7 bad address syntax")


def _parameter(word: str) -> tuple[str, str | None]:
    name, equals, value = word.partition("=")
    if not name.replace("-", "").isalnum() or not name.isascii() or (equals and not value):
        raise SyntaxProblem("501 5.5.4 bad parameter")
    return name.upper(), value if equals else None
