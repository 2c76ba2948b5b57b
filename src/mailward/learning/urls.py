"""Train and measure the URL model: `python -m mailward.learning.urls REPDATA CORPORA [--validate] [--out FOLDER]`.

Phishing is openphish, split in time: what was first seen before SPLIT trains, hosts and registrable domains seen only later test. Wanted
hosts are links of wanted mail, search results of 2017 with their paths, home pages of free software, and popular names. One half of their
registrable domains trains while the other is scored, and the other way round. One row a host everywhere. `--validate` splits four months
earlier and looks at one half of the wanted hosts only: every choice was made there.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import random
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import can_ada
import msgspec
import numpy as np
import numpy.typing as npt

from mailward.learning.corpora import entries
from mailward.learning.urlfit import MOST_BAD, MOST_COMMON, SEED, Groups, Rows, fit
from mailward.message import parse
from mailward.reputation.knowledge import DATA, registrable
from mailward.reputation.url.features import name_of
from mailward.reputation.url.model import FOLDER, UrlModel
from mailward.reputation.url.rater import answered

SPLIT, VALIDATION = "2025-10", "2025-06"
CODE = frozenset("github.io gitlab.io readthedocs.io sourceforge.io bitbucket.io codeberg.page".split())
SHARES = {
    "dangerous": 0.0005,
    "highly_suspicious": 0.002,
    "suspicious": 0.01,
}  # of wanted hosts, mail or home pages, that may score so high
REPORTED = (0.001, 0.005, 0.01)
WANTED = ("ham", "pages", "homes")

Hosts = dict[str, str]  # host -> a path of it
Scores = npt.NDArray[np.float64]


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


def search_results(packed: Path) -> list[str]:
    """The legitimate half of ebbu2017: pages found by a search engine."""
    import zstandard

    with packed.open("rb") as file, tarfile.open(fileobj=zstandard.ZstdDecompressor().stream_reader(file), mode="r|") as archive:
        for member in archive:
            if member.name.endswith("legit.json") and (inner := archive.extractfile(member)):
                return list(json.loads(inner.read()))
    raise ValueError(f"{packed}: no legit.json in it")


def _half(host: str) -> int:
    return hashlib.blake2b(registrable(host).encode(), digest_size=1).digest()[0] % 2


@dataclass(frozen=True, slots=True)
class Data:
    """What trains and what tests. `new`: phishing since the split on registrable domains never met before it."""

    groups: Groups  # bad, common, ham, pages, homes
    half: dict[str, npt.NDArray[np.int64]]
    new: Hosts
    late: Hosts  # phishing since the split, all of it
    every: Hosts  # all phishing
    seen: float  # share of `late` whose host was met before

    @classmethod
    def read(cls, repdata: Path, corpora: Path, split: str, until: str) -> Data:
        private = repdata / "development_only"
        lines = [line.rstrip("\n").split("\t") for line in text_of(private / "openphish_until_2026-02.tsv.zst")]
        old = one_a_host(row[2] for row in lines if row[0] < split)
        late = one_a_host(row[2] for row in lines if split <= row[0] < until)
        domains = {registrable(host) for host in old}
        wanted = {
            "common": {host: path for host, path in popular(repdata / "may_ship").items() if "." in host and host not in old},
            "ham": one_a_host(ham_urls(corpora)),
            "pages": one_a_host(search_results(private / "ebbu2017.tar.zst")),
            "homes": one_a_host(line.split("\t")[0] for line in text_of(private / "legit_homepages.tsv.zst")),
        }
        wanted["common"] = some(wanted["common"], 2 * MOST_COMMON)  # one half of them trains at a time
        groups = {name: _rows(hosts) for name, hosts in ({"bad": some(old, MOST_BAD)} | wanted).items()}
        return cls(
            groups,
            {name: np.array([_half(host) for host in hosts]) for name, hosts in wanted.items()},
            {host: path for host, path in late.items() if registrable(host) not in domains},
            late,
            one_a_host(row[2] for row in lines),
            float(np.mean([host in old for host in late])),
        )

    def without(self, half: int, homes: bool = True) -> Groups:
        """To train on: nothing of this half of the wanted domains; without `homes` no home page at all."""
        return {
            name: rows if name == "bad" else rows.take(self.half[name] != half)
            for name, rows in self.groups.items()
            if homes or name != "homes"
        }

    def held(self, name: str, half: int) -> Hosts:
        rows = self.groups[name]
        return dict(host for host, part in zip(rows.hosts, self.half[name], strict=True) if part == half)

    def told(self) -> Iterator[str]:
        """What there is, and what lists alone know of it."""
        sizes = ", ".join(f"{name} {len(rows.hosts):,}" for name, rows in self.groups.items())
        yield f"hosts to train on: {sizes}; phishing later {len(self.late):,}, of them on domains never met {len(self.new):,}"
        yield f"lists alone: {self.seen:.1%} of the later phishing hosts were met before"
        known = {name: [bool(answered(host)) for host, _ in self.groups[name].hosts] for name in WANTED}
        known["new phishing"] = [bool(answered(host)) for host in self.new]
        yield "answered by packaged lists, so that the model is not asked: " + ", ".join(
            f"{np.mean(k):.1%} of {n}" for n, k in known.items()
        )


def some(hosts: Hosts, most: int) -> Hosts:
    return dict(random.Random(SEED).sample(list(hosts.items()), most)) if len(hosts) > most else hosts


def _rows(hosts: Hosts) -> Rows:
    return Rows.of(hosts.items(), np.array([not answered(host) for host in hosts], bool))


def scores(model: UrlModel, hosts: Hosts, lists: bool = True) -> Scores:
    """As the model rates; what lists answer gets the least there is."""
    return np.array([-99.0 if lists and answered(host) else model.look(host, path).score for host, path in hosts.items()])


def recall(bad: Scores, good: Scores, share: float) -> float:
    """Of bad hosts above the score that at most this share of good ones exceeds."""
    return float((bad > np.sort(good)[::-1][int(len(good) * share)]).mean())


def wilson(share: float, count: int) -> tuple[float, float]:
    """The interval a share of so many lies in, 95 %."""
    z = 1.96
    middle, wide = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - wide) / (1 + z * z / count), (middle + wide) / (1 + z * z / count)


def told_share(hits: npt.NDArray[np.bool_]) -> str:
    low, high = wilson(float(hits.mean()), len(hits))
    return f"{hits.mean():.2%} [{low:.2%}, {high:.2%}] ({int(hits.sum())} of {len(hits):,})"


def kind_of(host: str) -> str:
    name = name_of(host)
    return "software" if name.suffix in CODE else name.group


def measure(data: Data, half: int, homes: bool) -> tuple[Scores, dict[str, Scores]]:
    """Train without one half of the wanted domains; score new phishing and that half (all home pages where none trained)."""
    model = fit(data.without(half, homes), dict.fromkeys(SHARES, 0.0))
    held = {name: data.held(name, half) for name in WANTED}
    if not homes:
        held["homes"] = dict(data.groups["homes"].hosts)
    bad, good = scores(model, data.new), {name: scores(model, hosts) for name, hosts in held.items()}
    what = f"half {half}{'' if homes else ', no home page in training'}"
    told_recall(what, bad, good)
    if homes:
        told_recall(
            f"{what}, model without lists", scores(model, data.new, False), {name: scores(model, held[name], False) for name in WANTED}
        )
    return bad, good


def told_recall(what: str, bad: Scores, good: dict[str, Scores]) -> None:
    for name, held in good.items():
        print(f"{what}: recall at {' / '.join(f'{share:.1%}' for share in REPORTED)} of {name} ({len(held):,}): "
              f"{' / '.join(f'{recall(bad, held, share):.3f}' for share in REPORTED)}", flush=True)  # fmt: skip


def thresholds_for(good: dict[str, Scores]) -> dict[str, float]:
    """Scores that at most SHARES of the hosts of wanted mail and of home pages exceed, each."""
    return {
        name: round(max(float(np.sort(good[of])[::-1][int(len(good[of]) * share)]) for of in ("ham", "homes")) + 1e-3, 3)
        for name, share in SHARES.items()
    }


def told_levels(thresholds: dict[str, float], bad: Scores, good: dict[str, Scores], kinds: npt.NDArray[np.str_]) -> None:
    for name, threshold in thresholds.items():
        print(f"{name} from {threshold:.2f}: " + "; ".join(f"{told_share(part >= threshold)} of {of}"
              for of, part in (good | {"new phishing": bad}).items()))  # fmt: skip
        print("   of new phishing by kind: " + ", ".join(f"{kind} {(bad[kinds == kind] >= threshold).mean():.1%} of {(kinds == kind).sum():,}"
              for kind in sorted(set(kinds))), flush=True)  # fmt: skip


def write(model: UrlModel, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "weights.npy", model.weights)
    for part in ("features", "limits", "values"):
        table = getattr(model.trees, part)
        np.save(folder / f"tree_{part}.npy", table.astype(np.int16) if part == "features" else table)
    (folder / "settings.json").write_bytes(msgspec.json.encode(model.settings) + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repdata", type=Path)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--validate", action="store_true", help="split at VALIDATION, look at one half, write nothing")
    parser.add_argument("--out", type=Path, default=Path(str(DATA / FOLDER)))
    chosen = parser.parse_args()
    split, until = (VALIDATION, SPLIT) if chosen.validate else (SPLIT, "9")
    data = Data.read(chosen.repdata, chosen.corpora, split, until)
    print("\n".join(data.told()), flush=True)
    halves = [measure(data, half, homes=True) for half in ((0,) if chosen.validate else (0, 1))]
    bad, good = np.concatenate([bad for bad, _ in halves]), {name: np.concatenate([good[name] for _, good in halves]) for name in WANTED}
    told_recall("both", bad, good)
    thresholds = thresholds_for(good)
    told_levels(thresholds, bad, good, np.tile([kind_of(host) for host in data.new], len(halves)))
    if chosen.validate:
        return
    final = fit(data.groups | {"bad": _rows(some(data.every, MOST_BAD))}, thresholds)
    print("as shipped, trained on them: " + "; ".join(
        f"{name} {told_share(scores(final, dict(data.groups[name].hosts)) >= thresholds['highly_suspicious'])}" for name in WANTED
    ))  # fmt: skip
    write(final, chosen.out)
    print(f"written: {chosen.out}", flush=True)
    measure(data, 0, homes=False)


if __name__ == "__main__":
    main()
