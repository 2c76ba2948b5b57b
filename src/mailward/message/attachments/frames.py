"""Messages between a process and its helper: eight octets of length, then MessagePack."""

from __future__ import annotations

from typing import BinaryIO


def read_frame(stream: BinaryIO) -> bytes:
    """One message; empty where the stream ends."""
    head = stream.read(8)
    size = int.from_bytes(head, "big")
    data = stream.read(size) if len(head) == 8 else b""
    return data if len(data) == size else b""


def write_frame(stream: BinaryIO, data: bytes) -> None:
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()
