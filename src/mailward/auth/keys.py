"""Public keys of signers (RFC 6376 3.6.1) and the check of a signature with them, by `cryptography`."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailward.auth import tags
from mailward.auth.model import Outcome
from mailward.auth.question import Answer

MIN_RSA = 1_024  # bits; less is never valid (RFC 8301 3.2)
MAX_RSA = 4_096  # bits; verifiers must take so many (same), and 16,384 would take 30 times as long
MAX_EXPONENT = 1 << 32  # real keys have 65,537, old ones 3 or 17
MAX_KEY = 4_096  # characters of a key record

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Key:
    key: PublicKey
    kind: str  # "rsa" or "ed25519"
    testing: bool  # t=y: the signer only tries
    strict: bool  # t=s: i= has to be of d= itself


@dataclass(frozen=True, slots=True)
class BadKey:
    """Why a key cannot be used, and the word for a signature made with it."""

    outcome: Outcome
    why: str


_SHA256 = Prehashed(SHA256())


def key_of(answer: Answer) -> Key | BadKey:
    """The key among the TXT records of a selector."""
    if answer.failed:
        return BadKey(Outcome.TEMPERROR, "the DNS gave no answer about the key")
    found: Key | BadKey = BadKey(Outcome.PERMERROR, "there is no key")
    for text in answer.records[:3]:  # RFC 6376 3.6.2.2 leaves several records undefined; the first that serves is taken
        found = read_key(text)
        if isinstance(found, Key):
            break
    return found


@lru_cache(1024)
def read_key(text: str) -> Key | BadKey:
    """Read a key record. Keys outside the bounds are `policy`, damaged and revoked ones `permerror`."""
    found = tags.read(text) if len(text) <= MAX_KEY else None
    if found is None or found.get("v", "DKIM1") != "DKIM1" or "p" not in found:
        return BadKey(Outcome.PERMERROR, "the key record is damaged")
    if not {"*", "email"} & set(tags.unspaced(found.get("s", "*")).split(":")):
        return BadKey(Outcome.PERMERROR, "the key is not for mail")
    if "h" in found and "sha256" not in tags.unspaced(found["h"]).split(":"):
        return BadKey(Outcome.PERMERROR, "the key does not allow SHA-256")
    if not found["p"]:
        return BadKey(Outcome.PERMERROR, "the key was revoked")
    kind, flags = found.get("k", "rsa"), tags.unspaced(found.get("t", "")).split(":")
    key = _public_key(kind, tags.unspaced(found["p"]))
    return key if isinstance(key, BadKey) else Key(key, kind, "y" in flags, "s" in flags)


def _public_key(kind: str, text: str) -> PublicKey | BadKey:
    try:
        data = base64.b64decode(text, validate=True)
        if kind == "ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(data)
        if kind != "rsa":
            return BadKey(Outcome.PERMERROR, f"the key is of an unknown kind {kind[:20]!a}")
        key = load_der_public_key(data)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return BadKey(Outcome.PERMERROR, "the key is damaged")
    if not isinstance(key, rsa.RSAPublicKey):
        return BadKey(Outcome.PERMERROR, "the key is damaged")
    if not MIN_RSA <= key.key_size <= MAX_RSA:
        return BadKey(Outcome.POLICY, f"the key has {key.key_size} bits, not {MIN_RSA} to {MAX_RSA}")
    if key.public_numbers().e > MAX_EXPONENT:
        return BadKey(Outcome.POLICY, "the key has a huge exponent")
    return key


def verifies(key: Key, signature: bytes, digest: bytes) -> bool:
    """Whether the signature is that of the SHA-256 digest (RFC 8017 8.2.2; RFC 8463 signs the digest itself)."""
    try:
        if isinstance(key.key, rsa.RSAPublicKey):
            key.key.verify(signature, digest, padding.PKCS1v15(), _SHA256)
        else:
            key.key.verify(signature, digest)
    except InvalidSignature:
        return False
    return True
