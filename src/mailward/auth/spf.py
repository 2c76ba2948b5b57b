"""SPF (RFC 7208): may this address send mail for that domain? A generator of DNS questions; it opens nothing and never raises."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from mailward.auth.model import Outcome
from mailward.auth.question import FAILED, NO_RECORDS, Answer, Kind, Question, Steps
from mailward.auth.spf_record import (
    LOOKUP_MECHANISMS,
    MAX_NAME,
    Address,
    BadRecord,
    Mechanism,
    Record,
    Values,
    expand_name,
    expand_text,
    is_spf,
    needs_validated_name,
    read,
)

MAX_LOOKUPS = 10  # terms that ask the DNS (RFC 7208 4.6.4)
MAX_VOID = 2  # answers without records (same)
MAX_MX = 10  # hosts of one mx term, more are an error (same)
MAX_PTR = 10  # names of one address, more are not looked at (same)
MAX_HOST = 255  # characters of a HELO name or a sender that are read
MAX_EXPLANATION = 300  # characters kept of an explanation, which a stranger wrote

_NOT_FOUND = frozenset({Outcome.FAIL, Outcome.SOFTFAIL, Outcome.NEUTRAL})


@dataclass(frozen=True, slots=True)
class Spf:
    """`domain` is what was checked, of `identity` "mailfrom" or "helo". `why` tells what matched or broke, in a few words."""

    outcome: Outcome
    domain: str = ""
    identity: str = "mailfrom"
    why: str = ""
    explanation: str = ""  # the domain owner's words for a fail, where they were asked for: hostile text


class _Ended(Exception):  # noqa: N818
    """The check is over, whatever record is being read (RFC 7208 2.6.6, 2.6.7)."""

    def __init__(self, outcome: Outcome, why: str) -> None:
        self.outcome, self.why = outcome, why


def check(address: str, mail_from: str, helo: str, *, explain: bool = False, now: float = 0.0, receiver: str = "unknown") -> Steps[Spf]:
    """Check the envelope sender, or the HELO name when that is null (RFC 7208 2.4).

    `mail_from` without angle brackets, "" for the null sender. `explain`: ask for the explanation of a fail too.
    """
    ip = _address(address)
    sender, identity = mail_from[:MAX_HOST], "mailfrom"
    if not sender:
        sender, identity = f"postmaster@{helo[:MAX_HOST]}", "helo"
    local, _, domain = sender.rpartition("@")
    domain = domain.rstrip(".").lower()
    if ip is None or not _is_domain(domain):
        return Spf(Outcome.NONE, domain if _shown(domain) else "", identity, "there is no domain to ask about")
    values = Values(ip, f"{local or 'postmaster'}@{domain}", domain, helo[:MAX_HOST] or "unknown", "unknown", receiver, int(now))
    checking = _Check(values)
    try:
        outcome = yield from checking.host(domain)
        explanation = ""
        if explain and outcome is Outcome.FAIL:
            explanation = yield from checking.explanation()
        return Spf(outcome, domain, identity, checking.why, explanation)
    except _Ended as ended:
        return Spf(ended.outcome, domain, identity, ended.why)


class _Check:
    """One evaluation: its counters, which all records share."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.lookups = self.void = 0
        self.why = ""
        self.exp: tuple[str, str] | None = None  # macro string and domain of the record that failed
        self._names: tuple[str, ...] | None = None  # validated names of the client

    def host(self, domain: str, depth: int = 0) -> Steps[Outcome]:
        """The check_host function (RFC 7208 4). Raises _Ended on errors."""
        record = yield from self._record(domain)
        if record is None:
            if depth == 0:
                self.why = "no SPF record"
            return Outcome.NONE
        for mechanism in record.mechanisms:
            if (yield from self._matches(mechanism, domain, depth)):
                if depth == 0 or mechanism.name != "include":
                    self.why = _named(mechanism, domain)
                self.exp = (record.exp, domain) if record.exp is not None else None
                return mechanism.outcome
        if record.redirect is None:
            self.why = f"nothing matches at {domain}"
            return Outcome.NEUTRAL
        self._count("redirect")
        target = yield from self._target(record.redirect, domain)
        outcome = (yield from self.host(target, depth)) if _is_domain(target) else Outcome.NONE
        if outcome is Outcome.NONE:
            raise _Ended(Outcome.PERMERROR, f"redirect to {_shown(target)}, which has no SPF record")
        return outcome

    def _record(self, domain: str) -> Steps[Record | None]:
        (answer,) = yield (Question(domain, Kind.TXT),)
        if answer.failed:
            raise _Ended(Outcome.TEMPERROR, f"no answer about {domain}")
        texts = [text for text in answer.records if is_spf(text)]
        if not texts:
            return None
        if len(texts) > 1:
            raise _Ended(Outcome.PERMERROR, f"{domain} has several SPF records")
        try:
            return read(texts[0])
        except BadRecord as error:
            raise _Ended(Outcome.PERMERROR, f"{error} at {domain}") from None

    def _matches(self, mechanism: Mechanism, domain: str, depth: int) -> Steps[bool]:
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            return self.values.ip.version == mechanism.network.version and self.values.ip in mechanism.network
        self._count(mechanism.name)
        target = (yield from self._target(mechanism.domain, domain)) if mechanism.domain else domain
        if mechanism.name == "include":
            return (yield from self._included(target, depth))
        if not _is_name(target):
            return False  # no such name can exist (RFC 7208 4.8)
        match mechanism.name:
            case "a":
                return (yield from self._has_address((target,), mechanism))
            case "mx":
                return (yield from self._mx(target, mechanism))
            case "ptr":
                names = yield from self._validated_names()
                return any(name == target.lower() or name.endswith("." + target.lower()) for name in names)
            case _:
                (answer,) = yield from self._ask(Question(target, Kind.A))
                return bool(answer.records)

    def _included(self, target: str, depth: int) -> Steps[bool]:
        outcome = (yield from self.host(target, depth + 1)) if _is_domain(target) else Outcome.NONE
        if outcome is Outcome.PASS:
            return True
        if outcome in _NOT_FOUND:
            return False
        raise _Ended(Outcome.PERMERROR, f"include of {_shown(target)}, which has no SPF record")

    def _mx(self, target: str, mechanism: Mechanism) -> Steps[bool]:
        (answer,) = yield from self._ask(Question(target, Kind.MX))
        if len(answer.records) > MAX_MX:
            raise _Ended(Outcome.PERMERROR, f"{target} has more than {MAX_MX} mail exchangers")
        return (yield from self._has_address([host for host in answer.records if _is_name(host)], mechanism))

    def _has_address(self, hosts: Iterable[str], mechanism: Mechanism) -> Steps[bool]:
        ip = self.values.ip
        kind, length = (Kind.A, mechanism.v4_length) if ip.version == 4 else (Kind.AAAA, mechanism.v6_length)
        questions = [Question(host, kind) for host in hosts]
        if not questions:
            return False
        answers = yield from self._ask(*questions)
        return any(_near(ip, found, length) for answer in answers for found in answer.records)

    def _validated_names(self) -> Steps[tuple[str, ...]]:
        """Names of the client that lead back to it (RFC 7208 5.5). Failures mean none."""
        if self._names is None:
            ip = self.values.ip
            (answer,) = yield (Question(ip.reverse_pointer, Kind.PTR),)
            self._note_void(answer)
            names = [name.lower().rstrip(".") for name in answer.records[:MAX_PTR] if _is_name(name.rstrip("."))]
            kind = Kind.A if ip.version == 4 else Kind.AAAA
            answers = (yield tuple([Question(name, kind) for name in names])) if names else ()
            full = 32 if ip.version == 4 else 128
            found = [name for name, back in zip(names, answers, strict=True) if any(_near(ip, one, full) for one in back.records)]
            self._names = tuple(found)
        return self._names

    def _target(self, text: str, domain: str) -> Steps[str]:
        values = replace(self.values, domain=domain)
        if needs_validated_name(text):
            names = yield from self._validated_names()
            values = replace(values, validated=_best_name(names, domain))
        return expand_name(text, values)

    def _ask(self, *questions: Question) -> Steps[tuple[Answer, ...]]:
        """Ask for a mechanism: a failure ends the check, and answers without records are counted."""
        answers = yield questions
        for question, answer in zip(questions, answers, strict=True):
            if answer.failed:
                raise _Ended(Outcome.TEMPERROR, f"no answer about {_shown(question.name)}")
            self._note_void(answer)
        return answers

    def _note_void(self, answer: Answer) -> None:
        if not answer.records and not answer.failed:
            self.void += 1
            if self.void > MAX_VOID:
                raise _Ended(Outcome.PERMERROR, f"more than {MAX_VOID} look-ups without an answer")

    def _count(self, term: str) -> None:
        if term in LOOKUP_MECHANISMS or term == "redirect":
            self.lookups += 1
            if self.lookups > MAX_LOOKUPS:
                raise _Ended(Outcome.PERMERROR, f"more than {MAX_LOOKUPS} terms that ask the DNS")

    def explanation(self) -> Steps[str]:
        """The owner's words for a fail; "" where there are none, or they cannot be used (RFC 7208 6.2)."""
        if self.exp is None:
            return ""
        text, domain = self.exp
        try:
            target = yield from self._target(text, domain)
            answer = ((yield (Question(target, Kind.TXT),)) if _is_name(target) else (FAILED,))[0]
            if answer.failed or len(answer.records) != 1:
                return ""
            values = replace(self.values, domain=domain)
            if needs_validated_name(answer.records[0]):
                values = replace(values, validated=_best_name((yield from self._validated_names()), domain))
        except _Ended:
            return ""
        return (expand_text(answer.records[0], values) or "")[:MAX_EXPLANATION]


@lru_cache(4096)
def _address(text: str) -> Address | None:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip


def _near(ip: Address, found: str, length: int) -> bool:
    """Whether two addresses of one family share their first `length` bits."""
    other = _address(found)
    if other is None or other.version != ip.version:
        return False
    shift = ip.max_prefixlen - length
    return int(ip) >> shift == int(other) >> shift


def _is_name(name: str) -> bool:
    """Whether it can be asked for: ASCII, labels of 1 to 63 characters."""
    return 0 < len(name) <= MAX_NAME and name.isascii() and name.isprintable() and all(0 < len(label) <= 63 for label in name.split("."))


def _is_domain(name: str) -> bool:
    """Whether it is a domain of several labels that may have a record (RFC 7208 4.3)."""
    return "." in name and _is_name(name) and not any(mark in name for mark in ' []\\"()')


def _best_name(names: tuple[str, ...], domain: str) -> str:
    """The validated name to show: the domain itself, else one below it, else any (RFC 7208 7.3)."""
    domain = domain.lower()
    below = (name for name in names if name.endswith("." + domain))
    return domain if domain in names else next(below, names[0] if names else "unknown")


def _named(mechanism: Mechanism, domain: str) -> str:
    value = f":{mechanism.network}" if mechanism.network else f":{mechanism.domain}" if mechanism.domain else ""
    return f"{mechanism.name}{value[:100]} of {domain}"


def _shown(name: str) -> str:
    return name[:100] if name.isascii() and name.isprintable() else "an unreadable name"


__all__ = ["FAILED", "NO_RECORDS", "Spf", "check"]
