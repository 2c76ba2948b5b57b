"""The URL database: imported feeds and people's ratings, published as tables.

Below `<reputation folder>/urls`: `lists/NAME.npz`, an immutable file for each feed; `ratings.jsonl`, what people said; `salt`;
`published.json`, what the tables in force were made of. Any number of processes may use it: a lock keeps their changes apart,
and each change is a rename or appended lines.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.reputation import lists
from mailward.reputation.lists import About, KeptList, ListDamaged, ListFolder
from mailward.reputation.mapped import SnapshotError
from mailward.reputation.url.entry import FEED_KINDS, EntryKind
from mailward.reputation.url.feeds import FeedSource
from mailward.reputation.url.imports import Imported, read
from mailward.reputation.url.place import Keying, Scope, new_salt, text
from mailward.reputation.url.ratings import MAX_RATINGS, OwnRating, OwnRatings
from mailward.reputation.url.table import COLUMNS, FEEDS_FILE, OWN_FILE, POPULAR_FILE, SCOPES, UrlTable, empty_columns, write

FOLDER = "urls"  # below `Settings.reputation_folder`
MAX_LISTS = 100


class _Published(msgspec.Struct, frozen=True):
    """What the tables in force were made of, by file; and when something in them ends, 0 when nothing ever does."""

    inputs: dict[str, str] = {}
    next: dict[str, int] = {}


class UrlDatabase:
    """The database in `folder` (see `Settings.reputation_folder`), published to `snapshots`. Opens nothing until it is used.

    Every method may raise OSError; those that write wait for the lock.
    """

    def __init__(self, folder: Path, snapshots: Path) -> None:
        self._folder = folder / FOLDER
        self._lists = ListFolder(self._folder / "lists", "feed", MAX_LISTS)
        self._ratings = OwnRatings(self._folder / "ratings.jsonl")
        self._note = self._folder / "published.json"
        self._snapshots = snapshots
        self._tables = {file: UrlTable(snapshots / file) for file in (OWN_FILE, FEEDS_FILE, POPULAR_FILE)}
        self._unreadable: set[str] = set()

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def remove_command(self) -> str:
        return "mailward urls remove"

    def keying(self) -> Keying:
        """Makes the keys of this site; the salt is made at the first use."""
        return Keying(salt_in(self._folder))

    # Feeds

    def import_feed(self, name: str, feed: Imported, kind: EntryKind, source_text: str, expires: int, now: float) -> About:
        """Keep a feed, in place of the one of that name. What that one had too is known since then. Raises ValueError."""
        self._lists.check_name(name)
        about = About(
            name=name,
            kind=kind.label,
            source=source_text,
            imported=int(now),
            expires=int(expires),
            entries=feed.entries,
            refused=feed.refused,
            format=feed.format,
        )
        path = self._lists.path(name)
        with self._locked():
            self._lists.check_room(name)
            columns = _sorted(feed.columns)
            _keep_since(columns, path)
            lists.store(path, {"about": lists.octets(about), "texts": lists.octets(feed.texts), **columns})
        return about

    def take_list(self, source: FeedSource, file: BinaryIO, believed: Callable[[int], None], now: float) -> None:
        """Read a feed that the settings name, and keep it if its number of entries is `believed`."""
        feed = read(file, self.keying(), source.kind, source.rating, now, source.format)
        believed(feed.entries)
        text = f"{source.name} {time.strftime('%Y-%m-%d', time.gmtime(now))}"
        self.import_feed(source.name, feed, source.kind, text, int(now) + source.expires, now)

    def renew_list(self, name: str, expires: int) -> None:
        """The same feed holds for longer: its source says it has not changed. Raises ListDamaged."""
        with self._locked():
            self._lists.renew(name, expires)

    def find_list(self, name: str) -> About | None:
        """The note of a feed that can be used; None where there is none."""
        return self._lists.find(name)

    def remove_list(self, name: str) -> bool:
        """Whether there was one."""
        with self._locked():
            return self._lists.remove(name)

    def feeds(self) -> tuple[KeptList, ...]:
        """Every feed that is kept, expired ones too, by name."""
        return self._lists.kept()

    # Ratings

    def rate(self, ratings: Iterable[OwnRating], now: float) -> int:
        """Say what people think of places; the last word about a place counts. Raises ValueError when there are too many."""
        made = list(ratings)
        with self._locked():
            if len({each.place for each in (*self._ratings.in_force(now), *made)}) > MAX_RATINGS:
                raise ValueError(f"there would be more than {MAX_RATINGS:,} ratings; import a list of them as a feed instead")
            if made:
                self._ratings.append(made)
        return len(made)

    def ratings(self, now: float) -> list[OwnRating]:
        """Those in force."""
        return self._ratings.in_force(now)

    def history(self) -> list[OwnRating]:
        """Everything people said, the oldest first."""
        return self._ratings.history()

    # The tables

    def publish_if_due(self, now: float) -> bool:
        """Write the tables whose feeds or ratings have changed or ended since; whether one was written."""
        if not self._due(now):
            return False
        with self._locked():
            due = self._due(now)
            for file in due:
                self._publish(file, now)
            return bool(due)

    def _due(self, now: float) -> list[str]:
        published, due = self._published(), []
        for file, table in self._tables.items():
            try:
                table.follow(force=True)
            except SnapshotError:  # damaged, or written by another version; told once
                self._unreadable.add(file)
            inputs = self._inputs(file)
            if not inputs and not (self._snapshots / file).exists():
                continue  # nothing to tell, nothing told
            ended = 0 < published.next.get(file, 0) <= now
            if ended or file in self._unreadable or not (self._snapshots / file).exists() or published.inputs.get(file, "") != inputs:
                due.append(file)
        return due

    def _publish(self, file: str, now: float) -> None:
        inputs = self._inputs(file)
        end = self._publish_own(now) if file == OWN_FILE else self._publish_feeds(file, now)
        self._unreadable.discard(file)
        published = self._published()
        note = _Published({**published.inputs, file: inputs}, {**published.next, file: end})
        draft = self._note.with_suffix(".tmp")
        draft.write_bytes(msgspec.json.encode(note))
        draft.replace(self._note)

    def _publish_own(self, now: float) -> int:
        ratings, keying = self._ratings.in_force(now), self.keying()
        origins = sorted({each.who for each in ratings})[:65_535]
        at = {who: number for number, who in enumerate(origins)}
        texts = ["", *dict.fromkeys(each.why for each in ratings if each.why)]
        places = {why: number for number, why in enumerate(texts)}
        columns = {
            "key": np.array([keying.key(text(each.scope, each.name)) for each in ratings], "<u8"),
            "scope": np.array([SCOPES[each.scope] for each in ratings], "<u1"),
            "rating": np.array([each.rating for each in ratings], "<u1"),
            "kind": np.full(len(ratings), EntryKind.RATED.number, "<u1"),
            "origin": np.array([at.get(each.who, 0) for each in ratings], "<u2"),
            "since": np.array([each.time for each in ratings], "<u4"),
            "until": np.array([each.until for each in ratings], "<u4"),
            "count": np.zeros(len(ratings), "<u4"),
            "text": np.array([places[each.why] for each in ratings], "<u4"),
        }
        names = [each.name for each in ratings]
        path = self._snapshots / OWN_FILE
        write(path, columns, keying.salt, origins, texts, next_serial(path, now), now, names)
        return min((each.until for each in ratings if each.until), default=0)

    def _publish_feeds(self, file: str, now: float) -> int:
        """All feeds of a kind in one table: of two that name a place the one rated lower counts (popular: the better rank)."""
        parts, texts = [empty_columns()], [""]
        origins: list[str] = []
        ends: list[int] = []
        for kept in self.feeds():
            if kept.about is None or not kept.about.holds(now) or _file_of(kept.about) != file:
                continue
            try:
                with lists.opened(self._lists.path(kept.name)) as archive:
                    said = msgspec.json.decode(archive["texts"].tobytes(), type=list[str])
                    parts.append(_rows({name: archive[name] for name in _KEPT}, kept.about, len(origins), len(texts) - 1))
            except ListDamaged:
                continue  # `feeds` shows it
            origins.append(kept.about.name)
            texts += said[1:]
            ends.append(kept.about.expires)
        columns = {name: np.concatenate([part.pop(name) for part in parts]) for name in COLUMNS}
        if file == POPULAR_FILE:
            columns["rating"] = np.minimum(columns["count"] >> 12, 255).astype("<u1")  # so that the better rank counts
        path = self._snapshots / file
        write(path, columns, self.keying().salt, origins, texts, next_serial(path, now), now)
        return min((end for end in ends if end), default=0)

    def _published(self) -> _Published:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=_Published)
        except (OSError, msgspec.MsgspecError):
            return _Published()

    def _inputs(self, file: str) -> str:
        """Stands for everything a table is made of; "" for nothing."""
        state = lists.state_of([self._ratings.path] if file == OWN_FILE else self._lists.files())
        return hashlib.sha256(state).hexdigest() if state else ""

    # The folder

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock. What dead writers left is removed."""
        self._lists.folder.mkdir(parents=True, exist_ok=True)
        with lists.locked(self._folder / "lock"):
            for left in (*self._lists.folder.glob("*.tmp"), *self._folder.glob("published.tmp")):
                left.unlink()
            yield


_KEPT = ("key", "scope", "rating", "since", "count", "text")


def salt_in(folder: Path) -> bytes:
    """The salt of this site; made where there is none. Two processes make one."""
    path = folder / "salt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"salt.{os.getpid()}"
        draft.write_bytes(new_salt())
        draft.chmod(0o600)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process was faster: its salt counts
        finally:
            draft.unlink()
    salt = path.read_bytes()
    if not 8 <= len(salt) <= 64:
        raise OSError(f"{path} holds no salt; delete it and the lists beside it, and fetch them again")
    return salt


def next_serial(path: Path, now: float) -> int:
    """Greater than that of the table in force, also after the clock was set back."""
    try:
        in_force = UrlTable.open(path).serial
    except SnapshotError:
        in_force = 0
    return max(int(now), in_force + 1) & 0xFFFF_FFFF


def _file_of(about: About) -> str:
    return POPULAR_FILE if about.kind == EntryKind.POPULAR.label else FEEDS_FILE


def _sorted(columns: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """One row a key, by key: of two the one rated lower, then the better rank."""
    order = np.lexsort((columns["count"], columns["rating"], columns["key"]))
    keys = columns["key"][order]
    order = order[np.concatenate([[True], keys[1:] != keys[:-1]])]
    return {name: column[order] for name, column in columns.items()}


def _keep_since(columns: dict[str, npt.NDArray[Any]], before: Path) -> None:
    """Places that the feed named before keep the time they have had."""
    try:
        with lists.opened(before) as archive:
            keys, since = archive["key"], archive["since"]
    except ListDamaged:
        return
    if len(keys):
        at = np.minimum(np.searchsorted(keys, columns["key"]), len(keys) - 1)
        same = keys[at] == columns["key"]
        columns["since"][same] = np.minimum(columns["since"][same], since[at[same]])


def _rows(kept: dict[str, npt.NDArray[Any]], about: About, origin: int, texts: int) -> dict[str, npt.NDArray[Any]]:
    """The rows of one feed as they stand in the table; `texts` is where its texts begin, less one."""
    count = len(kept["key"])
    said = kept["text"]
    return {
        **{name: kept[name].astype(COLUMNS[name]) for name in ("key", "scope", "rating", "since", "count")},
        "kind": np.full(count, FEED_KINDS[about.kind].number, "<u1"),
        "origin": np.full(count, origin, "<u2"),
        "until": np.full(count, about.expires, "<u4"),
        "text": np.where(said > 0, said + texts, 0).astype("<u4"),
    }


def scope_of(label: str) -> Scope:
    """Raises ValueError with words."""
    if label not in set(Scope):
        raise ValueError(f"{label!r} is no scope; there are {', '.join(Scope)}")
    return Scope(label)
