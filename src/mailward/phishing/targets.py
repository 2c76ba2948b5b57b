"""The names that look-alikes copy, indexed so that one label is compared with all of them at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import re2

from mailward.phishing.skeletons import latin, rough, skeleton
from mailward.phishing.vocabulary import of_service, presses

MIN_EDITED = 5  # letters of a label that is also known with one letter changed; shorter ones are in reach of too many words
MIN_REPLACED = 6  # the same for a letter replaced by another, which chance does most
MIN_EDITED_WORD = 7  # the same for one word among others
MIN_SURE = 7  # letters from which on one letter changed is hardly chance
MIN_ROUGH = 6
MIN_HELD = 6  # letters of a label that is known inside of others; shorter ones need words of a service around them
SHORT = 3
MAX_LABEL = 63  # RFC 1035 2.3.4
MAX_PIECES = 8  # words of a label parted by hyphens that are looked at

_REPEATED = re.compile(r"(.)\1+")


@dataclass(frozen=True, slots=True)
class Target:
    """A label that look-alikes copy. `plain`: an ordinary word or very short; it takes more than the label to mean this owner."""

    label: str
    owner: str
    domain: str
    plain: bool = False
    above: bool = True  # its name alone before somebody's domain is a pretence; not so where others run its software ("gitlab.example.org")


@dataclass(frozen=True, slots=True)
class Likeness:
    target: Target
    how: str  # "skeleton", "edit", "token" or "tld"
    sure: bool


class Targets:
    """Immutable. A label costs about thirty look-ups, however many targets there are."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self.exact: dict[str, Target] = {}
        self._skeletons: dict[str, Target] = {}
        self._rough: dict[str, Target] = {}
        self._variants: dict[str, Target] = {}
        self._near: dict[str, list[Target]] = {}
        for target in sorted(targets, key=lambda each: each.plain):
            self._add(target)
        held = sorted((label for label in self.exact if len(label) >= 4), key=len, reverse=True)
        self._held: Any = re2.compile("|".join(re2.escape(label) for label in held)) if held else None

    def _add(self, target: Target) -> None:
        label = target.label
        if label in self.exact:
            return
        self.exact[label] = target
        self._skeletons.setdefault(skeleton(label), target)
        joined = label.replace("-", "")
        if joined != label:
            self._skeletons.setdefault(skeleton(joined), target)
        ending = target.domain.partition(".")[2].partition(".")[0]
        for variant in (f"www{label}", f"{label}{ending}", f"{label}com"):
            self._variants.setdefault(variant, target)
        if len(label) >= MIN_ROUGH:
            self._rough.setdefault(rough(label), target)
        if len(label) >= MIN_EDITED:
            for near in {label, *(label[:at] + label[at + 1 :] for at in range(len(label)))}:
                self._near.setdefault(near, []).append(target)

    def whole(self, label: str) -> Likeness | None:
        """What a whole label (as it is shown) passes for."""
        found = self.exact.get(label)
        if found is not None:
            return None if found.plain else Likeness(found, "tld", len(label) >= MIN_EDITED)
        joined = label.replace("-", "")
        found = self._skeletons.get(skeleton(joined))
        if found is not None:
            certain = not label.isascii() or (len(label) >= MIN_EDITED and (not found.plain or _has_digit(label, found.label)))
            return Likeness(found, "skeleton", certain)
        found = self._variants.get(joined)
        if found is not None:
            return Likeness(found, "token", True)
        if not label.isascii():
            joined = label = latin(label).lower()
        found = self.edited(label) or (self.edited(joined) if joined != label else None)
        if found is not None:
            return Likeness(found, "edit", not found.plain and len(found.label) >= MIN_SURE)
        found = self._rough.get(rough(joined)) if len(joined) >= MIN_ROUGH else None
        return Likeness(found, "skeleton", False) if found is not None else None

    def edited(self, label: str) -> Target | None:
        """The target that is one letter away: left out, put in, replaced, or changed with its neighbour."""
        if not MIN_EDITED - 1 <= len(label) <= MAX_LABEL:
            return None
        near = self._near.get(label)
        if near:
            return near[0]
        shorter = [label[:at] + label[at + 1 :] for at in range(len(label))]
        if not self._near.keys().isdisjoint(shorter):
            for target in [target for less in shorter for target in self._near.get(less, ())]:
                if len(target.label) < len(label) or _one_step(label, target.label):
                    return target
        if _REPEATED.search(label) is None:
            return None
        once = _REPEATED.sub(r"\1", label)
        return self.exact.get(once) if len(once) > SHORT else None

    def within(self, label: str) -> Likeness | None:
        """What a label holds beside other words."""
        pieces = label.split("-")[:MAX_PIECES]
        if len(pieces) > 1:
            found = self._among(pieces)
            if found is not None:
                return found
        return self._inside(label)

    def _among(self, pieces: list[str]) -> Likeness | None:
        for at, piece in enumerate(pieces):
            target = self.exact.get(piece) or self._skeletons.get(skeleton(piece))
            if target is None and len(piece) >= MIN_EDITED_WORD:
                target = self.edited(piece)
                target = None if target is None or target.plain else target
            if target is not None:
                found = _beside(target, [other for number, other in enumerate(pieces) if number != at and other])
                if found is not None:
                    return found
        return None

    def _inside(self, label: str) -> Likeness | None:
        held = self._held.search(label) if self._held is not None else None
        if held is None:
            return None
        target, before, behind = self.exact[held.group()], label[: held.start()], label[held.end() :]
        if target.plain and len(target.label) < MIN_EDITED:
            return None
        parted = before[-1:] in ("", "-") and behind[:1] in ("", "-")
        if "-" in target.label and not parted:
            return None
        if before and behind and not (before.endswith("-") or behind.startswith("-")) and not of_service(before) and not of_service(behind):
            return None
        return _beside(target, [rest for piece in (before, behind) if (rest := piece.replace("-", ""))])


def _beside(target: Target, others: list[str]) -> Likeness | None:
    """What the name of a target says beside other words. That of a plain one takes words that press, and no others but those of services."""
    if not others:
        return None
    pressing = any(presses(word) for word in others)
    if target.plain or len(target.label) < MIN_HELD:
        return Likeness(target, "token", True) if pressing and all(of_service(word) for word in others) else None
    return Likeness(target, "token", pressing)


def _has_digit(label: str, copied: str) -> bool:
    return any(letter.isdigit() for letter in label) and not any(letter.isdigit() for letter in copied)


def _one_step(one: str, other: str) -> bool:
    """Whether two texts of equal length differ in one letter, or in two neighbours that changed places. Short ones only in the latter."""
    if len(one) != len(other):
        return False
    differing = [at for at in range(len(one)) if one[at] != other[at]]
    if len(differing) == 1:
        return len(one) >= MIN_REPLACED
    return (
        len(differing) == 2
        and differing[1] == differing[0] + 1
        and one[differing[0]] == other[differing[1]]
        and one[differing[1]] == other[differing[0]]
    )
