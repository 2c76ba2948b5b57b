"""DKIM (RFC 6376, 8301, 8463): which domains signed this message? First which keys are needed, then the check with their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailward.auth import signature, tags
from mailward.auth.fields import Field, Mail
from mailward.auth.keys import key_of
from mailward.auth.model import Outcome, Signature
from mailward.auth.question import Steps
from mailward.auth.signature import MAX_SIGNATURE, Signed, Verdict

MAX_VERIFIED = 8  # signatures verified; wanted mail has one to four, and more is an attempt to keep us busy
MAX_READ = 50  # signature fields looked at, to find those of the visible From
MAX_REPORTED = 10  # signatures of which the outcome is kept

_ORDER = (Outcome.PASS, Outcome.TEMPERROR, Outcome.FAIL, Outcome.POLICY, Outcome.NEUTRAL, Outcome.PERMERROR)


@dataclass(frozen=True, slots=True)
class Dkim:
    """`domains`: those with a signature that passed, lower case, each once."""

    outcome: Outcome
    domains: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()


NONE = Dkim(Outcome.NONE)


@dataclass(frozen=True, slots=True)
class Signatures:
    """The signatures of a message: those to verify, and the outcome of those that will not be."""

    chosen: tuple[Signed, ...]
    others: tuple[Signature, ...]

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([one.domain for one in self.chosen]))


def choose(mail: Mail, author: str) -> Signatures:
    """At most MAX_VERIFIED signatures, those of the domain of the visible From `author` and its relatives first."""
    found = [_read(field) for field in mail.all("dkim-signature")[:MAX_READ]]
    good = sorted([one for one in found if isinstance(one, Signed)], key=lambda one: _distance(one.domain, author))
    others = [Signature("", "", one.outcome, one.why) for one in found if isinstance(one, Verdict)]
    others += [
        Signature(one.domain, one.selector, Outcome.NEUTRAL, "not looked at: there are too many signatures") for one in good[MAX_VERIFIED:]
    ]
    return Signatures(tuple(good[:MAX_VERIFIED]), tuple(others))


def check(signatures: Signatures, mail: Mail, now: float) -> Steps[Dkim]:
    """Verify the chosen signatures; their keys are all asked for at once.

    A message passes when one signature does; else a failure of the DNS beats `fail`, since the signature nobody could check may
    have been good.
    """
    if not signatures.chosen and not signatures.others:
        return NONE
    early = {one: signature.unusable(one, now) for one in signatures.chosen}
    usable = [one for one, verdict in early.items() if verdict is None]
    answers = (yield tuple([one.question for one in usable])) if usable else ()
    verdicts = {one: verdict for one, verdict in early.items() if verdict is not None}
    for one, answer in zip(usable, answers, strict=True):
        verdicts[one] = signature.check(one, mail, key_of(answer), now)
    return _together([*(_outcome(one, verdicts[one]) for one in signatures.chosen), *signatures.others])


def _together(outcomes: Sequence[Signature]) -> Dkim:
    ordered = sorted(outcomes, key=lambda one: _ORDER.index(one.outcome))
    domains = tuple(dict.fromkeys(one.domain for one in ordered if one.outcome is Outcome.PASS))
    return Dkim(ordered[0].outcome, domains, tuple(ordered[:MAX_REPORTED]))


def _outcome(signed: Signed, verdict: Verdict) -> Signature:
    return Signature(signed.domain, signed.selector, verdict.outcome, verdict.why)


def _read(field: Field) -> Signed | Verdict:
    if len(field.value) > MAX_SIGNATURE:
        return Verdict(Outcome.PERMERROR, "the signature field is too long")
    found = tags.read(field.value.decode("latin-1"))
    if found is None:
        return Verdict(Outcome.PERMERROR, "the signature is no list of tags")
    if found.get("v") != "1":
        return Verdict(Outcome.PERMERROR, "the signature is of an unknown version")
    return signature.read(field, found)


def _distance(domain: str, author: str) -> int:
    """0: the domain of the visible From; 1: one below or above it; 2: a stranger."""
    if domain == author:
        return 0
    return 1 if domain.endswith("." + author) or author.endswith("." + domain) else 2
