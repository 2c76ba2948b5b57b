"""SQLite behind the storage interface: WAL, so that readers never wait; a write waits for the one before it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, or_, select, text, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mailward.storage.interface import PolicyVersion, Record, Report, StorageError
from mailward.storage.records import from_row, to_row
from mailward.storage.schema import MIGRATIONS, VERSION, metadata, policies, records, reports

BUSY_MS = 10_000  # how long a write waits for another process
PAGE = 500  # records read at once
EXPIRE_AT_ONCE = 5_000  # records forgotten in one transaction, so that writers need not wait long
CACHE_KB = 2_048

Result = TypeVar("Result")


class SqliteStorage:
    """See `interface.Storage`. Opening makes the file and its folder where there are none."""

    def __init__(self, url: str) -> None:
        self._path = Path(url.removeprefix("sqlite:///"))
        if not url.startswith("sqlite:///") or not self._path.name:
            raise StorageError(f"{url!r} is not a storage this version knows. Write sqlite:///PATH.")
        self._engine = self._open()
        self._pid = os.getpid()
        try:
            if self._read(_version) != VERSION:
                self._write(self._prepare)
        except StorageError:
            self._engine.dispose()
            raise

    def _open(self) -> Engine:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            words = f"The folder {self._path.parent} cannot be made: {error.strerror}. Check the path and its permissions."
            raise StorageError(words) from error
        engine = create_engine(f"sqlite:///{self._path}", connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False})
        event.listen(engine, "connect", _on_connect)
        return engine

    def _prepare(self, connection: Connection) -> None:
        """Check the version of the tables, bring older ones up to date, or make them."""
        found = _version(connection)
        if found == VERSION:
            return
        if found > VERSION:
            raise StorageError(
                f"{self._path} was written by a newer mailward (tables version {found}, this one knows {VERSION}). "
                "Update mailward, or name another state folder."
            )
        if found == 0 and connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one():
            raise StorageError(f"{self._path} is a database, but not one of mailward's. Name another file.")
        for version in range(found + 1, VERSION + 1) if found else ():
            for statement in MIGRATIONS[version]:
                connection.execute(text(statement))
        metadata.create_all(connection)
        connection.execute(text(f"PRAGMA user_version = {VERSION}"))

    def _read(self, work: Callable[[Connection], Result]) -> Result:
        return self._transaction("BEGIN", work)

    def _write(self, work: Callable[[Connection], Result]) -> Result:
        return self._transaction("BEGIN IMMEDIATE", work)

    def _transaction(self, begin: str, work: Callable[[Connection], Result]) -> Result:
        """All or nothing. A process that was forked gets connections of its own."""
        if self._pid != os.getpid():
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql(begin)
                result = work(connection)
                connection.commit()
                return result
        except SQLAlchemyError as error:
            raise StorageError(f"{self._path}: {_words(error)}") from error

    def save_records(self, batch: Sequence[Record]) -> None:
        rows = [to_row(record) for record in batch]
        if not rows:
            return
        statement = upsert(records)
        changes = {column.name: statement.excluded[column.name] for column in records.columns if column.name != "id"}
        self._write(lambda connection: connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changes), rows))

    def record(self, id: str) -> Record | None:
        row = self._read(lambda connection: connection.execute(select(records.c.body, records.c.outcome).where(records.c.id == id)).first())
        return from_row(row.body, row.outcome) if row else None

    def records(
        self,
        since: float = 0.0,
        until: float | None = None,
        *,
        verdict: str = "",
        text: str = "",
        limit: int = 0,
        newest_first: bool = False,
    ) -> Iterator[Record]:
        wanted = [records.c.time >= since]
        if until is not None:
            wanted.append(records.c.time < until)
        if verdict:
            wanted.append(records.c.verdict == verdict)
        if text:
            searched = ("sender", "recipients", "subject", "sender_ip", "id", "message_id")
            wanted.append(or_(*[records.c[name].contains(text, autoescape=True) for name in searched]))
        given, last = 0, None
        while not limit or given < limit:
            page = self._page(wanted, last, min(PAGE, limit - given) if limit else PAGE, newest_first)
            for row in page:
                yield from_row(row.body, row.outcome)
            if len(page) < PAGE:
                return
            given += len(page)
            last = (page[-1].time, page[-1].id)

    def _page(self, wanted: list[Any], last: tuple[float, str] | None, size: int, newest_first: bool) -> Sequence[Any]:
        time, id = records.c.time, records.c.id
        query = select(id, time, records.c.body, records.c.outcome).where(*wanted).limit(size)
        query = query.order_by(time.desc(), id.desc()) if newest_first else query.order_by(time, id)
        if last is not None:
            further = time < last[0] if newest_first else time > last[0]
            same = id < last[1] if newest_first else id > last[1]
            query = query.where(or_(further, (time == last[0]) & same))
        return self._read(lambda connection: connection.execute(query).all())

    def count(self, since: float = 0.0) -> int:
        return self._read(lambda connection: connection.execute(select(func.count()).where(records.c.time >= since)).scalar_one())

    def save_policy(self, toml: str, who: str, note: str, now: float) -> int:
        values = {"time": now, "who": who, "note": note, "toml": toml}
        return int(self._write(lambda connection: connection.execute(insert(policies).values(values).returning(policies.c.n)).scalar_one()))

    def policy(self, n: int | None = None) -> PolicyVersion | None:
        query = select(policies).order_by(policies.c.n.desc()).limit(1)
        if n is not None:
            query = query.where(policies.c.n == n)
        row = self._read(lambda connection: connection.execute(query).first())
        return PolicyVersion(*row) if row else None

    def policies(self) -> list[PolicyVersion]:
        rows = self._read(lambda connection: connection.execute(select(policies).order_by(policies.c.n.desc())).all())
        return [PolicyVersion(*row) for row in rows]

    def rollback(self, n: int, who: str, now: float) -> int:
        version = self.policy(n)
        if version is None:
            raise StorageError(f"There is no policy number {n}. `mailward policy history` lists them.")
        return self.save_policy(version.toml, who, f"rollback to {n}", now)

    def add_report(self, kind: str, message_id: str, features: bytes, who: str, time: float, sender_ip: str = "") -> int:
        values = {"time": time, "kind": kind, "message_id": message_id, "who": who, "features": features, "sender_ip": sender_ip}
        return int(self._write(lambda connection: connection.execute(insert(reports).values(values).returning(reports.c.id)).scalar_one()))

    def undo_report(self, id: int, time: float) -> bool:
        query = update(reports).where(reports.c.id == id, reports.c.undone.is_(None)).values(undone=time)
        return self._write(lambda connection: connection.execute(query).rowcount) == 1

    def reports(self, *, with_undone: bool = False) -> Iterator[Report]:
        last = 0
        while True:
            query = select(reports).where(reports.c.id > last).order_by(reports.c.id).limit(PAGE)
            if not with_undone:
                query = query.where(reports.c.undone.is_(None))
            page = self._report_rows(query)
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1].id

    def report(self, id: int) -> Report | None:
        return next(iter(self._report_rows(select(reports).where(reports.c.id == id))), None)

    def _report_rows(self, query: Any) -> list[Report]:
        rows = self._read(lambda connection: connection.execute(query).all())
        return [Report(row.id, row.time, row.kind, row.message_id, row.who, row.features, row.undone, row.sender_ip) for row in rows]

    def expire(self, before: float) -> int:
        old = select(records.c.id).where(records.c.time < before).limit(EXPIRE_AT_ONCE)
        gone = 0
        while True:
            count = self._write(lambda connection: connection.execute(delete(records).where(records.c.id.in_(old))).rowcount)
            gone += count
            if count < EXPIRE_AT_ONCE:
                return gone

    def close(self) -> None:
        self._engine.dispose(close=self._pid == os.getpid())


def _on_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # sqlite3 opens no transactions of its own; _transaction does
    for pragma in (f"busy_timeout = {BUSY_MS}", "journal_mode = WAL", "synchronous = NORMAL", f"cache_size = -{CACHE_KB}"):
        connection.execute(f"PRAGMA {pragma}")


def _version(connection: Connection) -> int:
    return int(connection.execute(text("PRAGMA user_version")).scalar_one())


def _words(error: SQLAlchemyError) -> str:
    """What happened, without the statement and its values."""
    cause = str(error.orig) if isinstance(error, DBAPIError) and error.orig else str(error)
    remedies = {
        "disk is full": "Make room on the disk.",
        "database is locked": "Another process holds it for too long; see which one.",
        "readonly": "Check the permissions of the file and its folder.",
        "unable to open": "Check the path and its permissions.",
        "malformed": "The file is damaged; restore it from a backup.",
        "not a database": "The file is damaged or something else; name another one, or restore it from a backup.",
    }
    return f"{cause}. " + next((remedy for sign, remedy in remedies.items() if sign in cause), "Check the disk and the log.")
