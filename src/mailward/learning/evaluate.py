"""Measure the content model: each source left out in turn, on line in time order, or as shipped."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mailward.content.evidence import gather
from mailward.content.local import Lesson, LocalModel, empty, features, learn
from mailward.content.model import Model, load, total
from mailward.learning.corpora import entries, read
from mailward.learning.examples import Example, corpora_in, read_all
from mailward.learning.measure import Scores, auc, lam, recall_at, wilson
from mailward.learning.train import Wordings, by_source, train
from mailward.message import parse
from mailward.message.origin import envelope_from_trace, origin
from mailward.scan.assess import Site, recorded_for

LEVELS = {"low": 8.0, "medium": 5.0, "high": 4.0}
RATES = (0.001, 0.005, 0.01)
APART = frozenset({"synthetic_ham"})  # made by a machine: reported, never part of an average

Row = dict[str, Any]


def main(corpora: Sequence[Path], protocol: str, as_json: bool = False, say: Callable[[str], None] = lambda _: None) -> None:
    """Measure by one protocol and print a table, or one JSON object."""
    started = time.time()
    if protocol == "online":
        result = online(corpora, say)
    else:
        sources = by_source(read_all(corpora))
        say("corpora read")
        scores = loso(sources, say) if protocol == "loso" else fixed(sources)
        result = {"rows": [row(name, examples, scores[name]) for name, examples in sources.items()]}
        result["average"] = average(result["rows"])
        result["by_kind"] = by_kind(sources, scores)
    result |= {"protocol": protocol, "seconds": round(time.time() - started), "date": time.strftime("%Y-%m-%d")}
    if as_json:
        print(json.dumps(result))
    else:
        _print(result)


def loso(sources: dict[str, list[Example]], say: Callable[[str], None]) -> dict[str, Scores]:
    """Score each source by a model trained, weighted and calibrated on all others."""
    wordings = Wordings(sources, say)
    return {name: _score(train(wordings, name, f"without {name}"), examples) for name, examples in sources.items()}


def fixed(sources: dict[str, list[Example]]) -> dict[str, Scores]:
    """Score by the shipped model. It has seen this mail: good for finding mistakes, no measure of quality."""
    model = load()
    return {name: _score(model, examples) for name, examples in sources.items()}


def _score(model: Model, examples: Sequence[Example]) -> Scores:
    return np.array([total(model.judge(example.evidence)) for example in examples])


def row(name: str, examples: Sequence[Example], scores: Scores) -> Row:
    """The figures of one source."""
    is_bad = np.array([example.entry.bad for example in examples])
    bad, ham = scores[is_bad], scores[~is_bad]
    result: Row = {"source": name, "ham": int(ham.size), "bad": int(bad.size)}
    if ham.size and bad.size:
        result["auc"] = auc(bad, ham)
        result |= {f"recall_at_{rate:.1%}": recall_at(bad, ham, rate) for rate in RATES}
    for level, threshold in LEVELS.items():
        for side, values in (("recall", bad), ("ham", ham)):
            if values.size:
                count = int((values >= threshold).sum())
                result[f"{side}_{level}"] = {"count": count, "share": count / values.size, "interval": wilson(count, values.size)}
    return result


def average(rows: Sequence[Row]) -> Row:
    """Macro-averages: every source counts the same."""
    used = [row for row in rows if row["source"] not in APART]
    two = [row for row in used if "auc" in row]
    result: Row = {f"recall_at_{rate:.1%}": float(np.mean([row[f"recall_at_{rate:.1%}"] for row in two])) for rate in RATES} if two else {}
    for level in LEVELS:
        for side in ("recall", "ham"):
            shares = [row[f"{side}_{level}"]["share"] for row in used if f"{side}_{level}" in row]
            if shares:
                result[f"{side}_{level}"] = float(np.mean(shares))
    return result


def by_kind(sources: dict[str, list[Example]], scores: dict[str, Scores]) -> dict[str, Any]:
    """Ham at Medium by language and kind, where the corpus knows them; kinds with none are counted only."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, examples in sources.items():
        for one, score in zip(examples, scores[name], strict=True):
            if one.entry.kind and not one.entry.bad:
                for part in (f"{name} language {one.entry.kind.split('/')[0]}", f"{name} kind {one.entry.kind.split('/')[1]}"):
                    found[part][0] += int(score >= LEVELS["medium"])
                    found[part][1] += 1
    return {"kinds": len(found), "with_false_positives": {name: counts for name, counts in sorted(found.items()) if counts[0]}}


def online(corpora: Sequence[Path], say: Callable[[str], None]) -> dict[str, Any]:
    """The TREC protocol on each corpus named: score, then learn the true label at once, in order of date.

    Twice: from nothing, and from a model made of the other corpora in the same folder. Mail as it lies there, not normalised: a site learns
    its own hops and habits. The time is that of scoring and learning together, without parsing.
    """
    results = []
    for path in corpora_in(corpora):
        todo = sorted(entries(path), key=lambda entry: (entry.date, str(entry.path)))
        folder = path.parent
        others = [other for other in corpora_in([folder]) if other != path]
        models: list[tuple[str, Model | None]] = [("from nothing", None)]
        if others:
            models.append(("from a model of the other corpora", train(Wordings(by_source(read_all(others)), say), None, "others")))
        for start, model in models:
            results.append({"corpus": path.name, "start": start} | _online(todo, model))
    return {"online": results}


def _online(todo: Sequence[Any], model: Model | None) -> Row:
    local: LocalModel = empty()
    bad: list[float] = []
    ham: list[float] = []
    spent = 0.0
    for entry in todo:
        message = parse(read(entry))
        envelope = envelope_from_trace(message)
        source = origin(message, envelope)
        begun = time.process_time()
        evidence = gather(message, source, envelope, recorded_for(message, envelope, source, Site()))
        found = features(message, source.hop, evidence)
        score = 5.0 if model is None else total(model.judge(evidence))
        (bad if entry.bad else ham).append(score + local.correction(found))
        learn(local.table, Lesson(entry.bad, score, found))
        spent += time.process_time() - begun
    wrong, missed = sum(score >= 5.0 for score in ham), sum(score < 5.0 for score in bad)
    return {
        "ham": len(ham),
        "bad": len(bad),
        "one_minus_roca_pct": 100 * (1 - auc(np.array(bad), np.array(ham))),
        "lam_pct": 100 * lam(wrong, len(ham), missed, len(bad)),
        "ham_wrong": wrong,
        "bad_missed": missed,
        "cpu_ms": 1000 * spent / max(len(todo), 1),
    }


def _print(result: dict[str, Any]) -> None:
    for one in result.get("online", ()):
        print(
            f"{one['corpus']} ({one['ham']:,} ham, {one['bad']:,} bad), {one['start']}: (1-ROCA) {one['one_minus_roca_pct']:.4f} %, "
            f"lam {one['lam_pct']:.3f} %, ham wrong {one['ham_wrong']}, bad missed {one['bad_missed']}, "
            f"score and learn {one['cpu_ms']:.2f} ms CPU"
        )
    if "rows" in result:
        _print_rows(result)
    print(f"protocol {result['protocol']}, {result['date']}, {result['seconds']} s")


def _print_rows(result: dict[str, Any]) -> None:
    print(f"{'source':18}{'ham':>6}{'bad':>6}{'AUC':>8}  recall at 0.1/0.5/1 %   recall L/M/H        ham at or above L/M/H")
    for one in result["rows"]:
        area = f"{one['auc']:8.4f}" if "auc" in one else f"{'-':>8}"
        rates = " ".join(f"{one[f'recall_at_{rate:.1%}']:.3f}" for rate in RATES) if "auc" in one else "-"
        recall = " ".join(f"{one[f'recall_{level}']['share']:.3f}" for level in LEVELS) if one["bad"] else "-"
        above = " ".join(f"{one[f'ham_{level}']['share']:.2%} ({one[f'ham_{level}']['count']})" for level in LEVELS) if one["ham"] else "-"
        print(f"{one['source']:18}{one['ham']:6}{one['bad']:6}{area}  {rates:22}  {recall:18}  {above}")
        if one["ham"]:
            low, high = one["ham_medium"]["interval"]
            print(f"{'':46}ham at Medium, 95 %: {low:.2%} to {high:.2%}")
    print("average of sources:", ", ".join(f"{name} {value:.4f}" for name, value in result["average"].items()))
    kinds = result["by_kind"]
    if kinds["kinds"]:
        told = ", ".join(f"{name} {counts[0]}/{counts[1]}" for name, counts in kinds["with_false_positives"].items()) or "none"
        print(f"languages and kinds with ham at Medium ({kinds['kinds']} looked at): {told}")
