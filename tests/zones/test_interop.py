"""Our zones and the programs that ask, serve and copy them, set up as docs/reputation-zones.md says."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dns.rcode
import dns.reversename
import pytest
from tests.e2e.running import Talk, listens, wait_until
from tests.zones.serving import Program, Rbldnsd, Row, Serving, asks, free_port, program, query

from mailward.reputation.listing import Database, ListingKind
from mailward.reputation.zone import names
from mailward.reputation.zone.export import zone_file

STANDARD, DYNAMIC = "std.rep.example.com", "dyn.rep.example.com"
ROOT = Path(__file__).resolve().parents[2]
SPACE, THREAT, BURST = ListingKind.DYNAMIC_SPACE, ListingKind.EMERGING_THREAT, ListingKind.BURST
ROWS = [
    Row("192.0.2.1", count=3, until=2_000_000_000),
    Row("192.0.2.8-192.0.2.77", THREAT),
    Row("198.51.100.0/24", SPACE, reason='"quoted"; $5 \\ # % 100'),
    Row("198.51.101.0/25", SPACE),
    Row("203.0.113.250-203.0.115.3", THREAT, count=1),
    Row("10.16.0.0/13"),
    Row("127.0.0.0/8"),
    Row("2.4.0.0/24"),  # *.0.4.2 would list 2400::/12
    Row("2.0.1.0/24"),
    Row("5.5.5.5"),
    Row("2001:db8:1::/48", THREAT),
    Row("2001:db8:2::1-2001:db8:2::1:5", THREAT, reason="x" * 300),
    Row("2400:5::/32"),
    Row("2001:db8:9::9"),
]


def documented(who: str, file: str) -> str:
    """The block of docs/reputation-zones.md that begins with `# who: file`."""
    found = re.search(rf"^```\w*\n# {who}: {re.escape(file)}\n(.*?)^```$", (ROOT / "docs" / "reputation-zones.md").read_text(), re.M | re.S)
    assert found, f"docs/reputation-zones.md has no {file} for {who}"
    return found[1]


def name(version: int, number: int, zone: str = STANDARD) -> str:
    return f"{names.owner(version, number)}.{zone}"


def questions(count: int) -> list[str]:
    """Names at the edges of all ranges, in them, and anywhere."""
    chance = random.Random(5)
    asked = {(row.ends()[0], number + step) for row in ROWS for number in row.ends()[1:] for step in (-256, -17, -1, 0, 1, 16, 256)}
    inside = [row.ends() for row in ROWS]
    while len(asked) < count:
        version, first, last = chance.choice(inside)
        asked.add((version, chance.randrange(first, last + 1)))
        asked.add((4, chance.randrange(1 << 24, 224 << 24)))
        asked.add((6, chance.randrange(0x24 << 120, 0x25 << 120)))
    return sorted(name(version, number) for version, number in asked)


def compare(ours: int, theirs: int, asked: list[str], kinds: tuple[str, ...] = ("A", "TXT")) -> int:
    """Both servers say the same; returns how many of the names are listed."""
    listed = 0
    for one in asked:
        answers = {kind: (asks(ours, one, kind), asks(theirs, one, kind)) for kind in kinds}
        assert [pair for pair in answers.values() if pair[0] != pair[1]] == [], one
        listed += any(mine[1] for mine, _ in answers.values())
    return listed


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that servers without root's rights can read."""
    made = Path(tempfile.mkdtemp(prefix="mailward-zones-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def site(folder: Path, secondaries: list[str] | None = None) -> Serving:
    """Our side, with the documented settings."""
    settings = tomllib.loads(documented("secondaries", "mailward.toml"))["reputation"]
    one = Serving(folder, {**settings, "secondaries": secondaries or []})
    one.publish(Database.STANDARD, ROWS, serial=11)
    one.publish(Database.DYNAMIC, [Row("192.0.3.10", BURST, untils=(0,) + (int(time.time()) + 3600,) * 3)], serial=21)
    return one


@pytest.fixture(scope="module")
def serving(folder: Path) -> Iterator[Serving]:
    with site(folder) as one:
        yield one


# Those who ask


@pytest.mark.skipif(program("dig") is None, reason="needs dig: see tests/packages")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([name(4, 0xC0000201), "A", "+short"], r"^127\.0\.0\.2\n$"),
        ([name(4, 0xC0000201), "A", "+tcp", "+short"], r"^127\.0\.0\.2\n$"),
        ([name(4, 0xC0000201), "TXT", "+short"], r'^"known spam source: seen by spam traps, 3 pieces.*192\.0\.2\.1"\n$'),
        ([name(6, 0x20010DB8000900000000000000000009), "A", "+short"], r"^127\.0\.0\.2\n$"),
        ([STANDARD, "SOA", "+short"], r"^ns1\.example\.com\. hostmaster\.std\.rep\.example\.com\. 11 3600 600 604800 900\n$"),
        ([STANDARD, "NS", "+short"], r"^ns1\.example\.com\.\nns2\.example\.com\.\n$"),
        ([name(4, 0xC0000202), "A"], r"status: NXDOMAIN.*AUTHORITY SECTION:\nstd\.rep"),
        ([name(4, 0xC0000201), "MX"], r"status: NOERROR.*ANSWER: 0, AUTHORITY: 1"),
        ([name(4, 0xC0000201), "ANY", "+short"], r"^127\.0\.0\.2\n$"),
        (["example.com", "A"], r"status: REFUSED"),
        ([name(4, 0xC0000201), "A", "+bufsize=512", "+cookie", "+dnssec"], r"EDNS: version: 0, flags: do; udp: 1232"),
        ([name(4, 0xC0000201), "A", "+edns=5", "+noednsneg"], r"status: BADVERS"),
        ([name(4, 0xC0000201), "A", "+noedns", "+opcode=update"], r"status: NOTIMP"),
        ([name(6, 0x20010DB8000200000000000000000001), "TXT", "+noedns", "+ignore"], r"x\.\.\., since"),
    ],
)
def test_dig(serving: Serving, arguments: list[str], expected: str) -> None:
    """dig gets what was documented, and has nothing to warn about."""
    command = ["dig", "@127.0.0.1", "-p", str(serving.port), "+norecurse", "+tries=1", "+time=3", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert re.search(expected, done.stdout, re.S), done.stdout
    assert "Warning" not in done.stdout
    assert ";; " not in done.stderr


class Unbound(Program):
    """A resolver at an address of its own on port 53, told of our zones as documented."""

    def __init__(self, folder: Path, ours: int) -> None:
        super().__init__(folder, 53, STANDARD)
        chance = random.SystemRandom()
        self.address = f"127.{chance.randrange(1, 255)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
        more = f'interface: {self.address}\nusername: ""\nchroot: ""\npidfile: ""\nuse-syslog: no\ndirectory: "{folder}"\n'
        more += "module-config: iterator\n"
        text = documented("unbound", "unbound.conf").replace("server:\n", f"server:\n{more}", 1).replace("@2553", f"@{ours}")
        (folder / "unbound.conf").write_text(text)

    def command(self) -> list[str]:
        path = program("unbound")
        assert path is not None
        return [path, "-d", "-c", str(self.folder / "unbound.conf")]

    def up(self) -> bool:
        asked = ["dig", f"@{self.address}", "+tries=1", "+time=1", "+short", self.zone, "SOA"]
        return "ns1." in subprocess.run(asked, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def resolver(serving: Serving, folder: Path) -> Iterator[Unbound]:
    if program("unbound") is None or program("dig") is None or os.geteuid() != 0:
        pytest.skip("needs unbound and dig (see tests/packages), and root for port 53")
    with Unbound(folder, serving.port) as one:
        yield one


def test_a_resolver_that_asks_label_by_label(resolver: Unbound) -> None:
    """unbound minimises names (RFC 9156): listings below empty names are found, misses are misses, case may be mixed."""

    def resolved(asked: str) -> str:
        return subprocess.run(["dig", f"@{resolver.address}", "+tries=1", asked], capture_output=True, text=True, check=True).stdout

    for listed in (name(4, 0xC0000201), name(4, 0x05050505), name(6, 0x20010DB8000900000000000000000009), name(4, 0xC000030A, DYNAMIC)):
        assert re.search(r"status: NOERROR.*ANSWER: 1.*\s127\.0\.0\.[24]\n", resolved(listed), re.S), listed
    for miss in (name(4, 0xC0000202), name(4, 0x4D4D4D4D), name(6, 0x20010DB8000900000000000000000008)):
        assert "status: NXDOMAIN" in resolved(miss)


POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
myhostname = postfix.example.test
mydestination = example.org
local_recipient_maps =
alias_maps =
inet_protocols = all
inet_interfaces = loopback-only
mynetworks = 10.255.255.255/32
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_security_level = none
local_transport = discard:
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
biff = no
"""
POSTFIX_MASTER = """
postlog   unix-dgram n  -       n       -       1       postlogd
127.0.0.1:{port} inet n - n     -       -       smtpd
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       1       1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
anvil     unix  -       -       n       -       1       anvil
discard   unix  -       -       n       -       -       discard
"""


@pytest.fixture(scope="module")
def postfix(resolver: Unbound, folder: Path) -> Iterator[int]:
    """Postfix in a mount namespace where /etc/resolv.conf names our resolver; the port of its smtpd."""
    path = program("postfix")
    own = ["unshare", "--mount", "sh", "-c"]
    if path is None or subprocess.run([*own, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("needs Postfix (see tests/packages) and the right to make a mount namespace")
    port = free_port()
    home = folder / "postfix"
    for part in (home, home / "queue", home / "data", home / "etc"):
        part.mkdir()
    shutil.chown(home / "data", "postfix")
    (folder / "resolv.conf").write_text(f"nameserver {resolver.address}\n")
    (home / "etc" / "rbl_reply").write_text(documented("postfix", "rbl_reply"))
    main = documented("postfix", "main.cf").replace("/etc/postfix", str(home / "etc"))
    (home / "etc" / "main.cf").write_text(POSTFIX_MAIN.format(folder=home) + main)
    (home / "etc" / "master.cf").write_text(POSTFIX_MASTER.format(port=port))
    start = f"mount --bind {folder / 'resolv.conf'} /etc/resolv.conf && exec {path} -c {home / 'etc'} start"
    try:
        done = subprocess.run([*own, start], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until(lambda: listens(port), 20, "Postfix")
        yield port
    finally:
        subprocess.run([path, "-c", str(home / "etc"), "stop"], capture_output=True, timeout=60, check=False)


def from_client(port: int, address: str) -> str:
    """Postfix's answer to RCPT when that client connects."""
    with Talk(port) as talk:
        talk.say("EHLO proxy.example")
        assert talk.say(f"XCLIENT ADDR={address} NAME=client.example").startswith("220")
        talk.say("EHLO client.example")
        talk.say("MAIL FROM:<a@example.com>")
        return talk.say("RCPT TO:<b@example.org>")


@pytest.mark.xdist_group("postfix")
def test_postfix_asks_our_zones(postfix: int) -> None:
    """reject_rbl_client refuses by the standard zone, puts off by the dynamic one, both with our reason and link, and takes the rest."""
    answer = from_client(postfix, "192.0.2.1")
    assert answer.startswith("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using std.rep.example.com; known spam source")
    assert answer.endswith("https://rep.example.com/lookup?ip=192.0.2.1")
    answer = from_client(postfix, "192.0.3.10")
    assert answer.startswith("450 4.7.1 Client host [192.0.3.10] listed in dyn.rep.example.com; burst of spam: seen by spam traps")
    assert from_client(postfix, "IPV6:2001:db8:9::9").startswith("554 5.7.1 ")
    assert from_client(postfix, "192.0.2.2").startswith("250 ")
    assert from_client(postfix, "IPV6:2001:db8:9::8").startswith("250 ")


@pytest.mark.skipif(program("spamassassin") is None, reason="needs spamassassin: see tests/packages")
def test_spamassassin_asks_our_zones(serving: Serving, tmp_path: Path) -> None:
    """SpamAssassin scores the last foreign host by both zones."""
    (tmp_path / "init.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\nloadplugin Mail::SpamAssassin::Plugin::DNSEval\n")
    server = f"dns_available yes\ndns_server 127.0.0.1:{serving.port}\nrbl_timeout 5\nadd_header all Status tests=_TESTS_\n"
    (tmp_path / "local.cf").write_text(server + documented("spamassassin", "local.cf"))
    for address, rules in (("192.0.2.1", "RCVD_IN_OWN_STANDARD"), ("192.0.3.10", "RCVD_IN_OWN_DYNAMIC"), ("192.0.2.2", "none")):
        mail = (
            f"Received: from client.example (client.example [{address}]) by mx.example.org (Postfix) with ESMTP id 1;\n"
            "\tMon, 23 Nov 2026 10:00:00 +0000\nFrom: a@example.com\nTo: b@example.org\nSubject: x\n\nx\n"
        )
        command = ["spamassassin", "-x", "--siteconfigpath", str(tmp_path), "--configpath", str(tmp_path), "--prefspath", "/dev/null"]
        done = subprocess.run(command, input=mail, capture_output=True, text=True, timeout=60, check=False)
        assert re.search(rf"tests={rules}\b", done.stdout), done.stdout + done.stderr


# Those who serve


@pytest.mark.slow
@pytest.mark.skipif(program("rbldnsd") is None, reason="needs rbldnsd: see tests/packages")
def test_rbldnsd_serves_our_export(serving: Serving, folder: Path) -> None:
    """rbldnsd answers the exported file as we answer: codes, texts with the address in them, SOA and NS, for thousands of names."""
    with Rbldnsd(folder, serving.zones()[0]) as other:
        assert compare(serving.port, other.port, questions(3000)) > 600
        tests = [name(4, 0x7F000000 + n) for n in (1, 2, 3, 4, 10)] + [name(6, 0xFFFF7F000000 + n) for n in (1, 2, 3, 10)]
        assert compare(serving.port, other.port, tests) == 6
        assert compare(serving.port, other.port, [STANDARD], ("SOA", "NS")) == 1
        assert "error" not in other.log.read_text().lower()


class Named(Program):
    """BIND as a documented secondary, or loading a zone file."""

    def __init__(self, folder: Path, zones: str) -> None:
        super().__init__(folder, zone=STANDARD)
        folder.mkdir()
        options = f'options {{ directory "{folder}"; listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; '
        options += "session-keyfile none; recursion no; dnssec-validation no; allow-new-zones no; };\ncontrols { };\n"
        (folder / "named.conf").write_text(options + zones)

    def command(self) -> list[str]:
        path = program("named")
        assert path is not None
        return [path, "-g", "-n", "1", "-c", str(self.folder / "named.conf")]


class Nsd(Program):
    """NSD as a documented secondary."""

    def __init__(self, folder: Path, zones: str) -> None:
        super().__init__(folder, zone=STANDARD)
        folder.mkdir()
        server = f'server:\n  ip-address: 127.0.0.1@{self.port}\n  username: ""\n  chroot: ""\n  pidfile: ""\n  server-count: 1\n'
        server += (
            f'  database: ""\n  zonesdir: "{folder}"\n  zonelistfile: "{folder}/list"\n  xfrdfile: "{folder}/xfrd"\n  xfrdir: "{folder}"\n'
        )
        server += "  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n"
        (folder / "nsd.conf").write_text(server + "remote-control:\n  control-enable: no\n" + zones)

    def command(self) -> list[str]:
        path = program("nsd")
        assert path is not None
        return [path, "-d", "-c", str(self.folder / "nsd.conf")]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "file"), [("named", "named.conf"), ("nsd", "nsd.conf")])
def test_secondaries(kind: str, file: str, tmp_path: Path) -> None:
    """BIND and NSD transfer both zones with the key, answer as we do (wildcards among them), and take up a change when notified."""
    if program(kind) is None:
        pytest.skip(f"needs {kind}: see tests/packages")
    who = "bind" if kind == "named" else kind
    ours = free_port()
    zones = documented(who, file).replace("2553", str(ours))
    other: Program = Named(tmp_path / kind, zones) if kind == "named" else Nsd(tmp_path / kind, zones)
    serving = site(tmp_path, [f"127.0.0.1:{other.port}"])
    serving.port = ours
    serving.configure()
    with serving, other:
        wait_until(lambda: asks(other.port, name(4, 0xC0000201)) == ("NOERROR", ["127.0.0.2"]), 30, "the transfer")
        wait_until(lambda: asks(other.port, name(4, 0xC000030A, DYNAMIC)) == ("NOERROR", ["127.0.0.4"]), 30, "the other transfer")
        assert compare(ours, other.port, questions(2500), ("A",)) > 500
        single = [name(4, 0xC0000201), name(4, 0xC0000208), name(6, 0x20010DB8000900000000000000000009), name(4, 0x7F000002)]
        assert compare(ours, other.port, [*single, STANDARD], ("A", "TXT", "NS", "SOA", "MX")) == 5
        serving.publish(Database.STANDARD, [Row("192.0.2.200", THREAT)], serial=12)
        wait_until(lambda: asks(other.port, name(4, 0xC00002C8)) == ("NOERROR", ["127.0.0.3"]), 20, "the change")
        assert query(other.port, name(4, 0xC0000201)).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.skipif(program("named") is None, reason="needs BIND: see tests/packages")
def test_bind_loads_our_zone_file(tmp_path: Path, serving: Serving) -> None:
    """The exported zone file is what a server loads, quotes and backslashes in reasons included."""
    zone = serving.zones()[0]
    home = tmp_path / "named"
    other = Named(home, f'zone "{STANDARD}" {{ type primary; file "zone"; }};')
    with (home / "zone").open("w") as file:
        file.writelines(zone_file(zone, time.time()))
    with other:
        assert compare(serving.port, other.port, questions(400), ("A",)) > 100
        quoted = name(4, 0xC6336400)  # the first of its wildcard: the same link
        assert asks(other.port, quoted, "TXT") == asks(serving.port, quoted, "TXT")
