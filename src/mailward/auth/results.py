"""Read what a trusted server recorded: Authentication-Results (RFC 8601) and Received-SPF (RFC 7208 9.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mailward.auth.model import UNCHECKED, Authentication, Outcome, Signature
from mailward.message import Message

MAX_RESULTS = 20  # Authentication-Results fields read of one message
MAX_WRITTEN = 5  # signatures named in our own field
MAX_VALUE = 8_192  # characters read of one field

_METHOD = re.compile(r"(?:^|[;\s])(spf|dkim|dmarc|arc)\s*=\s*([a-z]+)", re.I)
_PROPERTY = re.compile(r"\b(header\.d|header\.i|smtp\.mailfrom|smtp\.helo|header\.from)\s*=\s*\"?([^\s;\"]+)", re.I)
_COMMENT = re.compile(r"\([^()]*\)")
_QUOTED = re.compile(r'"[^"]*"')
_WORDS = {word.value: word for word in Outcome}
_ALIASES = {
    "hardfail": Outcome.FAIL,
    "bestguesspass": Outcome.NONE,
    "error": Outcome.TEMPERROR,
    "unknown": Outcome.PERMERROR,
    "invalid": Outcome.FAIL,
}
_ORDER = (Outcome.PASS, Outcome.FAIL, Outcome.SOFTFAIL, Outcome.POLICY, Outcome.NEUTRAL, Outcome.TEMPERROR, Outcome.PERMERROR, Outcome.NONE)


def recorded(message: Message, authserv_ids: Sequence[str], hop: int) -> Authentication:
    """Return the results written by a server named in `authserv_ids`, or `UNCHECKED`.

    An id matches the authserv-id itself, any host below it, or, as "*", everything. Only fields that stand above the first `Received`
    line below our own hop `hop` are read: whatever stands further down came with the message. Several fields of the same
    server are joined; of several outcomes of one method `pass` wins.
    """
    if not authserv_ids:
        return UNCHECKED
    result = UNCHECKED
    seen = lines = 0
    for header in message.headers:
        if header.key == "received":
            lines += 1
            if lines > hop + 1 >= 0:
                break
        elif header.key == "authentication-results":
            seen += 1
            if seen > MAX_RESULTS:
                break
            result = _joined(result, _parse(header.raw[:MAX_VALUE], authserv_ids))
        elif header.key == "received-spf" and result.spf is Outcome.UNCHECKED:
            result = _received_spf(result, header.raw[:MAX_VALUE], authserv_ids)
    return result


def written(auth: Authentication, author: str, own_id: str) -> str:
    """The value of our own Authentication-Results field (RFC 8601), unfolded. `author`: domain of the visible From.

    What another server recorded is passed on with its name; what nobody checked is not claimed.
    """
    found: list[str] = []
    if auth.spf is not Outcome.UNCHECKED:
        found.append(f"spf={auth.spf}" + (f" smtp.{auth.spf_identity}={auth.spf_domain}" if auth.spf_domain else ""))
    if auth.signatures:
        found += [_signature(one) for one in auth.signatures[:MAX_WRITTEN]]
    elif auth.dkim_domains:
        found += [f"dkim={auth.dkim} header.d={domain}" for domain in auth.dkim_domains[:MAX_WRITTEN]]
    elif auth.dkim is not Outcome.UNCHECKED:
        found.append(f"dkim={auth.dkim}")
    if auth.dmarc is not Outcome.UNCHECKED:
        policy = f" policy.dmarc={auth.dmarc_policy}" if auth.dmarc_policy is not None else ""
        found.append(f"dmarc={auth.dmarc}" + (f" header.from={author}" if author else "") + policy)
    if auth.arc is not Outcome.UNCHECKED:
        found.append(f"arc={auth.arc}")
    source = f" (as recorded by {auth.source})" if auth.source and not auth.here and found else ""
    return "; ".join([f"{own_id}{source}", *(found or ["none"])])


def _signature(one: Signature) -> str:
    named = f" header.d={one.domain} header.s={one.selector}" if one.domain else ""
    return f"dkim={one.outcome}" + (f' reason="{one.why}"' if one.why and one.why.isprintable() and '"' not in one.why else "") + named


def trusted(name: str, ids: Sequence[str]) -> bool:
    """Whether an authserv-id is one of `ids`, below one of them, or "*" is among them."""
    name = name.lower().rstrip(".")
    return any(i == "*" or name == i or name.endswith("." + i) for i in ids if i)


def _plain(value: str) -> str:
    """Without comments, and without quoted texts that could pass for results: the local part of an address may be any text."""
    quoted = _QUOTED.sub(lambda found: '""' if re.search(r"[\s;=]", found[0]) else found[0], value) if '"' in value else value
    return _COMMENT.sub(" ", quoted)


def _parse(value: str, ids: Sequence[str]) -> Authentication:
    text = _plain(value)
    head, _, rest = text.partition(";")
    server = head.split()[0] if head.split() else ""
    if "=" in server:  # Exchange Online writes no authserv-id
        server, rest = "outlook.com", text
    if not trusted(server, ids):
        return UNCHECKED
    found: dict[str, Outcome] = {}
    domains: list[str] = []
    spf_domain = ""
    marks = list(_METHOD.finditer(rest))
    for mark, after in zip(marks, [*(m.start() for m in marks[1:]), len(rest)], strict=False):
        method, word = mark.group(1).lower(), mark.group(2).lower()
        outcome = _WORDS.get(word) or _ALIASES.get(word)
        if outcome is None:
            continue
        properties = {k.lower(): v.lower() for k, v in _PROPERTY.findall(rest[mark.start() : after])}
        if method == "dkim" and outcome is Outcome.PASS:
            domain = properties.get("header.d") or properties.get("header.i", "").rpartition("@")[2]
            if domain:
                domains.append(domain.rstrip("."))
        if method == "spf":
            spf_domain = (properties.get("smtp.mailfrom") or properties.get("smtp.helo", "")).rpartition("@")[2]
        found[method] = _better(found.get(method, Outcome.UNCHECKED), outcome)
    return Authentication(
        spf=found.get("spf", Outcome.UNCHECKED),
        dkim=found.get("dkim", Outcome.UNCHECKED),
        dmarc=found.get("dmarc", Outcome.UNCHECKED),
        arc=found.get("arc", Outcome.UNCHECKED),
        spf_domain=spf_domain,
        dkim_domains=tuple(dict.fromkeys(domains)),
        source=server,
    )


def dmarc_passed(value: str) -> str:
    """The header.from of the first DMARC result in a list of results, where that is a pass; "" otherwise."""
    text = _plain(value[:MAX_VALUE])
    marks = list(_METHOD.finditer(text))
    for mark, after in zip(marks, [*(m.start() for m in marks[1:]), len(text)], strict=False):
        if mark.group(1).lower() == "dmarc":
            properties = {k.lower(): v.lower() for k, v in _PROPERTY.findall(text[mark.start() : after])}
            return properties.get("header.from", "").rstrip(".") if mark.group(2).lower() == "pass" else ""
    return ""


def _better(one: Outcome, other: Outcome) -> Outcome:
    if one is Outcome.UNCHECKED:
        return other
    if other is Outcome.UNCHECKED:
        return one
    return min(one, other, key=_ORDER.index)


def _joined(one: Authentication, other: Authentication) -> Authentication:
    if not other.source:
        return one
    return Authentication(
        spf=_better(one.spf, other.spf),
        dkim=_better(one.dkim, other.dkim),
        dmarc=_better(one.dmarc, other.dmarc),
        arc=_better(one.arc, other.arc),
        spf_domain=one.spf_domain or other.spf_domain,
        dkim_domains=tuple(dict.fromkeys(one.dkim_domains + other.dkim_domains)),
        source=one.source or other.source,
    )


def _received_spf(result: Authentication, value: str, ids: Sequence[str]) -> Authentication:
    """Received-SPF names its writer only in `receiver=`; it is taken when that is trusted, or when all writers are."""
    words = value.split(None, 1)
    if not words:
        return result
    outcome = _WORDS.get(words[0].lower()) or _ALIASES.get(words[0].lower())
    receiver = re.search(r"receiver=([^\s;]+)", value)
    comment = re.search(r"\(([^\s():]+):", value)
    writer = (receiver or comment).group(1) if (receiver or comment) else ""  # type: ignore[union-attr]
    if writer.endswith("protection.outlook.com"):
        writer = "outlook.com"
    if outcome is None or not trusted(writer, ids):
        return result
    sender = re.search(r"envelope-from=\"?<?([^\s;\">]+)", value)
    return replace(
        result,
        spf=outcome,
        spf_domain=sender.group(1).rpartition("@")[2].lower() if sender else "",
        source=result.source or writer or "unnamed",
    )
