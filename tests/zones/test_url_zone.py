"""The zone of names: what is rated bad here, asked by dig, SpamAssassin and rspamd, served by rbldnsd and BIND too."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.zones.serving import Program, Row, Serving, asks, program
from tests.zones.test_interop import documented

from mailward.gateway import databases
from mailward.gateway.zones import url_zone
from mailward.reputation.listing import Database
from mailward.reputation.url import evidence
from mailward.reputation.url.evidence import of_message
from mailward.reputation.url.place import Scope
from mailward.reputation.url.ratings import OwnRating, named
from mailward.reputation.zone.export import rbldnsd_names, zone_file

ZONE = "url.rep.example.com"
RATINGS = [
    ("dangerous.example", 10, Scope.DOMAIN),
    ("fine.dangerous.example", 95, Scope.HOST),
    ("all-fine.dangerous.example", 95, Scope.DOMAIN),
    ("worse.all-fine.dangerous.example", 60, Scope.HOST),
    ("a.b.c.dangerous.example", 70, Scope.HOST),
    ("host.highly.example", 60, Scope.HOST),
    ("suspicious.example", 75, Scope.HOST),
    ("good.example", 90, Scope.DOMAIN),
    ("pages.dev", 55, Scope.DOMAIN),
    ("kind.pages.dev", 100, Scope.DOMAIN),
    ("192.0.2.7", 20, Scope.HOST),
    ("2001:db8::7", 20, Scope.HOST),
    ("path.example/a/b", 1, Scope.PATH),
    ("https://url.example/x?y=z", 1, Scope.URL),
    ("observed-but-good.example", 85, Scope.DOMAIN),
]
OBSERVED = ["http://x.observed.example/a", "http://www.observed-but-good.example/", "https://customer.github.io/x", "http://192.0.2.8/x"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that servers without root's rights can read."""
    made = Path(tempfile.mkdtemp(prefix="mailward-names-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def say(serving: Serving, ratings: list[tuple[str, int, Scope]]) -> None:
    database, now = databases.url_database(serving.settings), time.time()
    made = [
        OwnRating(scope=scope, name=named(name, scope), rating=rating, time=int(now), who="ann", why='"why" $5 \\ é')
        for name, rating, scope in ratings
    ]
    database.rate(made, now)
    database.publish_if_due(now)


def observe(serving: Serving, urls: list[str]) -> None:
    evidence.append(serving.settings.urls_folder, [piece for url in urls for piece in of_message([url], time.time(), address="192.0.2.1")])
    with databases.url_keeper(serving.settings) as keeper:
        keeper.catch_up(force=True)


class Names(Serving):
    def configure(self) -> None:
        super().configure()
        self.config.write_text(f'{self.config.read_text()}\n[urls]\nzone = "{ZONE}"\n')


@pytest.fixture(scope="module")
def serving(folder: Path) -> Iterator[Serving]:
    one = Names(folder, {"transfer_networks": ["127.0.0.0/8"], "name_servers": ["ns1.example.com"], "standard_zone": "std.rep.example.com"})
    say(one, RATINGS)
    observe(one, OBSERVED)
    one.publish(Database.STANDARD, [Row("192.0.2.1")])
    with one:
        yield one


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("dangerous.example", ["127.0.0.2"]),
        ("DangerouS.Example", ["127.0.0.2"]),
        ("deep.below.dangerous.example", ["127.0.0.2"]),
        ("fine.dangerous.example", None),
        ("below.fine.dangerous.example", ["127.0.0.2"]),
        ("all-fine.dangerous.example", None),
        ("below.all-fine.dangerous.example", None),
        ("worse.all-fine.dangerous.example", ["127.0.0.4"]),
        ("b.c.dangerous.example", ["127.0.0.2"]),
        ("x.c.dangerous.example", ["127.0.0.2"]),
        ("a.b.c.dangerous.example", ["127.0.0.8"]),
        ("host.highly.example", ["127.0.0.4"]),
        ("www.host.highly.example", ["127.0.0.4"]),
        ("other.highly.example", None),
        ("suspicious.example", ["127.0.0.8"]),
        ("good.example", None),
        ("anybody.pages.dev", ["127.0.0.4"]),
        ("kind.pages.dev", None),
        ("7.2.0.192", ["127.0.0.2"]),
        ("8.2.0.192", ["127.0.0.20"]),
        ("192.0.2.7", None),
        ("path.example", None),
        ("url.example", None),
        ("observed.example", ["127.0.0.20"]),
        ("y.observed.example", ["127.0.0.20"]),
        ("observed-but-good.example", None),
        ("customer.github.io", ["127.0.0.20"]),
        ("github.io", None),
        ("test", ["127.0.0.18", "127.0.0.2", "127.0.0.20", "127.0.0.4", "127.0.0.8"]),
        ("invalid", None),
        ("x.test", None),
    ],
)
def test_what_is_listed(serving: Serving, name: str, codes: list[str] | None) -> None:
    """The most exact word counts, people's before evidence."""
    rcode, records = asks(serving.port, f"{name}.{ZONE}")
    assert records == (codes or [])
    assert (rcode == "NOERROR") if codes else rcode in ("NXDOMAIN", "NOERROR")


@pytest.mark.skipif(program("dig") is None, reason="needs dig: see tests/packages")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([f"observed.example.{ZONE}", "A", "+short"], r"^127\.0\.0\.20\n$"),
        (
            [f"observed.example.{ZONE}", "TXT", "+short"],
            r'^"highly suspicious \(60\): seen in bad mail.* once, since 20\S+Z until 20\S+Z"\n$',
        ),
        ([f"dangerous.example.{ZONE}", "TXT", "+short"], r'^"dangerous \(10\): rated by hand: \\"why\\" \$5 \\\\ \?, since 20\S+Z"\n$'),
        ([f"unknown.example.org.{ZONE}", "A"], r"status: NXDOMAIN.*AUTHORITY SECTION:\nurl\.rep\.example\.com\.\s+60\s+IN\s+SOA"),
        ([f"highly.example.{ZONE}", "A"], r"status: NOERROR.*ANSWER: 0, AUTHORITY: 1"),
        ([f"invalid.{ZONE}", "A"], r"status: NXDOMAIN"),
        ([f"test.{ZONE}", "TXT", "+short"], r'^"Test entry of url\.rep\.example\.com"\n$'),
        ([ZONE, "SOA", "+short"], r"^ns1\.example\.com\. hostmaster\.url\.rep\.example\.com\. \d+ 60 30 7200 60\n$"),
        ([ZONE, "AXFR"], r"\*\.dangerous\.example\.url\.rep\.example\.com\.\s+60\s+IN\s+A\s+127\.0\.0\.2\n"),
    ],
)
def test_dig(serving: Serving, arguments: list[str], expected: str) -> None:
    """dig gets what was documented, and has nothing to warn about."""
    command = ["dig", "@127.0.0.1", "-p", str(serving.port), "+norecurse", "+tries=1", "+time=3", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert re.search(expected, done.stdout, re.S), done.stdout
    assert "Warning" not in done.stdout


def test_a_change_is_answered_within_a_second(serving: Serving) -> None:
    """A rating that is set and taken back, and evidence that comes in; the serial grows each time."""
    serials = [int(asks(serving.port, ZONE, "SOA")[1][0].split()[2])]
    for change, codes in (
        (lambda: say(serving, [("changing.example", 3, Scope.HOST)]), ["127.0.0.2"]),
        (lambda: say(serving, [("changing.example", -1, Scope.HOST)]), []),
        (lambda: observe(serving, ["http://changing.example/"]), ["127.0.0.20"]),
    ):
        change()
        until = time.monotonic() + 5
        while asks(serving.port, f"changing.example.{ZONE}")[1] != codes:
            assert time.monotonic() < until
            time.sleep(0.05)
        serials.append(int(asks(serving.port, ZONE, "SOA")[1][0].split()[2]))
    assert serials == sorted(set(serials))


@pytest.mark.skipif(program("spamassassin") is None, reason="needs spamassassin: see tests/packages")
def test_spamassassin_asks_about_links(serving: Serving, tmp_path: Path) -> None:
    """SpamAssassin's URIDNSBL, set up as documented, finds the domain of a link."""
    (tmp_path / "init.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\nloadplugin Mail::SpamAssassin::Plugin::URIDNSBL\n")
    tlds = "util_rb_tld com org net io dev co uk\nutil_rb_tld example\n"
    server = f"dns_available yes\ndns_server 127.0.0.1:{serving.port}\nrbl_timeout 5\nadd_header all Status tests=_TESTS_\n"
    (tmp_path / "local.cf").write_text(tlds + server + documented("spamassassin", "urls.cf"))
    links = (
        ("dangerous.example/x", "URIBL_OWN_DANGEROUS"),
        ("www.observed.example/", "URIBL_OWN_SUSPICIOUS"),
        ("unknown.example/", "none"),
    )
    for link, rules in links:
        mail = f"From: a@example.com\nTo: b@example.org\nSubject: x\n\nSee http://{link} now\n"
        command = ["spamassassin", "-x", "--siteconfigpath", str(tmp_path), "--configpath", str(tmp_path), "--prefspath", "/dev/null"]
        done = subprocess.run(command, input=mail, capture_output=True, text=True, timeout=60, check=False)
        assert re.search(rf"tests={rules}\b", done.stdout), done.stdout + done.stderr


class Rspamd(Program):
    """rspamd as Debian packs it, with the documented lists, which are asked of our DNS process."""

    def __init__(self, folder: Path, name_server: int) -> None:
        super().__init__(folder)
        files = {
            "worker-normal.inc": f'bind_socket = "127.0.0.1:{self.port}";\ncount = 1;\n',
            "worker-controller.inc": "enabled = false;\n",
            "worker-proxy.inc": "enabled = false;\n",
            "logging.inc": 'type = "console";\n',
            "options.inc": f'dns {{ nameserver = ["127.0.0.1:{name_server}"]; timeout = 2s; }}\nurl_tld = "{folder}/tlds";\n',
            "rbl.conf": documented("rspamd", "rbl.conf"),
            "rbl_group.conf": documented("rspamd", "rbl_group.conf"),
        }
        for module in ("fuzzy_check", "asn", "dmarc", "spf", "dkim", "arc", "mx_check", "hfilter"):  # they would ask others too
            files[f"{module}.conf"] = "enabled = false;\n"
        (folder / "tlds").write_text("dev\npages.dev\nexample\n")  # names below others are no links to it
        for name, text in files.items():
            path = folder / "rspamd" / "local.d" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def command(self) -> list[str]:
        path = program("rspamd")
        assert path is not None
        folder = self.folder / "rspamd"
        places = {"LOCAL_CONFDIR": folder, "DBDIR": folder, "RUNDIR": folder, "LOGDIR": folder}
        return [path, "-f", "-i", "-c", "/etc/rspamd/rspamd.conf", *[f"--var={name}={place}" for name, place in places.items()]]

    def up(self) -> bool:
        try:
            return not self.symbols("unknown.example/").get("error")
        except OSError:
            return False

    def symbols(self, link: str, client: str = "198.51.100.9") -> dict[str, dict[str, float]]:
        """What a mail with this link, from this address, is found to have."""
        mail = f"From: a@example.com\nTo: b@example.org\nMessage-ID: <1@example.com>\nSubject: x\n\nSee http://{link} now\n"
        talk = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            talk.request("POST", "/checkv2", mail.encode(), {"IP": client, "From": "a@example.com", "Rcpt": "b@example.org"})
            found: dict[str, dict[str, float]] = json.loads(talk.getresponse().read())["symbols"]
            return found
        finally:
            talk.close()


@pytest.mark.skipif(program("rspamd") is None, reason="needs rspamd: see tests/packages")
def test_rspamd_asks_about_links(serving: Serving, folder: Path) -> None:
    """rspamd, set up as documented, has the symbol and weight of the band for hosts that are listed, and none for others; addresses too."""
    own = (
        ("dangerous.example/x", {"URL_OWN_DANGEROUS": 5.0}),
        ("below.dangerous.example/x", {"URL_OWN_DANGEROUS": 5.0}),
        ("host.highly.example/", {"URL_OWN_HIGHLY_SUSPICIOUS": 3.0}),
        ("www.observed.example/", {"URL_OWN_HIGHLY_SUSPICIOUS": 3.0}),
        ("suspicious.example/", {"URL_OWN_SUSPICIOUS": 1.0}),
        ("fine.dangerous.example/", {}),
        ("other.highly.example/", {}),
        ("unknown.example/", {}),
    )
    with Rspamd(folder, serving.port) as asking:
        for link, expected in own:
            symbols = asking.symbols(link)
            assert {name: found["score"] for name, found in symbols.items() if "_OWN" in name} == expected, (link, symbols)
        assert asking.symbols("unknown.example/", "192.0.2.1")["RBL_OWN_KNOWN"]["score"] == 4.0


class Rbldnsd(Program):
    """rbldnsd serving the export."""

    def command(self) -> list[str]:
        path = program("rbldnsd")
        assert path is not None
        where = ["-b", f"127.0.0.1/{self.port}", "-w", str(self.folder)]
        return [path, "-n", "-u", "nobody", *where, f"{ZONE}:dnset:names.data"]


class Bind(Program):
    """BIND loading the zone file."""

    def command(self) -> list[str]:
        path, conf = program("named"), self.folder / "names.conf"
        assert path is not None
        conf.write_text(
            f'options {{ directory "{self.folder}"; pid-file none; session-keyfile none; listen-on-v6 {{ none; }}; recursion no; '
            f"listen-on port {self.port} {{ 127.0.0.1; }}; }};\ncontrols {{ }};\n"
            f'zone "{ZONE}" {{ type primary; file "names.zone"; check-names ignore; }};\n'
        )
        return [path, "-g", "-c", str(conf), "-n", "1"]


def everything(count: int = 400) -> list[str]:
    """Every name of the ratings, names beside and below them."""
    chance = random.Random(4)
    hosts = [name.partition("/")[0] for name, _, scope in RATINGS if "://" not in name and ":" not in name]
    names = {
        "observed.example",
        "observed-but-good.example",
        "customer.github.io",
        "github.io",
        "7.2.0.192",
        "8.2.0.192",
        "9.2.0.192",
        "test",
        "invalid",
    }
    for host in hosts:
        while host:
            names |= {host, f"www.{host}", f"x.{host}", f"x.y.{host}"}
            host = host.partition(".")[2]
    return chance.sample(sorted(names), min(count, len(names)))


@pytest.mark.parametrize(("kind", "wants"), [(Rbldnsd, "rbldnsd"), (Bind, "named")])
def test_other_servers_say_the_same(serving: Serving, folder: Path, kind: type[Program], wants: str) -> None:
    """rbldnsd and BIND list what we list, with the same codes and reasons."""
    if program(wants) is None:
        pytest.skip(f"needs {wants}: see tests/packages")
    zone, now = url_zone(serving.settings), time.time()
    (folder / "names.data").write_text("".join(rbldnsd_names(zone, now)))
    (folder / "names.zone").write_text("".join(zone_file(zone, now)))
    for file in ("names.data", "names.zone"):
        (folder / file).chmod(0o644)
    listed = 0
    with kind(folder, zone=ZONE) as other:
        for name in everything():
            if kind is Rbldnsd and name == "test":  # a dnset has one code a name
                continue
            ours, theirs = (asks(port, f"{name}.{ZONE}") for port in (serving.port, other.port))
            assert ours[1] == theirs[1], name
            listed += bool(ours[1])
            if ours[1]:
                assert asks(serving.port, f"{name}.{ZONE}", "TXT") == asks(other.port, f"{name}.{ZONE}", "TXT"), name
    assert listed > 20
    assert os.path.getsize(folder / "names.data") > 500
