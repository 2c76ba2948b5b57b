"""Corpora as examples: every message normalised, parsed and looked at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from mailward.content.evidence import Evidence, gather
from mailward.content.tokens import Hashes
from mailward.learning.corpora import CorpusError, Entry, entries
from mailward.learning.normalise import normalise
from mailward.message import parse
from mailward.message.origin import origin

CHUNK = 50


@dataclass(frozen=True, slots=True)
class Example:
    entry: Entry
    evidence: Evidence

    @property
    def features(self) -> Hashes:
        return self.evidence.wording.features


def example(entry: Entry) -> Example:
    """Normalise and look at one message, exactly as a gateway would with the message and its envelope."""
    sample = normalise(entry)
    message = parse(sample.raw)
    evidence = gather(message, origin(message, sample.envelope), sample.envelope, sample.auth)
    return Example(entry, replace(evidence, mail=None, links=None))


def corpora_in(paths: Sequence[Path]) -> list[Path]:
    """The corpora named: each path is one, or a folder of them."""
    found: list[Path] = []
    for path in paths:
        packs = sorted(path.glob("*.tar.zst")) if path.is_dir() else []
        folders = sorted(index.parent for index in path.glob("*/index.tsv")) if path.is_dir() else []
        found += packs or folders or [path]
    if not found:
        raise CorpusError("no corpus was named")
    return found


def read_all(paths: Sequence[Path], jobs: int = 0) -> Iterator[Example]:
    """Examples of all corpora, in order. Uses one process a core."""
    todo: Iterable[Entry] = [entry for path in corpora_in(paths) for entry in entries(path)]
    with ProcessPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        yield from pool.map(example, todo, chunksize=CHUNK)
