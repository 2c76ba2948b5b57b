"""The helper process: files in, addresses out, over its standard streams, each message as length and MessagePack.

Its limits are set before anything hostile is read. It ends when its input does, so with the process that started it.
"""

from __future__ import annotations

import resource
import sys

import msgspec

from mailward.message.attachments.attachment import Attachment, Examined, Question
from mailward.message.attachments.examine import examine
from mailward.message.attachments.frames import read_frame, write_frame
from mailward.message.model import Finding

MEMORY = 512 << 20  # bytes of address space, the program itself included
CPU_SECONDS = 8
_WARM_UP = Attachment("a.html", "text/html", "", b"<a href='http://www.example.com/'>x</a> http://example.com/")


def main() -> None:
    """Answer until the input ends."""
    examine([_WARM_UP])  # whatever is loaded when first used is loaded now
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it has nothing to write
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    decoder = msgspec.msgpack.Decoder(Question)
    while frame := read_frame(sys.stdin.buffer):
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_SECONDS + 1, most))
        try:
            question = decoder.decode(frame)
            answer = examine(question.attachments, question.text)
        except MemoryError:
            answer = Examined((), (Finding("attachment:memory", "Looking into the attachments took more memory than is allowed."),))
        write_frame(sys.stdout.buffer, msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
