"""The model for names nobody has seen: how much a host and a path look like those of phishing pages. Made by learning/urls.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mailward.reputation.knowledge import DATA
from mailward.reputation.url.features import BUCKETS, Buckets, Name, host_buckets, path_buckets

FOLDER = "url"
PATH_CAP = 3.0  # the path alone says no more than this, before its weight


class Settings(msgspec.Struct, frozen=True):
    """What training decides besides the weights. `suffixes`: what the suffix of a company adds, those it never met add `stranger`."""

    name: str
    host_bias: float
    path_bias: float
    path_weight: float
    stranger: float
    suffixes: dict[str, float]
    dangerous: float  # scores from which on a rating is given
    highly_suspicious: float
    suspicious: float


@dataclass(frozen=True, slots=True)
class UrlModel:
    """Weights of the buckets, half precision, memory-mapped."""

    settings: Settings
    host: npt.NDArray[np.float16]
    path: npt.NDArray[np.float16]

    def score(self, name: Name, path: str) -> float:
        """How much it looks like phishing; what that means is in the settings."""
        score = _sum(self.host, host_buckets(name)) + self.settings.host_bias
        if name.shared:
            score += self.settings.suffixes.get(name.suffix, self.settings.stranger)
        found = path_buckets(path)
        if len(found):
            score += self.settings.path_weight * min(PATH_CAP, max(-PATH_CAP, _sum(self.path, found) + self.settings.path_bias))
        return score


def _sum(weights: npt.NDArray[np.float16], buckets: Buckets) -> float:
    """Divided by the root of their number, so that long names are not louder than short ones."""
    return float(weights[buckets].sum(dtype=np.float64)) / max(1.0, float(np.sqrt(len(buckets))))


@cache
def load(folder: Path | None = None) -> UrlModel:
    """The packaged model, or one from a folder. Raises OSError, ValueError or msgspec.MsgspecError where it cannot be read."""
    folder = folder or Path(str(DATA / FOLDER))
    weights = np.load(folder / "weights.npy", mmap_mode="r")
    if weights.shape != (2, BUCKETS):
        raise ValueError(f"{folder / 'weights.npy'} does not belong to this version")
    return UrlModel(msgspec.json.decode((folder / "settings.json").read_bytes(), type=Settings), weights[0], weights[1])
