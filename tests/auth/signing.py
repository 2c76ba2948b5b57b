"""Keys and signed messages, made by dkimpy: an implementation that is not ours."""

from __future__ import annotations

import base64
from functools import cache

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

PLAIN = (
    b"From: Ann <ann@example.com>\r\nTo: tom@example.org\r\nSubject: Minutes\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\n\r\nThe minutes of  yesterday.\r\n\r\nAnn\r\n\r\n\r\n"
)


@cache
def rsa_key(bits: int = 2048) -> tuple[bytes, str]:
    """A private key as dkimpy reads it, and its record."""
    key = rsa.generate_private_key(65_537, bits) if bits >= 1024 else small_rsa()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def small_rsa() -> rsa.RSAPrivateKey:
    """512 bits, which `cryptography` no longer makes: openssl does."""
    import subprocess

    made = subprocess.run(["openssl", "genrsa", "-traditional", "512"], capture_output=True, check=True)
    return serialization.load_pem_private_key(made.stdout, None)  # type: ignore[return-value]


@cache
def ed25519_key() -> tuple[bytes, str]:
    key = ed25519.Ed25519PrivateKey.generate()
    private = base64.b64encode(key.private_bytes_raw())
    return private, f"v=DKIM1; k=ed25519; p={base64.b64encode(key.public_key().public_bytes_raw()).decode()}"


def signed(message: bytes = PLAIN, domain: str = "example.com", selector: str = "s1", key: bytes | None = None, **how: object) -> bytes:
    """The message with one more DKIM signature. `how`: what dkimpy's `sign` takes."""
    how = {"canonicalize": (b"relaxed", b"relaxed"), "include_headers": [b"from", b"to", b"subject", b"date"], **how}
    return dkim.DKIM(message, minkey=512).sign(selector.encode(), domain.encode(), key or rsa_key()[0], **how) + message


def sealed(message: bytes, domain: str, results: str, selector: str = "arc", key: bytes | None = None) -> bytes:
    """The message with one more ARC set, after `results` were recorded by `domain`."""
    message = f"Authentication-Results: {domain}; {results}\r\n".encode() + message

    added = dkim.ARC(message).sign(
        selector.encode(), domain.encode(), key or rsa_key()[0], domain.encode(), include_headers=[b"from", b"to", b"subject"]
    )
    return b"".join(added) + message
