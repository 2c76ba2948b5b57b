"""What `make run` shows: a gateway on loopback, a stand-in for the mail server behind it, and the sample messages sent through both."""

from __future__ import annotations

import contextlib
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailward.cli import words
from mailward.cli.doctor import cannot_bind
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from rich.table import Table

    from mailward.storage import Record

WIDE = 130  # columns from which the subjects fit too
HOST = "127.0.0.1"
BESIDE = {"SMTP": 0, "milter": 1, "HTTP": 2, "spamd": 3, "DNS": 28, "console": 55}  # ports, counted from that of SMTP: 2525, 2526, 2527 ...
START_SECONDS = 20.0  # a first start on a slow disk
STORED_SECONDS = 10.0  # the records of the samples are written in the background
STOP_SECONDS = 15.0

# What a site like the one the samples were sent to would write into its policy
POLICY = """\
[organisation]
internal_domains = ["example.org", "*.example.org"]
trusted_authserv_ids = ["mx.example.org"]

[email_reputation.evidence]
learn = false  # the samples come again with every start: their senders would soon be listed
"""

_ADDED_AT_DELIVERY = re.compile(rb"^(?:Return-Path|Delivered-To):[^\n]*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One bundled message as it goes over the wire."""

    name: str
    mail_from: str
    rcpt_to: str
    message_id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """A sample and what the gateway answered; `record` is what it remembers of it."""

    sample: Sample
    reply: str
    record: Record | None


def demo(
    state: Annotated[Path, typer.Option("--state", metavar="DIR", help="Where everything is kept.")] = Path(".state"),
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535 - 55, help="The SMTP port; DNS and console are 28 and 55 above it.")
    ] = 2525,
    once: Annotated[bool, typer.Option("--once", help="Stop after the table.")] = False,
) -> None:
    """Start a gateway with a stand-in mail server behind it, send the sample messages through, and serve until interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a script started it in the background with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    _claim(port)
    state = state.absolute()
    state.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(KeyboardInterrupt), stand_in() as sink, running_gateway(state, port, sink.port) as gateway:
        sent = send_samples(state, port)
        words.show(table_of(sent, words.width()))
        print("\n".join(closing_words(state, port, sink, sent)), flush=True)
        if once:
            return
        gateway.wait()
        raise Trouble("the gateway has stopped", f"{state / 'serve.log'} says why.")
    print("\nStopped.")


def samples() -> list[Sample]:
    """The bundled messages, in order, without the lines a mail server adds at delivery."""
    from mailward.message import parse
    from mailward.message.origin import envelope_from_trace

    found = []
    for file in sorted((resources.files("mailward") / "samples").iterdir(), key=lambda file: file.name):
        raw = file.read_bytes()
        message = parse(raw)
        envelope = envelope_from_trace(message)
        rcpt_to = envelope.rcpt_to[0] if envelope.rcpt_to else "tom@example.org"
        found.append(
            Sample(
                file.name, envelope.mail_from or "", rcpt_to, message.message_id, _ADDED_AT_DELIVERY.sub(b"", raw).replace(b"\n", b"\r\n")
            )
        )
    return found


def send_samples(state: Path, port: int) -> list[Sent]:
    """Send every sample through the gateway, and wait until it has written down what it made of them."""
    started = time.time()
    replies = {}
    wanted = samples()
    for sample in wanted:
        with smtplib.SMTP(HOST, port, "mx.example.org", timeout=30) as client:
            replies[sample.name] = _send(client, sample)
    records = _records(state, started, len(wanted))
    return [Sent(sample, replies[sample.name], records.get(sample.message_id)) for sample in wanted]


def _send(client: smtplib.SMTP, sample: Sample) -> str:
    try:
        client.ehlo_or_helo_if_needed()
        for code, text in (client.mail(sample.mail_from), client.rcpt(sample.rcpt_to)):
            if code != 250:
                return f"{code} {text.decode('utf-8', 'replace')}"
        code, text = client.data(sample.raw)
    except smtplib.SMTPResponseException as error:
        code, text = error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
    except smtplib.SMTPServerDisconnected:
        return "the gateway hung up"
    return f"{code} {text.decode('utf-8', 'replace')}"


def _records(state: Path, since: float, count: int) -> dict[str, Record]:
    """What storage remembers of messages since then, by Message-ID."""
    from mailward import storage
    from mailward.gateway.settings import Settings

    settings = Settings.load(state / "demo.toml")
    deadline = time.monotonic() + STORED_SECONDS
    found: dict[str, Record] = {}
    while time.monotonic() < deadline:
        if Path(settings.database).is_file():
            opened = storage.open(settings.storage_url)
            try:
                found = {record.assessment.message_id: record for record in opened.records(since - 1)}
            finally:
                opened.close()
        if len(found) >= count:
            break
        time.sleep(0.2)
    return found


def table_of(sent: list[Sent], width: int = words.UNBOUNDED) -> Table:
    """The verdicts with the first reason each; subjects only where there is room for them too."""
    from rich.table import Table
    from rich.text import Text

    from mailward.scan.verdict import main_reason, score_shown

    wide = width >= WIDE
    table = Table(box=None, pad_edge=False)
    for name in ("message", *(("subject",) if wide else ()), "verdict", "score", "done"):
        table.add_column(name, no_wrap=True)
    table.add_column("first reason")
    for row in sent:
        record = row.record
        name = Text(row.sample.name.removesuffix(".eml"))
        if record is None:
            table.add_row(name, *((Text(),) if wide else ()), Text("none", "yellow"), "", Text(words.one_line(row.reply, 60)), "")
            continue
        verdict = record.verdict
        table.add_row(
            name,
            *((Text(words.one_line(record.assessment.subject, 34)),) if wide else ()),
            Text(str(verdict.kind), "bold green" if verdict.kind == "clean" else "bold red"),
            Text(score_shown(verdict)),
            Text(f"{record.outcome}, {verdict.action}" if verdict.action not in ("pass", "quarantine") else record.outcome),
            Text(words.one_line(main_reason(verdict), 120)),
        )
    return table


def closing_words(state: Path, port: int, sink: Sink, sent: list[Sent]) -> list[str]:
    """What runs where, and what to try next."""
    where = "" if state == Path(".state").absolute() else f" --state {_short(state)}"
    program = _short(Path(sys.argv[0])) if Path(sys.argv[0]).name == "mailward" else "mailward"
    lines = [
        "",
        f"SMTP gateway   {HOST}:{port}",
        f"reputation     DNS zones on {HOST}:{port + BESIDE['DNS']}, look-up page http://{HOST}:{port + BESIDE['console']}/lookup",
        f"next hop       {HOST}:{sink.port}, a stand-in that takes every message and keeps none; it has {sink.taken} so far",
        f"state          {_short(state)} (database, quarantine, settings in demo.toml, log in serve.log)",
        "",
    ]
    caught = next((row.record for row in sent if row.record and row.record.verdict.kind != "clean"), None)
    if caught is not None:
        lines.append(f"why?           {program} explain {caught.id}{where}")
    lines.append(f"judge a file   {program} scan message.eml{where}")
    lines.append(f"send a mail    swaks --server {HOST}:{port} --from you@example.com --to tom@example.org")
    return [*lines, "Ctrl-C stops it."]


def _short(path: Path) -> str:
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(path)


def _claim(port: int) -> None:
    for name, beside in BESIDE.items():
        problem = cannot_bind(HOST, port + beside)
        if problem:
            which = f"`ss -ltnp 'sport = :{port + beside}'` names the program that has it."
            hint = f"{which} Stop it, or take other ports: make run PORT={port + 100}"
            raise Trouble(f"the {name} port {HOST}:{port + beside} cannot be opened: {problem}", hint)


@dataclass(slots=True)
class Sink:
    """The stand-in mail server: where it listens, and how many messages it has taken."""

    port: int
    taken: int = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802, ARG002
        self.taken += 1
        return "250 2.0.0 Taken"


@contextmanager
def stand_in() -> Iterator[Sink]:
    """Run the stand-in on a free port."""
    from aiosmtpd.controller import Controller

    with socket.socket() as probe:
        probe.bind((HOST, 0))
        sink = Sink(probe.getsockname()[1])
    controller = Controller(sink, HOST, sink.port, server_hostname="sink.example.org", ident="mailward stand-in", enable_SMTPUTF8=True)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


@contextmanager
def running_gateway(state: Path, port: int, next_hop: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `mailward serve` until the block ends."""
    config = state / "demo.toml"
    config.write_text(
        f'[state]\nfolder = "."\n\n[smtp]\nlisten = "{HOST}:{port}"\nnext_hop = "{HOST}:{next_hop}"\nhostname = "gateway.example.org"\n\n'
        f'[milter]\nlisten = "{HOST}:{port + BESIDE["milter"]}"\n\n[http]\nlisten = "{HOST}:{port + BESIDE["HTTP"]}"\n\n'
        f'[spamd]\nlisten = "{HOST}:{port + BESIDE["spamd"]}"\n\n'
        f'[dns]\nlisten = "{HOST}:{port + BESIDE["DNS"]}"\n\n[console]\nlisten = "{HOST}:{port + BESIDE["console"]}"\n'
    )
    _first_policy(config)
    with (state / "serve.log").open("ab") as log:
        command = [sys.executable, "-m", "mailward", "serve", "--config", str(config)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
    try:
        _wait_for(process, port, state / "serve.log")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _first_policy(config: Path) -> None:
    """Put the policy of the samples' site in force, unless somebody has already chosen one."""
    from mailward import storage
    from mailward.gateway.settings import Settings

    settings = Settings.load(config)
    opened = storage.open(settings.storage_url)
    try:
        if opened.policy() is None:
            opened.save_policy(POLICY, "mailward", "for the sample messages", time.time())
    except storage.StorageError as error:
        raise Trouble(str(error), f"Remove {config.parent} to start afresh.") from None
    finally:
        opened.close()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()][-3:]
            raise Trouble("the gateway did not start: " + " / ".join(words.one_line(line, 300) for line in last), f"All of it is in {log}.")
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1) as connection:
            connection.settimeout(5)
            if connection.recv(3) == b"220":
                return
        time.sleep(0.05)
    raise Trouble(f"the gateway did not answer on {HOST}:{port} within {START_SECONDS:.0f} seconds", f"{log} may say why.")
