"""What was observed of domains: since when they are in mail here, and what speaks against places now. Numbers, no files.

The life of a domain: the first and the last day, how many messages, how many of them clean; twenty-four octets each, at most
MAX_DOMAINS, those not seen for longest make room. Evidence against a place decays and is forgotten by itself.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.reputation.address import V4_NEIGHBOURS, V6_NEIGHBOURS, source
from mailward.reputation.ip.rows import Rows
from mailward.reputation.url.evidence import UrlEvidence, UrlEvidenceKind
from mailward.reputation.url.place import Keying, Scope, place_of, text

DAY = 86_400
MAX_DOMAINS = 1_000_000
KEPT_SHARE = 0.75  # of them, when there are too many
MAX_HELD = 50_000  # places with evidence against them
HALF_LIFE = float(DAY)
LIST_FROM = 1.0  # weight from which on a place is rated highly suspicious: a piece of New Spam Sources, for a day
DANGEROUS_FROM = 4.0  # three senders of different networks within hours, or several people
LEAST, MOST = 3600.0, 7.0 * DAY  # seconds for which evidence counts
FORGET_BELOW = 0.1
MAX_WITNESSES = 64  # sender networks remembered of a place; each counts once a day
ESTABLISHED_DAYS, ESTABLISHED_CLEAN = 14, 10  # known here for so long, in so many clean messages: evidence does not list it
HIGHLY_SUSPICIOUS, DANGEROUS = 60, 40  # ratings

_LIFE = {"first": "I", "last": "I", "count": "I", "clean": "I"}
_MOST_COUNT = (1 << 32) - 1


class Held(msgspec.Struct):
    """What speaks against a place. Times in seconds since 1970."""

    scope: Scope
    name: str
    weight: float = 0.0  # at `time`
    time: float = 0.0
    since: float = 0.0
    pieces: int = 0
    witnesses: dict[str, float] = {}

    def at(self, now: float) -> float:
        """The weight that is left."""
        return self.weight * math.exp2(-max(0.0, now - self.time) / HALF_LIFE)

    @property
    def until(self) -> float:
        """When it is no longer listed; 0 where it is not."""
        if self.weight < LIST_FROM:
            return 0.0
        return self.time + min(MOST, max(LEAST, HALF_LIFE * math.log2(self.weight / LIST_FROM)))

    @property
    def rating(self) -> int:
        return DANGEROUS if self.weight >= DANGEROUS_FROM else HIGHLY_SUSPICIOUS


class Domains:
    """Belongs to one process."""

    def __init__(self, keying: Keying) -> None:
        self._keying = keying
        self.life = Rows("Q", _LIFE)
        self.held: dict[tuple[Scope, str], Held] = {}
        self.began = 0  # when the first domain was seen

    def learn(self, piece: UrlEvidence) -> bool:
        """Take up one piece; whether it speaks for or against a place."""
        if piece.kind in (UrlEvidenceKind.SEEN, UrlEvidenceKind.SEEN_CLEAN):
            if piece.scope is Scope.DOMAIN:
                self._see(piece)
            return False
        place = (piece.scope, piece.name)
        if piece.kind is UrlEvidenceKind.FORGET:
            return self.held.pop(place, None) is not None
        if piece.kind is UrlEvidenceKind.REPORT_HAM and place not in self.held:
            return False
        held = self.held.get(place)
        if held is None:
            held = self.held[place] = Held(piece.scope, piece.name, since=piece.time)
        self._weigh(held, piece)
        if len(self.held) > MAX_HELD:
            self._make_room(piece.time)
        return True

    def _see(self, piece: UrlEvidence) -> None:
        key, life = self._keying.key(text(Scope.DOMAIN, piece.name)), self.life
        row = life.find(key)
        now, times = max(0, int(piece.time)), int(piece.weight)
        if row < 0:
            row = life.add(key)
            life.columns["first"][row] = now
            self.began = min(self.began, now) if self.began else now
        columns = life.columns
        columns["last"][row] = max(columns["last"][row], now)
        columns["count"][row] = min(_MOST_COUNT, columns["count"][row] + times)
        if piece.kind is UrlEvidenceKind.SEEN_CLEAN:
            columns["clean"][row] = min(_MOST_COUNT, columns["clean"][row] + times)
        if life.crowded or len(life) > MAX_DOMAINS:
            self._sort()

    def _sort(self) -> None:
        keep = None
        if len(self.life) > MAX_DOMAINS:
            last = self.life.array("last")
            keep = last >= np.partition(last, -int(KEPT_SHARE * MAX_DOMAINS))[-int(KEPT_SHARE * MAX_DOMAINS)]
            if np.count_nonzero(keep) > MAX_DOMAINS:  # all were seen in the same second
                keep = np.arange(len(last)) >= len(last) - int(KEPT_SHARE * MAX_DOMAINS)
        self.life.rebuild(keep)

    @staticmethod
    def _weigh(held: Held, piece: UrlEvidence) -> None:
        weight = held.at(piece.time)
        if piece.kind is UrlEvidenceKind.REPORT_HAM:
            held.weight, held.time = max(0.0, weight - piece.weight), max(held.time, piece.time)
            return
        witness = _network(piece.detail) or piece.by
        counted = held.witnesses.get(witness)
        if counted is not None and piece.time < counted + DAY:
            return  # one sender cannot make a place worse by sending more
        held.witnesses[witness] = piece.time
        while len(held.witnesses) > MAX_WITNESSES:
            del held.witnesses[min(held.witnesses, key=held.witnesses.__getitem__)]
        held.weight, held.time = weight + piece.weight, max(held.time, piece.time)
        held.pieces += 1

    def _make_room(self, now: float) -> None:
        kept = sorted(self.held.values(), key=lambda held: held.at(now), reverse=True)[: int(MAX_HELD * KEPT_SHARE)]
        self.held = {(held.scope, held.name): held for held in kept}

    def forget(self, now: float) -> None:
        """Drop what no longer counts."""
        self.held = {place: held for place, held in self.held.items() if held.at(now) >= FORGET_BELOW}

    def listed(self, now: float) -> list[Held]:
        """Places that evidence speaks against now, established domains left out."""
        return [held for held in self.held.values() if held.until > now and not self._established(held, now)]

    def _established(self, held: Held, now: float) -> bool:
        """Whether clean mail has named the domain for a while. One URL of it may be listed all the same."""
        if held.scope is Scope.URL:
            return False
        place = place_of(f"http://{held.name}/")
        row = self.life.find(self._keying.key(text(Scope.DOMAIN, place.domain))) if place is not None else -1
        if row < 0:
            return False
        columns = self.life.columns
        return bool(columns["clean"][row] >= ESTABLISHED_CLEAN and now - columns["first"][row] >= ESTABLISHED_DAYS * DAY)

    # Lasting

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, for saving."""
        self._sort()
        held = np.frombuffer(msgspec.msgpack.encode(list(self.held.values())), np.uint8)
        return {**self.life.arrays(), "held": held, "began": np.array([self.began], np.uint64)}

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take up what `state` gave. Raises ValueError, KeyError or MsgspecError where it does not fit."""
        found = msgspec.msgpack.decode(arrays["held"].tobytes(), type=list[Held])
        self.life.restore({name: arrays[name] for name in ("keys", *_LIFE)})
        self.held = {(held.scope, held.name): held for held in found}
        self.began = int(arrays["began"][0])


def _network(address: str) -> str:
    """The network of a sender, whose machines are one witness."""
    found = source(address.partition(" ")[0])
    if found is None:
        return ""
    shift = 32 - V4_NEIGHBOURS if found.version == 4 else 128 - V6_NEIGHBOURS
    return f"{found.version}:{found.number >> shift:x}"
