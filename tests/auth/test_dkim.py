"""DKIM (RFC 6376, 8301, 8463): the right word for every signature, in bounded time."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import dkim as dkimpy
import pytest
from tests.auth.signing import PLAIN, ed25519_key, rsa_key, signed
from tests.auth.zone import Zone

from mailward.auth import Outcome, dkim
from mailward.auth.dkim import MAX_VERIFIED, Dkim
from mailward.auth.fields import Form, take_apart
from mailward.auth.question import answered

VECTOR = Path(__file__).parents[1] / "vectors" / "rfc8463.eml"
RFC8463 = {
    "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test._domainkey.football.example.com": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bd"
    "OKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}


def check(raw: bytes, record: str | None = None, author: str = "example.com", now: float | None = None, zone: Zone | None = None) -> Dkim:
    """Verify with one key record for s1._domainkey.example.com, or a whole zone; now, unless told when."""
    record = rsa_key()[1] if record is None else record
    zone = zone or Zone({"s1._domainkey.example.com": {"TXT": [record] if record else []}})
    mail = take_apart(raw)
    return zone.run(dkim.check(dkim.choose(mail, author), mail, time.time() if now is None else now))


def test_the_example_of_rfc_8463() -> None:
    """Both signatures of the example message, ed25519 and RSA, pass."""
    found = check(VECTOR.read_bytes(), zone=Zone({name: {"TXT": [text]} for name, text in RFC8463.items()}))
    assert [(one.selector, one.outcome) for one in found.signatures] == [("brisbane", "pass"), ("test", "pass")]
    assert found.domains == ("football.example.com",)


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_what_another_program_signed_passes(header: bytes, body: bytes, newline: bytes) -> None:
    """Signatures of dkimpy in all four forms pass, however the file ends its lines."""
    raw = signed(canonicalize=(header, body)).replace(b"\r\n", newline)
    assert check(raw) == Dkim(Outcome.PASS, ("example.com",), check(raw).signatures)


def test_ed25519() -> None:
    raw = signed(key=ed25519_key()[0], signature_algorithm=b"ed25519-sha256")
    assert check(raw, ed25519_key()[1]).outcome is Outcome.PASS
    assert check(raw, rsa_key()[1]).outcome is Outcome.PERMERROR


@pytest.mark.parametrize(
    "text", [b"", b"\r\n", b" \r\n\t\r\n", b"a", b"a \r\n", b"a\r\n \r\n\r\n", b" a\t \tb\r\n\r\n", b"\r\r\n\r\n", b"a\r\r\n"]
)
@pytest.mark.parametrize("form", list(Form))
def test_bodies_are_read_as_another_program_reads_them(text: bytes, form: Form) -> None:
    """The canonical forms of odd bodies are those of dkimpy (RFC 6376 3.4.3, 3.4.4)."""
    from dkim.canonicalization import Relaxed, Simple

    theirs = {Form.SIMPLE: Simple, Form.RELAXED: Relaxed}[form].canonicalize_body(text)
    assert take_apart(b"A: b\r\n\r\n" + text).canonical_body(form) == theirs


@pytest.mark.parametrize(
    ("change", "outcome", "why"),
    [
        ((b"yesterday", b"tomorrow"), "fail", "the body was changed"),
        ((b"Subject: Minutes", b"Subject: Invoice"), "fail", "the header was changed, or the signature is not of that key"),
        ((b"ann@example.com>\r\nTo", b"eve@example.com>\r\nTo"), "fail", "the header was changed, or the signature is not of that key"),
        ((b"From: Ann", b"From: Eve <eve@example.com>\r\nFrom: Ann"), "policy", "the message has more From fields than were signed"),
        ((b"d=example.com", b"d=example.net"), "permerror", "i= is not of its domain"),
        ((b" v=1;", b" v=2;"), "permerror", "the signature is of an unknown version"),
        ((b"a=rsa-sha256", b"a=rsa-md5"), "permerror", "the algorithm 'rsa-md5' is unknown"),
        ((b"h=from : to", b"h=to : to"), "permerror", "it does not cover From and the body"),
    ],
)  # fmt: skip
def test_what_was_changed_does_not_pass(change: tuple[bytes, bytes], outcome: str, why: str) -> None:
    raw = signed()
    assert change[0] in raw
    found = check(raw.replace(*change, 1))
    assert (found.outcome, found.signatures[0].why) == (outcome, why)
    assert found.domains == ()


@pytest.mark.parametrize(
    ("record", "outcome", "why"),
    [
        ("", "permerror", "there is no key"),
        ("v=DKIM1; p=", "permerror", "the key was revoked"),
        ("v=DKIM1; k=rsa; p=AAAA", "permerror", "the key is damaged"),
        ("v=DKIM1; k=dsa; p=AAAA", "permerror", "the key is of an unknown kind 'dsa'"),
        ("v=DKIM2; p=AAAA", "permerror", "the key record is damaged"),
        ("v=DKIM1; s=tlsrpt; p=AAAA", "permerror", "the key is not for mail"),
        ("v=DKIM1; h=sha1; p=AAAA", "permerror", "the key does not allow SHA-256"),
        ("some text", "permerror", "the key record is damaged"),
    ],
)
def test_keys_that_cannot_be_used(record: str, outcome: str, why: str) -> None:
    found = check(signed(), record)
    assert (found.outcome, found.signatures[0].why) == (outcome, why)


@pytest.mark.parametrize(("bits", "outcome"), [(512, "policy"), (1024, "pass"), (4096, "pass"), (8192, "policy")])
def test_key_sizes(bits: int, outcome: str) -> None:
    """Keys below 1,024 bits never pass (RFC 8301 3.2), nor do those above 4,096, which would cost too much."""
    private, record = rsa_key(bits)
    assert check(signed(key=private), record).outcome == outcome


def test_a_key_that_only_tests() -> None:
    """With t=y a failure counts for nothing (RFC 6376 3.6.1); a pass is a pass."""
    record = rsa_key()[1].replace("k=rsa", "k=rsa; t=y")
    assert check(signed(), record).outcome is Outcome.PASS
    assert check(signed().replace(b"yesterday", b"today"), record).outcome is Outcome.NEUTRAL


def test_sha_1_never_passes() -> None:
    """RFC 8301 3.1; the key is not even asked for."""
    zone = Zone({})
    assert check(signed(signature_algorithm=b"rsa-sha1"), zone=zone).outcome is Outcome.POLICY
    assert zone.asked == []


def test_expired_and_future_signatures() -> None:
    """x= in the past fails; t= far in the future is not believed; clocks may differ by five minutes."""
    stamped = signed()
    made = int(stamped.partition(b" t=")[2].partition(b";")[0])
    assert check(stamped, now=made - 200).outcome is Outcome.PASS
    assert check(stamped, now=made - 400).outcome is Outcome.POLICY
    expiring = stamped.replace(b" t=%d;" % made, b" t=%d; x=%d;" % (made, made + 100), 1)
    assert check(expiring, now=made + 600).signatures[0].why == "it has expired"


def test_a_signed_length_that_leaves_text_unsigned_is_not_accepted() -> None:
    """l= over the whole body passes; text added behind it, which anybody may have written, makes it `policy`; less text fails."""
    raw = signed(length=True)
    assert check(raw).outcome is Outcome.PASS
    added = check(raw + b"Pay here instead.\r\n")
    assert (added.outcome, added.domains) == (Outcome.POLICY, ())
    assert check(raw.replace(b"\r\n\r\nAnn", b"")).outcome is Outcome.FAIL


def test_silence_is_a_temporary_error() -> None:
    mail = take_apart(signed())
    steps = dkim.check(dkim.choose(mail, "example.com"), mail, time.time())
    assert answered(steps, {}).outcome is Outcome.TEMPERROR


def test_no_signature_asks_nothing() -> None:
    zone = Zone({})
    assert check(PLAIN, zone=zone) == Dkim(Outcome.NONE)
    assert zone.asked == []


def test_of_fifty_signatures_eight_are_verified_and_those_of_the_author_first() -> None:
    """The signature of the visible From is verified though it stands last; strangers beyond eight are not looked at. Under 50 ms of CPU."""
    raw = signed()
    for at in range(49):
        raw = signed(raw, domain=f"stranger{at}.test")
    zone = Zone({"s1._domainkey.example.com": {"TXT": [rsa_key()[1]]}})
    started = time.process_time()
    found = check(raw, zone=zone)
    seconds = time.process_time() - started
    assert found.domains == ("example.com",)
    assert len(zone.asked) == MAX_VERIFIED
    assert zone.asked[0].name == "s1._domainkey.example.com"
    assert seconds < 0.05


def test_a_signature_behind_fifty_others_is_not_read() -> None:
    raw = signed()
    for at in range(51):
        raw = b"DKIM-Signature: v=1; d=x%d.test\r\n" % at + raw
    assert check(raw).domains == ()


HUGE = {
    "a signature of a megabyte": b"DKIM-Signature: v=1; b=" + b"A" * 1_000_000 + b"\r\n" + PLAIN,
    "a million tags": b"DKIM-Signature: " + b"a=b;" * 250_000 + b"\r\n" + PLAIN,
    "a long list of fields": signed().replace(b"h=from", b"h=" + b"x:" * 7_000 + b"from", 1),
    "blanks without end in a field": b"DKIM-Signature: v=1;" + b" \t" * 100_000 + b"\r\n" + PLAIN,
    "a hundred thousand folds": b"DKIM-Signature: v=1" + b"\r\n " * 80_000 + b"\r\n" + PLAIN,
    "fifty thousand fields": b"X: y\r\n" * 50_000 + signed(),
    "no end of the header": b"X: y\r\n" * 1_000_000,
    "blanks without end in the body": signed() + b" " * 25_000_000,
    "tabs and blanks in the body": signed() + b" \t" * 12_000_000 + b"x",
    "empty lines in the body": signed() + b"\r\n" * 12_000_000,
    "single CRs in the body": signed() + b"\r" * 12_000_000 + b"\r\n" * 6_000_000,
    "many short lines with blanks": signed() + b"a  \r\n" * 5_000_000,
    "a body of LF only": signed() + b"a \n" * 8_000_000,
}


SAME_BODY = {"empty lines in the body", "blanks without end in the body"}  # the relaxed form ignores both at the end


@pytest.mark.parametrize("name", HUGE)
def test_huge_messages_take_bounded_time(name: str) -> None:
    """No header or body of 25 MB takes more than two seconds of CPU; nothing passes for being too large to look at."""
    started = time.process_time()
    found = check(HUGE[name])
    seconds = time.process_time() - started
    assert (found.outcome is Outcome.PASS) == (name in SAME_BODY)
    assert seconds < 2.0, f"{seconds:.2f} s"


def test_a_public_exponent_of_a_thousand_bits_is_not_worked_with() -> None:
    """dkimpy takes seconds for such a key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    numbers = rsa.RSAPublicNumbers((1 << 1023) + 1, rsa.generate_private_key(65_537, 2048).public_key().public_numbers().n)
    data = numbers.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    found = check(signed(), f"v=DKIM1; p={base64.b64encode(data).decode()}")
    assert found.outcome in (Outcome.POLICY, Outcome.PERMERROR)


def test_dkimpy_agrees_on_what_it_made() -> None:
    """The messages of these tests are good ones: their maker accepts them."""
    assert dkimpy.verify(signed(), dnsfunc=lambda name, timeout=5: rsa_key()[1].encode())
