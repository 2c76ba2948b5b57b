"""What people here said about URLs: on top of everything else. A file of JSON lines that is only ever added to, so that it is its own history."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from mailward.reputation.spool import append_lasting
from mailward.reputation.url.place import MAX_URL, Scope, place_of, steps

MAX_TEXT = 200  # characters kept of a reason or a name
MAX_RATINGS = 100_000  # in force
MAX_FILE = 128 << 20  # octets of the history


class OwnRating(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: a place was rated, or (`rating` -1) is rated by us no more. `time` in seconds since 1970; `until` 0: until it is taken off."""

    scope: Scope
    name: str  # "example.com", "example.com/a", "example.com/a?b=c"
    rating: int
    time: int
    who: str
    why: str = ""
    until: int = 0

    @property
    def place(self) -> tuple[Scope, str]:
        return self.scope, self.name


REMOVED = -1


def named(written: str, scope: Scope) -> str:
    """The name under which a URL (or a host name) is rated at that scope. Raises ValueError with words."""
    text = written.strip()
    if not text or len(text) > MAX_URL:
        raise ValueError(f"a URL of 1 to {MAX_URL} characters belongs here")
    if "://" not in text:
        text = f"http://[{text}]/" if text.count(":") > 1 and "/" not in text and "[" not in text else f"http://{text}"
    place = place_of(text)
    if place is None or ("." not in place.host and not place.is_address):
        raise ValueError(f"{written[:100]!r} is nothing a browser would open on the internet")
    match scope:
        case Scope.URL:
            return place.exact
        case Scope.PATH:
            folders = steps(place.path)
            if not folders or place.port:
                raise ValueError(f"{written[:100]!r} names no folder; write example.com/folder, without a port")
            return "/".join([place.host, *folders])
        case Scope.HOST:
            return place.host
        case Scope.DOMAIN:
            if place.is_address:
                raise ValueError(f"{place.host} is an address, and no names are below it; use the scope host")
            return place.host


def usual_scope(written: str) -> Scope:
    """What somebody means who names no scope: a URL with a path means that URL, a bare host the host."""
    place = place_of(written if "://" in written else f"http://{written.strip()}")
    return Scope.HOST if place is None or place.path == "/" else Scope.URL


class OwnRatings:
    """The file. `append` belongs to who holds the lock of the database."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, made: Iterable[OwnRating]) -> None:
        """Returns when they are on disk. Raises OSError, ValueError when full."""
        try:
            append_lasting(self.path, b"".join(_encode(each) + b"\n" for each in made), MAX_FILE)
        except ValueError as error:
            raise ValueError(f"{error}; put it aside, and import the ratings you still want") from None

    def history(self) -> list[OwnRating]:
        """Everything that was ever said, the oldest first. A line that cannot be read does not count."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(_decode(line))
            except msgspec.MsgspecError:
                continue
        return found

    def in_force(self, now: float) -> list[OwnRating]:
        """The last word about each place, where it still rates it, by name."""
        last = {each.place: each for each in self.history()}
        kept = [each for each in last.values() if 0 <= each.rating <= 100 and (not each.until or each.until > now)]
        return sorted(kept, key=lambda each: (each.name, each.scope))


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(OwnRating).decode


# As text


def to_text(ratings: Iterable[OwnRating]) -> str:
    """One a line, as `from_text` reads it: rating, scope, name, and why behind a `#`."""
    return "".join(f"{each.rating}\t{each.scope}\t{each.name}{f'	# {each.why}' if each.why else ''}\n" for each in ratings)


def from_text(text: str, who: str, now: float) -> tuple[list[OwnRating], list[tuple[int, str]]]:
    """Ratings, and the lines that are refused with the reason. A line that begins with `#` is a comment."""
    found: list[OwnRating] = []
    refused: list[tuple[int, str]] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        entry, _, why = line.partition("\t#") if "\t#" in line else line.partition(" # ")
        words = entry.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            if len(words) != 3 or not words[0].isdecimal() or int(words[0]) > 100 or words[1] not in set(Scope):
                raise ValueError(f"{line.strip()[:60]!r} is not RATING SCOPE NAME: 0 to 100, then {', '.join(Scope)}, then a URL or host")
            scope = Scope(words[1])
            name = named(words[2], scope)
            found.append(OwnRating(scope=scope, name=name, rating=int(words[0]), time=int(now), who=who, why=plain(why)))
        except ValueError as error:
            refused.append((number, str(error)))
    return found, refused


def plain(text: str) -> str:
    """A reason as it is kept."""
    return "".join(c if c.isprintable() else " " for c in text.strip()[:MAX_TEXT])
