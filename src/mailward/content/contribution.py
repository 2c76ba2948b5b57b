"""One named share of a score."""

from __future__ import annotations

import msgspec


class Contribution(msgspec.Struct, frozen=True, gc=False):
    """One named share of a score. `text` is a sentence for an administrator.

    `name` is "group:thing" in lower case ("trace:helo-address", "words:body"); the values of a score's contributions
    sum to the score exactly (`math.fsum`).
    """

    name: str
    value: float
    text: str
