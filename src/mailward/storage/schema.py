"""The tables. A change of them raises VERSION and adds a step to `MIGRATIONS`."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

VERSION = 2
MIGRATIONS = {2: ("ALTER TABLE reports ADD COLUMN sender_ip VARCHAR(45) NOT NULL DEFAULT ''",)}  # by the version they lead to

metadata = MetaData()

records = Table(
    "records",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("time", Float, nullable=False),
    Column("sender", Text, nullable=False),  # visible From, else the envelope sender
    Column("recipients", Text, nullable=False),  # separated by spaces
    Column("subject", Text, nullable=False),
    Column("sender_ip", String(45), nullable=False),
    Column("verdict", String(24), nullable=False),
    Column("action", String(16), nullable=False),
    Column("score", Float),  # spam score, NULL where nothing could be judged
    Column("message_id", Text, nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("body", LargeBinary, nullable=False),  # see records.py
    Index("records_by_time", "time"),
    sqlite_with_rowid=False,
)

policies = Table(
    "policies",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=True),
    Column("time", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("toml", Text, nullable=False),
    sqlite_autoincrement=True,
)

reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("time", Float, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("message_id", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("features", LargeBinary, nullable=False),
    Column("undone", Float),
    Column("sender_ip", String(45), nullable=False, server_default=""),  # whom the report is about, "" where that is not known
    sqlite_autoincrement=True,
)
