"""What a filter of messages does with what it caught: the action, and the texts of those that say something."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from mailward.policy.actions import Action
from mailward.policy.table import Table, reply_text


def _subject_prefix(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("the tag cannot hold line breaks or other control characters")
    return text


TagText = Annotated[str, AfterValidator(_subject_prefix)]
DeferText = Annotated[str, reply_text("4")]
RejectText = Annotated[str, reply_text("5")]


def action(default: Action) -> Any:
    """The setting `action` with the default of one filter; below, the texts that go with it."""
    described = "pass, tag, junk, quarantine, defer, reject, disconnect or delete, from the mildest to the most severe."
    return Field(default=default, strict=False, description=described)


def tag_text(default: str) -> Any:
    described = "What `tag` puts before the subject. Signed mail keeps its subject and gets the headers only."
    return Field(default=default, max_length=60, description=described)


def defer_text(default: str) -> Any:
    return Field(default=default, description="The reply text of `defer`.")


def reject_text(default: str) -> Any:
    return Field(default=default, description="The reply text of `reject`.")


class MessageAction(Table):
    """What to do with a message that was caught. Each filter has its own defaults."""

    action: Action = action(Action.JUNK)
    tag_text: TagText = tag_text("[Spam] ")
    defer_code: int = Field(default=451, ge=400, le=499, description="The reply code of `defer`.")
    defer_text: DeferText = defer_text("4.7.1 Message looks like spam, try again later")
    reject_code: int = Field(default=550, ge=500, le=599, description="The reply code of `reject`.")
    reject_text: RejectText = reject_text("5.7.1 Message refused as spam")
