"""DMARC: RFC 7489 with the tree walk of DMARCbis."""

from __future__ import annotations

import pytest
from tests.auth.zone import Zone

from mailward.auth import DmarcPolicy, Outcome, Signature, dmarc
from mailward.auth.dkim import Dkim
from mailward.auth.dmarc import Dmarc
from mailward.auth.spf import Spf

NO_SPF, NO_DKIM = Spf(Outcome.NONE), Dkim(Outcome.NONE)


def spf(domain: str) -> Spf:
    return Spf(Outcome.PASS, domain)


def signed(*domains: str) -> Dkim:
    return Dkim(Outcome.PASS, domains)


def check(author: str, records: dict[str, str], by_spf: Spf = NO_SPF, by_dkim: Dkim = NO_DKIM, existing: tuple[str, ...] = ()) -> Dmarc:
    """`records`: DMARC records by domain; "silent" for one the DNS does not answer for."""
    texts = {f"_dmarc.{name}": {"TXT": [text]} for name, text in records.items() if text != "silent"}
    silent = frozenset(f"_dmarc.{name}" for name, text in records.items() if text == "silent")
    zone = Zone(texts | {name: {"A": ["192.0.2.1"]} for name in existing}, silent)
    others = (by_spf.domain, *by_dkim.domains, *(one.domain for one in by_dkim.signatures))
    return dmarc.evaluate(zone.run(dmarc.gather(author, others)), by_spf, by_dkim)


def test_the_walk_takes_eight_steps_at_most() -> None:
    """DMARCbis 4.10: of long names the first step is the whole, the next has seven labels."""
    assert list(dmarc.walk("a.mail.example.com")) == ["a.mail.example.com", "mail.example.com", "example.com", "com"]
    long = list(dmarc.walk("a.b.c.d.e.f.g.h.i.j.mail.example.com"))
    assert (len(long), long[1]) == (8, "g.h.i.j.mail.example.com")


@pytest.mark.parametrize(
    ("author", "records", "by_spf", "by_dkim", "outcome"),
    [
        ("example.com", {}, spf("example.com"), NO_DKIM, "none"),
        ("example.com", {"example.com": "v=DMARC1; p=reject"}, spf("example.com"), NO_DKIM, "pass"),
        ("example.com", {"example.com": "v=DMARC1; p=reject"}, NO_SPF, signed("example.com"), "pass"),
        ("example.com", {"example.com": "v=DMARC1; p=reject"}, spf("example.net"), signed("example.org"), "fail"),
        ("example.com", {"example.com": "v=DMARC1; p=reject"}, spf("bounce.example.com"), NO_DKIM, "pass"),
        ("mail.example.com", {"example.com": "v=DMARC1; p=reject"}, spf("example.com"), NO_DKIM, "pass"),
        ("a.example.com", {"example.com": "v=DMARC1; p=reject"}, spf("b.example.com"), NO_DKIM, "pass"),
        ("example.com", {"example.com": "v=DMARC1; p=reject; aspf=s"}, spf("bounce.example.com"), NO_DKIM, "fail"),
        ("example.com", {"example.com": "v=DMARC1; p=reject; adkim=s"}, NO_SPF, signed("mail.example.com"), "fail"),
        ("example.com", {"example.com": "v=DMARC1; p=reject; adkim=s"}, NO_SPF, signed("example.com"), "pass"),
        # suffixes under which others register: neighbours are strangers
        ("a.co.test", {"a.co.test": "v=DMARC1; p=reject", "co.test": "v=DMARC1; p=none; psd=y"}, spf("b.co.test"), NO_DKIM, "fail"),
        ("a.co.test", {"co.test": "v=DMARC1; p=reject; psd=y"}, spf("x.a.co.test"), NO_DKIM, "pass"),
        ("a.co.test", {"co.test": "v=DMARC1; p=reject; psd=y"}, spf("b.co.test"), NO_DKIM, "fail"),
        # a part of an organisation that is one of its own
        ("x.shop.example.com", {"shop.example.com": "v=DMARC1; p=reject; psd=n", "example.com": "v=DMARC1; p=none"}, spf("example.com"), NO_DKIM, "fail"),
        ("x.shop.example.com", {"shop.example.com": "v=DMARC1; p=reject; psd=n", "example.com": "v=DMARC1; p=none"}, spf("shop.example.com"), NO_DKIM, "pass"),
        # a record at a top-level domain makes nobody a relative
        ("a.test", {"test": "v=DMARC1; p=none", "a.test": "v=DMARC1; p=reject"}, spf("b.test"), NO_DKIM, "fail"),
        # damaged records are none
        ("example.com", {"example.com": "v=DMARC1; p=maybe"}, NO_SPF, NO_DKIM, "none"),
        ("example.com", {"example.com": "p=reject; v=DMARC1"}, NO_SPF, NO_DKIM, "none"),
        ("example.com", {"example.com": "v=DMARC1; p=maybe; rua=mailto:a@example.com"}, NO_SPF, NO_DKIM, "fail"),
        ("example.com", {"example.com": "silent"}, spf("example.com"), NO_DKIM, "temperror"),
        ("example.com", {"example.com": "v=DMARC1; p=reject"}, Spf(Outcome.TEMPERROR, "example.com"), NO_DKIM, "temperror"),
        ("example.com", {"example.com": "v=DMARC1; p=reject"}, Spf(Outcome.TEMPERROR, "evil.test"), NO_DKIM, "fail"),
        ("example.com", {"example.com": "v=DMARC1; p=reject"}, NO_SPF,
         Dkim(Outcome.TEMPERROR, (), (Signature("example.com", "s", Outcome.TEMPERROR),)), "temperror"),
    ],
)  # fmt: skip
def test_outcomes(author: str, records: dict[str, str], by_spf: Spf, by_dkim: Dkim, outcome: str) -> None:
    assert check(author, records, by_spf, by_dkim).outcome == outcome


@pytest.mark.parametrize(
    ("author", "record", "existing", "policy"),
    [
        ("example.com", "v=DMARC1; p=reject; sp=none", (), "reject"),
        ("a.example.com", "v=DMARC1; p=reject; sp=none", (), "none"),
        ("a.example.com", "v=DMARC1; p=reject", (), "reject"),
        ("a.example.com", "v=DMARC1; p=none; sp=quarantine; np=reject", (), "reject"),
        ("a.example.com", "v=DMARC1; p=none; sp=quarantine; np=reject", ("a.example.com",), "quarantine"),
        ("example.com", "v=DMARC1; p=reject; t=y", (), "quarantine"),
        ("example.com", "v=DMARC1; p=quarantine; t=y", (), "none"),
        ("example.com", "v=DMARC1; p=reject; pct=0", (), "reject"),
        ("example.com", "v=DMARC1; P=REJECT; p=Reject; unknown", (), None),
        ("example.com", "v=DMARC1;p=Reject;x=y", (), "reject"),
    ],
)
def test_policies(author: str, record: str, existing: tuple[str, ...], policy: str | None) -> None:
    """p, sp, np for names that do not exist, t=y one step milder, pct passed over (DMARCbis 4.7, A.6)."""
    found = check(author, {"example.com": record}, existing=existing)
    assert found.policy == (None if policy is None else DmarcPolicy(policy))


def test_two_records_are_none() -> None:
    zone = Zone({"_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject", "v=DMARC1; p=none"]}})
    assert dmarc.evaluate(zone.run(dmarc.gather("example.com", ())), NO_SPF, NO_DKIM).outcome is Outcome.NONE


def test_strangers_are_not_asked_about() -> None:
    """Only domains that can be relatives cost questions; all are asked at once."""
    zone = Zone({})
    steps = dmarc.gather("example.com", ["evil.test", "bounce.example.com", "example.com"])
    first = next(steps)
    assert [question.name for question in first] == ["_dmarc.example.com", "_dmarc.com", "_dmarc.bounce.example.com"]
    steps.close()
    assert zone.asked == []
