"""Write the verdict into a message: forged headers out, ours on top. The body is never touched, byte for byte."""

from __future__ import annotations

import math
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.header import Header
from functools import cache, lru_cache

from mailward.auth.results import trusted, written
from mailward.gateway.gateway import Judgement
from mailward.policy import Action, Policy
from mailward.scan.reply import action_table
from mailward.scan.verdict import Verdict, evidence

FOLD = 76  # characters of a header line (RFC 5322 2.1.1 asks for at most 78)
MAX_REASON = 400  # characters of one reason
SCL_SPAM = 6  # Exchange moves mail to Junk from 5 on
STARS = 20  # X-Spam-Level grows no longer than this

_OURS = frozenset({b"x-spam-flag", b"x-spam-status", b"x-spam-level", b"x-ms-exchange-organization-scl"})
_PREFIX = b"x-mailward-"
_SUSPECT = frozenset((b"x", b"X", b"a", b"A", b" ", b"\t", b"\x0b", b"\x0c", b"\r"))  # how the names of fields begin that may be forged
_SIGNED = frozenset({b"dkim-signature", b"domainkey-signature", b"arc-message-signature"})
_BLANK = re.compile(rb"^\r?\n", re.M)
_FIELD = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*\n?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_RESULTS_ID = re.compile(rb"(?:\s|\([^()]*\))*\"?([^\s;\"]+)")
_COMMENT = re.compile(rb"\([^()]*\)")


def mark(raw: bytes, judgement: Judgement, policy: Policy, hostname: str = "") -> bytes:
    """Return the message as it is handed on. `hostname` names us in Authentication-Results where the policy does not."""
    own_id = _own_id(policy, hostname)
    envelope_line, head, body = _split(raw)
    newline = "\n" if _bare_newlines(head or body) else "\r\n"
    believed = _believed(judgement, policy)
    fields = [field for field in _fields(head) if not _forged(field, own_id, believed)]
    if judgement.verdict.action is Action.TAG:
        fields = _tagged(fields, action_table(judgement.verdict, policy).tag_text, newline)
    ours = newline.join(_headers(judgement, policy, own_id, newline)) + newline
    return b"".join([envelope_line, ours.encode("ascii"), *fields, body])


@dataclass(frozen=True, slots=True)
class Changes:
    """What `mark` does to a header, for a mail server that changes it itself. Values are as behind the colon, lines end in LF.

    `added` goes on top in this order. A field is named by its name and by which of that name it is, from 1, before anything is changed.
    """

    added: tuple[tuple[bytes, bytes], ...]
    dropped: tuple[tuple[bytes, int], ...]
    subject: bytes | None = None  # the new value of the first Subject field; of one at the end, if there is none
    has_subject: bool = True


def changes(head: bytes, judgement: Judgement, policy: Policy, hostname: str = "") -> Changes:
    """The same as `mark`, as changes of the header fields in `head`, each with its line end."""
    own_id, believed = _own_id(policy, hostname), _believed(judgement, policy)
    numbers: Counter[bytes] = Counter()
    dropped, kept = [], []
    for field in _fields(head):
        name = field.partition(b":")[0]
        if name[:1] in _SUSPECT:
            numbers[name.lower()] += 1
            if _forged(field, own_id, believed):
                dropped.append((name, numbers[name.lower()]))
                continue
        kept.append(field)
    added = tuple([_halves(line.encode("ascii")) for line in _headers(judgement, policy, own_id, "\n")])
    if judgement.verdict.action is not Action.TAG:
        return Changes(added, tuple(dropped))
    tagged = _tagged(kept, action_table(judgement.verdict, policy).tag_text, "\r\n")
    new = next((_halves(field)[1] for field, old in zip(tagged, [*kept, b""], strict=False) if field != old), None)
    return Changes(added, tuple(dropped), new and new.rstrip(b"\r\n").replace(b"\r\n", b"\n"), len(tagged) == len(kept))


def head_of(raw: bytes) -> bytes:
    """The header fields of a message, for `changes`."""
    start = raw.find(b"\n") + 1 if raw.startswith((b"From ", b">From ")) else 0
    blank = _BLANK.search(raw, start)
    return raw[start : blank.start() if blank else len(raw)]


def _halves(field: bytes) -> tuple[bytes, bytes]:
    name, _, value = field.partition(b":")
    return name, value


def _own_id(policy: Policy, hostname: str) -> str:
    return policy.organisation.authserv_id or hostname or machine_name()


def _believed(judgement: Judgement, policy: Policy) -> Sequence[str]:
    return policy.organisation.trusted_authserv_ids if judgement.assessment.auth.here else ("*",)


@cache
def machine_name() -> str:
    """The name of this machine, in lower case."""
    return socket.gethostname().lower() or "localhost"


def _split(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """An mbox "From " line if there is one, the header fields, and the rest from the blank line on."""
    start = raw.find(b"\n") + 1 if raw.startswith((b"From ", b">From ")) else 0
    blank = _BLANK.search(raw, start)
    end = blank.start() if blank else len(raw)
    return raw[:start], raw[start:end], raw[end:]


def _bare_newlines(text: bytes) -> bool:
    end = text.find(b"\n")
    return end >= 0 and text[end - 1 : end] != b"\r"


def _fields(head: bytes) -> Iterator[bytes]:
    """Header fields with their continuation lines."""
    return (found[0] for found in _FIELD.finditer(head) if found[0])


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()


def _forged(field: bytes, own_id: str, believed: Sequence[str]) -> bool:
    """Whether a field claims to be one of ours, or tells authentication results of a server that is not believed."""
    name = _name(field)
    if name.startswith(_PREFIX) or name in _OURS:
        return True
    if name != b"authentication-results":
        return False
    claimed = _RESULTS_ID.match(field.partition(b":")[2][:2_000])
    name_claimed = claimed[1].decode("latin-1").lower().rstrip(".") if claimed is not None else ""
    return name_claimed == own_id.lower() or not trusted(name_claimed, believed)


def _tagged(fields: list[bytes], tag: str, newline: str) -> list[bytes]:
    """Put the tag before the subject. Signed mail stays as it is: a changed subject breaks the signature."""
    if any(_name(field) in _SIGNED for field in fields):
        return fields
    text = tag if tag.isascii() else Header(tag.strip(), "utf-8", maxlinelen=FOLD - 10).encode(linesep=newline) + " "
    prefix = text.encode("ascii")
    for at, field in enumerate(fields):
        if _name(field) == b"subject":
            name, _, value = field.partition(b":")
            value = value.lstrip(b" \t")
            if value.startswith(prefix.rstrip()):
                return fields
            return [*fields[:at], name + b": " + prefix + value, *fields[at + 1 :]]
    return [*fields, b"Subject: " + prefix.rstrip() + newline.encode()]


def _headers(judgement: Judgement, policy: Policy, own_id: str, newline: str) -> Iterator[str]:
    verdict, assessment = judgement.verdict, judgement.assessment
    yield f"X-Mailward-Verdict: {verdict.kind}"
    yield _folded("X-Mailward-Score", _score_line(verdict), newline)
    for reason in evidence(verdict)[: policy.headers.reasons]:
        yield _folded("X-Mailward-Reason", _reason_text(reason.contribution, reason.text), newline)
    yield f"X-Mailward-Id: {_ascii(assessment.id)}"
    yield _folded("Authentication-Results", _results(judgement, own_id), newline)
    if verdict.action is Action.JUNK:
        yield from _junk(verdict)


def _score_line(verdict: Verdict) -> str:
    shown = []
    for name, score in verdict.scores.items():
        threshold = verdict.thresholds.get(name)
        if isinstance(score, str) or score is None:
            if name == "spam":
                shown.append("spam=unchecked")
        elif threshold is None or name == "web":
            shown.append(f"{name}={score:g}")
        else:
            shown.append(f"{name}={rounded(float(score), float(threshold))}/{threshold:.1f}")
    return " ".join(shown)


def rounded(score: float, threshold: float) -> str:
    """One decimal, but never rounded across the threshold: 4.96 of 5.0 is 4.9."""
    text = f"{score:.1f}"
    if score < threshold <= float(text):
        text = f"{math.floor(score * 10) / 10:.1f}"
    return "0.0" if text == "-0.0" else text


def _reason_text(contribution: float, text: str) -> str:
    share = f" ({contribution:+.2f})" if contribution else ""
    return f"{text[:MAX_REASON]}{share}"


def _results(judgement: Judgement, own_id: str) -> str:
    senders = judgement.assessment.header_from
    return written(judgement.assessment.auth, senders[0].rpartition("@")[2] if senders else "", own_id)


def _junk(verdict: Verdict) -> Iterator[str]:
    score, threshold = verdict.scores.get("spam"), float(verdict.thresholds["spam"])
    number = float(score) if isinstance(score, int | float) else threshold
    yield "X-Spam-Flag: YES"
    yield f"X-Spam-Status: Yes, score={rounded(number, threshold)} required={threshold:.1f}"
    yield f"X-Spam-Level: {'*' * max(1, min(STARS, int(number)))}"
    yield f"X-MS-Exchange-Organization-SCL: {SCL_SPAM}"


def _ascii(text: str) -> str:
    """One line of printable ASCII; other characters as \\u escapes, so that nothing can start a header of its own."""
    return _CONTROL.sub(" ", text).encode("ascii", "backslashreplace").decode("ascii")


@lru_cache(4096)  # most sentences come again and again
def _folded(name: str, value: str, newline: str) -> str:
    """A header field folded at spaces; a word longer than a line is cut into lines of its own."""
    lines, line = [], f"{name}:"
    for word in _ascii(value).split():
        while len(word) > FOLD - 1:
            lines.append(line)
            line, word = " " + word[: FOLD - 1], word[FOLD - 1 :]
        if len(line) + 1 + len(word) > FOLD and line.strip() != f"{name}:":
            lines.append(line)
            line = " " + word
        else:
            line += " " + word
    return newline.join([*lines, line])
