"""CPU per message of the SPF, DKIM, ARC and DMARC checks with answers at hand: `.venv/bin/python benchmarks/authentication.py`.

Times are those of the process (user and system), the best of five rounds; the budget is 0.8 ms for SPF, DKIM and DMARC with warm DNS.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import dkim
from tests.auth.signing import ed25519_key, rsa_key, sealed, signed
from tests.auth.zone import Zone

from mailward.auth.combine import prepare, together

ROUNDS, TIMES = 5, 300
KEY = {"TXT": [rsa_key()[1]]}
ZONE = Zone(
    {
        "example.com": {"TXT": ["v=spf1 include:one.test include:two.test ip4:192.0.2.0/24 -all"]},
        "one.test": {"TXT": ["v=spf1 " + " ".join(f"ip4:198.51.{at}.0/24" for at in range(30)) + " ~all"]},
        "two.test": {"TXT": ["v=spf1 include:three.test ?all"]},
        "three.test": {"TXT": ["v=spf1 ip4:203.0.113.0/24 -all"]},
        "_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject; rua=mailto:reports@example.com"]},
        "s1._domainkey.example.com": KEY,
        "s2._domainkey.platform.test": KEY,
        "ed._domainkey.example.com": {"TXT": [ed25519_key()[1]]},
        "arc._domainkey.list.test": KEY,
        "arc._domainkey.fwd.test": KEY,
    }
)
HEAD = b"From: Ann <ann@example.com>\r\nTo: tom@example.org\r\nSubject: Minutes\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
MORE = b"".join(b"X-Field-%d: %s\r\n" % (at, b"value " * 12) for at in range(25))


def message(size: int) -> bytes:
    return HEAD + MORE + b"\r\n" + (b"A line of ordinary text that says little.  \r\n" * (size // 45 + 1))


def whole(raw: bytes) -> Any:
    """Everything for one message, as the gateway does it."""
    checks = prepare(raw, ("example.com",), "192.0.2.1", "ann@example.com", "mail.example.com", time.time())
    found = [ZONE.run(steps) for steps in (checks.spf(), checks.dkim(), checks.arc(), checks.dmarc())]
    ZONE.asked.clear()
    return together(checks, *found, ("list.test",))  # type: ignore[call-arg, arg-type]


def record(_name: bytes, timeout: int = 5) -> bytes:
    """What dkimpy asks for."""
    del timeout
    return rsa_key()[1].encode()


def cost(work: Callable[[], Any], times: int = TIMES) -> float:
    """Milliseconds of CPU for one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - started) / times * 1000)
    return best


def main() -> None:
    plain = message(20_000)
    one = signed(plain)
    two = signed(one, domain="platform.test", selector="s2")
    forwarded = sealed(sealed(two, "list.test", "dmarc=pass header.from=example.com"), "fwd.test", "arc=pass")
    fifty = one
    for at in range(49):
        fifty = signed(fifty, domain=f"stranger{at}.test")
    ed = signed(plain, selector="ed", key=ed25519_key()[0], signature_algorithm=b"ed25519-sha256")
    now = time.time()
    checks = prepare(two, ("example.com",), "192.0.2.1", "ann@example.com", "mail.example.com", now)
    rows: list[tuple[str, Callable[[], Any], int]] = [
        ("SPF alone, five records", lambda: ZONE.run(checks.spf()), TIMES),
        ("DMARC records alone", lambda: ZONE.run(checks.dmarc()), TIMES),
        ("20 KB, no signature: all checks", lambda: whole(plain), TIMES),
        ("20 KB, one RSA signature: all checks", lambda: whole(one), TIMES),
        ("20 KB, one ed25519 signature: all checks", lambda: whole(ed), TIMES),
        ("20 KB, two RSA signatures: all checks", lambda: whole(two), TIMES),
        ("20 KB, two signatures and two ARC sets: all checks", lambda: whole(forwarded), TIMES),
        ("20 KB, fifty signatures: all checks", lambda: whole(fifty), 50),
        ("1 MB, one RSA signature: all checks", lambda raw=signed(message(1_000_000)): whole(raw), 10),  # type: ignore[misc]
        ("25 MB, one RSA signature: all checks", lambda raw=signed(message(25_000_000)): whole(raw), 1),  # type: ignore[misc]
    ]
    rows += [
        ("dkimpy: 20 KB, one RSA signature, DKIM only", lambda: dkim.verify(one, dnsfunc=record), TIMES),
        ("dkimpy: 20 KB, fifty signatures, the first only", lambda: dkim.verify(fifty, dnsfunc=record), 50),
        (
            "dkimpy: 1 MB, one RSA signature, DKIM only",
            lambda raw=signed(message(1_000_000)): dkim.verify(raw, dnsfunc=record),
            5,
        ),  # type: ignore[misc]
    ]
    assert dkim.verify(one, dnsfunc=record)
    assert whole(two).dmarc == "pass"
    assert whole(forwarded).arc == "pass"
    for name, work, times in rows:
        print(f"{name:52} {cost(work, times):9.3f} ms")


if __name__ == "__main__":
    main()
