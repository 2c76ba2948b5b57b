"""Corpora on disk: packed (`NAME.tar.zst`) or unpacked folders with an `index.tsv`, one source each."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BAD_LABELS = frozenset({"spam", "phish"})
LABELS = frozenset({"ham", "bounce"}) | BAD_LABELS
MAX_FILE_BYTES = 20 << 20  # larger files are not training mail


class CorpusError(Exception):
    """A corpus that cannot be read: says where, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a corpus. `group` ties near duplicates together; `kind` is "lang/kind" where the corpus knows it."""

    source: str
    path: Path
    label: str  # ham, bounce, spam, phish
    date: str
    group: str
    kind: str = ""

    @property
    def bad(self) -> bool:
        return self.label in BAD_LABELS


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "mailward" / "corpora"


def unpacked(path: Path) -> Path:
    """Return the folder of a corpus, unpacking a `.tar.zst` into the cache once."""
    if path.is_dir():
        return path
    name = path.name.removesuffix(".tar.zst")
    if name == path.name:
        raise CorpusError(f"{path}: neither a folder nor a .tar.zst file")
    if not path.is_file():
        raise CorpusError(f"{path}: no such corpus")
    target = cache_folder() / name
    stamp = cache_folder() / f"{name}.stamp"
    mark = f"{path.stat().st_size} {int(path.stat().st_mtime)}"
    if target.is_dir() and stamp.is_file() and stamp.read_text() == mark:
        return target
    import zstandard

    cache_folder().mkdir(parents=True, exist_ok=True)
    with (
        path.open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        archive.extractall(cache_folder(), filter="data")
    stamp.write_text(mark)
    return target


def entries(path: Path) -> list[Entry]:
    """Read the index of one corpus. Without an index the folders `ham`, `spam`, `phish`, `bounce` are the labels."""
    folder = unpacked(path)
    index = folder / "index.tsv"
    if not index.is_file():
        return list(_by_folder(folder))
    lines = index.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    names = lines[0].split("\t")
    if names[:2] != ["path", "label"]:
        raise CorpusError(f"{index}:1: the first columns must be path and label")
    found = []
    for number, line in enumerate(lines[1:], 2):
        row = dict(zip(names, line.split("\t"), strict=False))
        if row.get("label") not in LABELS:
            raise CorpusError(f"{index}:{number}: label must be one of {', '.join(sorted(LABELS))}")
        kind = f"{row['lang']}/{row['kind']}" if "lang" in row and "kind" in row else ""
        group = row.get("near_dup_cluster") or row.get("template") or row["path"]
        found.append(Entry(folder.name, folder / row["path"], row["label"], row.get("date", ""), group, kind))
    return found


def _by_folder(folder: Path) -> Iterator[Entry]:
    for label in sorted(LABELS):
        for path in sorted((folder / label).glob("**/*")) if (folder / label).is_dir() else ():
            if path.is_file() and not path.name.startswith("."):
                yield Entry(folder.name, path, label, "", path.name)


def read(entry: Entry) -> bytes:
    with entry.path.open("rb") as file:
        return file.read(MAX_FILE_BYTES)
