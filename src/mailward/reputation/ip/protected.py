"""Networks that nobody lists lightly: those of the big mail senders, and the operator's own.

One bad customer of a sender of millions must not stop the others. The known senders come with the package
(`data/protected.txt`, made by `ip/starter.py`); the operator adds `[reputation] protected_networks`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

import numpy as np
import numpy.typing as npt

from mailward.policy.lists import Network
from mailward.reputation.address import Source
from mailward.reputation.ip.ranges import Numbers, numbers

DATA = files("mailward.reputation") / "data"


class Protected:
    """Addresses of the known senders and of `networks`. Immutable; a question costs half a microsecond."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._starts: dict[int, list[int]] = {4: [], 6: []}
        self._ends: dict[int, list[int]] = {4: [], 6: []}
        for network in collapsed((*known_senders(), *networks)):
            self._starts[network.version].append(int(network.network_address))
            self._ends[network.version].append(int(network.broadcast_address))

    def holds(self, source: Source) -> bool:
        """Whether the address is protected."""
        row = bisect_right(self._starts[source.version], source.number) - 1
        return row >= 0 and self._ends[source.version][row] >= source.number

    def ranges(self, version: int) -> tuple[Numbers, Numbers]:
        """First and last addresses of all networks, sorted and disjoint."""
        return numbers(self._starts[version], version), numbers(self._ends[version], version)

    @property
    def v4(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """First and last v4 addresses as columns of a snapshot have them."""
        return np.array(self._starts[4], np.uint32), np.array(self._ends[4], np.uint32)


def collapsed(networks: Iterable[Network]) -> list[Network]:
    """The same addresses in as few networks as can be: v4 first, sorted."""
    every = tuple(networks)
    v4 = collapse_addresses([network for network in every if isinstance(network, IPv4Network)])
    return [*v4, *collapse_addresses([network for network in every if isinstance(network, IPv6Network)])]


@cache
def known_senders() -> tuple[Network, ...]:
    """The networks that come with the package."""
    lines = (DATA / "protected.txt").read_text("ascii").splitlines()
    return tuple(ip_network(line) for line in lines if line and not line.startswith("#"))
