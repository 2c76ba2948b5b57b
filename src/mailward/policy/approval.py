"""Settings about approved senders that several filters have, each with its own words."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from mailward.policy.lists import SenderList

_FORMS = "user@example.com, example.com, *@example.com, *.example.com. Compared with the visible From"


def approved_senders(whose: str, more: str = "") -> Any:
    """The setting `approved_senders`: `whose` says which senders stand there."""
    return Field(default_factory=SenderList, description=f"{whose}: {_FORMS}{more}.")


def requires_authentication() -> Any:
    """The setting `approval_requires_authentication`."""
    described = (
        "An approved sender counts only when the mail was authenticated for the visible From domain (DMARC, or aligned DKIM or SPF)."
    )
    return Field(default=True, description=described)
