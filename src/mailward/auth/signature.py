"""One signature of DKIM (RFC 6376 3.5) or of ARC (RFC 8617 4.1), read and checked against a message and a key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mailward.auth import tags
from mailward.auth.fields import Field, Form, Mail, relaxed
from mailward.auth.keys import BadKey, Key, verifies
from mailward.auth.model import Outcome
from mailward.auth.question import Kind, Question

MAX_SIGNATURE = 16_384  # bytes of the field; with 4,096-bit keys and long lists of fields real ones have 3,000
MAX_SIGNED = 300  # names in h=; real ones have under 60
CLOCK = 300  # seconds that clocks may differ, for t= and x=

_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SELECTOR = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    why: str = ""


PASSED = Verdict(Outcome.PASS)


def is_domain(name: str) -> bool:
    """Whether it is a domain of at least two labels as the DNS has them, in lower case."""
    return _DOMAIN.fullmatch(name) is not None


def _broken(why: str) -> Verdict:
    return Verdict(Outcome.PERMERROR, why)


@dataclass(frozen=True, slots=True, eq=False)
class Signed:
    """A signature that can be checked. `body_hash` None: it says nothing of the body (an ARC seal)."""

    field: Field
    domain: str
    selector: str
    algorithm: str
    value: bytes  # b=
    header_form: Form
    body_form: Form
    names: tuple[str, ...]  # h=, lower case
    body_hash: bytes | None
    length: int | None  # l=
    identity: str  # domain of i=
    expires: int | None
    made: int | None

    @property
    def question(self) -> Question:
        """Where its key lies."""
        return Question(f"{self.selector}._domainkey.{self.domain}", Kind.TXT)


def read(field: Field, found: dict[str, str], *, seal: bool = False, arc: bool = False) -> Signed | Verdict:
    """Read the tags of a signature field; the verdict where that fails. `seal`: an ARC-Seal, without h= and bh=."""
    value, domain, selector = _base64(found.get("b", "")), found.get("d", "").lower(), found.get("s", "").lower()
    if not is_domain(domain) or not _SELECTOR.fullmatch(selector):
        return _broken("it names no usable domain and selector")
    if not value:
        return _broken("it holds no signature")
    forms = _forms("relaxed/relaxed" if seal else found.get("c", "simple/simple"))
    if forms is None:
        return _broken("it names an unknown canonical form")
    names = tuple([name.strip().lower() for name in found.get("h", "").split(":")])
    body_hash = None if seal else _base64(found.get("bh", ""))
    if not seal and (not body_hash or "from" not in names or len(names) > MAX_SIGNED):
        return _broken("it does not cover From and the body" if len(names) <= MAX_SIGNED else "it covers too many fields")
    numbers = {tag: _number(found[tag]) for tag in ("l", "x", "t") if tag in found}
    if None in numbers.values():
        return _broken("it holds a number that is none")
    if "dns/txt" not in tags.unspaced(found.get("q", "dns/txt")).split(":"):
        return _broken("its key is not in the DNS")
    identity = found.get("i", "").rpartition("@")[2].lower() if not arc and not seal else ""
    if identity and identity != domain and not identity.endswith("." + domain):
        return _broken("i= is not of its domain")
    algorithm = found.get("a", "").lower()
    times = numbers.get("x"), numbers.get("t")
    return Signed(field, domain, selector, algorithm, value, *forms, () if seal else names, body_hash, numbers.get("l"), identity, *times)


def check(signed: Signed, mail: Mail, key: Key | BadKey, now: float) -> Verdict:
    """Check body, header and signature of a message. `now` in seconds since 1970."""
    early = unusable(signed, now)
    if early is not None:
        return early
    if isinstance(key, BadKey):
        return Verdict(key.outcome, key.why)
    mismatch = key_mismatch(signed, key)
    if mismatch is not None:
        return mismatch
    verdict = _body(signed, mail)
    if verdict is PASSED or verdict.outcome is Outcome.POLICY:
        digest = hashlib.sha256(b"".join(_signed_header(signed, mail))).digest()
        if not verifies(key, signed.value, digest):
            verdict = Verdict(Outcome.FAIL, "the header was changed, or the signature is not of that key")
        elif len(mail.all("from")) > signed.names.count("from"):
            verdict = Verdict(Outcome.POLICY, "the message has more From fields than were signed")
    if verdict.outcome is Outcome.FAIL and key.testing:
        return Verdict(Outcome.NEUTRAL, f"{verdict.why}; the signer is only testing")
    return verdict


def unusable(signed: Signed, now: float) -> Verdict | None:
    """Why a signature cannot pass whatever its key says: such keys are not even asked for."""
    if signed.algorithm == "rsa-sha1":
        return Verdict(Outcome.POLICY, "SHA-1 is no longer safe (RFC 8301)")
    if signed.algorithm not in ("rsa-sha256", "ed25519-sha256"):
        return _broken(f"the algorithm {signed.algorithm[:20]!a} is unknown")
    if signed.made is not None and signed.expires is not None and signed.expires < signed.made:
        return _broken("it expired before it was made")
    if signed.expires is not None and signed.expires + CLOCK < now:
        return Verdict(Outcome.FAIL, "it has expired")
    if signed.made is not None and signed.made - CLOCK > now:
        return Verdict(Outcome.POLICY, "it was made in the future")
    return None


def key_mismatch(signed: Signed, key: Key) -> Verdict | None:
    """Why a key is not that of the signature."""
    if key.kind != signed.algorithm.partition("-")[0]:
        return _broken("the key is of another kind")
    if key.strict and signed.identity not in ("", signed.domain):
        return _broken("the key does not allow i= below its domain")
    return None


def _body(signed: Signed, mail: Mail) -> Verdict:
    """Compare the hash of the body. A signed length that leaves text unsigned is `policy`: anybody may have added it."""
    if signed.length is not None and signed.length > len(mail.canonical_body(signed.body_form)):
        return Verdict(Outcome.FAIL, "the body is shorter than what was signed")
    if mail.body_hash(signed.body_form, "sha256", signed.length) != signed.body_hash:
        return Verdict(Outcome.FAIL, "the body was changed")
    if signed.length is not None and signed.length < len(mail.canonical_body(signed.body_form)):
        return Verdict(Outcome.POLICY, "it leaves a part of the body unsigned (l=)")
    return PASSED


def _signed_header(signed: Signed, mail: Mail) -> Iterable[bytes]:
    """The fields that h= names, each name from the bottom up, and the signature itself without b= (RFC 6376 3.7, 5.4.2)."""
    wanted = set(signed.names)
    left: dict[str, list[Field]] = {}
    for field in mail.fields:
        if field.key in wanted and field is not signed.field:
            left.setdefault(field.key, []).append(field)
    for name in signed.names:
        if left.get(name):
            yield left[name].pop().canonical(signed.header_form)
    yield unsigned(signed.field, signed.header_form)


def unsigned(field: Field, form: Form) -> bytes:
    """A signature field as it is signed: with an empty b=, and without line end."""
    bare = _without_b(field.value)
    if form is Form.RELAXED:
        return relaxed(field.key, bare)
    return field.raw[: len(field.raw) - len(field.value)] + bare


def _without_b(value: bytes) -> bytes:
    parts = value.split(b";")
    for at, part in enumerate(parts):
        name, equals, _ = part.partition(b"=")
        if equals and name.strip() == b"b":
            parts[at] = name + equals
            break
    return b";".join(parts)


@lru_cache(64)
def _forms(text: str) -> tuple[Form, Form] | None:
    header, slash, body = text.lower().partition("/")
    try:
        return Form(header.strip()), Form(body.strip()) if slash else Form.SIMPLE
    except ValueError:
        return None


def _base64(text: str) -> bytes:
    """b"" for what is none."""
    try:
        return base64.b64decode(tags.unspaced(text), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None
