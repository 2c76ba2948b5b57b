"""The answers of the DNS, remembered for all workers of a machine in a piece of memory of fixed size.

The memory is anonymous and shared: make the cache before forking. A slot holds one answer; a newer one takes its place.
There is no lock: a reader copies a slot and believes it only when its check value fits, so a slot that is just being written,
or was left half written by a worker that died, is a miss. Keys are salted (`hash` of a text is, and forked processes share the
salt), so nobody outside can choose names that meet.
"""

from __future__ import annotations

import mmap
import struct
import time
from zlib import crc32

from mailward.reputation.dnsbl.reading import MAX_ADDRESSES, NOTHING, Failure, Response

SLOTS = 1 << 17  # of 64 octets: 8 MB
MAX_TTL = 3600  # seconds; no list means a listing to last longer than it says now
MIN_TTL = 5  # for the recipients of one message, and for lists that say 0
NOTHING_TTL = 60  # c-ares does not tell the TTL of "no such name"
FAILURE_TTL = 5

_SLOT = struct.Struct("<qIBB46sI")  # key, end (seconds of the monotonic clock), count, failure, addresses, check value
_BODY = _SLOT.size - 4
_FAILURES = tuple(Failure)
_FAILED: tuple[Response, ...] = tuple(Response(failure=failure) for failure in _FAILURES)
_MASK_TIME = 0xFFFFFFFF


class DnsCache:
    """Answers by name. `slots` is a power of two."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._memory = mmap.mmap(-1, slots * _SLOT.size)
        self._mask = slots - 1

    def get(self, name: str) -> Response | None:
        """The answer while it lasts. 1 us."""
        key = hash(name)
        at = (key & self._mask) << 6
        slot = self._memory[at : at + 64]
        found, end, count, failure, addresses, check = _SLOT.unpack(slot)  # a copy: nobody writes into it any more
        if found != key or end <= time.monotonic() or crc32(slot[:_BODY]) != check:
            return None
        if failure:
            return _FAILED[int(failure) - 1]
        if not count:
            return NOTHING
        return Response(tuple(tuple(addresses[i : i + 4]) for i in range(0, 4 * count, 4)))

    def put(self, name: str, response: Response) -> None:
        """Remember an answer as long as it says, within the limits above."""
        failure = _FAILURES.index(response.failure) + 1 if response.failure is not None else 0
        addresses = response.addresses[:MAX_ADDRESSES]
        key = hash(name)
        end = int(time.monotonic()) + _lasts(response)
        body = _SLOT.pack(key, end & _MASK_TIME, len(addresses), failure, b"".join(map(bytes, addresses)), 0)[:_BODY]
        at = (key & self._mask) << 6
        self._memory[at : at + 64] = body + crc32(body).to_bytes(4, "little")


def _lasts(response: Response) -> int:
    if response.failure is not None:
        return FAILURE_TTL
    if not response.addresses:
        return NOTHING_TTL
    return min(max(response.ttl, MIN_TTL), MAX_TTL)
