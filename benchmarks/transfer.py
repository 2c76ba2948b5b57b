"""A zone transfer of many entries: entries/s, octets, memory of the process, and what dnspython takes to write the same records.

python benchmarks/transfer.py [--entries 200000]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import dns.message
import numpy as np

from mailward.reputation.listing import Database
from mailward.reputation.snapshot import STANDARD_FILE, Table, write
from mailward.reputation.zone import transfer, wire
from mailward.reputation.zone.keys import Keys
from mailward.reputation.zone.zone import Zone

ZONE = "std.rep.internal"
KEY = "transfer.example:hmac-sha256:c2VjcmV0LXNlY3JldC1zZWNyZXQ="


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def by_dnspython(message: bytes) -> bytes:
    """The same message, written by dnspython from records that are there already."""
    read = dns.message.from_wire(message, one_rr_per_rrset=True)
    start = time.process_time()
    written = read.to_wire(max_size=65_535)
    by_dnspython.seconds += time.process_time() - start  # type: ignore[attr-defined]
    return written


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=200_000)
    chosen = parser.parse_args()
    addresses = np.unique(np.random.default_rng(1).integers(11 << 24, 126 << 24, chosen.entries, dtype=np.uint32))
    count, now = len(addresses), int(time.time())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STANDARD_FILE
        fixed = {"kind": 2, "since": now, "until": now + 86_400, "count": 3, "reason": 0}
        columns = {name: np.full(count, value) for name, value in fixed.items()}
        write(path, {"start": addresses, "end": addresses, **columns}, {}, ["seen by spam traps"], 1, now)
        zone = Zone(ZONE, Database.STANDARD, Table.open(path), 2, "https://rep.example.com/lookup")
        asked = dns.message.make_query(ZONE, "AXFR")
        keys = Keys([KEY])
        asked.use_tsig(keys._ring, keyname=next(iter(keys._ring)))
        data = asked.to_wire()
        question, signer = wire.read(data), keys.check(data)
        assert question is not None
        before, start, octets, some = memory_mb(), time.process_time(), 0, []
        for number, message in enumerate(transfer.messages(zone, question, now)):
            octets += len(signer.sign(message, more=True))
            if number % 50 == 0:
                some.append(message)
        took = time.process_time() - start
        print(f"{count} entries, signed: {count / took:.0f} entries/s, {took / count * 1e6:.1f} us an entry, {octets / 1e6:.0f} MB sent")
        print(f"memory: {memory_mb() - before:.1f} MB more than before")
        by_dnspython.seconds = 0.0  # type: ignore[attr-defined]
        records = sum(len(dns.message.from_wire(by_dnspython(message), one_rr_per_rrset=True).answer) for message in some)
        print(f"dnspython, only writing such records: {by_dnspython.seconds / records * 2e6:.1f} us an entry")  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
