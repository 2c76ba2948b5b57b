"""Random records, signatures and messages through the checks of `auth`: short with the other tests, long with MAILWARD_FUZZ_SECONDS."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.auth.signing import rsa_key, sealed, signed

from mailward.auth import Authentication, Outcome, dmarc, keys, spf
from mailward.auth.combine import prepare, together
from mailward.auth.fields import Form, take_apart
from mailward.auth.question import FAILED, NO_RECORDS, Answer, Kind, Question, Result, Steps
from mailward.auth.results import dmarc_passed, written
from mailward.auth.spf_record import BadRecord, is_spf, read

SECONDS = float(os.environ.get("MAILWARD_FUZZ_SECONDS", "0"))
EXAMPLES = int(SECONDS * 60) or 150
fuzzed = settings(max_examples=EXAMPLES, deadline=timedelta(seconds=2), suppress_health_check=list(HealthCheck))

macros = st.sampled_from(["%{d}", "%{i}", "%{p}", "%{l1r-}", "%{h}", "%%", "%_", "%{", "%{z}", "%{s0}", "%{D2}", "%"])
words = st.sampled_from(
    ["all", "-all", "~all", "a", "mx", "ptr", "?a:", "mx:b.test", "include:c.test", "include:a.test", "exists:", "redirect=", "exp=", "ip4:", "ip6:",
     "192.0.2.1", "/24", "//64", "2001:db8::", ".test", "x=", "=", ":", "/", " ", "  ", "é", "\x00", "a" * 70]
)  # fmt: skip
records = st.lists(st.one_of(words, macros, st.just(" ")), max_size=30).map(lambda parts: "v=spf1 " + "".join(parts))
tag_lists = st.lists(
    st.sampled_from(
        [
            "v=DKIM1",
            "v=DMARC1",
            "k=rsa",
            "k=ed25519",
            "p=",
            "p=reject",
            "p=" + "A" * 44,
            "t=y:s",
            "h=sha256",
            "s=*",
            "psd=y",
            "psd=n",
            "sp=none",
            "np=reject",
            "rua=mailto:a@b",
            ";",
            "=",
            "p",
            " ",
            "\r\n ",
            "é",
        ]
    ),
    max_size=12,
).map(";".join)
texts = st.one_of(records, tag_lists, st.text(max_size=80), st.just(rsa_key()[1]))
answers = st.one_of(
    st.just(FAILED),
    st.just(NO_RECORDS),
    st.just(Answer(missing=True)),
    st.lists(texts, max_size=4).map(lambda found: Answer(tuple(found))),
    st.lists(st.sampled_from(["192.0.2.1", "2001:db8::1", "b.test", "", "..", "x" * 300, "no address"]), max_size=12).map(
        lambda found: Answer(tuple(found))
    ),
)

GOOD = sealed(signed(), "list.test", "dmarc=pass header.from=example.com")
lines = st.sampled_from(GOOD.split(b"\r\n"))
MARKS = [b"\r\n", b"\n", b"\r", b"\0", b";", b"=", b" ", b":", b"i=2;", b"b=", b"l=0;", b"x=1;", b"DKIM-Signature:", b"From: "]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A good message with lines moved, cut and damaged."""
    raw = bytearray(GOOD)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 30))] = draw(st.one_of(st.sampled_from(MARKS), lines, st.binary(max_size=20)))
    return bytes(raw)


def run(steps: Steps[Result], draw: st.DataObject, limit: int) -> Result:
    """Drive a check with random answers; it may not ask for ever."""
    asked = 0
    try:
        questions = next(steps)
        while True:
            asked += len(questions)
            assert asked <= limit
            for question in questions:
                assert isinstance(question, Question)
                assert question.name.isascii()
                assert 0 < len(question.name) <= 320
                assert question.kind in Kind
            questions = steps.send(tuple([draw.draw(answers) for _ in questions]))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


@given(st.data(), st.text(max_size=80), st.text(max_size=80), st.sampled_from(["192.0.2.1", "2001:db8::1", "", "x"]), st.booleans())
@fuzzed
def test_spf_ends_with_a_word_and_bounded_questions(data: st.DataObject, sender: str, helo: str, address: str, explain: bool) -> None:
    """Ten terms, each with at most ten names: about a hundred and thirty questions are the most that a domain can cause."""
    found = run(spf.check(address, f"{sender}@a.test" if sender else "", helo, explain=explain), data, 150)
    assert found.outcome in Outcome
    assert len(found.why) < 500


@given(records)
@fuzzed
def test_spf_records_are_read_or_refused(record: str) -> None:
    if is_spf(record):
        with contextlib.suppress(BadRecord):
            assert len(read(record).mechanisms) <= len(record)


@given(texts)
@fuzzed
def test_keys_and_dmarc_records_are_read_or_refused(record: str) -> None:
    found = keys.read_key(record)
    assert isinstance(found, keys.Key) or found.outcome in (Outcome.PERMERROR, Outcome.POLICY)
    dmarc.read(record)


@given(st.data(), messages(), st.sampled_from([("example.com",), (), ("a.test", "b.test"), ("",), ("a" * 300,)]))
@fuzzed
def test_messages_get_a_word(data: st.DataObject, raw: bytes, authors: tuple[str, ...]) -> None:
    """Whatever a message and the DNS say, there is a result, and our field about it is one line of text."""
    checks = prepare(raw, authors, "192.0.2.1", "ann@example.com", "mail.example.com", time.time())
    found = [run(steps, data, 200) for steps in (checks.spf(), checks.dkim(), checks.arc(), checks.dmarc())]
    auth = together(checks, *found, ("list.test",))  # type: ignore[call-arg, arg-type]
    assert isinstance(auth, Authentication)
    assert "\n" not in written(auth, checks.author, "mx.example.org")


@given(messages())
@fuzzed
def test_taking_apart_twice_changes_nothing(raw: bytes) -> None:
    """Canonical bodies are stable: what was made canonical is so."""
    body = take_apart(raw).canonical_body(Form.RELAXED)
    assert take_apart(b"A: b\r\n\r\n" + body).canonical_body(Form.RELAXED) == body


@given(st.text(max_size=300))
@fuzzed
def test_recorded_results_are_read_or_not(text: str) -> None:
    assert isinstance(dmarc_passed(text), str)
