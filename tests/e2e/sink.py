"""A next hop for tests: a real SMTP server process that keeps every message it accepts as a file.

A message is in the folder before its 250 is sent, so killing the process at any moment loses nothing it accepted. What it
answers is steered by the recipient:

  no550@, wait451@   refused or put off at RCPT
  dot550@, dot451@   refused or put off after the message
  dotlost@           kept, then the connection is closed without an answer
  dotslow@           answered after a second
  gone@              the connection is closed at RCPT

and by the sender: from550@ is refused at MAIL. XCLIENT and XFORWARD with HELO=disliked are refused.

    python sink.py PORT FOLDER [EHLO keyword ...]
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from pathlib import Path


class Sink(asyncio.Protocol):
    folder = Path()
    extensions: tuple[str, ...] = ()
    numbers = itertools.count()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.buffer = bytearray()
        self.told: list[str] = []
        self.begin()
        self.in_data = False
        self.say("220 sink.example.test ESMTP")

    def begin(self) -> None:
        self.sender = ""
        self.recipients: list[str] = []

    def say(self, *lines: str) -> None:
        for n, line in enumerate(lines):
            last = n == len(lines) - 1
            self.transport.write((line if last else f"{line[:3]}-{line[4:]}").encode() + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while not self.transport.is_closing():
            end = self.buffer.find(b"\r\n.\r\n" if self.in_data else b"\r\n")
            if end < 0:
                return
            if self.in_data:
                body = bytes(self.buffer[: end + 2])
                del self.buffer[: end + 5]
                self.in_data = False
                self.message(body)
            else:
                line = self.buffer[:end].decode()
                del self.buffer[: end + 2]
                self.command(line)

    def command(self, line: str) -> None:
        verb = line.upper().partition(" ")[0]
        if verb == "EHLO":
            self.say("250 sink.example.test", *(f"250 {word.replace('=', ' ')}".rstrip() for word in self.extensions))
        elif verb in ("XFORWARD", "XCLIENT") and "HELO=disliked" in line:
            self.say("501 5.5.4 Bad HELO syntax")
        elif verb in ("XFORWARD", "XCLIENT"):
            self.told.append(line)
            self.say("220 sink.example.test ESMTP" if verb == "XCLIENT" else "250 2.0.0 Ok")
        elif verb == "MAIL":
            self.begin()
            self.sender = line
            self.say("550 5.1.8 Sender not wanted" if "from550@" in line else "250 2.1.0 Sender ok")
        elif verb == "RCPT":
            self.recipient(line)
        elif verb == "DATA":
            self.in_data = True
            self.buffer[:0] = b"\r\n"  # so that an empty message ends like any other
            self.say("354 Go")
        elif verb == "QUIT":
            self.say("221 2.0.0 Bye")
            self.transport.close()
        else:
            self.say("250 2.0.0 Ok")

    def recipient(self, line: str) -> None:
        if "no550@" in line:
            self.say("550 5.1.1 No such user")
        elif "wait451@" in line:
            self.say("451 4.2.1 Mailbox busy", "451 4.2.1 try later")
        elif "gone@" in line:
            self.transport.abort()
        else:
            self.recipients.append(line)
            self.say("250 2.1.5 Recipient ok")

    def message(self, body: bytes) -> None:
        raw = body[2:].replace(b"\r\n.", b"\r\n").removeprefix(b".")
        to = " ".join(self.recipients)
        if "dot550@" in to:
            return self.say("550 5.7.0 Message not wanted")
        if "dot451@" in to:
            return self.say("451 4.3.0 Not now")
        name = f"{os.getpid()}-{next(self.numbers):06d}"
        head = json.dumps({"mail": self.sender, "rcpt": self.recipients, "told": self.told})
        (self.folder / f".{name}").write_bytes(head.encode() + b"\n" + raw)
        (self.folder / f".{name}").rename(self.folder / f"{name}.msg")
        if "dotlost@" in to:
            return self.transport.abort()
        answer = f"250 2.0.0 Ok: queued as {name}"
        if "dotslow@" in to:
            asyncio.get_running_loop().call_later(1.0, self.say, answer)
            return None
        return self.say(answer)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port, reuse_address=True)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    Sink.folder = Path(sys.argv[2])
    Sink.folder.mkdir(exist_ok=True)
    Sink.extensions = tuple(sys.argv[3:])
    asyncio.run(main(int(sys.argv[1])))
