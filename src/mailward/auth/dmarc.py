"""DMARC: is the visible From authenticated, and what does its owner ask for? RFC 7489 with the tree walk of its successor (DMARCbis 4.10).

The organisational domain is found in the DNS, not in a list of public suffixes. First the records are gathered, beside SPF and DKIM;
`evaluate` then brings all together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from mailward.auth import tags
from mailward.auth.dkim import Dkim
from mailward.auth.model import DmarcPolicy, Outcome
from mailward.auth.question import Answer, Kind, Question, Steps
from mailward.auth.spf import Spf

MAX_WALK = 8  # questions for one domain (DMARCbis 4.10)
MAX_OTHERS = 9  # domains of signatures and envelope whose organisational domain is looked for
MAX_RECORD = 4_096  # characters

_MILDER = {DmarcPolicy.REJECT: DmarcPolicy.QUARANTINE}


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `sub` and `missing` are the policies of sub-domains that exist and that do not (sp, np)."""

    policy: DmarcPolicy
    sub: DmarcPolicy
    missing: DmarcPolicy
    strict_dkim: bool
    strict_spf: bool
    psd: str  # "y": a suffix under which others register; "n": an organisational domain; "u": it does not say
    testing: bool


@dataclass(frozen=True, slots=True)
class Records:
    """The records of the tree walks by domain; None where there is none. `failed`: domains of which the DNS told nothing."""

    author: str
    records: dict[str, Record | None] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    author_missing: bool = False  # the domain of the visible From does not exist


@dataclass(frozen=True, slots=True)
class Dmarc:
    """`policy` is what the owner asks for should the message fail, None where there is no record; `domain` where it was found."""

    outcome: Outcome
    domain: str = ""
    policy: DmarcPolicy | None = None


def walk(domain: str) -> Iterator[str]:
    """The domains whose records tell the organisational domain, the longest first."""
    labels = domain.split(".")
    yield domain
    labels = labels[1:] if len(labels) <= MAX_WALK else labels[1 - MAX_WALK :]
    for at in range(len(labels)):
        yield ".".join(labels[at:])


def gather(author: str, others: Iterable[str]) -> Steps[Records]:
    """Ask for the records of the visible From domain, and of `others` that may turn out to be relatives, all at once."""
    related = [other for other in dict.fromkeys(others) if _related(other, author)][:MAX_OTHERS]
    names = dict.fromkeys(name for domain in (author, *related) for name in walk(domain))
    answers = yield tuple([Question(f"_dmarc.{name}", Kind.TXT) for name in names])
    records, failed = {}, set()
    for name, answer in zip(names, answers, strict=True):
        records[name] = _record(answer)
        if answer.failed:
            failed.add(name)
    missing = False
    place, record = discovered(author, records)
    if record is not None and place != author and record.missing is not record.sub:
        missing = yield from _does_not_exist(author)
    return Records(author, records, frozenset(failed), missing)


def _related(other: str, author: str) -> bool:
    """Whether two different domains may have one organisational domain: their last two labels are the same."""
    return other != author and other.rsplit(".", 2)[-2:] == author.rsplit(".", 2)[-2:]


def _does_not_exist(domain: str) -> Steps[bool]:
    """Whether a domain has neither address nor mail exchanger (RFC 9091 2.7)."""
    answers: tuple[Answer, ...] = yield tuple([Question(domain, kind) for kind in (Kind.A, Kind.AAAA, Kind.MX)])
    return not any(answer.records or answer.failed for answer in answers)


def _record(answer: Answer) -> Record | None:
    """The one DMARC record among texts; several are none (RFC 7489 6.6.3)."""
    found = [text for text in answer.records if _version(text)]
    return read(found[0]) if len(found) == 1 else None


def _version(text: str) -> bool:
    name, equals, rest = text[:40].partition("=")
    return bool(equals) and name.strip() == "v" and rest.partition(";")[0].strip() == "DMARC1"


@lru_cache(2048)
def read(text: str) -> Record | None:
    """Read a record. Unknown tags and bad values of optional ones are passed over; without a policy it counts where reports are wanted.

    `pct` is passed over, as DMARCbis does: `t=y` took its place.
    """
    found = tags.read(text) if len(text) <= MAX_RECORD else None
    if found is None:
        return None
    policy = _policy(found.get("p"))
    if policy is None:
        if not found.get("rua", "").lower().startswith("mailto:"):
            return None
        policy = DmarcPolicy.NONE
    sub = _policy(found.get("sp")) or policy
    psd = found.get("psd", "u").lower()
    return Record(
        policy,
        sub,
        _policy(found.get("np")) or sub,
        found.get("adkim", "r").lower() == "s",
        found.get("aspf", "r").lower() == "s",
        psd if psd in ("y", "n") else "u",
        found.get("t", "n").lower() == "y",
    )


def _policy(text: str | None) -> DmarcPolicy | None:
    try:
        return DmarcPolicy((text or "").lower())
    except ValueError:
        return None


def organisational(domain: str, records: dict[str, Record | None]) -> str:
    """The organisational domain by the records of the walk (DMARCbis 4.10.2); the domain itself where there are none."""
    path = list(walk(domain))
    best = domain
    for at, name in enumerate(path):
        record = records.get(name)
        if record is None:
            continue
        if record.psd == "n":
            return name
        if record.psd == "y":
            return _below(name, domain) if at else name
        if "." in name:  # a top-level domain is nobody's organisation, whatever it publishes
            best = name
    return best


def _below(suffix: str, domain: str) -> str:
    """The domain one label below a suffix on the way to `domain`."""
    return ".".join(domain.split(".")[-(suffix.count(".") + 2) :])


def discovered(author: str, records: dict[str, Record | None]) -> tuple[str, Record | None]:
    """The record that holds for a domain and where it stands: its own, that of its organisation, that of its suffix (DMARCbis 4.10.1)."""
    if records.get(author) is not None:
        return author, records[author]
    owner = organisational(author, records)
    if records.get(owner) is not None:
        return owner, records[owner]
    for name in walk(author):
        record = records.get(name)
        if record is not None and record.psd == "y":
            return name, record
    return "", None


def evaluate(found: Records, spf: Spf, dkim: Dkim) -> Dmarc:
    """Whether SPF or DKIM passed for the visible From domain, or one of its organisation."""
    author = found.author
    place, record = discovered(author, found.records)
    if found.failed & set(walk(author)) and (record is None or place != author):
        return Dmarc(Outcome.TEMPERROR)
    if record is None:
        return Dmarc(Outcome.NONE)
    policy = _asked_for(record, found, place)
    if spf.outcome is Outcome.PASS and _aligned(spf.domain, found, record.strict_spf):
        return Dmarc(Outcome.PASS, place, policy)
    if any(_aligned(domain, found, record.strict_dkim) for domain in dkim.domains):
        return Dmarc(Outcome.PASS, place, policy)
    return Dmarc(Outcome.TEMPERROR if _might_have_passed(found, record, spf, dkim) else Outcome.FAIL, place, policy)


def _asked_for(record: Record, found: Records, place: str) -> DmarcPolicy:
    policy = record.policy if place == found.author else record.missing if found.author_missing else record.sub
    return _MILDER.get(policy, DmarcPolicy.NONE) if record.testing else policy


def _aligned(domain: str, found: Records, strict: bool) -> bool:
    if domain == found.author:
        return True
    if strict or not _related(domain, found.author):
        return False
    return organisational(domain, found.records) == organisational(found.author, found.records)


def _might_have_passed(found: Records, record: Record, spf: Spf, dkim: Dkim) -> bool:
    """Whether something of an aligned domain, or the relation itself, could not be looked up."""
    silent = [(spf.domain, record.strict_spf)] if spf.outcome is Outcome.TEMPERROR else []
    silent += [(one.domain, record.strict_dkim) for one in dkim.signatures if one.outcome is Outcome.TEMPERROR]
    if any(_aligned(domain, found, strict) for domain, strict in silent):
        return True
    proven = (*((spf.domain,) if spf.outcome is Outcome.PASS else ()), *dkim.domains)
    return any(_related(domain, found.author) and found.failed & set(walk(domain)) for domain in proven)
