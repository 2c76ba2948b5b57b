"""What is remembered: every assessment and verdict, the history of the policy, and local feedback."""

from __future__ import annotations

from mailward.storage.interface import PolicyVersion, Record, Report, Storage, StorageError

__all__ = ["PolicyVersion", "Record", "Report", "Storage", "StorageError", "open"]


def open(url: str) -> Storage:
    """Open `sqlite:///PATH`, making the database where there is none. Raises StorageError."""
    from mailward.storage.sqlite import SqliteStorage  # loads SQLAlchemy, which one `mailward scan` does not need

    return SqliteStorage(url)
