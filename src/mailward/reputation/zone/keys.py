"""Signed questions and answers (TSIG, RFC 8945), by dnspython. Secrets stay inside."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.tsig

FUDGE = 300  # seconds that two clocks may differ
SIGNATURE_OCTETS = 400  # a TSIG record at most: a key name of 200, HMAC-SHA512


class Refused(Exception):  # noqa: N818
    """A signature that does not hold; the text says why, for the log."""


class Signer:
    """Signs the answer, or the stream of answers, to one question that was signed."""

    def __init__(self, key: dns.tsig.Key, request_mac: bytes, id: int) -> None:
        self._key, self._request_mac, self._id = key, request_mac, id
        self._context: Any = None

    def sign(self, message: bytes, *, more: bool = False) -> bytes:
        """The message with its TSIG record. `more`: others follow or went before (RFC 8945 5.3.1)."""
        empty = dns.rdtypes.ANY.TSIG.TSIG(  # type: ignore[no-untyped-call]
            dns.rdataclass.ANY, dns.rdatatype.TSIG, self._key.algorithm, 0, FUDGE, b"", self._id, 0, b""
        )
        signed = dns.tsig.sign(message, self._key, empty, int(time.time()), self._request_mac, self._context, more)  # type: ignore[no-untyped-call]
        rdata, self._context = signed
        data: bytes = rdata.to_wire()
        owner = self._key.name.to_wire() or b""
        count = int.from_bytes(message[10:12], "big") + 1
        record = b"".join((owner, b"\0\xfa\0\xff\0\0\0\0", len(data).to_bytes(2, "big"), data))
        return message[:10] + count.to_bytes(2, "big") + message[12:] + record


class Keys:
    """The keys of the settings: "name:algorithm:base64" each. Raises ValueError for one that cannot be read, without showing it."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._ring: dict[dns.name.Name, dns.tsig.Key] = {}
        for text in texts:
            name, algorithm, secret = text.split(":")
            try:
                key = dns.tsig.Key(name, secret, algorithm)
            except (ValueError, dns.exception.DNSException):
                raise ValueError(f"the transfer key {name} cannot be read: its secret is no base64, or its name no domain name") from None
            self._ring[key.name] = key

    def check(self, data: bytes) -> Signer:
        """Verify a signed question. Raises Refused."""
        try:
            message = dns.message.from_wire(data, keyring=self._ring)
            key = message.keyring
            if not isinstance(key, dns.tsig.Key) or not message.had_tsig:
                raise Refused("no signature")
            return Signer(key, message.mac or b"", message.id)
        except Refused:
            raise
        except Exception as error:  # whatever a hostile message does to the parser, it is not signed by a key of ours
            raise Refused(str(error)[:200] or type(error).__name__) from None
