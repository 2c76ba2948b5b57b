"""SPF, DKIM, ARC and DMARC with real parts: Postfix and OpenDKIM sign, NSD answers, `mailward serve` checks."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest
from tests.auth.signing import ed25519_key, rsa_key, sealed, signed
from tests.e2e.running import Sink, Talk, free_port, listens, serving, wait_until
from tests.e2e.test_postfix import MAIN, MASTER
from tests.zones.serving import Program, asks, program

from mailward.auth import Authentication, DmarcPolicy, Outcome
from mailward.gateway import Gateway, Settings
from mailward.message import Envelope
from mailward.policy import Policy

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
POSTFIX, OPENDKIM = shutil.which("postfix", path=PATH), shutil.which("opendkim", path=PATH)
needs_signer = [
    pytest.mark.skipif(POSTFIX is None or OPENDKIM is None, reason="needs Postfix and OpenDKIM: see tests/packages"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start Postfix with a configuration of its own"),
    pytest.mark.xdist_group("postfix"),
]
pytestmark = pytest.mark.skipif(program("nsd") is None, reason="needs nsd: see tests/packages")

ADDRESS, STRANGER = "192.0.2.10", "192.0.2.99"


def text(value: str) -> str:
    """A TXT value as a zone file holds it: strings of at most 255 characters."""
    return " ".join(f'"{value[at : at + 250]}"' for at in range(0, len(value), 250))


def zone_file(opendkim: str) -> str:
    records = {
        "sender": f"v=spf1 mx:mx.sender.test ip4:{ADDRESS} include:partner.test -all",
        "partner": "v=spf1 exists:%{ir}.allowed.partner.test ?all",
        "_dmarc.sender": "v=DMARC1; p=reject",
        "soft": "v=spf1 ~all",
        "_dmarc.soft": "v=DMARC1; p=quarantine; sp=reject; np=reject",
        "s1._domainkey.sender": rsa_key()[1],
        "ed._domainkey.sender": ed25519_key()[1],
        "small._domainkey.sender": rsa_key(512)[1],
        "revoked._domainkey.sender": "v=DKIM1; p=",
        "opendkim._domainkey.sender": opendkim,
        "arc._domainkey.list": rsa_key()[1],
        "list": f"v=spf1 ip4:{STRANGER} -all",
    }
    lines = [
        "$ORIGIN test.",
        "$TTL 300",
        "@ SOA ns.test. admin.test. 1 3600 600 86400 60",
        "@ NS ns.test.",
        "ns A 127.0.0.1",
        "mx.sender A 192.0.2.1",
    ]
    lines += ["mx.sender MX 10 mx.sender.test.", "alias._domainkey.sender CNAME s1._domainkey.sender.test."]
    return "\n".join([*lines, *(f"{name} TXT {text(value)}" for name, value in records.items())]) + "\n"


class Nsd(Program):
    """NSD with the zone `test`."""

    def __init__(self, folder: Path, opendkim: str = "v=DKIM1; p=") -> None:
        super().__init__(folder, zone="test")
        folder.mkdir()
        (folder / "test.zone").write_text(zone_file(opendkim))
        (folder / "nsd.conf").write_text(
            f'server:\n  ip-address: 127.0.0.1@{self.port}\n  username: ""\n  chroot: ""\n  pidfile: ""\n  server-count: 1\n  database: ""\n'
            f'  zonesdir: "{folder}"\n  zonelistfile: "{folder}/list"\n  xfrdfile: "{folder}/xfrd"\n  xfrdir: "{folder}"\n  rrl-ratelimit: 0\n'
            f'  rrl-whitelist-ratelimit: 0\nremote-control:\n  control-enable: no\nzone:\n  name: "test"\n  zonefile: "test.zone"\n'
        )

    def command(self) -> list[str]:
        path = program("nsd")
        assert path is not None
        return [path, "-d", "-c", str(self.folder / "nsd.conf")]


@pytest.fixture(scope="module")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nsd]:
    with Nsd(tmp_path_factory.mktemp("dns") / "nsd") as server:
        yield server


def mail(sender: str = "sender.test", body: bytes = b"The minutes.\r\n") -> bytes:
    return b"From: Ann <ann@%s>\r\nTo: tom@example.org\r\nSubject: Minutes\r\nMessage-ID: <1@%s>\r\n\r\n" % ((sender.encode(),) * 2) + body


def judged(
    port: int, raw: bytes, address: str = ADDRESS, mail_from: str = "ann@sender.test", policy: str = "", **dns: object
) -> Authentication:
    """What the gateway finds out, asking the real name server."""
    with tempfile.TemporaryDirectory() as state:
        settings = Settings.model_validate({"dns": {"servers": [f"127.0.0.1:{port}"], **dns}, "state": {"folder": state}})
        gateway = Gateway.open(settings, Policy.from_toml(policy))
        envelope = Envelope(client_ip=address, helo="mail.sender.test", mail_from=mail_from, rcpt_to=("tom@example.org",), way_in="smtp")

        async def judge() -> Authentication:
            found = (await gateway.judge_asking(raw, envelope)).assessment.auth
            await gateway.reputation.close()
            return found

        try:
            return asyncio.run(judge())
        finally:
            gateway.close()


@pytest.mark.parametrize(
    ("address", "mail_from", "outcome"),
    [
        (ADDRESS, "ann@sender.test", "pass"),
        ("192.0.2.1", "ann@sender.test", "pass"),  # by MX and A
        (STRANGER, "ann@sender.test", "fail"),
        (STRANGER, "ann@soft.test", "softfail"),
        (STRANGER, "ann@nowhere.test", "none"),
        (STRANGER, "ann@elsewhere.example", "temperror"),  # NSD refuses
    ],
)
def test_spf(nsd: Nsd, address: str, mail_from: str, outcome: str) -> None:
    """Real questions of four types, with includes and macros."""
    found = judged(nsd.port, mail(), address, mail_from)
    assert found.spf == outcome
    assert found.here


@pytest.mark.parametrize(
    ("selector", "key", "outcome"),
    [
        ("s1", rsa_key, "pass"),
        ("alias", rsa_key, "pass"),
        ("ed", ed25519_key, "pass"),
        ("small", lambda: rsa_key(512), "policy"),
        ("revoked", rsa_key, "permerror"),
        ("missing", rsa_key, "permerror"),
    ],
)
def test_dkim_and_dmarc(nsd: Nsd, selector: str, key, outcome: str) -> None:
    """The key decides; a pass of the From domain is a DMARC pass though SPF fails, and anything else is a failure its owner wants rejected."""
    more = {"signature_algorithm": b"ed25519-sha256"} if selector == "ed" else {}
    raw = signed(mail(), "sender.test", selector, key()[0], include_headers=[b"from", b"to", b"subject"], **more)
    found = judged(nsd.port, raw, STRANGER)
    assert found.dkim == outcome
    assert found.dmarc is (Outcome.PASS if outcome == "pass" else Outcome.FAIL)
    assert found.dmarc_policy is DmarcPolicy.REJECT


def test_the_policy_of_a_name_that_does_not_exist(nsd: Nsd) -> None:
    """np of the organisation holds for a From domain without any record, sp for others."""
    assert judged(nsd.port, mail("made-up.soft.test"), STRANGER).dmarc_policy is DmarcPolicy.REJECT
    assert judged(nsd.port, mail("soft.test"), STRANGER).dmarc_policy is DmarcPolicy.QUARANTINE


def test_a_dead_name_server_costs_the_time_out_and_no_more() -> None:
    """Every check says temperror after [dns] timeout, all of them together."""

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        started = time.monotonic()
        raw = sealed(signed(mail(), "sender.test", include_headers=[b"from"]), "list.test", "dmarc=pass header.from=sender.test")
        found = judged(port, raw, timeout=0.5)
        seconds = time.monotonic() - started
    assert (found.spf, found.dkim, found.dmarc, found.arc) == (Outcome.TEMPERROR,) * 4
    assert seconds < 1.5


# Through the SMTP service


@contextmanager
def gateway(tmp_path: Path, nsd: Nsd, policy: str) -> Iterator[tuple[int, Sink, list[str]]]:
    dns = {"listen": "", "servers": [f"127.0.0.1:{nsd.port}"], "timeout": 2.0}
    with serving(tmp_path, smtp={"trusted_proxies": ["127.0.0.0/8"]}, policy=policy, dns=dns, workers=1) as (served, sink):
        yield served.port, sink, [sys.executable, "-m", "mailward", "explain", "--config", str(served.config)]


def send(port: int, raw: bytes, address: str, mail_from: str = "ann@sender.test") -> str:
    with Talk(port) as talk:
        talk.say("EHLO proxy.example")
        assert talk.say(f"XCLIENT ADDR={address}").startswith("220")
        talk.say("EHLO mail.sender.test")
        for line in (f"MAIL FROM:<{mail_from}>", "RCPT TO:<tom@example.org>", "DATA"):
            assert talk.say(line)[0] in "23"
        talk.send(raw + b".\r\n")
        return talk.hear()


REJECTING = '[authentication.target]\nact_on = "reject"\ntrusted_sealers = ["list.test"]\n[authentication.action]\naction = "reject"\n'


def test_mail_is_checked_marked_and_refused(tmp_path: Path, nsd: Nsd) -> None:
    """Authenticated mail is delivered with our results and without those of strangers; a forgery is refused in the owner's name, and explained."""
    with gateway(tmp_path, nsd, REJECTING) as (port, sink, explain):
        forged_line = b"Authentication-Results: mx.example.net; dmarc=pass header.from=sender.test\r\n"
        raw = signed(mail(), "sender.test", include_headers=[b"from", b"subject"])
        assert send(port, forged_line + raw, ADDRESS).startswith("250")
        (kept,) = sink.kept
        results = message_from_bytes(kept.raw).get_all("Authentication-Results")
        assert results is not None
        assert [" ".join(line.split()) for line in results] == [
            "gw.example.test; spf=pass smtp.mailfrom=sender.test; dkim=pass header.d=sender.test header.s=s1; "
            "dmarc=pass header.from=sender.test policy.dmarc=reject; arc=none"
        ]
        answer = send(port, mail(), STRANGER)
        assert answer.startswith("550 5.7.1 Message refused by the DMARC policy of its From domain [")
        told = subprocess.run([*explain, answer.rpartition("[")[2].rstrip("]")], capture_output=True, text=True, timeout=60).stdout
        assert "sender.test asks for reject" in told
        assert "fail for sender.test (mailfrom): all of sender.test" in told
        assert 'with authentication.target.act_on = "nothing"' in told
        assert len(sink.kept) == 1


def test_a_list_that_we_trust_is_not_punished(tmp_path: Path, nsd: Nsd) -> None:
    """A list changes the subject, which breaks DKIM, and sends from its own server, which breaks SPF; its seal tells that all was well.

    The same message with a seal of somebody else, or changed after the seal, is refused.
    """
    raw = signed(mail(), "sender.test", include_headers=[b"from", b"subject"]).replace(b"Subject: ", b"Subject: [list] ")
    good = sealed(
        raw, "list.test", "spf=pass smtp.mailfrom=sender.test; dkim=pass header.d=sender.test; dmarc=pass header.from=sender.test"
    )
    with gateway(tmp_path, nsd, REJECTING) as (port, sink, _):
        assert send(port, good, STRANGER, "bounce@list.test").startswith("250")
        (kept,) = sink.kept
        results = " ".join(str(message_from_bytes(kept.raw)["Authentication-Results"]).split())
        assert "dmarc=fail" in results
        assert results.endswith("arc=pass")
        assert send(port, good.replace(b"[list]", b"[spam]"), STRANGER, "bounce@list.test").startswith("550")
        assert send(port, raw, STRANGER, "bounce@list.test").startswith("550")


# A signer that is not ours


@dataclass
class Signer:
    """Postfix that signs by OpenDKIM and hands on to a sink."""

    port: int
    sink: Sink
    record: str


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    folder = Path(tempfile.mkdtemp(prefix="mailward-signer-"))
    folder.chmod(0o755)
    sink = Sink(folder / "sink").start()
    port, milter = free_port(), free_port()
    key, record = rsa_key(1024)[0], rsa_key(1024)[1]
    (folder / "key.pem").write_bytes(key)
    (folder / "opendkim.conf").write_text(
        f"Domain sender.test\nSelector opendkim\nKeyFile {folder}/key.pem\nSocket inet:{milter}@127.0.0.1\nMode s\nInternalHosts 127.0.0.0/8\n"
        "Canonicalization relaxed/simple\nRequireSafeKeys no\nSyslog no\nOversignHeaders From\nSignatureTTL 3600\n"
    )
    config = folder / "etc"
    for path in (config, folder / "queue", folder / "data"):
        path.mkdir()
    shutil.chown(folder / "data", "postfix")
    (config / "access").write_text("")
    main = MAIN.format(folder=folder, sink=sink.port) + f"smtpd_milters = inet:127.0.0.1:{milter}\nmilter_default_action = tempfail\n"
    (config / "main.cf").write_text(main)
    (config / "master.cf").write_text(MASTER + f"127.0.0.1:{port} inet n - n - - smtpd\n")
    assert POSTFIX is not None
    assert OPENDKIM is not None
    opendkim = subprocess.Popen([OPENDKIM, "-f", "-x", str(folder / "opendkim.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(milter), 20, "OpenDKIM")
        done = subprocess.run([POSTFIX, "-c", str(config), "start"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until(lambda: listens(port), 20, "Postfix")
        yield Signer(port, sink, record)
    finally:
        subprocess.run([POSTFIX, "-c", str(config), "stop"], capture_output=True, timeout=60)
        opendkim.terminate()
        opendkim.wait(10)
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


class TestOpenDkim:
    pytestmark = needs_signer

    def test_what_postfix_and_opendkim_sign_we_verify(self, signer: Signer, tmp_path: Path) -> None:
        """Text with long lines, dots, blanks and 8-bit characters, as it comes out of Postfix, passes; changed in one byte it does not."""
        body = ". dots \t and blanks  \r\n" + "Grüße " * 60 + "\r\n\r\n" + "x" * 900 + "\r\n\r\n\r\n"
        with Talk(signer.port) as talk:
            talk.say("EHLO client.example")
            assert talk.mail(
                "ann@sender.test", "tom@example.org", body.replace("\r\n.", "\r\n..").replace(". dots", ".. dots"), "opendkim"
            ).startswith("250")
        (kept,) = wait_until(lambda: signer.sink.kept, 20, "the signed message")
        assert b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=sender.test" in kept.raw
        with Nsd(tmp_path / "nsd", signer.record) as nsd:
            wait_until(lambda: asks(nsd.port, "opendkim._domainkey.sender.test", "TXT")[0] == "NOERROR", 20, "the key")
            found = judged(nsd.port, kept.raw, STRANGER)
            assert (found.dkim, found.dkim_domains, found.dmarc) == (Outcome.PASS, ("sender.test",), Outcome.PASS)
            assert judged(nsd.port, kept.raw.replace(b"dots", b"dits"), STRANGER).signatures[0].why == "the body was changed"
            assert judged(nsd.port, kept.raw.replace(b"Subject: o", b"Subject: O"), STRANGER).dkim is Outcome.FAIL
