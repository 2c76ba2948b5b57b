"""Scripted SMTP talks against a real gateway with a real next hop: one `.dialog` file, one talk.

Lines of a dialog:

  # text                 the first comment says what holds
  smtp NAME = VALUE      a setting of [smtp]; trusted = the networks in trusted_proxies
  policy ACTION          what to do with mail from blocked.example
  listed KIND ADDRESS    our own database of that kind (standard, dynamic) lists the address
  email_reputation KEY = VALUE  a setting of that table of the policy
  refused N              connections on record as refused in this talk
  sink WORD ...          what the next hop offers; `sink down` stops it, `sink none` names no next hop
  c -> TEXT              a line sent, with CRLF
  c => TEXT              octets sent as they are; \\r \\n \\0 \\xNN are understood
  c <- TEXT              a line received that starts with TEXT
  c <~ PATTERN           a line received that matches
  c !~ PATTERN           the lines received last (one reply) have no match
  c <. TEXT              a reply of any number of lines, the last of which starts with TEXT
  c closed               the gateway hung up
  kept N                 the next hop accepted N messages in this talk
  kept ~ PATTERN         the last of them matches (multi-line); `kept !~` does not
  told ~ PATTERN         commands the next hop heard for the last message: MAIL, RCPT, XFORWARD, XCLIENT
  held N                 messages held in quarantine in this talk
  @repeat N LINE         the line N times
  @big N, @long N        c sends lines of N octets together; one line of N octets
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.e2e.running import EXTENSIONS, Served, Sink, Talk, blocking, wait_until

from mailward import storage
from mailward.quarantine import State, Vault

FOLDER = Path(__file__).parent
pytestmark = pytest.mark.xdist_group("dialogs")


@dataclass(frozen=True)
class Setup:
    """What a dialog needs to run; dialogs with the same needs share a gateway."""

    smtp: tuple[tuple[str, object], ...] = ()
    policy: str = "junk"
    sink: tuple[str, ...] = EXTENSIONS
    listed: tuple[tuple[str, str], ...] = ()
    reputation: str = ""


@dataclass
class Stage:
    served: Served
    sink: Sink
    talks: dict[str, Talk] = field(default_factory=dict)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Setup, Stage]]:
    found: dict[Setup, Stage] = {}
    yield found
    for stage in found.values():
        stage.served.stop()
        stage.sink.stop()


def setup_of(lines: list[str]) -> Setup:
    smtp: dict[str, object] = {}
    policy, sink, listed, reputation = "junk", EXTENSIONS, [], ""
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "smtp":
            name, _, value = rest.partition(" = ")
            if name == "trusted":
                smtp["trusted_proxies"] = tuple(value.split())
            else:
                smtp[name] = {"true": True, "false": False}.get(value, int(value) if value.isdigit() else value)
        elif word == "policy":
            policy = rest
        elif word == "sink":
            sink = tuple(rest.split())
        elif word == "listed":
            kind, address = rest.split()
            listed.append((kind, address))
        elif word == "email_reputation":
            reputation += f"email_reputation.{rest}\n"
    return Setup(tuple(smtp.items()), policy, sink, tuple(listed), reputation)


def stage_of(setup: Setup, stages: dict[Setup, Stage], folder: Path) -> Stage:
    if setup not in stages:
        sink = Sink(folder / "sink", extensions=setup.sink)
        if setup.sink not in (("down",), ("none",)):
            sink.start()
        smtp = {name: list(value) if isinstance(value, tuple) else value for name, value in setup.smtp}
        hop = None if setup.sink == ("none",) else sink.port
        policy = setup.reputation + blocking(setup.policy)
        stages[setup] = Stage(Served(folder / "gateway", hop, smtp, policy, workers=1).start(), sink)
        for kind, address in setup.listed:
            stages[setup].served.list_source(address, kind)
    return stages[setup]


def unescaped(text: str) -> bytes:
    return re.sub(
        rb"\\(r|n|0|x[0-9a-f]{2})",
        lambda m: {b"r": b"\r", b"n": b"\n", b"0": b"\0"}.get(m[1]) or bytes.fromhex(m[1][1:].decode()),
        text.encode(),
    )


def held(stage: Stage) -> int:
    return len(Vault(stage.served.settings.quarantine_folder).list(State.HELD))


def refused(stage: Stage) -> int:
    store = storage.open(stage.served.settings.storage_url)
    try:
        return sum(record.outcome == "refused" for record in store.records())
    finally:
        store.close()


class Script:
    """Carries out the lines of one dialog."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.talks: dict[str, Talk] = {}
        self.last: dict[str, str] = {}
        self.before = stage.sink.files
        self.held = held(stage)
        self.refused = refused(stage)

    def do(self, line: str) -> None:
        who, _, rest = line.partition(" ")
        how, _, text = rest.partition(" ")
        if who == "@repeat":
            for _ in range(int(how)):
                self.do(text)
        elif who == "@big":
            self.talks["c"].send((b"x" * 98 + b"\r\n") * (int(how) // 100))
        elif who == "@long":
            self.talks["c"].send(b"x" * int(how) + b"\r\n")
        elif who in ("kept", "told", "held", "refused"):
            self.check(who, how, text)
        elif who not in ("smtp", "policy", "sink", "listed", "email_reputation"):
            if who not in self.talks:
                self.talks[who] = Talk(self.stage.served.port, greet=False)
            self.talk(who, how, text)

    def talk(self, who: str, how: str, text: str) -> None:
        talk = self.talks[who]
        if how == "->":
            talk.send(text.encode() + b"\r\n")
        elif how == "=>":
            talk.send(unescaped(text))
        elif how == "<-":
            self.last[who] = talk.line()
            assert self.last[who].startswith(text), self.last[who]
        elif how == "<~":
            self.last[who] = talk.line()
            assert re.search(text, self.last[who]), self.last[who]
        elif how == "<.":
            self.last[who] = talk.hear()
            assert self.last[who].rpartition("\n")[2].startswith(text), self.last[who]
        elif how == "!~":
            assert not re.search(text, self.last[who], re.M), self.last[who]
        elif how == "~~":
            assert re.search(text, self.last[who], re.M), self.last[who]
        elif how == "closed":
            assert talk.closed()
        else:
            raise AssertionError("not a line of a dialog")

    def check(self, what: str, how: str, text: str) -> None:
        if what == "held":
            assert held(self.stage) - self.held == int(how)
            return
        if what == "refused":
            wait_until(lambda: refused(self.stage) - self.refused == int(how), what=f"{how} refused connections on record")
            return
        new = sorted(self.stage.sink.files - self.before, key=lambda path: path.stat().st_mtime_ns)
        if how.isdigit():
            assert len(new) == int(how)
            return
        kept = self.stage.sink.read(new[-1])
        where = (
            kept.raw.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
            if what == "kept"
            else "\n".join([*kept.told, kept.mail, *kept.rcpt])
        )
        assert bool(re.search(text, where, re.M)) is (how == "~"), where


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.dialog")), ids=lambda path: path.stem)
def test_dialog(path: Path, stages: dict[Setup, Stage], tmp_path: Path) -> None:
    """The talk goes as it is written."""
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# "), "the first line says what holds"
    script = Script(stage_of(setup_of(lines), stages, tmp_path))
    try:
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                try:
                    script.do(line)
                except (AssertionError, OSError, IndexError) as error:
                    pytest.fail(f"{path.name}:{number}: {line}\n{error!r}\n{script.stage.served.log.read_text()[-1500:]}", pytrace=False)
    finally:
        for talk in script.talks.values():
            talk.socket.close()
