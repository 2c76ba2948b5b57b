"""A restart under load, with sockets that systemd holds: nobody is refused."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.e2e.running import Served, Sink, Talk, wait_until

AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.execve(sys.executable, [sys.executable, *sys.argv[2:]], {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
"""


class Handed(Served):
    """`mailward serve` started as systemd starts it, with a socket that outlives it."""

    held: socket.socket

    def run(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log, self.out.open("wb") as out:
            number = self.held.fileno()
            command = [sys.executable, "-c", AS_SYSTEMD, str(number), "-m", "mailward", "serve", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=out, stderr=log, pass_fds=[number])
        wait_until(lambda: self.is_ready() or self.process is None or self.process.poll() is not None, 20, "mailward serve")
        assert self.process.poll() is None, self.log.read_text()[-3000:]


def test_a_restart_refuses_nobody_and_loses_nothing(tmp_path: Path) -> None:
    """Clients come all the time while the service is stopped and started twice; who is in the middle is told 421, and comes again."""
    hop = Sink(tmp_path / "sink").start()
    served = Handed(tmp_path / "gateway", hop.port)
    served.held = socket.create_server(("127.0.0.1", served.port), backlog=512)
    stop, sent, refused = threading.Event(), list[str](), list[str]()

    def client(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            try:
                with Talk(served.port) as talk:
                    if talk.say("EHLO client.example").startswith("250") and talk.mail(subject=f"{number}-{turn}").startswith("250"):
                        sent.append(f"{number}-{turn}")
            except ConnectionRefusedError as error:
                refused.append(str(error))
            except (ConnectionError, TimeoutError):
                pass  # hung up on in the middle: it would come again

    try:
        served.start()
        threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(1)
            before = len(sent)
            assert served.stop() == 0
            time.sleep(0.5)  # nobody serves: connections wait in the socket
            served.run()
            wait_until(lambda before=before: len(sent) > before + 20, what="mail after the restart")
        stop.set()
        for thread in threads:
            thread.join(20)
    finally:
        stop.set()
        with contextlib.suppress(subprocess.TimeoutExpired):
            served.stop()
        served.held.close()
        hop.stop()
    assert refused == []
    subjects = [kept.raw.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for kept in hop.kept]
    assert set(sent) <= set(subjects)
    assert len(sent) > 50
