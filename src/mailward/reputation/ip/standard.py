"""The standard database: imported lists, sources that stayed bad, and what was taken off; published as one table.

Below `<reputation folder>/standard`: `lists/NAME.npz`, an immutable file for each list; `decisions.jsonl`, a line for each promotion and
delisting; `published.json`, what the table in force was made of. Any number of processes may use it: a lock keeps their
changes apart, and each change is a rename or one appended line, so that a process which dies in the middle leaves the old
state or the new one.

What is published: of all entries that hold an address the most exact; of those as exact a known source before an
emerging threat before dynamic space; then the one that lasts longest. Delisted and protected addresses are cut out:
no list and no promotion puts a protected address into the standard database.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import BinaryIO

import msgspec

from mailward.policy.lists import Network
from mailward.reputation import snapshot
from mailward.reputation.address import Source
from mailward.reputation.ip import listfile, starter
from mailward.reputation.ip.composition import Composition
from mailward.reputation.ip.decisions import MAX_TEXT, Act, Decision, Decisions
from mailward.reputation.ip.imports import Imported, read
from mailward.reputation.ip.protected import Protected
from mailward.reputation.ip.sources import ListSource
from mailward.reputation.listing import Database, ListingKind
from mailward.reputation.lists import About, KeptList, ListDamaged, ListFolder, locked, state_of

EXCEPTION_SECONDS = 90 * 86400  # how long a delisting holds against lists that go on naming the address
MAX_LISTS = 200


class _Published(msgspec.Struct, frozen=True):
    """What the table in force was made of. `next` is when something in it ends, 0 when nothing ever does."""

    serial: int
    inputs: str
    next: int


class StandardDatabase:
    """The database in `folder` (see `Settings.reputation_folder`), published to `snapshots`. Opens nothing until it is used.

    Every method may raise OSError; those that write wait for the lock.
    """

    def __init__(self, folder: Path, snapshots: Path, protected: Protected | None = None) -> None:
        self._folder = folder / "standard"
        self._lists = ListFolder(self._folder / "lists", "list", MAX_LISTS)
        self._decisions = Decisions(self._folder / "decisions.jsonl")
        self._note = self._folder / "published.json"
        self._table = snapshots / snapshot.STANDARD_FILE
        self._protected = protected or Protected()

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def remove_command(self) -> str:
        return "mailward reputation remove"

    # Lists

    def import_list(self, name: str, entries: Imported, kind: ListingKind, source_text: str, expires: int, now: float) -> About:
        """Keep a list, in place of the one of that name. `kind` is that of entries that do not say theirs; `expires` 0 is never.

        `source_text` says where it comes from and stands in every reason. Raises ValueError for a name that cannot be a
        file's, a kind of the other database, and too many lists.
        """
        self._lists.check_name(name)
        if kind.database is not Database.STANDARD:
            raise ValueError(f"{kind.label} is a kind of the dynamic database, which takes evidence and no lists")
        about = About(
            name=name,
            kind=kind.label,
            source=source_text[:MAX_TEXT],
            imported=int(now),
            expires=int(expires),
            entries=len(entries),
            refused=entries.refused,
            format=entries.format,
        )
        with self._locked():
            self._lists.check_room(name)
            listfile.write(self._lists.folder, about, entries)
        return about

    def take_list(self, source: ListSource, file: BinaryIO, believed: Callable[[int], None], now: float) -> None:
        """Read a list that the settings name, and keep it if its number of entries is `believed`. Raises as `read` and `import_list` do."""
        imported = read(file, source.format, at_least=source.at_least)
        believed(len(imported))
        text = f"{source.name} {time.strftime('%Y-%m-%d', time.gmtime(now))}"
        self.import_list(source.name, imported, source.kind, text, int(now) + source.expires, now)

    def renew_list(self, name: str, expires: int) -> None:
        """The same list holds for longer: its source says it has not changed. Raises ListDamaged."""
        with self._locked():
            self._lists.renew(name, expires)

    def find_list(self, name: str) -> About | None:
        """The note of a list that can be used; None where there is none."""
        return self._lists.find(name)

    def remove_list(self, name: str) -> bool:
        """Whether there was one."""
        with self._locked():
            return self._lists.remove(name)

    def lists(self) -> tuple[KeptList, ...]:
        """Every list that is kept, expired ones too, by name."""
        return self._lists.kept()

    # Decisions

    def promote(self, source: Source, reason: str, now: float, until: float, count: int = 0) -> None:
        """List a source that stayed bad, or extend that; `count` is the evidence behind it. Ends an earlier delisting of it."""
        self._decide(Act.PROMOTE, _network(source), now, until, reason=reason[:MAX_TEXT], count=count)

    def delist(self, source: Source | Network, by: str, now: float, until: float = 0) -> None:
        """Take an address or network off, for EXCEPTION_SECONDS unless `until` says otherwise, whatever lists say meanwhile."""
        self._decide(Act.DELIST, _network(source), now, until or now + EXCEPTION_SECONDS, by=by[:MAX_TEXT])

    def decisions(self, now: float) -> tuple[Decision, ...]:
        """Promotions and delistings in force."""
        return self._decisions.in_force(now)

    def _decide(self, act: Act, network: Network, now: float, until: float, by: str = "", reason: str = "", count: int = 0) -> None:
        made = Decision(act=act, network=str(network), time=int(now), until=int(until), by=by, reason=reason, count=count)
        with self._locked():
            self._decisions.append([made])

    # The table

    def publish(self, now: float) -> int:
        """Write the table anew. Returns its serial, which only grows."""
        with self._locked():
            return self._publish(now)

    def publish_if_due(self, now: float) -> bool:
        """Write the table when a list or a decision has changed or ended since; whether it was written.

        The first call in a new folder puts the starter list there.
        """
        if not self._due(now):
            return False
        with self._locked():
            if not self._due(now):
                return False  # somebody else was faster
            self._publish(now)
            return True

    def _due(self, now: float) -> bool:
        published = self._published()
        if not self._lists.folder.is_dir() or not self._table.exists() or published.inputs != self._inputs():
            return True
        return 0 < published.next <= now

    def _publish(self, now: float) -> int:
        inputs = self._inputs()
        self._decisions.compact(now)
        table = Composition()
        ends = []
        for kept in self.lists():
            if kept.about is not None and kept.about.holds(now):
                try:
                    table.add_list(kept.about, *listfile.read(self._lists.path(kept.name)))
                except ListDamaged:
                    continue  # `lists` shows it
                ends.append(kept.about.expires)
        for decision in self.decisions(now):
            if decision.act is Act.PROMOTE:
                table.add_source(decision)
            else:
                table.cut_network(decision.addresses)
            ends.append(decision.until)
        for version in (4, 6):
            table.cut(version, *self._protected.ranges(version))
        serial = self._next_serial(now)
        v4, v6 = table.columns(4), table.columns(6)
        snapshot.write(self._table, v4, v6, table.texts, serial, now)
        note = _Published(serial, inputs, min((end for end in ends if end), default=0))
        draft = self._note.with_suffix(".tmp")
        draft.write_bytes(msgspec.json.encode(note))
        draft.replace(self._note)
        return serial

    def _next_serial(self, now: float) -> int:
        """Greater than every serial before in the sense of RFC 1982, also after the clock was set back."""
        try:
            in_force = snapshot.Table.open(self._table).serial
        except snapshot.SnapshotError:
            in_force = 0
        last = max(in_force, self._published().serial)
        return max(int(now), last + 1) & 0xFFFF_FFFF

    def _published(self) -> _Published:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=_Published)
        except (OSError, msgspec.MsgspecError):
            return _Published(0, "", 0)

    def _inputs(self) -> str:
        """Stands for everything the table is made of."""
        digest = hashlib.sha256()
        for column in (column for version in (4, 6) for ends in self._protected.ranges(version) for column in ends):
            digest.update(column.data)
        digest.update(state_of([*self._lists.files(), self._decisions.path]))
        return digest.hexdigest()

    # The folder

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock. What dead writers left is removed, and a new folder gets the starter list."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / "lock"):
            for left in self._folder.rglob("*.tmp"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            if not self._lists.folder.is_dir():
                draft = self._lists.folder.with_suffix(".tmp")
                draft.mkdir()
                listfile.write(draft, *starter.starter_list())
                draft.rename(self._lists.folder)
            yield


def _network(source: Source | Network) -> Network:
    return ip_network(str(source)) if isinstance(source, Source) else source
