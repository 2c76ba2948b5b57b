"""One normaliser for training, tuning and evaluation: what identifies the collection is taken out of the message.

A corpus shows a mail after delivery. `normalise` winds it back to the moment the receiving server had it: `Received` lines of
the collector's own hops are cut off, client address, HELO and envelope sender are rebuilt from the hop that remains on top,
headers written by filters, lists and delivery are dropped, list footers and subject tags removed, the recipient masked, and the recorded
Authentication-Results of that hop become the authentication answer (unchecked where absent).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mailward.auth import Authentication
from mailward.auth.results import recorded
from mailward.learning.corpora import Entry, read
from mailward.message import Envelope, parse
from mailward.message.origin import envelope_from_trace

# Header fields a sender writes and a judge may look at. All others are dropped.
KEPT = frozenset(
    """from sender reply-to to cc subject date message-id mime-version content-type content-transfer-encoding content-disposition
    content-language content-id content-description return-path in-reply-to references received dkim-signature domainkey-signature
    list-unsubscribe list-unsubscribe-post feedback-id x-mailer user-agent x-priority importance priority x-msmail-priority x-mimeole organization
    auto-submitted precedence thread-index thread-topic disposition-notification-to return-receipt-to x-originating-ip x-php-originating-script
    x-php-script errors-to authentication-results received-spf arc-authentication-results arc-seal x-google-dkim-signature""".split()
)
_LIST_ADDED = frozenset("sender precedence errors-to list-unsubscribe list-unsubscribe-post reply-to".split())


@dataclass(frozen=True, slots=True)
class Source:
    """What one collection did to its mail. `hops`: hosts that belong to the collector (hop written by, or handed over from)."""

    hops: str = r"$^"
    authserv: tuple[str, ...] = ()
    drop: frozenset[str] = frozenset()
    masks: tuple[tuple[bytes, bytes], ...] = ()
    is_list: bool = False
    tags: bool = False  # subject tags and list footers to remove


_MASKED = (b"user@example.com", b"user")
SOURCES: dict[str, Source] = {
    "spamassassin": Source(
        hops=r"(^|\.)(jmason\.org|zzzzason\.org|slashnull\.org|netnoteinc\.com|taint\.org|webnote\.net|xent\.com|tuatha\.org|linux\.ie|egwn\.net|"
        r"listman\.redhat\.com|osdn\.com|pro-ns\.net|minder\.net|ssz\.com|algebra\.com|kluge\.net|python\.org|uiuc\.edu)$|"
        r"^(localhost|phobos|usw-sf-list\d*\.sourceforge\.net|lists\.sourceforge\.net|mandark)",
        drop=_LIST_ADDED,
        masks=(
            (b"zzzz@", b"user@"),
            (b"yyyy", b"user"),
            (b"netnoteinc", b"example"),
            (b"slashnull", b"example"),
            (b"taint.org", b"example.com"),
            (b"jmason", b"user"),
        ),
        tags=True,
    ),
    "csdmc2010": Source(
        hops=r"(^|\.)(csmining\.org|liszt\.debian\.org|lists\.apple\.com)$|^(localhost|bz\d\.apple\.com|liszt|mx\.google\.com|10\.\d+\.\d+\.\d+)",
        authserv=("*",),
        drop=_LIST_ADDED,
        masks=((b"csmining.org", b"example.com"), (b"hibody", b"user")),
        tags=True,
    ),
    "phishing_pot": Source(
        hops=r"(^|\.)(outlook\.com|office365\.com|exchangelabs\.com|protonmail\.ch|protection\.outlook\.com|hotmail\.com)$",
        authserv=("*",),
        masks=((b"phishing@pot", _MASKED[0]), (b"rodrigo-f-p", _MASKED[1])),
    ),
    "foff_milter": Source(
        hops=r"^(juliett|hotel)\b|^mail\.example\.com$|^mx\.google\.com$|^mail-[a-z0-9-]+\.google\.com$",
        authserv=("*",),
        masks=((b"mstowe", _MASKED[1]), (b"baddomain.com", b"example.com"), (b"<domain>", b"example.com"), (b"<email>", _MASKED[0])),
    ),
    "driverdev_devel": Source(
        hops=r"(^|\.)(lfdr\.de|osuosl\.org|linuxdriverproject\.org)$|^localhost", authserv=("*",), drop=_LIST_ADDED, is_list=True, tags=True
    ),
    "linux_nvdimm": Source(hops=r"(^|\.)(lfdr\.de|01\.org)$|^localhost", drop=_LIST_ADDED, is_list=True, tags=True, authserv=("*",)),
    "usrp_users": Source(
        hops=r"(^|\.)(lfdr\.de|emwd\.com|ettus\.com|localhost)$|^localhost", authserv=("*",), drop=_LIST_ADDED, is_list=True, tags=True
    ),
    "synthetic_ham": Source(authserv=("*",)),
    "sisimai_bounces": Source(),
    "ha_mail_packages": Source(),
    "modern_ham": Source(),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One normalised message: bytes, what the transport would have known, and the recorded authentication."""

    entry: Entry
    raw: bytes
    envelope: Envelope
    auth: Authentication


_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_BY = re.compile(rb"\bby\s+([^\s;()]+)", re.I)
_FROM = re.compile(rb"^received:\s*from\s+([^\s;()]+)", re.I)
_TAG = re.compile(rb"^((?:re|fwd?|aw|sv|tr|antwort|subject)\s*(?:\[\d+\])?:\s*)*\[[^\]]{2,40}\]\s*", re.I)
_SPAM_TAG = re.compile(rb"\[spam[^\]]*\]\s*|\*+\s*spam\s*\*+\s*", re.I)
_FOOTER = re.compile(
    rb"\r?\n(?:_{20,}|-{20,}|={20,})\s*\r?\n[^\n]*(?:mailing list|maillist|list-?serv|unsubscribe|Sponsored by|sf\.net)", re.I
)
_LOOPBACK = r"^\[?(?:127\.0\.0\.1|::1|IPv6:::1)\]?$"
_VIA = re.compile(rb"\s+via\s+[\w .-]+\"?\s*<", re.I)


def split(raw: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Split into header fields (lower-case name, whole field with its line ends) and body; mbox "From " lines are dropped."""
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    while raw.startswith((b"From ", b">From ")):
        raw = raw.partition(b"\n")[2]
    fields: list[tuple[bytes, bytes]] = []
    position = 0
    while position < len(raw):
        end = raw.find(b"\n", position)
        end = len(raw) if end < 0 else end + 1
        line = raw[position:end]
        if line in (b"\n", b"\r\n"):
            return fields, raw[end:]
        if line[:1] in b" \t" and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + line)
        elif match := _FIELD.match(line):
            fields.append((match.group(1).lower(), line))
        elif fields and not line.startswith((b"From ", b">From ")):
            return fields, raw[position:]
        position = end
    return fields, b""


def _receiving_hop(fields: list[tuple[bytes, bytes]], hops: str) -> tuple[int, int]:
    """Index of the Received field written when the mail entered the collection (lines above are dropped), and of the own one above it."""
    own = re.compile(rf"{hops}|{_LOOPBACK}")
    found = above = -1
    for index, (name, field) in enumerate(fields):
        if name != b"received":
            continue
        by = _BY.search(field)
        host = by.group(1).decode("latin-1").lower().rstrip(".") if by else ""
        if found >= 0 and not own.search(host):
            break
        giver = _FROM.match(field)
        found, above = index, found
        if giver and not own.search(giver.group(1).decode("latin-1").lower().rstrip(".")):
            return found, above
    return found + 1, above  # the deepest own hop names no foreign giver: it tells nothing of the sender


def normalise(entry: Entry, raw: bytes | None = None) -> Sample:
    """Return the message as the receiving server of its corpus had it. Unknown sources: the trace headers are believed."""
    source = SOURCES.get(entry.source, Source())
    fields, body = split(read(entry) if raw is None else raw)
    hop, above = _receiving_hop(fields, source.hops) if entry.source in SOURCES else (-1, -1)
    if source.is_list:
        fields = _unmunged(fields)
    kept = [
        (name, _clean(name, field, source))
        for index, (name, field) in enumerate(fields)
        if name.decode("latin-1") in KEPT - source.drop
        and not (name == b"received" and index < hop)
        and not (name in (b"authentication-results", b"received-spf") and index < above)
    ]
    if source.tags:
        body = _without_footer(body)
    cleaned = b"".join(field for _, field in kept) + b"\n" + body
    for old, new in source.masks:
        cleaned = cleaned.replace(old, new)
    message = parse(cleaned)
    envelope = _envelope(envelope_from_trace(message), message.received, source)
    ids = source.authserv or (message.received[0].by if message.received else "",)
    auth = recorded(message, ids, 0)
    return Sample(entry, cleaned, envelope, auth)


def _envelope(guess: Envelope, received: tuple[object, ...], source: Source) -> Envelope:
    """The sender's hop is the top line now: take it as it is, not past relays that look alike."""
    if source.hops == Source().hops or not received:
        return guess if not source.is_list else replace(guess, mail_from=None)
    top = received[0]
    address, name, helo = top.address, top.name, top.helo  # type: ignore[attr-defined]
    mail_from = None if source.drop else guess.mail_from  # behind a list the envelope sender is the list's
    return replace(guess, client_ip=address, client_name=name, helo=helo or None, mail_from=mail_from)


def _clean(name: bytes, field: bytes, source: Source) -> bytes:
    if name == b"subject":
        head, _, value = field.partition(b":")
        value = _SPAM_TAG.sub(b"", value.strip())
        if source.tags:
            value = _TAG.sub(lambda m: m.group(1) or b"", value, count=1)
        return head + b": " + value.rstrip() + b"\n"
    return field


def _unmunged(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Undo what a list does to From for the sake of DMARC: "X via List" <the list> with the sender in Reply-To."""
    answer = next((field.partition(b":")[2] for name, field in fields if name == b"reply-to"), None)
    return [(name, b"From:" + answer if name == b"from" and answer and _VIA.search(field) else field) for name, field in fields]


def _without_footer(body: bytes) -> bytes:
    found = _FOOTER.search(body)
    if not found:
        return body
    rest = body[found.end() :]
    boundary = rest.find(b"\n--")  # keep the MIME structure behind the footer
    return body[: found.start()] + (rest[boundary:] if boundary >= 0 else b"\n")
