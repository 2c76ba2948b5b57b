"""Names for messages: unique, and sorted by the time they were made."""

from __future__ import annotations

import os

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread
_LENGTH = 26


def new_id(now: float) -> str:
    """26 letters: 48 bits of milliseconds since 1970 and 80 random bits (the layout of a ULID)."""
    number = int(now * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join([_LETTERS[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5)])
