"""mailward beside a real Exim, set up as docs/spamd.md says: by rspamd's dialect, and by spamd's protocol."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.e2e.running import BLOCKED, Served, Sink, Talk, blocking, free_port, listens, wait_until

UNPACKED = ROOT / ".cache" / "exim"  # tests/packages puts it there: as packages, Exim and Postfix exclude each other
EXIM = UNPACKED / "usr" / "sbin" / "exim4"
pytestmark = [
    pytest.mark.skipif(not EXIM.exists(), reason="needs Exim: run tests/packages as root"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start Exim with a configuration of its own"),
]

MAIN = """
primary_hostname = exim.example.test
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
pid_file_path = {folder}/exim.pid
domainlist relay_to_domains = example.org
acl_smtp_rcpt = accept
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
keep_environment = LD_LIBRARY_PATH
exim_path = {exim}
deliver_drop_privilege = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
{ours}
begin routers
onward:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = onward
begin transports
onward:
  driver = smtp
  port = {sink}
  allow_localhost
begin retry
* * F,1h,1m
"""


@dataclass
class Site:
    """A running Exim that asks us."""

    port: int
    served: Served
    sink: Sink
    folder: Path

    def log(self) -> str:
        return (self.folder / "mainlog").read_text()


def documented(place: str) -> str:
    found = re.search(rf"^```\n# exim: {place}\n(.*?)^```$", (ROOT / "docs" / "spamd.md").read_text(), re.M | re.S)
    assert found, f"docs/spamd.md has no block for {place}"
    return found[1]


def site(place: str, policy: str) -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="mailward-exim-"))
    folder.chmod(0o755)
    (folder / "spool").mkdir()
    for name in ("", "spool"):
        shutil.chown(folder / name, "Debian-exim", "Debian-exim")
    sink = Sink(folder / "sink").start()
    ours, port = free_port(), free_port()
    served = Served(folder / "gateway", None, {"listen": ""}, blocking(policy), spamd={"listen": f"127.0.0.1:{ours}"})
    config = folder / "exim.conf"
    config.write_text(MAIN.format(exim=EXIM, folder=folder, port=port, sink=sink.port, ours=documented(place).replace("2528", str(ours))))
    libraries = f"{UNPACKED}/usr/lib/x86_64-linux-gnu:{UNPACKED}/usr/lib"
    command = [str(EXIM), "-C", str(config), "-bdf", "-q1m"]
    exim: subprocess.Popen[bytes] | None = None
    try:
        served.start()
        exim = subprocess.Popen(command, env={**os.environ, "LD_LIBRARY_PATH": libraries}, stderr=(folder / "stderr").open("wb"))
        wait_until(lambda: listens(port) or (exim and exim.poll() is not None), 20, "Exim")
        assert exim.poll() is None, (folder / "stderr").read_text()
        yield Site(port, served, sink, folder)
    finally:
        if exim is not None:
            exim.terminate()
            exim.wait()
        served.stop()
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def by_rspamd() -> Iterator[Site]:
    yield from site("rspamd", "reject")


@pytest.fixture(scope="module")
def by_spamd() -> Iterator[Site]:
    yield from site("spamd", "junk")


def arrived(site: Site, subject: str) -> bytes:
    """The message with that subject, once it is at the last hop."""

    def find() -> bytes:
        return next((kept.raw for kept in site.sink.kept if f"Subject: {subject}\r\n".encode() in kept.raw), b"")

    return wait_until(find, 20, f"{subject} to arrive")


def test_rspamds_dialect_refuses_while_the_sender_waits(by_rspamd: Site) -> None:
    """Clean mail is delivered, blocked mail refused; we were told client, sender, recipients and HELO."""
    with Talk(by_rspamd.port) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(subject="clean-one").startswith("250 OK")
        assert talk.mail(f"x@{BLOCKED}", subject="blocked-one") == "550 5.7.1 Message refused as spam"
    assert b"X-Spam-Flag" not in arrived(by_rspamd, "clean-one")
    clean, blocked = wait_until(lambda: by_rspamd.served.events("message")[1:2] and by_rspamd.served.events("message"), what="the events")
    assert (clean["action"], blocked["action"], blocked["verdict"]) == ("pass", "reject", "blocked_sender")
    assert (blocked["client"], blocked["helo"]) == ("127.0.0.1", "client.example")
    assert (blocked["mail_from"], blocked["rcpt_to"]) == (f"x@{BLOCKED}", ["b@example.org"])


def test_without_mailward_exim_puts_mail_off(by_rspamd: Site) -> None:
    """While mailward is down the sender hears 451, as documented, and is served when it is back."""
    by_rspamd.served.stop()
    try:
        with Talk(by_rspamd.port) as talk:
            talk.say("EHLO client.example")
            assert talk.mail(subject="while-down")[0] == "4"
    finally:
        by_rspamd.served.run()
    with Talk(by_rspamd.port) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(subject="while-up").startswith("250")


def test_spamds_protocol_gives_score_and_refusal(by_spamd: Site) -> None:
    """Exim reads score and threshold off the answer of protocol 1.2."""
    with Talk(by_spamd.port) as talk:
        talk.say("EHLO client.example")
        assert talk.mail(subject="scored").startswith("250 OK")
        assert talk.mail(f"x@{BLOCKED}", subject="blocked-two") == "550 5.7.1 Message refused as spam"
    assert re.search(rb"^X-Spam-Score: -?\d+\.\d\r$", arrived(by_spamd, "scored"), re.M)
    assert not any(b"blocked-two" in kept.raw for kept in by_spamd.sink.kept)
