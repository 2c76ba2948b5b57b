"""Train and measure the URL model: `python -m mailward.learning.urls REPDATA CORPORA [--out FOLDER]`.

Phishing is openphish, split in time: what was first seen before SPLIT trains, hosts and registrable domains seen only later test. Wanted
hosts are popular sites, banks and universities (names only) and the links of wanted mail, one half of whose domains trains while
the other is scored, and the other way round. Home pages of free software only measure. One row a host everywhere.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import can_ada
import msgspec
import numpy as np
import numpy.typing as npt

from mailward.learning.corpora import entries
from mailward.message import parse
from mailward.reputation.knowledge import DATA, Known, known_host, registrable
from mailward.reputation.url.features import BUCKETS, host_buckets, name_of, path_buckets
from mailward.reputation.url.model import FOLDER, Settings, UrlModel

SPLIT = "2025-10"
SEED = 20261124
PATH_WEIGHT = 0.6
MOST_POSITIVE, MOST_POPULAR = 90_000, 110_000  # rows trained on
HAM_WEIGHT = 8.0  # a host of wanted mail counts as so many popular names: there are few, and they are what will be met
CODE = ("github.io gitlab.io readthedocs.io sourceforge.io sourceforge.net googlecode.com github.com launchpad.net "
        "freedesktop.org pages.debian.net codeberg.page bitbucket.io").split()  # fmt: skip
WRITERS = ("blogspot.com", "wordpress.com")
CODE_BIAS, WRITERS_BIAS, STRANGER_BIAS = -5.0, -3.0, -4.0  # by hand: whoever writes software or a diary has a page there
SHARES = {"dangerous": 0.0005, "highly_suspicious": 0.002, "suspicious": 0.01}  # of wanted hosts that may score so high

Hosts = dict[str, str]  # host -> a path of it


def split_url(url: str) -> tuple[str, str] | None:
    """Host without www and path with query; None for what no browser opens over the web."""
    try:
        parsed = can_ada.parse(url)
    except ValueError:
        return None
    host = parsed.hostname
    if parsed.protocol not in ("http:", "https:") or "." not in host or host.startswith("[") or host.replace(".", "").isdigit():
        return None
    path = parsed.pathname + parsed.search
    return host.removeprefix("www."), "" if path == "/" else path


def one_a_host(urls: Iterable[str]) -> Hosts:
    found: dict[str, list[str]] = {}
    for url in urls:
        parts = split_url(url)
        if parts:
            found.setdefault(parts[0], []).append(parts[1])
    choice = random.Random(SEED)
    return {host: choice.choice(paths) for host, paths in found.items()}


def ham_urls(corpora: Path) -> Iterator[str]:
    for corpus in sorted(corpora.glob("*.tar.zst")):
        for entry in entries(corpus):
            if not entry.bad and entry.source != "synthetic_ham":
                yield from (link.url for link in parse(entry.path.read_bytes()).links[:100] if link.tag != "css")


def text_of(file: Path) -> list[str]:
    import zstandard

    with file.open("rb") as packed:
        return list(io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), "utf-8"))[1:]


def popular(folder: Path) -> Hosts:
    lists = [json.loads((folder / "warninglists" / f"{name}.json").read_text())["list"]
             for name in ("cloudflare-top100k", "university_domains", "bank-website")]  # fmt: skip
    lists += [
        [line.split("\t")[0] for line in text_of(folder / "popularity" / f"{name}.tsv.zst")]
        for name in ("cisco_umbrella_top20k", "tranco10k")
    ]
    return {name.lstrip(".").lower().removeprefix("www."): "" for names in lists for name in names}


def is_known(host: str) -> bool:
    """Whether lists say enough: popular, and nobody else's names or pages are there."""
    flags = known_host(host)
    return bool(flags & (Known.POPULAR | Known.BANK | Known.SCHOOL)) and not flags & (Known.HOSTING | Known.SHORTENER | Known.DYNAMIC)


class Trained:
    """Weights and what belongs to them."""

    def __init__(self, bad: Hosts, common: Hosts, ham: Hosts) -> None:
        from sklearn.linear_model import LogisticRegression

        picked = np.random.default_rng(SEED)
        positive, negative = (_some(hosts, most, picked) for hosts, most in ((bad, MOST_POSITIVE), (common, MOST_POPULAR)))
        rows = [*positive, *negative, *ham.items()]
        labels = np.repeat([1, 0], [len(positive), len(negative) + len(ham)])
        weights = np.repeat([1.0, HAM_WEIGHT], [len(positive) + len(negative), len(ham)])
        names = [name_of(host) for host, _ in rows]
        hosts = LogisticRegression(C=20, solver="liblinear", random_state=SEED).fit(
            _matrix([host_buckets(name) for name in names]), labels, weights
        )
        paths = [(path, 1) for _, path in positive if path] + [(path, 0) for path in ham.values() if path]
        truth = np.array([label for _, label in paths])
        balance = np.where(truth == 1, 1.0, truth.sum() / max(1, (truth == 0).sum()))
        path_model = LogisticRegression(C=5, solver="liblinear", random_state=SEED).fit(
            _matrix([path_buckets(path) for path, _ in paths]), truth, balance
        )
        self.weights = np.stack([hosts.coef_[0], path_model.coef_[0]]).astype(np.float16)
        self.biases = float(hosts.intercept_[0]), float(path_model.intercept_[0])
        shared = Counter(name.suffix for name in map(name_of, bad) if name.shared)
        self.suffixes = {suffix: round(min(2.0, math.log10(count + 1) * 1.6 - 4.0), 2) for suffix, count in shared.items() if count >= 5}
        self.suffixes |= dict.fromkeys(CODE, CODE_BIAS) | dict.fromkeys(WRITERS, WRITERS_BIAS)

    def model(self, thresholds: dict[str, float]) -> UrlModel:
        """As it rates."""
        settings = Settings(f"urls-{time.strftime('%Y.%m')}", *self.biases, PATH_WEIGHT, STRANGER_BIAS, self.suffixes, **thresholds)
        return UrlModel(settings, self.weights[0], self.weights[1])

    def scores(self, hosts: Hosts) -> npt.NDArray[np.float64]:
        """Of hosts that lists do not know; the others get the least there is."""
        model = self.model(dict.fromkeys(SHARES, 0.0))
        return np.array([model.score(name_of(host), path) if not is_known(host) else -99.0 for host, path in hosts.items()])


def _some(hosts: Hosts, most: int, picked: np.random.Generator) -> list[tuple[str, str]]:
    rows = list(hosts.items())
    return [rows[n] for n in picked.permutation(len(rows))[:most]]


def _matrix(rows: list[npt.NDArray[np.int64]]) -> Any:
    from scipy.sparse import csr_matrix

    ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    values = np.concatenate([np.full(len(row), 1 / math.sqrt(max(1, len(row))), np.float32) for row in rows])
    return csr_matrix((values, np.concatenate(rows), ends), shape=(len(rows), BUCKETS))


def _half(host: str) -> int:
    return hashlib.blake2b(registrable(host).encode(), digest_size=1).digest()[0] % 2


def recall(bad: npt.NDArray[np.float64], good: npt.NDArray[np.float64], share: float) -> float:
    return float((bad > np.sort(good)[::-1][int(len(good) * share)]).mean())


@dataclass(frozen=True, slots=True)
class Data:
    """Hosts by what they are. `new`: phishing since SPLIT on registrable domains never seen before."""

    every: Hosts
    old: Hosts
    late: Hosts
    new: Hosts
    homes: Hosts
    ham: Hosts
    common: Hosts

    @classmethod
    def read(cls, repdata: Path, corpora: Path) -> Data:
        private = repdata / "development_only"
        rows = [line.rstrip("\n").split("\t") for line in text_of(private / "openphish_until_2026-02.tsv.zst")]
        old, late = (one_a_host(row[2] for row in rows if (row[0] >= SPLIT) is later) for later in (False, True))
        seen = {registrable(host) for host in old}
        return cls(
            every=one_a_host(row[2] for row in rows),
            old=old,
            late=late,
            new={host: path for host, path in late.items() if registrable(host) not in seen},
            homes=one_a_host(line.split("\t")[0] for line in text_of(private / "legit_homepages.tsv.zst")),
            ham=one_a_host(ham_urls(corpora)),
            common=popular(repdata / "may_ship"),
        )

    def told(self) -> Iterator[str]:
        """What there is, and what lists alone know of it."""
        yield f"phishing hosts before {SPLIT} {len(self.old):,}, since then {len(self.late):,}, of them on domains never seen {len(self.new):,}"
        yield f"hosts of wanted mail {len(self.ham):,}, of home pages {len(self.homes):,}"
        yield f"lists alone: {np.mean([host in self.old for host in self.late]):.1%} of the later phishing hosts were seen before"
        known = " / ".join(f"{np.mean(list(map(is_known, hosts))):.1%}" for hosts in (self.ham, self.homes, self.new))
        yield f"known as good: of wanted mail / home pages / new phishing {known}"


def measure(data: Data, fold: int) -> tuple[npt.NDArray[np.float64], ...]:
    """Train without one half of the wanted mail and without all home pages; score new phishing, that half, and the home pages."""
    train, held = ({host: path for host, path in data.ham.items() if (_half(host) == fold) is same} for same in (True, False))
    apart = {registrable(host) for host in (*data.homes, *held)}
    trained = Trained(data.old, {host: "" for host in data.common if registrable(host) not in apart}, train)
    bad, good, home = trained.scores(data.new), trained.scores(held), trained.scores(data.homes)
    for what, scores in (("home pages", home), ("wanted mail", good)):
        found = " / ".join(f"{recall(bad, scores, share):.3f}" for share in (0.001, 0.005, 0.01))
        print(f"fold {fold}: recall at 0.1 / 0.5 / 1 % of {what}: {found}", flush=True)
    return bad, good, home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repdata", type=Path)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--out", type=Path, default=Path(str(DATA / FOLDER)))
    chosen = parser.parse_args()
    data = Data.read(chosen.repdata, chosen.corpora)
    print("\n".join(data.told()), flush=True)
    bad, good, home = (np.concatenate(parts) for parts in zip(*[measure(data, fold) for fold in (0, 1)], strict=True))
    thresholds = {name: round(float(np.sort(good)[::-1][int(len(good) * share)]) + 1e-3, 3) for name, share in SHARES.items()}
    for name, threshold in thresholds.items():
        parts = (("wanted mail", good), ("home pages", home), ("new phishing", bad))
        print(f"{name} from {threshold:.2f}: " + ", ".join(f"{(scores > threshold).mean():.2%} of {what}" for what, scores in parts))
    final = Trained(data.every, data.common, data.ham)
    chosen.out.mkdir(parents=True, exist_ok=True)
    np.save(chosen.out / "weights.npy", final.weights)
    (chosen.out / "settings.json").write_bytes(msgspec.json.format(msgspec.json.encode(final.model(thresholds).settings)) + b"\n")
    print(f"written: {chosen.out}")


if __name__ == "__main__":
    main()
