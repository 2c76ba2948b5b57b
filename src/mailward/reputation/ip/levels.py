"""The numbers of the dynamic database, in one place. How they were chosen: docs/reputation-model.md, `benchmarks/reputation.py`."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

# Memory. The unit of mass is one message judged as spam (or as clean).
SPAM_HALF_LIFE = 4 * HOUR  # of the evidence that lists
BAD_HALF_LIFE = 7 * DAY  # of the memory of repeated offences
HAM_HALF_LIFE = 30 * DAY  # good senders write seldom; a month of their silence halves what they earned
NET_HALF_LIFE = 1 * DAY  # of the number of bad neighbours: a block of addresses is rented for longer than a burst lasts
MAX_MASS = 1e6

SHORTEST, LONGEST = 5 * MINUTE, 12 * HOUR  # of a listing

# What a clean message does to the evidence against its source: a source of both kinds is a shared server, not a spammer's.
HAM_ABSOLVES = 0.5

# Good standing (New Spam Sources): that much clean mail, and that share of it spam at most.
GOOD_HAM = 5.0
GOOD_SPAM_SHARE = 0.05

PROTECTED = 25.0  # times the allowance, for the networks of big mail senders

# Promotion to the standard database: offences on that many days, hardly any clean mail; then for so long after the last one.
PROMOTE_DAYS = 3
PROMOTE_HAM_SHARE = 0.02
PROMOTED_FOR = 7 * DAY


@dataclass(frozen=True, slots=True)
class Level:
    """How one level weighs.

    `allowance`: spam mass from which an unknown source is listed. `standing`: what the square root of its clean mail adds to
    that, relative to the allowance. `neighbour` and `neighbours_most`: the share of one bad neighbour in the mass, and the
    bound of all of them. `first` and `doubling`: seconds of a listing that just passed, and for each doubling of its mass beyond.
    """

    allowance: float
    standing: float
    neighbour: float
    neighbours_most: float
    first: float
    doubling: float


LEVELS = {
    1: Level(0.9, 1.0, 0.15, 0.5, 5 * MINUTE, 15 * MINUTE),
    2: Level(0.9, 1.0, 0.15, 0.5, 1 * HOUR, 2 * HOUR),
    3: Level(0.9, 0.5, 0.25, 1.0, 6 * HOUR, 6 * HOUR),
    4: Level(0.9, 0.2, 1.0, 1.0, 12 * HOUR, 12 * HOUR),
}

NETWORKS_FROM = min(number for number, level in LEVELS.items() if level.neighbours_most >= level.allowance)  # neighbours alone list there
