"""Read a TOML document into a pydantic model, with errors for people: line, setting, what is wrong, what to do."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mailward.policy.problems import DocumentError, Problem
from mailward.policy.toml_lines import Path, line_of, locate

Document = TypeVar("Document", bound=BaseModel)
MAX_PROBLEMS = 100  # more are counted, not listed
MAX_DOCUMENT = 64 << 20  # characters; a million list entries fit

_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_REMEDIES = {
    "bool_type": "Write true or false.",
    "int_type": "Write a whole number without quotes.",
    "int_from_float": "Write a whole number.",
    "float_type": "Write a number without quotes.",
    "string_type": 'Write text in quotes, such as "text".',
    "list_type": 'Write a list in brackets, such as ["first", "second"].',
    "tuple_type": 'Write a list in brackets, such as ["first", "second"].',
    "model_type": "This is a table; write its settings below a line with its name in brackets.",
    "model_attributes_type": "This is a table; write its settings below a line with its name in brackets.",
}


def read_document(model: type[Document], text: str, source: str, error: type[DocumentError]) -> Document:
    """Parse and validate. Raises `error` with every problem found; a document that is no TOML has exactly one."""
    if len(text) > MAX_DOCUMENT:
        raise error([Problem(source, 0, "", f"the document has {len(text)} characters", f"Keep it below {MAX_DOCUMENT}.")])
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as reason:
        raise error([_syntax(text, source, str(reason))]) from None
    return validate(model, data, text, source, error)


def validate(model: type[Document], data: Mapping[str, Any], text: str, source: str, error: type[DocumentError]) -> Document:
    """Validate data that was read from `text`. Raises `error` with every problem and its line."""
    try:
        return model.model_validate(data)
    except ValidationError as failed:
        details = failed.errors(include_url=False)
        lines = _lines(text)
        problems = [_problem(model, detail, lines, source) for detail in details[:MAX_PROBLEMS]]
        if len(details) > MAX_PROBLEMS:
            problems.append(Problem(source, 0, "", f"{len(details) - MAX_PROBLEMS} more mistakes are not shown", "Mend these first."))
        raise error(problems) from None


def _lines(text: str) -> dict[Path, int]:
    try:
        return locate(text)
    except (ValueError, IndexError, RecursionError):  # an error without lines is better than none
        return {}


def _syntax(text: str, source: str, message: str) -> Problem:
    found = _AT_LINE.search(message)
    line = int(found[1]) if found else text.count("\n") + 1
    what = _AT_LINE.sub("", message).replace("(at end of document)", "at the end").strip() or "nested too deeply"
    return Problem(source, line, "", f"this is not TOML: {what}", "Mend this line; nothing after it was read.")


def _problem(model: type[BaseModel], detail: ErrorDetails, lines: dict[Path, int], source: str) -> Problem:
    path: Path = tuple(detail["loc"])
    what, remedy = _words(model, detail, path)
    return Problem(source, line_of(lines, path), _dotted(path), what, remedy)


def _dotted(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _words(model: type[BaseModel], detail: ErrorDetails, path: Path) -> tuple[str, str]:
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    match kind:
        case "extra_forbidden":
            return "there is no such setting", _near(path[-1], _names(model, path[:-1]))
        case "list_entry":
            return str(context["what"]), str(context["remedy"])
        case "enum" | "literal_error":
            return f"{given!r} is not possible here", f"Write one of {context['expected']}."
        case "greater_than_equal":
            return f"{given!r} is too small", f"The least is {context['ge']:g}."
        case "less_than_equal":
            return f"{given!r} is too large", f"The most is {context['le']:g}."
        case "too_long" | "string_too_long":
            return "this is too long", f"The most is {context['max_length']}."
        case "value_error":
            return str(context["error"]), "Change this value."
        case "missing":
            return "this setting is missing", "Add it."
    if kind in ("list_type", "tuple_type"):  # what was written may be a secret
        return "a list belongs here", _REMEDIES[kind]
    return _wrong_type(given, detail["msg"]), _REMEDIES.get(kind, "See docs/policy.md.")


def _wrong_type(given: object, message: str) -> str:
    shown = repr(given)
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'} does not fit here ({message[:1].lower()}{message[1:]})"


def _names(model: type[BaseModel], path: Path) -> list[str]:
    """The settings known in the table at `path`."""
    for step in path:
        field = model.model_fields.get(str(step))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)


def _near(name: str | int, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known here: {', '.join(known)}." if known else "Remove it."
