"""CPU time of rating URLs: python benchmarks/ratings.py. Names are made up by a seed; the least disturbed of five rounds counts."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from mailward.reputation.url import rater
from mailward.reputation.url.rater import Rater

COUNT, ROUNDS, IN_A_MESSAGE = 4000, 5, 50
BARS = {"unseen": 100.0, "cached": 5.0, "message": 5000.0}  # microseconds
_WORDS = "mail shop garden north river login paper house account club blue news secure cloud train".split()
_SUFFIXES = "com org net co.uk de top xyz pages.dev github.io com.br shop weebly.com".split()


def made_up(seed: int, count: int) -> list[str]:
    """URLs of as many hosts, none twice."""
    choice = random.Random(seed)

    def one(number: int) -> str:
        words = choice.sample(_WORDS, choice.randint(1, 2))
        path = "/".join(choice.sample(_WORDS, choice.randint(0, 3)))
        return f"https://{'-'.join(words)}{number}{seed}.{choice.choice(_SUFFIXES)}/{path}{choice.choice(['', '?id=1', 'index.html'])}"

    return [one(number) for number in range(count)]


def best(rate: Callable[[str], object], rounds: list[list[str]]) -> float:
    """Microseconds of CPU a URL."""
    times = []
    for urls in rounds:
        started = time.process_time_ns()
        for url in urls:
            rate(url)
        times.append((time.process_time_ns() - started) / len(urls) / 1e3)
    return min(times)


def measured(rating: Rater) -> dict[str, float]:
    """Unseen and cached: of one URL; message: of as many unseen ones as IN_A_MESSAGE."""
    rounds = [made_up(seed, COUNT) for seed in range(ROUNDS)]
    best(rating.rate, [made_up(99, 200)])  # maps, tables and patterns are loaded at first use
    unseen = best(rating.rate, rounds)
    known = [["https://www.debian.org/distrib/", "https://bit.ly/3abcdef", "https://www.wikipedia.org/"] * 1000] * ROUNDS
    message = best(rating.rate, [made_up(seed, IN_A_MESSAGE) for seed in range(100, 120)]) * IN_A_MESSAGE
    return {"unseen": unseen, "cached": max(best(rating.rate, rounds[-1:] * ROUNDS), best(rating.rate, known)), "message": message}


def main() -> int:
    rating = rater.load()
    found = measured(rating)
    print(f"{COUNT:,} hosts a round, {ROUNDS} rounds, {time.strftime('%Y-%m-%d')}, Python {sys.version.split()[0]}")
    for name, took in found.items():
        what = f"{IN_A_MESSAGE} unseen URLs of a message" if name == "message" else f"{name} URL"
        print(f"{what:28} {took:9.2f} us CPU (bar {BARS[name]:,.0f})")
    return int(any(took > BARS[name] for name, took in found.items()))


if __name__ == "__main__":
    raise SystemExit(main())
