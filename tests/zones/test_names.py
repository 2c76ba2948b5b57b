"""Addresses as names, ranges as wildcards: checked against the rules of RFC 4592 as dnspython's own names know them."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.reputation.zone import names, wire


def existing(owners: set[str]) -> set[str]:
    """All names that exist with these: themselves and those above them."""
    return {".".join(labels[at:]) for owner in owners for labels in [owner.split(".")] for at in range(len(labels))} | {""}


def lookup(owners: set[str], names: set[str], asked: str) -> str | None:
    """The owner that answers a name below the zone (RFC 1034 4.3.2, RFC 4592): itself, or the wildcard at its closest encloser."""
    if asked in names:
        return asked if asked in owners else None
    labels = asked.split(".")
    encloser = next(".".join(labels[at:]) for at in range(1, len(labels) + 1) if ".".join(labels[at:]) in names)
    wildcard = f"*.{encloser}" if encloser else "*"
    return wildcard if wildcard in owners else None


@given(st.integers(0, 2**32 - 1))
def test_v4_names_are_read_as_written(number: int) -> None:
    """An address comes back from its own name."""
    labels = names.owner(4, number)
    assert labels == ".".join(reversed(str(ipaddress.IPv4Address(number)).split(".")))
    assert names.address(wire.name(labels)[:-1]) == (4, number)


@given(st.integers(0, 2**128 - 1))
def test_v6_names_are_read_as_written(number: int) -> None:
    """An address comes back from its own name."""
    labels = names.owner(6, number)
    assert f"{labels}.ip6.arpa" == ipaddress.IPv6Address(number).reverse_pointer
    assert names.address(wire.name(labels)[:-1]) == (6, number)


@pytest.mark.parametrize(
    "labels", ["1.2.3", "1.2.3.4.5", "256.1.1.1", "01.1.1.1", "1.1.1.a", "+1.1.1.1", " 1.1.1.1", "1_0.1.1.1", "g" + ".0" * 31]
)
def test_other_names_are_no_address(labels: str) -> None:
    """Nothing but four octets without leading zeros or 32 nibbles is an address."""
    assert names.address(b"".join(bytes((len(label),)) + label.encode() for label in labels.split("."))) is None


RANGES = [
    ("192.0.2.0", "192.0.2.255", ["*.2.0.192"]),
    ("192.0.2.0", "192.0.3.1", ["*.2.0.192", "0.3.0.192", "1.3.0.192"]),
    ("192.0.2.255", "192.0.3.0", ["255.2.0.192", "0.3.0.192"]),
    ("10.0.0.0", "11.255.255.255", ["*.10", "*.11"]),
    ("2001:db8::", "2001:db8:0:ffff:ffff:ffff:ffff:ffff", ["*.0.0.0.0.8.b.d.0.1.0.0.2"]),
    ("2001:db8::", "2001:db8::10", ["*." + "0." * 23 + "8.b.d.0.1.0.0.2", "0.1." + "0." * 22 + "8.b.d.0.1.0.0.2"]),
]


@pytest.mark.parametrize(("first", "last", "expected"), RANGES)
def test_ranges_become_wildcards(first: str, last: str, expected: list[str]) -> None:
    """Whole octets and nibbles are wildcards, the rest single names."""
    start, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
    assert list(names.owners(start.version, int(start), int(end))) == expected


def test_no_wildcard_means_both_families() -> None:
    """2.4.0.0/24 is 256 names, for *.0.4.2 would list 2400::/12 too; 2.40.0.0/16 is safe; 2400::/12 is 16 wildcards of a /16."""
    assert len(list(names.owners(4, 0x02040000, 0x020400FF))) == 256
    assert list(names.owners(4, 0x02280000, 0x0228FFFF)) == ["*.40.2"]
    assert list(names.owners(6, 0x240 << 116, (0x241 << 116) - 1)) == [f"*.{n:x}.0.4.2" for n in range(16)]


EDGES = [0x01FFFFF0, 0x020003F0, 0x02000000, 0x02040000, 0x020400F0, 0x02090909, 0x0A0A0000, 0xC0000200, 0xC00002FF, 0xC0000300, 0xC1000000]
EDGES_V6 = [
    0x2 << 124,
    0x204 << 116,
    0x2040 << 112,
    (0x2040 << 112) + 15,
    0x20010DB8 << 96,
    (0x20010DB8 << 96) + 0x1000,
    (0x20010DB9 << 96),
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(EDGES).flatmap(lambda edge: st.integers(edge - 300, edge + 700)), min_size=2, max_size=8, unique=True),
    st.lists(st.sampled_from(EDGES_V6).flatmap(lambda edge: st.integers(edge - 20, edge + 40)), min_size=2, max_size=6, unique=True),
    st.randoms(use_true_random=False),
)
def test_names_of_disjoint_ranges_match_their_addresses_and_no_others(v4: list[int], v6: list[int], chance: random.Random) -> None:
    """Whatever disjoint ranges of both families are in one zone, exactly their addresses are found in it, by the right range."""
    owners: dict[str, tuple[int, int, int]] = {}
    ranges = [
        (version, first, last)
        for version, ends in ((4, sorted(v4)), (6, sorted(v6)))
        for first, last in zip(ends[::2], [end - 1 if end in ends[::2] else end for end in ends[1::2]], strict=False)
    ]
    for version, first, last in ranges:
        if (last - first) >> 17:
            last = first + chance.randrange(1 << 10)
        covered = 0
        for owner in names.owners(version, first, last):
            assert owner not in owners
            owners[owner] = (version, first, last)
            covered += names.size(version, owner)
        assert covered == last - first + 1
    exact = set(owners.values())
    probes = {(version, end + step) for version, first, last in exact for end in (first, last) for step in (-256, -1, 0, 1, 17, 256)}
    probes |= {(version, chance.randrange(first, last + 1)) for version, first, last in exact}
    known, above = set(owners), existing(set(owners))
    for version, number in probes:
        if number < 0:
            continue
        inside = [one for one in exact if one[0] == version and one[1] <= number <= one[2]]
        found = lookup(known, above, names.owner(version, number))
        assert (owners[found] if found else None) == (inside[0] if inside else None)
