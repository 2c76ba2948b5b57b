"""Two made-up worlds of senders, for measuring the dynamic database where no recorded stream may be published.

`one_site` has the size and the habits of a recorded stream of one site (75,000 messages in 90 days): its make-up is chosen so
that plain memory of addresses meets as much spam and ham in it as it does there. `sixty_days` has good senders of every
volume beside what is hard to tell from spam sources: forwarders, address pools behind NAT, free-mail providers, hacked servers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mailward.reputation.address import Source
from mailward.reputation.evidence import EvidenceKind
from mailward.reputation.ip.replay import Row

HOUR, DAY = 3600.0, 86400.0
START = 1_700_000_000.0


class World:
    """Rows as they are drawn, and what each source truly is."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.kinds: dict[Source, str] = {}
        self._rows: list[Row] = []
        self._used: set[int] = set()

    def network(self) -> int:
        """The first address of an unused /24."""
        while True:
            net = int(self.random.integers(11 << 16, 126 << 16)) << 8
            if net not in self._used:
                self._used.add(net)
                return net

    def host(self, kind: str, net: int | None = None) -> Source:
        """An address that nobody has yet, in `net` or in a network of its own."""
        base = self.network() if net is None else net
        while True:
            found = Source(4, base + int(self.random.integers(1, 255)))
            if found not in self.kinds:
                self.kinds[found] = kind
                return found

    def send(self, source: Source, times: Iterator[float] | np.ndarray, spam: float | np.ndarray) -> None:
        """Messages at those seconds; `spam` is the probability of each to be judged as spam."""
        times = np.asarray(times)
        judged = self.random.random(len(times)) < spam
        for time, bad in zip(times, judged, strict=True):
            self._rows.append(Row(START + float(time), source, EvidenceKind.SPAM if bad else EvidenceKind.HAM))

    def burst(self, source: Source, start: float, count: int, seconds: float) -> None:
        """`count` spam messages from `start` on, the gaps drawn evenly over `seconds`."""
        self.send(source, start + np.sort(self.random.random(count)) * seconds, 1.0)

    def rows(self) -> list[Row]:
        return sorted(self._rows, key=lambda row: row.time)


def one_site(seed: int = 1, spam: int = 50_000, ham: int = 25_000, days: int = 90) -> World:
    """The recorded stream's double."""
    world = World(seed)
    random = world.random
    sent = 0
    while sent < spam:
        start, kind = random.random() * days * DAY, random.random()
        if kind < 0.66:  # an address that is never met again
            world.burst(world.host("bot"), start, 1, 1.0)
            sent += 1
        elif kind < 0.675:  # a network where one address after the other is used
            net, count = world.network(), int(min(40, 2 + random.pareto(1.2) * 2))
            for _ in range(count):
                world.burst(world.host("snowshoe", net), start + random.exponential(10 * HOUR), 1, 1.0)
            sent += count
        else:  # a burst; some come back a few hours or days later
            source, count = world.host("bot"), int(min(400, 2 + random.pareto(1.3) * 1.2))
            world.burst(source, start, count, random.exponential(0.35 * HOUR))
            sent += count
            while random.random() < 0.45:
                start += random.exponential(6 * HOUR if random.random() < 0.7 else 6 * DAY)
                world.burst(source, start, 1, 1.0)
                sent += 1
    senders = [world.host("good") for _ in range(1_500)]
    volumes = random.zipf(1.35, len(senders)).clip(1, 2_000).astype(float)
    for source, count in zip(senders, random.multinomial(ham, volumes / volumes.sum()), strict=True):
        world.send(source, random.random(count) * days * DAY, 0.0)
    busiest = np.argsort(volumes)[-8:]
    for number in {
        *busiest.tolist(),
        *random.choice(len(senders), 60, replace=False).tolist(),
    }:  # free-mail, universities, forwarders: they send both
        world.kinds[senders[number]] = "mixed"
        world.send(senders[number], random.random(int(random.integers(1, 12))) * days * DAY, 1.0)
        world.burst(senders[number], random.random() * days * DAY, int(random.integers(1, 8)), HOUR)
    return world


def sixty_days(seed: int = 2, good: int = 40_000) -> World:
    """Good senders of every volume, and everything that looks like a spam source and is none, or only for a while."""
    world = World(seed)
    random, length = world.random, 60 * DAY
    _bots(world, length)
    hosting = [world.network() for _ in range(400)]  # rented servers: some of the neighbours are bad
    for net in hosting:
        for _ in range(int(random.integers(0, 12))):
            world.burst(world.host("bot", net), random.random() * length, int(random.integers(1, 60)), 6 * HOUR)
    volumes = random.zipf(1.6, good).clip(1, 5_000)
    for count in volumes:
        net = hosting[int(random.integers(len(hosting)))] if random.random() < 0.2 else None
        misjudged = 0.01 if random.random() < 0.02 else 0.0005  # one sender in fifty writes what looks like spam
        world.send(world.host("good", net), np.sort(random.random(count) * length), misjudged)
    for _ in range(60):  # aliases and alumni addresses: they hand on the spam of others
        world.send(world.host("forwarder"), random.random(int(random.integers(100, 3_000))) * length, float(random.uniform(0.02, 0.3)))
    for _ in range(10):
        net = world.network()
        for _ in range(20):  # free-mail: mostly wanted, some accounts abused
            world.send(
                world.host("free-mail", net), random.random(int(random.integers(200, 2_000))) * length, float(random.uniform(0.01, 0.15))
            )
    for _ in range(150):  # many users behind one address, one of them infected for a day
        source, start = world.host("nat pool"), random.random() * length
        world.send(source, random.random(int(random.integers(20, 600))) * length, 0.002)
        world.burst(source, start, int(random.integers(10, 300)), DAY)
    for _ in range(60):  # a good server is broken into, and mended six hours later
        source, start = world.host("hacked server"), (0.3 + 0.6 * random.random()) * length
        world.send(source, random.random(int(random.integers(50, 2_000))) * length, 0.0005)
        world.burst(source, start, int(random.integers(100, 1_500)), 6 * HOUR)
    return world


def _bots(world: World, length: float) -> None:
    random = world.random
    for _ in range(15_000):
        source, start = world.host("bot"), random.random() * length
        for _ in range(1 + int(random.random() < 0.3)):
            world.burst(source, start, int(min(300, 1 + random.pareto(1.2) * 1.5)), random.exponential(1.5 * HOUR))
            start += random.exponential(3 * DAY)
    for _ in range(60):
        net, start = world.network(), random.random() * length
        for _ in range(int(random.integers(20, 120))):
            world.burst(world.host("snowshoe", net), start + random.random() * 3 * DAY, int(random.integers(1, 8)), 2 * HOUR)
