"""What each method says of a judgement. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mailward.gateway import Judgement
from mailward.gateway.marking import mark, rounded
from mailward.policy import Action, Policy
from mailward.scan.verdict import Reason, Verdict, evidence
from mailward.scan.wording import KINDS
from mailward.servers.caller import Figures, figures, filed, symbol_of
from mailward.servers.rspamd_words import REJECT_FACTOR, action_name
from mailward.servers.smtp.replies import printable
from mailward.servers.spamd import limits
from mailward.servers.spamd.protocol import Method, Request, answer


def answered(request: Request, raw: bytes, judgement: Judgement, action: Action, policy: Policy, hostname: str) -> bytes:
    """The whole answer to everything but PING, SKIP and TELL."""
    found = figures(judgement.verdict, action)
    if request.rspamd:
        return _for_rspamd(judgement, action, found)
    body = _body(request.method, raw, judgement, action, policy, hostname, found)
    spam = f"Spam: {found.caught} ; {_points(found)} / {found.threshold:.1f}"
    if request.method is Method.CHECK:
        return answer([spam])
    if request.version >= (1, 3):
        return answer([f"Content-length: {len(body)}", spam], body)
    if request.method in (Method.SYMBOLS, Method.REPORT, Method.REPORT_IFSPAM):  # before 1.3 the score stands above the text
        body = f"{_points(found)}/{found.threshold:.1f}\r\n".encode() + body
    return answer([f"Content-length: {len(body)}"], body)


def _points(found: Figures) -> str:
    return rounded(found.score, found.threshold)


def _body(method: Method, raw: bytes, judgement: Judgement, action: Action, policy: Policy, hostname: str, found: Figures) -> bytes:
    match method:
        case Method.SYMBOLS:
            return ",".join(dict.fromkeys(symbol_of(reason) for reason in evidence(judgement.verdict))).encode("ascii")
        case Method.REPORT:
            return report(judgement.verdict, found)
        case Method.REPORT_IFSPAM:
            return report(judgement.verdict, found) if found.caught else b""
        case Method.PROCESS:
            return marked(raw, judgement, action, policy, hostname)
        case Method.HEADERS:
            whole = marked(raw, judgement, action, policy, hostname)
            return _head(whole)
        case _:
            return b""


def marked(raw: bytes, judgement: Judgement, action: Action, policy: Policy, hostname: str) -> bytes:
    """The message with our headers."""
    return mark(raw, filed(judgement, action), policy, hostname)


def _head(message: bytes) -> bytes:
    """The header with the empty line behind it."""
    ends = [at + len(blank) for blank in (b"\n\n", b"\n\r\n") if (at := message.find(blank)) >= 0]
    return message[: min(ends)] if ends else message


def report(verdict: Verdict, found: Figures) -> bytes:
    """The verdict and its reasons for a person, lines ending in LF as SpamAssassin's do."""
    what = f"mailward calls this message {KINDS[verdict.kind]}"
    by = (
        f" (filter {verdict.filter}{', ' + printable(verdict.entry, limits.REASON_CHARS) if verdict.entry else ''})"
        if verdict.filter
        else ""
    )
    lines = [
        f"{what}{by}.",
        f"Content analysis details:   ({_points(found)} points, {found.threshold:.1f} required)",
        "",
        " pts reason                         description",
        "---- ------------------------------ -----------------------------------------",
        *map(_line, evidence(verdict)[: limits.REASONS]),
        "",
    ]
    return "\n".join(lines).encode("utf-8", "replace")


def _line(reason: Reason) -> str:
    return f"{reason.contribution:4.1f} {symbol_of(reason):<30} {printable(reason.text, limits.REASON_CHARS)}"


def _for_rspamd(judgement: Judgement, action: Action, found: Figures) -> bytes:
    """rspamd's old dialect, as Exim reads it: the metric, the action, a line for each symbol."""
    reject = found.threshold * REJECT_FACTOR
    header = [
        f"Metric: default; {found.caught}; {found.score:.2f} / {found.threshold:.2f} / {reject:.2f}",
        f"Action: {action_name(action)}",
        *_symbols(judgement.verdict),
        f"Message-ID: {printable(judgement.assessment.message_id, 200)}",
    ]
    return answer(header, name="RSPAMD/1.3")


def _symbols(verdict: Verdict) -> Iterator[str]:
    for reason in evidence(verdict)[: limits.REASONS]:
        yield f"Symbol: {symbol_of(reason)}({reason.contribution:.2f})"
