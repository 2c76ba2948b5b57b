"""How much evidence it takes: the levels of every filter that has a score."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """How much evidence counts. The words say how much is caught: `high` catches most."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    CUSTOM = "custom"


THRESHOLDS = {Level.HIGH: 4.0, Level.MEDIUM: 5.0, Level.LOW: 8.0}
