"""What one message says of who writes with whom, as digests, and its way to the process that learns it.

Addresses, Message-IDs and names are digested (keyed, with a salt of the site: decision 0071) before they are written anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from mailward.reputation import spool

SPOOL, OLD_SPOOL = "seen.log", "seen.old"
ADDRESS, DOMAIN, MESSAGE, NAME = "a:", "d:", "m:", "n:"  # how the texts that are digested begin

Keys = tuple[int, ...]


class Observation(msgspec.Struct, frozen=True, array_like=True):
    """Digests of one message. `outgoing`: a user of ours sent it beyond the organisation."""

    time: float
    outgoing: bool = False
    wrote: Keys = ()  # senders from outside whose mail was delivered, and their domains
    written_to: Keys = ()  # recipients outside of what our users sent, and their domains
    messages: Keys = ()
    names: Keys = ()  # of our users


def append(folder: Path, pieces: Iterable[Observation]) -> None:
    """Add to the spool. Raises OSError."""
    spool.append(folder / SPOOL, "".join([msgspec.json.encode(piece).decode() + "\n" for piece in pieces]))


def parse(line: str) -> Observation | None:
    """A line of the spool; None for one that cannot be read."""
    try:
        piece = msgspec.json.decode(line, type=Observation)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    keys = (*piece.wrote, *piece.written_to, *piece.messages, *piece.names)
    return piece if piece.time >= 0 and all(0 <= key < 1 << 64 for key in keys) else None
