"""Protected networks."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from mailward.policy.lists import NetworkList
from mailward.reputation.address import source
from mailward.reputation.ip import starter
from mailward.reputation.ip.protected import DATA, Protected


def holds(protected: Protected, text: str) -> bool:
    found = source(text)
    assert found is not None
    return protected.holds(found)


def test_big_senders_and_own_networks_are_protected() -> None:
    """Google, Microsoft and what the settings name, to the last address and not one further."""
    own = Protected(NetworkList(["198.51.100.0/28", "2001:db8::/48", "203.0.113.9"]).networks())
    for inside in ("209.85.128.0", "209.85.255.255", "40.92.0.1", "2a00:1450:4864::1", "198.51.100.15", "2001:db8::1", "203.0.113.9"):
        assert holds(own, inside), inside
    for outside in ("209.86.0.0", "198.51.100.16", "2001:db8:1::", "203.0.113.8", "::", "0.0.0.0", "255.255.255.255"):
        assert not holds(own, outside), outside
    assert not holds(Protected(), "198.51.100.1")


def test_columns_say_the_same() -> None:
    """The ranges as columns are sorted, disjoint and hold what `holds` says."""
    protected = Protected()
    first, last = protected.v4
    assert len(first) > 500
    assert (first <= last).all()
    assert (last[:-1] < first[1:]).all()
    assert [int(column[0]) for column in protected.ranges(4)[0]] == [int(first[0])]


def test_the_packaged_lists_are_what_the_public_ones_say(shared: Path, tmp_path: Path) -> None:
    """The files in the package are those that the command makes today, and every network of the sources is in them."""
    public = shared / "repdata" / "may_ship"
    starter.build(public, tmp_path)
    for name in ("protected.txt", "starter.txt"):
        assert (tmp_path / name).read_text() == (DATA / name).read_text()
    protected = Protected()
    for text in json.loads((public / "warninglists" / "smtp-sending-ips.json").read_text())["list"]:
        network = ipaddress.ip_network(text)
        assert holds(protected, str(network[0]))
        assert holds(protected, str(network[-1]))
