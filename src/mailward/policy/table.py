"""What the tables of the policy have in common: strictness, a digest, changed copies, and the texts of SMTP replies."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from typing import Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict

from mailward.policy.lists import EntryList

_REPLY = re.compile(r"(?:[245]\.\d{1,3}\.\d{1,3} )?[ -~]{1,200}")
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3} ")
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")

Some = TypeVar("Some", bound="Table")


class Table(BaseModel):
    """A table of the policy: immutable, and nothing in it is guessed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @cached_property
    def digest(self) -> str:
        """Stands for the settings of this table; kept with it, so that a changed copy of a policy only computes what changed."""
        values = [f"{name}={_stand_in(getattr(self, name))}" for name in type(self).model_fields]
        return "sha256:" + hashlib.sha256("\n".join(values).encode()).hexdigest()


def changed(table: Some, path: list[str], value: Any) -> Some:
    """A copy in which the setting at the path has another value. The value is taken as it is, not validated."""
    name, *rest = path
    new = changed(getattr(table, name), rest, value) if rest else value
    copy = table.model_copy(update={name: new})
    copy.__dict__.pop("digest", None)
    return copy


def _stand_in(value: Any) -> str:
    """A value as text for the digest; tables and lists stand in by their own digests."""
    return value.digest if isinstance(value, Table | EntryList) else json.dumps(value)


def reply_text(classes: str, tokens: frozenset[str] = frozenset()) -> AfterValidator:
    """An SMTP reply text (RFC 5321 4.2): printable ASCII on one line; an enhanced status code (RFC 3463) must agree with the reply code.

    `classes`: first digits the reply code may have. `tokens`: names that may stand in braces, to be replaced later.
    """

    def check(text: str) -> str:
        if not text.strip() or not _REPLY.fullmatch(text):
            raise ValueError("the reply text has to be one line of 1 to 200 plain ASCII characters")
        enhanced = _ENHANCED.match(text)
        if enhanced and enhanced[1] not in classes:
            raise ValueError(f"the status code {enhanced[0].strip()} does not belong to a reply that starts with {' or '.join(classes)}")
        unknown = [found for found in _BRACES.findall(text) if found[1:-1] not in tokens] if tokens else []
        if unknown:
            raise ValueError(f"{unknown[0]} stands for nothing; possible are {', '.join(f'{{{name}}}' for name in sorted(tokens))}")
        return text

    return AfterValidator(check)
