"""Kill everything that can be killed while mail flows, and count what arrived."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.e2e.running import BLOCKED, Served, Sink, Talk, blocking, wait_until

from mailward.quarantine import State, Vault

MESSAGES = 2000
CLIENTS = 8
SEED = int(os.environ.get("FAULT_SEED", "20261123"))
FAULTS = {"worker": 30, "supervisor": 8, "next hop": 16, "disk": 8}
NUMBER = re.compile(rb"^X-Number: (\d+)\r\n", re.M)


@dataclass
class Letter:
    """One message and how its sending went. `doubts`: attempts after which nobody can know whether it was accepted."""

    number: int
    sender: str
    raw: bytes
    accepted: bool = False
    doubts: int = 0


def letters(chance: random.Random) -> list[Letter]:
    """A fifth is blocked mail, which is held; sizes go from a line to well beyond what is judged in a thread."""
    found = []
    for number in range(MESSAGES):
        sender = f"x@{BLOCKED}" if number % 5 == 0 else "a@example.com"
        size = chance.choice((10, 10, 100, 400, 2000) if number % 50 else (80_000,))
        body = b"".join(b".line %d of %d\r\n" % (line, number) for line in range(size // 10))
        head = f"From: {sender}\r\nTo: b@example.org\r\nSubject: {number}\r\nX-Number: {number}\r\n\r\n".encode()
        found.append(Letter(number, sender, head + body))
    return found


@dataclass
class Post:
    """Clients that send every letter until it is answered 250, as a mail server does."""

    port: int
    waiting: list[Letter]
    done: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        talk: Talk | None = None
        while letter := self.next():
            while not letter.accepted:
                talk = self.attempt(letter, talk)
            with self.lock:
                self.done += 1

    def next(self) -> Letter | None:
        with self.lock:
            return self.waiting.pop() if self.waiting else None

    def attempt(self, letter: Letter, talk: Talk | None) -> Talk | None:
        """One try; the connection for the next one, None when it is gone."""
        sent = False
        try:
            if talk is None:
                talk = Talk(self.port)
                talk.socket.settimeout(30)
                if not talk.greeting.startswith("220") or not talk.say("EHLO client.example").startswith("250"):
                    raise ConnectionError
            for line in (f"MAIL FROM:<{letter.sender}>", "RCPT TO:<b@example.org>", "DATA"):
                answer = talk.say(line)
                if answer[0] not in "23":
                    return self.later(talk, answer)
            stuffed = letter.raw.replace(b"\r\n.", b"\r\n..")
            sent = True
            talk.send(stuffed + b".\r\n")
            answer = talk.hear()
        except OSError:
            letter.doubts += sent
            self.answers["connection lost after the message" if sent else "connection lost before"] += 1
            time.sleep(0.05)
            return None
        self.answers[answer[:9]] += 1
        if answer.startswith("250"):
            letter.accepted = True
            return talk
        letter.doubts += "may arrive twice" in answer
        return self.later(talk, None)

    def later(self, talk: Talk, answer: str | None) -> Talk | None:
        if answer is not None:
            self.answers[answer[:9]] += 1
        time.sleep(0.05)
        with contextlib.suppress(OSError):
            talk.say("RSET")
            return talk
        return None


@dataclass
class Trouble:
    """Does harm as the letters go by, at moments that chance picked."""

    served: Served
    sink: Sink
    post: Post
    chance: random.Random
    disk: Path | None
    happened: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        kinds = [kind for kind, count in FAULTS.items() for _ in range(count) if kind != "disk" or self.disk is not None]
        self.chance.shuffle(kinds)
        moments = sorted(self.chance.sample(range(20, MESSAGES - 50), len(kinds)))
        for moment, kind in zip(moments, kinds, strict=True):
            wait_until(lambda moment=moment: self.post.done >= moment, 120, f"{moment} messages")
            time.sleep(self.chance.random() * 0.02)
            {"worker": self.worker, "supervisor": self.supervisor, "next hop": self.next_hop, "disk": self.full_disk}[kind]()
            self.happened[kind] += 1

    def worker(self) -> None:
        pids = wait_until(self.served.worker_pids, what="a worker")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.chance.choice(pids), signal.SIGKILL)

    def supervisor(self) -> None:
        self.served.kill()
        self.served.run()

    def next_hop(self) -> None:
        self.sink.kill()
        time.sleep(self.chance.random() * 0.3)
        self.sink.start()

    def full_disk(self) -> None:
        """Leave no block free for a third of a second."""
        assert self.disk is not None
        ballast = self.disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        time.sleep(0.3)
        ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of 48 MB for the state folder, None where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs", str(folder)], capture_output=True)
        mounted = done.returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        print("no file system can be mounted here (not root?): the full disk is left out")
    yield folder if mounted else None
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.xdist_group("faults")
def test_no_message_is_lost(tmp_path: Path, small_disk: Path | None) -> None:
    """Workers, supervisor and next hop are killed and the disk is filled while 2,000 messages flow: every message answered 250 is at
    the next hop or in quarantine, whole, once; twice only when a connection died between acceptance and answer.
    """
    chance = random.Random(SEED)
    post_bag = letters(chance)
    sink = Sink(tmp_path / "sink").start()
    state = None if small_disk is None else small_disk / "state"
    served = Served(tmp_path / "gateway", sink.port, policy=blocking("quarantine"), state=state).start()
    post = Post(served.port, list(reversed(post_bag)))
    trouble = Trouble(served, sink, post, chance, small_disk)
    try:
        clients = [threading.Thread(target=post.run) for _ in range(CLIENTS)]
        started = time.monotonic()
        for client in clients:
            client.start()
        trouble.run()
        for client in clients:
            client.join(120 - (time.monotonic() - started))
        seconds = time.monotonic() - started
        assert served.stop() == 0
    finally:
        served.kill()
        sink.stop()
    vault = Vault(served.settings.quarantine_folder)
    entries = vault.list(*State)
    assert {entry.defect for entry in entries} <= {""}
    assert {entry.state for entry in entries} <= {State.HELD}
    delivered = [kept.raw for kept in sink.kept]
    held = [vault.raw(entry.id) for entry in entries]
    doubts = sum(letter.doubts for letter in post_bag)
    copies = Counter(int(NUMBER.search(raw)[1]) for raw in (*delivered, *held))  # type: ignore[index]
    twice = sum(count - 1 for count in copies.values())
    print(
        f"{MESSAGES} messages in {seconds:.0f} s, {dict(trouble.happened)}; {doubts} attempts in doubt, {twice} extra copies; answers {dict(post.answers)}"
    )
    used = "" if small_disk is None else f"{shutil.disk_usage(small_disk).used >> 20} MB of the small disk used"
    assert all(letter.accepted for letter in post_bag), f"{used}\n{served.log.read_text()[-3000:]}"
    print(used)
    assert [letter.number for letter in post_bag if not copies[letter.number]] == []
    assert [letter.number for letter in post_bag if copies[letter.number] > 1 + letter.doubts] == []
    by_number = {letter.number: letter for letter in post_bag}
    for raw in held:
        letter = by_number[int(NUMBER.search(raw)[1])]  # type: ignore[index]
        assert letter.sender.endswith(BLOCKED)
        assert raw == letter.raw
    for raw in delivered:
        letter = by_number[int(NUMBER.search(raw)[1])]  # type: ignore[index]
        assert not letter.sender.endswith(BLOCKED)
        assert raw.endswith(letter.raw[letter.raw.index(b"\r\n\r\n") :])
    assert doubts > 0, "no fault hit a message on its way: the test proves nothing"
    assert sum(trouble.happened.values()) == sum(FAULTS.values()) - (FAULTS["disk"] if small_disk is None else 0)
