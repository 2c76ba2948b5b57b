"""Everything the phishing score looks at: facts of its own, and those that Content Scanning has gathered of the same message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailward.content.evidence import Evidence as ContentEvidence
from mailward.content.evidence import Form
from mailward.content.tokens import Tokens
from mailward.message.urls import FoundUrl
from mailward.phishing.facts import facts, known_sender


@dataclass(frozen=True, slots=True)
class Evidence:
    facts: dict[str, tuple[float, str]]  # strength and the words for the sentence, by name
    shared: dict[str, float]  # strength of the facts of Content Scanning, by name
    wording: Tokens
    form: Form
    standing: int  # of the sender: 0 unproven, 1 proven, 2 proven and well known


def gather(found: ContentEvidence, urls: Sequence[FoundUrl] = (), ratings: Sequence[int] = ()) -> Evidence:
    """Look at a message that Content Scanning has looked at. `ratings` of its URLs, those that have one. Pure and bounded."""
    assert found.mail is not None
    assert found.links is not None
    own = facts(found.mail, found.links, urls, ratings)
    standing = 2 if known_sender(found.mail) else int(found.proven)
    return Evidence(own, found.facts, found.wording, found.form, standing)
