"""ARC (RFC 8617): the chain of those who handled a message, and what the first of them that we trust saw."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailward.auth import signature, tags
from mailward.auth.fields import Field, Form, Mail
from mailward.auth.keys import BadKey, key_of, verifies
from mailward.auth.model import Outcome
from mailward.auth.question import Answer, Steps
from mailward.auth.signature import MAX_SIGNATURE, Signed, Verdict

MAX_SETS = 10  # handlers followed; RFC 8617 allows 50, and mail that was forwarded five times is rare
MAX_FIELDS = 3 * 50 + 1  # ARC fields looked at

_KEYS = ("arc-authentication-results", "arc-message-signature", "arc-seal")
_INSTANCE = re.compile(r"[1-9][0-9]?")
_RESULTS_INSTANCE = re.compile(rb"\s*i\s*=\s*([1-9][0-9]?)\s*;")


@dataclass(frozen=True, slots=True)
class Set:
    """What one handler added, and the domain that sealed it."""

    results: Field
    message_signature: Signed
    seal: Signed
    cv: str


@dataclass(frozen=True, slots=True)
class Arc:
    """`sealers`: d= of the seals of a chain that passed, from the first handler to the last; `results`: what each recorded."""

    outcome: Outcome
    why: str = ""
    sealers: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


NONE = Arc(Outcome.NONE)


def check(mail: Mail, now: float) -> Steps[Arc]:
    """Validate the chain (RFC 8617 5.2). All keys are asked for at once."""
    if not any(field.key in _KEYS for field in mail.fields):
        return NONE
    sets = _sets(mail)
    if isinstance(sets, str):
        return Arc(Outcome.FAIL, sets)
    last = sets[-1].message_signature
    answers: tuple[Answer, ...] = yield (last.question, *(one.seal.question for one in sets))
    if any(answer.failed for answer in answers):
        return Arc(Outcome.TEMPERROR, "the DNS gave no answer about a key")
    verdict = signature.check(last, mail, key_of(answers[0]), now)
    if verdict.outcome is not Outcome.PASS:
        return Arc(Outcome.FAIL, f"the message signature {len(sets)}: {verdict.why}")
    for at, answer in enumerate(answers[1:]):
        why = _seal(sets, at, answer, now)
        if why:
            return Arc(Outcome.FAIL, f"the seal {at + 1}: {why}")
    results = tuple([one.results.value.decode("latin-1").partition(";")[2].replace("\r\n", "") for one in sets])
    return Arc(Outcome.PASS, "", tuple([one.seal.domain for one in sets]), results)


def trusted_results(arc: Arc, trusted: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What sealers that we trust recorded, with the sealer, the earliest first.

    Whoever handled the message last is the one we got it from, so trust runs backwards and ends at the first that is not trusted:
    a stranger could have made up all before it. An entry stands for its domain and those below it.
    """
    if arc.outcome is not Outcome.PASS:
        return
    first = len(arc.sealers)
    while first and any(arc.sealers[first - 1] == one or arc.sealers[first - 1].endswith("." + one) for one in trusted):
        first -= 1
    yield from zip(arc.sealers[first:], arc.results[first:], strict=True)


def _sets(mail: Mail) -> tuple[Set, ...] | str:
    """The sets in order; words for a chain that cannot hold, whatever the keys say."""
    found: dict[tuple[int, str], Field] = {}
    fields = [field for field in mail.fields if field.key in _KEYS]
    if len(fields) > MAX_FIELDS:
        return "there are too many ARC fields"
    for field in fields:
        instance = _instance(field)
        if instance is None or (instance, field.key) in found:
            return "an ARC field has no number, or one that was used already"
        found[instance, field.key] = field
    count = max(instance for instance, _ in found)
    if len(found) != 3 * count or any((at, key) not in found for at in range(1, count + 1) for key in _KEYS):
        return "ARC fields are missing"
    if count > MAX_SETS:
        return f"there are more than {MAX_SETS} handlers"
    sets = []
    for at in range(1, count + 1):
        one = _set(at, *(found[at, key] for key in _KEYS))
        if isinstance(one, str):
            return one
        sets.append(one)
    return tuple(sets)


def _instance(field: Field) -> int | None:
    if len(field.value) > MAX_SIGNATURE:
        return None
    if field.key == _KEYS[0]:
        found = _RESULTS_INSTANCE.match(field.value)
        return int(found[1]) if found else None
    text = (tags.read(field.value.decode("latin-1")) or {}).get("i", "")
    return int(text) if _INSTANCE.fullmatch(text) else None


def _set(at: int, results: Field, message_signature: Field, seal: Field) -> Set | str:
    signed = signature.read(message_signature, tags.read(message_signature.value.decode("latin-1")) or {}, arc=True)
    seal_tags = tags.read(seal.value.decode("latin-1")) or {}
    sealed = signature.read(seal, seal_tags, seal=True)
    cv = seal_tags.get("cv", "").lower()
    for name, one in (("message signature", signed), ("seal", sealed)):
        if isinstance(one, Verdict):
            return f"the {name} {at}: {one.why}"
    assert isinstance(signed, Signed)
    assert isinstance(sealed, Signed)
    if "arc-seal" in signed.names or "h" in seal_tags or "bh" in seal_tags:
        return f"the set {at} covers what it may not"
    if cv != ("none" if at == 1 else "pass"):
        return f"the handler {at} found the chain broken" if cv == "fail" else f"the seal {at} says nothing of the chain before it"
    return Set(results, signed, sealed, cv)


def _seal(sets: Sequence[Set], at: int, answer: Answer, now: float) -> str:
    """Check one seal: over all sets up to its own (RFC 8617 5.1.1). Returns why it fails, "" where it holds."""
    seal = sets[at].seal
    key = key_of(answer)
    early = signature.unusable(seal, now)
    if early is not None or isinstance(key, BadKey):
        return early.why if early is not None else key.why  # type: ignore[union-attr]
    mismatch = signature.key_mismatch(seal, key)
    if mismatch is not None:
        return mismatch.why
    hashed = hashlib.sha256()
    for one in sets[: at + 1]:
        hashed.update(one.results.canonical(Form.RELAXED))
        hashed.update(one.message_signature.field.canonical(Form.RELAXED))
        if one is not sets[at]:
            hashed.update(one.seal.field.canonical(Form.RELAXED))
    hashed.update(signature.unsigned(seal.field, Form.RELAXED))
    return "" if verifies(key, seal.value, hashed.digest()) else "it was changed, or is not of that key"
