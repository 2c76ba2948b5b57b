"""Write a pydantic model as a TOML document that explains itself."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mailward.policy.lists import EntryList

_WIDTH = 110


def render(document: BaseModel, title: str) -> str:
    """Every setting with its value, below a comment that gives its meaning and default."""
    return "\n".join([f"# {title}", *_table(document, ())]) + "\n"


def literal(value: Any) -> str:
    """A value as TOML; lists one entry a line."""
    if isinstance(value, Enum):
        return literal(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, EntryList | tuple | list):
        entries = list(value)
        return "[\n" + "".join(f"    {literal(entry)},\n" for entry in entries) + "]" if entries else "[]"
    if isinstance(value, BaseModel):
        return (
            "{ "
            + ", ".join(f"{name} = {literal(each)}" for name, each in value if each != default_of(type(value).model_fields[name]))
            + " }"
        )
    raise TypeError(f"{type(value).__name__} has no TOML form")


def default_of(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def settings(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, FieldInfo]]:
    """Every setting of a document with its dotted path, tables left out."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from settings(annotation, (*path, name))
        else:
            yield ".".join((*path, name)), field


def _table(table: BaseModel, path: tuple[str, ...]) -> Iterator[str]:
    fields = type(table).model_fields
    inner = [name for name in fields if isinstance(getattr(table, name), BaseModel)]
    plain = [name for name in fields if name not in inner]
    if path and plain:
        yield from ("", *_comment(type(table).__doc__ or ""), f"[{'.'.join(path)}]")
    for name in plain:
        yield from _comment(f"{fields[name].description or ''} Default: {literal(default_of(fields[name]))}.".strip())
        yield f"{name} = {literal(getattr(table, name))}"
    for name in inner:
        yield from _table(getattr(table, name), (*path, name))


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(" ".join(text.split()), _WIDTH)]
