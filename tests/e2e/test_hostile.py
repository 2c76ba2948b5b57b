"""Messages built to hurt, sent to a running gateway."""

from __future__ import annotations

import importlib.util
import queue
import threading
import time
from pathlib import Path

import pytest
from tests.e2e.running import Talk, serving

SPEC = importlib.util.spec_from_file_location("mailward_hostile", Path(__file__).parents[1] / "message" / "hostile.py")
assert SPEC is not None
assert SPEC.loader is not None
hostile = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hostile)


NOT_LEARNING = "[email_reputation.evidence]\nlearn = false\n"  # all of it comes from one address, which would soon be listed


def peak_mb(pid: int) -> float:
    """The most memory a process ever had, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1000


@pytest.mark.slow
def test_one_worker_survives_all_hostile_mail(tmp_path: Path) -> None:
    """Four clients send every hostile message at once to a single worker: each is answered with a verdict, the worker stays the same and
    keeps below 600 MB, and ordinary mail goes through meanwhile.
    """
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    names = sorted(hostile.generators())
    for name in names:
        waiting.put(name)
    answers: dict[str, str] = {}
    with serving(tmp_path, sink=("SIZE=100000000", "8BITMIME"), workers=1, smtp={"timeout": 60}, policy=NOT_LEARNING) as (served, sink):
        (worker,) = served.worker_pids()

        def send() -> None:
            talk = Talk(served.port)
            talk.socket.settimeout(60)
            talk.say("EHLO client.example")
            while not waiting.empty():
                name = waiting.get()
                raw = hostile.generators()[name]().replace(b"\r", b"").replace(b"\n", b"\r\n")
                for line in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"):
                    assert talk.say(line)[0] in "23"
                talk.send(raw.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
                answers[name] = talk.hear()

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        slowest = 0.0
        ordinary = 0
        with Talk(served.port) as talk:
            talk.say("EHLO client.example")
            while any(sender.is_alive() for sender in senders):
                started = time.monotonic()
                assert talk.mail(subject="ordinary").startswith("250")
                slowest = max(slowest, time.monotonic() - started)
                ordinary += 1
                time.sleep(0.05)
        assert served.worker_pids() == [worker]
        peak = peak_mb(worker)
        print(f"{len(names)} hostile messages, {ordinary} ordinary ones meanwhile, the slowest in {slowest:.2f} s; peak {peak:.0f} MB")
        assert {name: answer for name, answer in answers.items() if not answer.startswith("250")} == {}
        assert len(answers) == len(names)
        verdicts = {event["verdict"] for event in served.events("message")}
        assert verdicts <= {"clean", "spam", "malicious_url"}
        assert len(sink.files) == len(names) + ordinary
        assert slowest < 5
        assert peak < 600
