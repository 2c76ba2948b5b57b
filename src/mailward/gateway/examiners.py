"""Helper processes that look into attachments, each with limits on time and memory; one that hangs or dies is replaced."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import BinaryIO, cast

import msgspec

from mailward.message import Message
from mailward.message.attachments import Attachment, Examined, Question, worth
from mailward.message.attachments.frames import read_frame, write_frame
from mailward.message.model import Finding

SECONDS = 8.0  # wall time a message may take, waiting for a free process included
PROCESSES = 2  # of each process that judges mail
JOBS = 500  # after so many messages a process is replaced, so that nothing can pile up in it
_COMMAND = (sys.executable, "-P", "-m", "mailward.message.attachments")
_DIED = Finding("attachment:examiner-died", "Looking into the attachments ended the process that did so.")
_LATE = Finding("attachment:time", "Looking into the attachments took longer than is allowed.")


class Examiners:
    """At most PROCESSES helpers, started when first needed. For any thread; after a fork each process starts its own."""

    def __init__(self, seconds: float = SECONDS, processes: int = PROCESSES, command: Sequence[str] = _COMMAND) -> None:
        self._seconds, self._processes, self._command = seconds, processes, tuple(command)
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._free = threading.Semaphore(self._processes)
        self._lock = threading.Lock()
        self._idle: list[_Examiner] = []

    def attachment_urls(self, message: Message, *, files: bool = True) -> Examined:
        """The addresses inside the attachments of a message, and in codes drawn in its bodies; without `files` only those.

        Costs nothing where there are none; blocks up to `seconds`. Never raises.
        """
        attachments = worth(message, files=files)
        return self.examine(attachments, f"{message.subject}\n{message.text}") if attachments else Examined()

    def examine(self, attachments: Sequence[Attachment], message_text: str = "") -> Examined:
        """The same for files; the password of a locked one may stand in the text."""
        if self._pid != os.getpid():
            for examiner in self._idle:
                examiner.let_go()  # the parent's, which goes on using them
            self._reset()
        ends = time.monotonic() + self._seconds
        if not self._free.acquire(timeout=self._seconds):
            return Examined((), (_LATE,))
        try:
            return self._ask(msgspec.msgpack.encode(Question(tuple(attachments), message_text)), ends)
        finally:
            self._free.release()

    def close(self) -> None:
        """End the helpers that are idle; busy ones end with their message's time, or with this process."""
        if self._pid == os.getpid():
            with self._lock:
                idle, self._idle = self._idle, []
            for examiner in idle:
                examiner.end()

    def _ask(self, question: bytes, ends: float) -> Examined:
        with self._lock:
            examiner = self._idle.pop() if self._idle else None
        try:
            examiner = examiner or _Examiner(self._command)
        except OSError:
            return Examined((), (_DIED,))
        answer = examiner.ask(question, ends - time.monotonic())
        if answer is None:
            examiner.end()
            return Examined((), (_LATE if examiner.late else _DIED,))
        with self._lock:
            if examiner.jobs < JOBS:
                self._idle.append(examiner)
                return answer
        examiner.end()
        return answer


class _Examiner:
    """One helper process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True
        )
        self._in, self._out = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)
        self.jobs = 0
        self.late = False

    def ask(self, question: bytes, seconds: float) -> Examined | None:
        """Its answer; None where it died, or was killed because the time was over."""
        self.jobs += 1
        timer = threading.Timer(max(0.0, seconds), self._kill)
        timer.start()
        try:
            write_frame(self._in, question)
            answer = read_frame(self._out)
            return msgspec.msgpack.decode(answer, type=Examined) if answer else None
        except (OSError, msgspec.MsgspecError):
            return None
        finally:
            timer.cancel()
            timer.join()  # what it kills must not be used again

    def _kill(self) -> None:
        self.late = True
        self._process.kill()

    def end(self) -> None:
        self._process.kill()
        self.let_go()
        self._process.wait()

    def let_go(self) -> None:
        for pipe in (self._in, self._out):
            try:
                pipe.close()
            except OSError:  # what was not yet written is lost with the process
                continue
