"""With the real programs: a list served by rbldnsd, asked directly and through unbound."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailward.gateway.lists import Reputation
from mailward.gateway.resolver import DnsResolver
from mailward.gateway.settings import Settings
from mailward.policy.dnsbl import read_entry
from mailward.reputation.answer import Outcome, Standing
from mailward.reputation.dnsbl.plan import Plan

ENTRY = read_entry("list.test=127.0.0.[2..4]")
PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(place: str, name: str) -> None:
    """Until a server answers."""

    async def answers() -> bool:
        asking = DnsResolver([place], 0.3, 5)
        try:
            return bool((await asking.ask(name)).addresses)
        finally:
            await asking.close()

    deadline = time.monotonic() + 10
    while not asyncio.run(answers()):
        assert time.monotonic() < deadline, f"{place} does not answer"


@pytest.fixture
def rbldnsd(tmp_path: Path) -> Iterator[str]:
    """host:port of an rbldnsd with a v4 and a v6 list."""
    folder = tmp_path / "rbldnsd"
    folder.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    (folder / "v4").write_text(":127.0.0.2:listed $\n127.0.0.2\n192.0.2.0/28 :127.0.0.3:a network\n")
    (folder / "v6").write_text(":127.0.0.4:listed $\n2001:db8:bad::/48\n")
    port = free_udp_port()
    zones = ["list.test:ip4trie:v4", "list.test:ip6trie:v6"]
    command = [program("rbldnsd"), "-n", "-q", "-b", f"127.0.0.1/{port}", "-w", str(folder), *zones]
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)  # it gives up root and has to read the folder still
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"127.0.0.1:{port}", "2.0.0.127.list.test")
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(5)


@pytest.fixture
def unbound(tmp_path: Path, rbldnsd: str) -> Iterator[str]:
    """host:port of a recursive resolver that finds list.test at rbldnsd, and knows no other zone."""
    port = free_udp_port()
    (tmp_path / "unbound.conf").write_text(
        f"""server:
    interface: 127.0.0.1@{port}
    do-daemonize: no
    use-syslog: no
    username: ""
    chroot: ""
    directory: "{tmp_path}"
    pidfile: ""
    do-not-query-localhost: no
    module-config: "iterator"
    local-zone: "test." nodefault
    local-zone: "gone.test." always_nxdomain
stub-zone:
    name: "list.test"
    stub-addr: {rbldnsd.replace(":", "@")}
stub-zone:
    name: "dead.test"
    stub-addr: 127.0.0.1@{free_udp_port()}
remote-control:
    control-enable: no
"""
    )
    server = subprocess.Popen(
        [program("unbound"), "-d", "-c", str(tmp_path / "unbound.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(f"127.0.0.1:{port}", "2.0.0.127.list.test")
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(5)


async def examine(place: str, tmp_path: Path) -> None:
    reputation = Reputation(Settings.model_validate({"dns": {"servers": [place]}, "state": {"folder": str(tmp_path / "state")}}))
    gone, dead = read_entry("gone.test=127.0.0.2"), read_entry("dead.test=127.0.0.2")
    plan = Plan(standard=(ENTRY,), dynamic=(gone, dead))
    listed = await reputation.ask("192.0.2.7", plan)
    assert (listed.standing, listed.answers[-1].codes) == (Standing.STANDARD, ("127.0.0.3",))
    assert (await reputation.ask("2001:db8:bad::1", plan)).answers[-1].codes == ("127.0.0.4",)
    clear = await reputation.ask("198.51.100.1", plan)
    outcomes = {answer.zone: answer.outcome for answer in clear.answers[2:]}
    assert outcomes == {"list.test": Outcome.CLEAR, "gone.test": Outcome.UNCHECKED, "dead.test": Outcome.UNCHECKED}
    assert (await reputation.ask("2001:db8:9::1", plan)).answers[2].outcome is Outcome.CLEAR
    await reputation.close()


async def test_a_list_served_by_rbldnsd(rbldnsd: str, tmp_path: Path) -> None:
    """v4 and v6, listed and not; zones that the server does not have are switched off."""
    await examine(rbldnsd, tmp_path)


async def test_a_list_asked_through_a_resolver(unbound: str, tmp_path: Path) -> None:
    """The usual way: our resolver knows the list, one zone is gone, and one has dead servers."""
    await examine(unbound, tmp_path)


def test_workers_share_answers(rbldnsd: str, tmp_path: Path) -> None:
    """What one process was told, another that was forked from the same start does not ask: the server may be gone meanwhile."""
    settings = Settings.model_validate({"dns": {"servers": [rbldnsd]}, "state": {"folder": str(tmp_path / "state")}})
    reputation = Reputation(settings)
    child = os.fork()
    if child == 0:
        found = asyncio.run(reputation.ask("192.0.2.7", Plan(standard=(ENTRY,))))
        os._exit(0 if found.standing is Standing.STANDARD else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert reputation.foreign.resolver.cached("7.2.0.192.list.test") is not None
    assert reputation.foreign.resolver.cached("8.2.0.192.list.test") is None
