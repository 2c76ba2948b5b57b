"""Headers written into delivered mail."""

import email
import email.policy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailward.gateway.marking import changes, mark, rounded
from mailward.policy import Action, Policy

JUNK = Policy()
TAG = Policy().changed("content_scanning.action.action", Action.TAG)


@pytest.fixture
def marked(make_gateway, envelope):
    """Judge with a fixed score and mark."""

    def run(raw, *score, policy=JUNK, **changes):
        gateway = make_gateway(*score, policy=policy, **changes)
        return mark(raw, gateway.judge(raw, envelope), policy, "gw.example.com")

    return run


def fields(raw):
    return email.message_from_bytes(raw, policy=email.policy.compat32)


def test_clean_mail_gets_verdict_score_and_results(marked, raw):
    """Ours stand on top; everything else follows byte for byte."""
    out = marked(raw, 1.25, -0.5)
    assert out.endswith(raw)
    found = fields(out)
    assert found["X-Mailward-Verdict"] == "clean"
    assert found["X-Mailward-Score"] == "spam=0.8/8.0"
    assert found.get_all("X-Mailward-Reason") == ["Sentence 0 (+1.25)", "Sentence 1 (-0.50)"]
    assert found["Authentication-Results"] == "gw.example.com; none"
    assert "X-Spam-Flag" not in found


def test_junk_gets_the_headers_mail_clients_sort_by(marked, raw):
    """X-Spam-Flag, X-Spam-Status, X-Spam-Level and Exchange's confidence level; the subject stays."""
    found = fields(marked(raw, 9.31))
    assert (found["X-Mailward-Verdict"], found["X-Spam-Flag"], found["X-Spam-Status"]) == ("spam", "YES", "Yes, score=9.3 required=8.0")
    assert (found["X-Spam-Level"], found["X-MS-Exchange-Organization-SCL"], found["Subject"]) == ("*********", "6", "Hello")


@pytest.mark.parametrize(
    "name",
    [
        "X-Mailward-Verdict",
        "x-mailward-anything",
        "X-Spam-Flag",
        "X-SPAM-STATUS",
        "X-Spam-Level",
        "X-MS-Exchange-Organization-SCL",
        "X-Mailward-Verdict ",
    ],
)
def test_forged_headers_are_removed(marked, raw, name):
    """Whatever claims to be ours goes, with its continuation lines, wherever it stands."""
    line = f"{name}: NO,\r\n\tforged\r\n".encode()
    out = marked(line + raw.replace(b"To:", line + b"To:"), 1.0)
    assert b"forged" not in out
    assert out.endswith(b"\r\n" + raw)


@pytest.mark.parametrize(
    "line",
    [
        "gw.example.com; dmarc=pass",
        " GW.example.com 1; dmarc=pass",
        "(a comment) gw.example.com; dmarc=pass",
        "\r\n gw.example.com;\r\n dmarc=pass",
        '"gw.example.com"; dmarc=pass',
    ],
)
def test_results_in_our_name_are_removed(marked, raw, line):
    """RFC 8601 5: nobody else writes Authentication-Results under our name; those of others stay."""
    others = b"Authentication-Results: other.example.com; spf=pass\r\n"
    out = marked(f"Authentication-Results: {line}\r\n".encode() + others + raw, 1.0)
    assert b"dmarc=pass" not in out
    assert out.endswith(others + raw)


def test_recorded_results_are_passed_on_with_their_source(marked, raw):
    """What a trusted server recorded is told as its word, not as ours."""
    policy = Policy.from_toml('[organisation]\ntrusted_authserv_ids = ["mx.example.com"]\nauthserv_id = "Our.Example.com"\n')
    given_line = (
        b"Authentication-Results: mx.example.com; spf=fail smtp.mailfrom=example.net; dkim=pass header.d=example.org; dmarc=pass\r\n"
    )
    results = fields(marked(given_line + raw, 1.0, policy=policy)).get_all("Authentication-Results")
    text = " ".join(results[0].split())
    assert text.startswith("our.example.com (as recorded by mx.example.com); spf=fail")
    assert "dkim=pass header.d=example.org; dmarc=pass header.from=example.org" in text


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Hello", "[Spam] Hello"),
        ("[Spam] Hello", "[Spam] Hello"),
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "[Spam] =?utf-8?q?Gr=C3=BC=C3=9Fe?="),
        ("", "[Spam]"),
    ],
)
def test_tagged_mail_has_a_prefix(marked, raw, subject, expected):
    """Once, before whatever the subject is; the rest stays byte for byte."""
    given_raw = raw.replace(b"Subject: Hello", b"Subject: " + subject.encode())
    out = marked(given_raw, 9.0, policy=TAG)
    assert fields(out)["Subject"].strip() == expected
    assert out.endswith(b"\r\n\r\nBody\r\n")
    assert "X-Spam-Flag" not in fields(out)


def test_mail_without_a_subject_gets_one(marked):
    """A tag needs a place."""
    assert fields(marked(b"From: a@example.org\r\n\r\nBody", 9.0, policy=TAG))["Subject"] == "[Spam]"


def test_signed_mail_keeps_its_subject(marked, raw):
    """A changed subject would break the signature; the headers tell."""
    signed = b"DKIM-Signature: v=1; d=example.org;\r\n h=from:subject; b=abc\r\n" + raw
    out = marked(signed, 9.0, policy=TAG)
    assert out.endswith(signed)
    assert fields(out)["X-Mailward-Verdict"] == "spam"


def test_a_tag_in_any_script_is_encoded(marked, raw):
    """RFC 2047, no line too long."""
    policy = TAG.changed("content_scanning.action.tag_text", "【迷惑メール】" * 5)
    out = marked(raw, 9.0, policy=policy)
    decoded = email.message_from_bytes(out, policy=email.policy.default)["Subject"]
    assert decoded.replace(" ", "") == "【迷惑メール】" * 5 + "Hello"
    assert max(map(len, out.split(b"\r\n"))) < 80


def test_the_number_of_reasons_is_the_policys(marked, raw):
    """At most headers.reasons lines."""
    weights = [0.1] * 30
    assert len(fields(marked(raw, *weights)).get_all("X-Mailward-Reason")) == 10
    assert "X-Mailward-Reason" not in fields(marked(raw, *weights, policy=Policy.from_toml("[headers]\nreasons = 0\n")))


def test_an_mbox_line_and_bare_newlines_are_kept(marked, raw):
    """The separator stays first, and the line ends are those of the message."""
    unix = b"From bounce@example.net Mon Nov  2 10:00:00 2026\n" + raw.replace(b"\r\n", b"\n")
    out = marked(unix, 9.0)
    assert out.startswith(b"From bounce@example.net Mon Nov  2 10:00:00 2026\nX-Mailward-Verdict: spam\n")
    assert b"\r" not in out
    assert out.endswith(raw.replace(b"\r\n", b"\n"))


def test_reasons_cannot_smuggle_headers(make_gateway, envelope, raw):
    """Line breaks and other scripts in an error or an entry stay inside one ASCII header."""
    gateway = make_gateway(error=ValueError("bad\r\nX-Evil: yes\n\n<html>Grüße " + "x" * 300))
    out = mark(raw, gateway.judge(raw, envelope), gateway.policy)
    assert "X-Evil" not in fields(out)
    assert out[: -len(raw)].isascii()
    assert fields(out)["X-Mailward-Verdict"] == "unscannable"
    assert fields(out)["X-Mailward-Score"] == "spam=unchecked"


@given(st.binary(max_size=400), st.binary(max_size=100), st.sampled_from([b"\r\n", b"\n"]), st.sampled_from([JUNK, TAG]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bodies_are_never_touched(make_gateway, envelope, body, junk, newline, policy):
    """Whatever the header and the body hold: the body's bytes stay, our lines are short ASCII, and there is one verdict."""
    head = newline.join(
        [
            b"From: a@example.org",
            b"X-Mailward-Verdict: clean",
            junk.replace(b"\n", b" ").replace(b"\r", b" ").strip() or b"X: y",
            b"To: b@example.com",
        ]
    )
    raw = head + newline * 2 + body
    gateway = make_gateway(9.0, policy=policy)
    out = mark(raw, gateway.judge(raw, envelope), policy, "gw.example.com")
    assert out.endswith(newline * 2 + body)
    ours = out[: out.index(b"From: a@example.org")]
    assert ours.isascii()
    assert max(map(len, ours.split(b"\n"))) <= 78
    assert out[: -len(body) or None].lower().count(b"x-mailward-verdict:") == 1


@pytest.mark.parametrize(
    ("score", "threshold", "shown"),
    [(4.96, 5.0, "4.9"), (5.0, 5.0, "5.0"), (-0.04, 5.0, "0.0"), (7.999999, 8.0, "7.9"), (3.14, 8.0, "3.1"), (8.04, 8.0, "8.0")],
)
def test_a_shown_score_never_crosses_the_threshold(score, threshold, shown):
    """A clean mail never shows a score that looks like spam."""
    assert rounded(score, threshold) == shown


FIELD = st.sampled_from(
    [
        b"Received: from x\r\n\tby y\r\n",
        b"X-Mailward-Verdict: clean\r\n",
        b"x-mailward-verdict: spam\r\n\tindeed\r\n",
        b"X-Spam-Flag: NO\r\n",
        b"Subject: Lunch\r\n at noon\r\n",
        b"subject: [Spam] again\r\n",
        b"Authentication-Results: gw.example.com; dkim=pass\r\n",
        b"Authentication-Results: other.example; dkim=pass\r\n",
        b"DKIM-Signature: v=1\r\n",
        b"To: b@example.org\r\n",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(head=st.lists(FIELD, max_size=8), action=st.sampled_from([Action.PASS, Action.TAG, Action.JUNK]))
def test_changes_by_a_mail_server_come_to_the_same(make_gateway, envelope, head, action):
    """A mail server that carries out `changes`, one by one, has the header that `mark` writes."""
    policy = Policy().changed("content_scanning.action.action", action)
    gateway = make_gateway(9.31 if action is not Action.PASS else 1.0, policy=policy)
    raw = b"".join(head) + b"\r\nAt noon?\r\n"
    judgement = gateway.judge(raw, envelope)
    found = changes(b"".join(head), judgement, policy, "gw.example.com")
    fields = list(head)

    def numbered(name, number):
        return [at for at, field in enumerate(fields) if field.partition(b":")[0].lower() == name.lower()][number - 1]

    for name, number in reversed(found.dropped):
        del fields[numbered(name, number)]
    if found.subject is not None:
        value = found.subject.replace(b"\n", b"\r\n") + b"\r\n"
        if found.has_subject:
            at = numbered(b"Subject", 1)
            fields[at] = fields[at].partition(b":")[0] + b":" + value
        else:
            fields.append(b"Subject:" + value)
    ours = [name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in found.added]
    assert b"".join([*ours, *fields]) + b"\r\nAt noon?\r\n" == mark(raw, judgement, policy, "gw.example.com")
