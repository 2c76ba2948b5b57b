"""mailward beside rspamd and SpamAssassin: the same messages, the same client, the same machine, one run.

    python benchmarks/peers.py [--messages 2400] [--concurrency 1 8 16] [--rounds 2] [--write]

Needs root, the shared folder (its peers' scripts and corpora), and the Debian packages rspamd, unbound and spamd; says what it leaves out. By HTTP
(rspamd's protocol) and by milter, with local rules only, and with the DNS: then SPF, DKIM, DMARC, three lists of addresses and two of domains, answered by
a name server of this machine that knows nothing but the test points of the lists. SpamAssassin is asked by spamc's protocol about the first 300.
Each pair runs back to back, in turn first; rows are means of the rounds. `--write` puts table and picture into docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.bars import bars
from tests.e2e.running import Served, free_port

from mailward.learning.corpora import unpacked

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MAILWARD_SHARED") or ROOT.parent / "shared")
PEERS = SHARED / "peers"
MARKS = ("<!-- peers: benchmarks/peers.py -->", "<!-- /peers -->")
NAME_SERVER = 5399  # where the peers' scripts have rspamd ask
IP_LISTS, URI_LISTS = ("one.ip.test", "two.ip.test", "three.ip.test"), ("one.uri.test", "two.uri.test")
LOCAL = "[authentication]\nenabled = false\n"
ASKING = (
    f"[email_reputation.target]\nstandard_lists = {json.dumps([f'{zone}=127.0.0.2' for zone in IP_LISTS])}\n"
    f"[web_reputation.target]\ndomain_lists = {json.dumps([f'{zone}=127.0.0.2' for zone in URI_LISTS])}\n"
)
SPAMASSASSIN_MESSAGES = 300
WARM = 100
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Way:
    """How a program is asked; ports by program."""

    name: str
    protocol: str
    rspamd_port: int


WAYS = (Way("HTTP", "rspamd", 11433), Way("milter", "milter", 11432))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=2400)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    wanted = parser.parse_args()
    if missing := _missing():
        print(f"left out: needs {missing}")
        return
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        state.chmod(0o755)
        index = _mix(state, wanted.messages)
        rows = [row for asking in (False, True) for row in _compared(state, index, wanted.concurrency, wanted.rounds, asking=asking)]
        rows += _spamassassin(state, index) if shutil.which("spamd", path=PATH) else []
    table = _table(rows)
    print(table)
    if wanted.write:
        _write(table, rows, wanted.messages)


def _missing() -> str:
    programs = [name for name in ("rspamd", "unbound") if shutil.which(name, path=PATH) is None]
    wants = [f"the Debian packages of {' and '.join(programs)}"] if programs else []
    wants += ["root"] if os.geteuid() else []
    wants += [] if PEERS.is_dir() else ["../shared/peers"]
    return ", ".join(wants)


def _mix(state: Path, messages: int) -> Path:
    index = state / "index"
    corpora = {
        unpacked(SHARED / "corpora" / f"{name}.tar.zst").parent for name in ("spamassassin", "csdmc2010", "phishing_pot", "usrp_users")
    }
    subprocess.run(
        [sys.executable, "-B", str(PEERS / "make_mix.py"), str(corpora.pop()), str(index)], check=True, stdout=subprocess.DEVNULL
    )
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:messages]))
    return index


def _compared(state: Path, index: Path, concurrencies: list[int], rounds: int, *, asking: bool) -> list[dict[str, Any]]:
    """Rows of both programs, every way in and concurrency."""
    rspamd = "rspamd-dns" if asking else "rspamd-local"
    rows = []
    with _name_server(state), _mailward(state, asking=asking) as (served, ports), _peer(state, rspamd) as pid:
        for way in WAYS:
            for clients in concurrencies:
                asks: dict[str, Callable[[], dict[str, Any]]] = {
                    "mailward": lambda way=way, clients=clients: _asked(index, way.protocol, ports[way.name], served.pid, clients),
                    "rspamd": lambda way=way, clients=clients: _asked(index, way.protocol, way.rspamd_port, pid, clients),
                }
                found: dict[str, list[dict[str, Any]]] = {"mailward": [], "rspamd": []}
                for turn in range(rounds):
                    for name in ("mailward", "rspamd") if turn % 2 == 0 else ("rspamd", "mailward"):
                        found[name].append(asks[name]())
                        print(
                            f"{name:9} {way.name:6} {'DNS' if asking else 'local'} {clients:2} clients: {_line(found[name][-1])}",
                            flush=True,
                        )
                rows += [_mean(found[name]) | {"who": name, "way": way.name, "asking": asking, "clients": clients} for name in found]
    return rows


def _spamassassin(state: Path, index: Path) -> list[dict[str, Any]]:
    rows = []
    with _name_server(state), _peer(state, "spamd-local") as pid:
        found = _asked(index, "spamc", 7833, pid, 2, SPAMASSASSIN_MESSAGES)
        print(f"spamassassin spamc local  2 clients: {_line(found)}", flush=True)
        rows.append(found | {"who": "SpamAssassin", "way": "spamc", "asking": False, "clients": 2})
    return rows


@contextlib.contextmanager
def _mailward(state: Path, *, asking: bool) -> Iterator[tuple[Served, dict[str, int]]]:
    ports = {"HTTP": free_port(), "milter": free_port()}
    served = Served(
        state / f"mailward-{'dns' if asking else 'local'}",
        None,
        policy=ASKING if asking else LOCAL,
        dns={"listen": "", "servers": [f"127.0.0.1:{NAME_SERVER}"]},
        smtp={"listen": ""},
        http={"listen": f"127.0.0.1:{ports['HTTP']}"},
        milter={"listen": f"127.0.0.1:{ports['milter']}"},
    )
    try:
        yield served.start(), ports
    finally:
        served.stop()


@contextlib.contextmanager
def _name_server(state: Path) -> Iterator[None]:
    """Knows nothing but the test points (RFC 5782) of the lists."""
    points = [(f"2.0.0.127.{zone}", "127.0.0.2") for zone in IP_LISTS] + [(f"test.{zone}", "127.0.0.2") for zone in URI_LISTS]
    config = state / "unbound.conf"
    config.write_text(
        f"server:\n  interface: 127.0.0.1@{NAME_SERVER}\n  port: {NAME_SERVER}\n  do-daemonize: no\n  username: ''\n  chroot: ''\n"
        f"  directory: '{state}'\n  pidfile: ''\n  use-syslog: no\n  logfile: ''\n  access-control: 127.0.0.0/8 allow\n"
        "  module-config: 'iterator'\n  local-zone: '.' always_nxdomain\n"
        + "".join(f"  local-zone: '{zone}.' static\n" for zone in (*IP_LISTS, *URI_LISTS))
        + "".join(f"  local-data: '{name}. 300 IN A {address}'\n" for name, address in points)
        + "remote-control:\n  control-enable: no\n"
    )
    running = subprocess.Popen(["unbound", "-d", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        if running.poll() is not None:
            raise SystemExit(f"unbound does not start: is port {NAME_SERVER} free?")
        yield
    finally:
        running.terminate()
        running.wait()


@contextlib.contextmanager
def _peer(state: Path, name: str) -> Iterator[int]:
    try:
        yield int(_script("start", state, name).split()[-1])
    finally:
        _script("stop", state, name)


def _script(verb: str, state: Path, name: str) -> str:
    with tempfile.TemporaryFile("w+") as output:  # not a pipe: the daemon would keep it open
        subprocess.run(
            ["bash", str(PEERS / f"{verb}_peer.sh"), str(state / "peer"), name], stdout=output, stderr=subprocess.STDOUT, timeout=180
        )
        output.seek(0)
        return output.read()


def _asked(index: Path, protocol: str, port: int, pid: int, clients: int, messages: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-B", str(PEERS / "scan_client.py"), "--proto", protocol, "--port", str(port), "--index", str(index)]
    command += ["-c", str(clients), "--server-pid", str(pid), "--warm", str(WARM), "--limit", str(messages)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    if run.returncode:
        raise SystemExit(run.stderr[-2000:])
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    if found["errors"]:
        raise SystemExit(f"{found['errors']} errors, the first: {found['first_error']}")
    return found


_FIGURES = ("msg_per_s", "cpu_ms_per_msg", "p50_ms", "p95_ms", "p99_ms", "pss_mb")


def _mean(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    return {"n": rounds[0]["n"]} | {name: statistics.mean(float(each.get(name) or 0) for each in rounds) for name in _FIGURES}


def _line(row: dict[str, Any]) -> str:
    return f"{row['msg_per_s']:.0f} messages/s, {row['cpu_ms_per_msg']:.2f} ms CPU, p99 {row['p99_ms']:.1f} ms, PSS {float(row.get('pss_mb') or 0):.0f} MB"


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| way, clients | filter | messages/s | CPU a message | p50 | p95 | p99 | PSS | to rspamd: messages/s | per CPU second |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        other = next((each for each in rows if each["who"] == "rspamd" and _same(each, row)), None)
        ours = row["who"] == "mailward" and other is not None
        beside = (
            f"{row['msg_per_s'] / other['msg_per_s']:.2f} | {other['cpu_ms_per_msg'] / row['cpu_ms_per_msg']:.2f}"
            if ours and other
            else " | "
        )
        where = f"{row['way']}{' with DNS' if row['asking'] else ''}, {row['clients']}"
        lines.append(
            f"| {where} | {row['who']} | {row['msg_per_s']:,.0f} | {row['cpu_ms_per_msg']:.2f} ms | {row['p50_ms']:.1f} ms | {row['p95_ms']:.1f} ms "
            f"| {row['p99_ms']:.1f} ms | {float(row.get('pss_mb') or 0):,.0f} MB | {beside} |"
        )
    return "\n".join(lines)


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(a[name] == b[name] for name in ("way", "asking", "clients"))


def _write(table: str, rows: list[dict[str, Any]], messages: int) -> None:
    page, picture = ROOT / "docs" / "performance.md", ROOT / "docs" / "pictures" / "peers.svg"
    text = page.read_text("utf-8")
    before, begun, rest = text.partition(MARKS[0])
    _, ended, after = rest.partition(MARKS[1])
    if not (begun and ended):
        raise SystemExit(f"{page} has no place for the table ({MARKS[0]})")
    said = f"{time.strftime('%Y-%m-%d')}, {messages:,} messages of the reference mix, {os.cpu_count()} cores, client on the same machine."
    page.write_text(f"{before}{MARKS[0]}\n{said}\n\n![Messages a second](pictures/peers.svg)\n\n{table}\n{MARKS[1]}{after}", "utf-8")
    named = [(f"{row['way']}{' with DNS' if row['asking'] else ''}, {row['clients']}", row["who"], row["msg_per_s"]) for row in rows]
    picture.write_text(bars("Messages a second", named), "utf-8")


if __name__ == "__main__":
    main()
