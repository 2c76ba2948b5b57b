"""The site's own model on disk: one file, replaced as a whole, memory-mapped by every worker."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mailward.content.local import LocalModel
from mailward.gateway.settings import Settings


def local_file(settings: Settings) -> Path:
    return settings.snapshots_folder / "local.npy"


def save_local(settings: Settings, model: LocalModel) -> None:
    """Write the table and the number of reports (one row more) beside the old file, then put it in its place."""
    path = local_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.append(model.table, np.zeros(1, model.table.dtype))
    rows[-1]["weight"] = model.reports
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with draft.open("wb") as file:
        np.save(file, rows)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def load_local(settings: Settings) -> LocalModel | None:
    """Map the file, or None where nothing was ever reported. Raises OSError or ValueError where it cannot be read."""
    path = local_file(settings)
    if not path.is_file():
        return None
    rows = np.load(path, mmap_mode="r")
    return LocalModel(rows[:-1], int(rows[-1]["weight"]))
