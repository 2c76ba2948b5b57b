"""Named facts about a message, each a value from 0 (absent) to 1 (fully there).

A fact says what is, not what it means: its weight, its sign and its sentence stand in `data/facts.toml`. Every fact is
a bounded number; a fact that cannot be known is absent, so that a missing answer never counts for or against anybody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import re2

from mailward.auth import Outcome
from mailward.content.links import Links
from mailward.content.lookalikes import mixed_words
from mailward.content.lures import lures
from mailward.content.mail import Mail
from mailward.content.trace import trace_facts
from mailward.message import Hidden
from mailward.reputation.knowledge import Known, abuse, brand_in_domain, brands_named, known_host, registrable

_SHARED = Known.HOSTING | Known.PLATFORM | Known.DYNAMIC  # a well-known name under which anybody can write
Facts = Iterator[tuple[str, float]]

# The standard library where the text is a line of at most MAX_LINE characters, re2 where it is longer: re2 costs more to call and never backtracks.
_RANDOM = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}|[a-z]\d+[a-z]+\d+[a-z]|\d{5,}")
_CODE_TAIL = re.compile(
    r"#\s?[A-Za-z0-9]{4,}\W*$|\s[\[({]?(?:[A-Za-z]+\d+[A-Za-z]\w*|\d+[A-Za-z]+\d\w*|[bcdfghjklmnpqrstvwxz]{5,})[\])}]?\s*$|\s{3,}\S+$"
)
_MONEY = re2.compile(r"(?:[$€£¥]|usd|eur|r\$)\s?\d[\d,.]{2,}|\d[\d,.]{2,}\s?(?:[$€£¥]|usd|eur|dollars|euros|million)")
_PHONE = re2.compile(r"(?:\+|\(|\b)\d[\d\s().\-]{8,16}\d\b")
_CRYPTO = re2.compile(r"\b(?:bc1[a-z0-9]{25,60}|[13][a-km-zA-HJ-NP-Z1-9]{25,34}|0x[0-9a-fA-F]{40})\b")
_UNSUBSCRIBE = re2.compile(
    r"unsubscri|opt.?out|abmelde|abbestell|désinscri|desinscri|désabonn|cancelar (?:la )?suscri|darse de baja|descadastr|uitschrijv|disiscri|"
    r"avprenumer|отпис|退订|退訂|配信停止|수신거부|remove (?:me|yourself|your)|be removed|(?:update|manage) (?:your )?(?:email )?preferences"
)
_MAIL_IN_TEXT = re2.compile(r"[a-z0-9._%+-]+@([a-z0-9.-]+\.[a-z]{2,})")
_MAIL_IN_BYTES = re2.compile(rb"[a-z0-9._%+-]+@([a-z0-9.-]+\.[a-z]{2,})")
MAX_LINE = 1_000  # characters judged of a subject or a display name
MAX_TEXT = 8_000  # characters of the text searched for phrases and figures
TAIL = 2_000  # of these from its end
_SHOWN_FIELDS = frozenset(("subject", "from", "to", "reply-to"))
_CAPITALS = bytes(range(65, 91))
_SMALL = bytes(range(97, 123))
_ROLE = frozenset("info sales news newsletter support contact service admin office noreply no-reply".split())


def facts(mail: Mail, links: Links) -> dict[str, float]:
    """Return every fact that holds for the message, by name."""
    found: dict[str, float] = {}
    for source in (identity(mail, links), wording(mail), structure(mail, links), link_facts(mail, links), trace_facts(mail)):
        for name, value in source:
            if value > 0:
                found[name] = min(1.0, value)
    return found


def identity(mail: Mail, links: Links) -> Facts:
    """Who it says it is from, who carried it, and whether these fit."""
    message, sender, site = mail.message, mail.sender, mail.site
    local = sender.local.encode("utf-8", "replace").decode()
    carriers = mail.carriers
    popular = bool(mail.site_known & Known.POPULAR) and not mail.site_known & _SHARED
    freemail = bool(mail.site_known & Known.FREEMAIL) or bool(mail.site_known & Known.DISPOSABLE)
    if mail.proven:
        yield "identity:known-sender", float(popular and not freemail) * (1.0 if _related(sender.display, mail) else 0.6)
        yield "identity:aligned", float(not popular and not freemail)
        yield "identity:freemail", float(freemail)
        both = len({registrable(d) for d in mail.auth.dkim_domains}) > 1
        yield "identity:platform-cosigned", float(both and bool(carriers & Known.PLATFORM))
    elif mail.proven is False:
        yield "identity:known-sender-unproven", float(popular and not freemail and mail.auth.source != "")
        yield "identity:freemail-unproven", float(freemail)
        yield "identity:not-aligned", float(not freemail and not popular)
    if not mail.auth.vouched:  # forwarding and lists break what was good when it came to them
        yield "identity:dmarc-fail", float(mail.auth.dmarc is Outcome.FAIL)
        yield "identity:spf-fail", {Outcome.FAIL: 1.0, Outcome.SOFTFAIL: 0.6}.get(mail.auth.spf, 0.0)
        yield "identity:dkim-fail", float(mail.auth.dkim is Outcome.FAIL)
    yield "identity:disposable", float(bool(mail.site_known & Known.DISPOSABLE) and not mail.site_known & Known.FREEMAIL)
    yield "identity:rare-suffix", abuse(sender.domain)
    yield "identity:no-from-domain", float(bool(message.from_) and "." not in sender.domain)
    yield "identity:several-from", float(sum(bool(a.domain) for a in message.from_) > 1)
    yield "identity:digits-in-domain", float(sum(c.isdigit() for c in site) >= 2 and not popular)
    yield "identity:long-domain", float(len(site.partition(".")[0]) >= 18 and not popular)
    yield "identity:random-local-part", float(bool(_RANDOM.search(local.lower())) or len(local) > 25)
    yield "identity:deep-domain", float(sender.domain.count(".") - site.count(".") >= 2)
    if carriers & Known.PLATFORM and site:
        yield "identity:through-platform", 1.0
        yield "identity:platform-for-rare-suffix", abuse(sender.domain)
        yield "identity:platform-address", float(bool(mail.site_known & Known.PLATFORM) and not popular)
    if mail.client_site:
        yield "identity:client-is-sender", float(mail.client_site == site and not freemail)
        yield "identity:client-is-envelope", float(mail.client_site == mail.mail_from_site != site)
    if mail.mail_from_site and site:
        same = mail.mail_from_site == site
        yield "identity:envelope-same", float(same)
        yield "identity:envelope-foreign", float(not same and not carriers & Known.PLATFORM)
    if message.reply_to and site:
        answer = registrable(message.reply_to[0].domain)
        foreign = answer != site
        to_freemail = bool(known_host(answer) & (Known.FREEMAIL | Known.DISPOSABLE))
        yield "identity:reply-to-freemail", float(foreign and to_freemail)
        yield "identity:reply-to-foreign", float(foreign and not to_freemail)
    yield from _display(mail, popular, freemail)
    yield from _message_id(mail)
    if links.count and site:
        yield "identity:links-to-sender", links.same_site / links.count


def _display(mail: Mail, popular: bool, freemail: bool) -> Facts:
    display = " ".join(address.display for address in mail.message.from_[:3] if address.display)
    domain = mail.sender.domain
    if not display:
        yield "identity:no-display-name", 1.0
        return
    lowered = unicodedata.normalize("NFKC", display[:MAX_LINE]).lower()
    shown = _MAIL_IN_TEXT.search(lowered) if "@" in lowered else None
    yield "identity:address-in-display-name", float(shown is not None and registrable(shown.group(1)) != mail.site)
    yield "identity:name-is-local-part", float(" " not in lowered and lowered == mail.sender.local.lower())
    yield "identity:decorated-name", _decoration(display)
    yield "identity:padded-name", float("   " in display or display != display.strip())
    related = _related(lowered, mail)
    yield "identity:name-fits-address", float(related and not popular)
    yield "identity:name-unrelated", float(not related and not popular and not freemail)
    yield "identity:freemail-name-unrelated", float(not related and freemail)
    label = mail.site.partition(".")[0]
    signed = {registrable(signer).partition(".")[0] for signer in mail.auth.dkim_domains[:5]}
    words = f" {' '.join(_GAPS.split(lowered))} "
    claimed = [brand for brand in brands_named(words) if label not in brand.labels]
    false = any(not any(signer in brand.labels or signer.startswith(brand.name) for signer in signed) for brand in claimed)
    yield "identity:brand-in-name", float(false and not (popular and mail.proven))
    yield "identity:brand-in-domain", float(not popular and brand_in_domain(domain))
    yield "identity:name-in-capitals", float(len(display) >= 6 and display.isupper())


_GAPS = re.compile(r"[^a-z0-9&-]+")
_ENDINGS = re.compile(r"[^a-z0-9]+")


def _related(name: str, mail: Mail) -> bool:
    """Whether a display name and the address have a word, or the initials of the name, in common."""
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    words = [word for word in _ENDINGS.split(plain) if len(word) > 2]
    if not words:  # a name in another script cannot be compared with an address
        return True
    address = f"{mail.sender.local.lower()}@{mail.sender.domain}".replace("-", "").replace(".", "").replace("_", "")
    label = mail.site.partition(".")[0].replace("-", "")
    initials = "".join(word[0] for word in _ENDINGS.split(plain) if word)
    return (
        any(word[:6] in address for word in words) or label in plain.replace(" ", "") or (len(initials) > 1 and label.startswith(initials))
    )


def _message_id(mail: Mail) -> Facts:
    host = mail.message_id_host
    raw = mail.message.message_id.strip()
    if not raw:
        return
    site = registrable(host)
    platform = bool(mail.carriers & Known.PLATFORM)
    yield "identity:message-id-broken", float("@" not in raw or not raw.startswith("<") or not raw.endswith(">") or " " in raw)
    yield "identity:message-id-no-host", float(("." not in host or host.startswith("localhost")) and not platform)
    if site and mail.site:
        carriers = (mail.client_site, mail.mail_from_site, *map(registrable, mail.auth.dkim_domains[:5]))
        yield "identity:message-id-same", float(site == mail.site)
        foreign = site != mail.site and site not in carriers and "." in host
        big = bool(known_host(host) & (Known.PROVIDER | Known.PLATFORM))
        yield "identity:message-id-foreign", float(foreign and not big and not platform)
        yield (
            "identity:message-id-borrowed",
            float(foreign and big and not known_host(mail.client_name) & (Known.PROVIDER | Known.PLATFORM)),
        )


def _decoration(text: str) -> float:
    """How far a line of text is dressed up: letters from symbol blocks, arrows and boxes, invisible characters."""
    if text.isascii():
        stripped = text.strip()
        return 0.5 if stripped[:1] and stripped[0] in '~^`*#|_=>-."' and len(stripped) > 1 and not stripped[1].isalnum() else 0.0
    score = 0.0
    for char in text[:200]:
        code = ord(char)
        if (
            0x1D400 <= code <= 0x1D7FF
            or 0x24B6 <= code <= 0x24E9
            or 0x1F130 <= code <= 0x1F189
            or (0xFF21 <= code <= 0xFF5A and not _has_cjk(text))
        ):
            score += 0.25
        elif (
            (0x2190 <= code <= 0x23FF and code not in (0x23F0, 0x23F3))
            or 0x2500 <= code <= 0x25FF
            or 0x2794 <= code <= 0x27BF
            or (0x27C0 <= code <= 0x2BFF and code != 0x2B50)
            or 0x200B <= code <= 0x200F
            or 0x2060 <= code <= 0x2064
            or code in (0xAD, 0x3164, 0xFEFF, 0x115F)
        ):
            score += 0.5
    return min(1.0, score + 0.5 * mixed_words(text.lower()) + 0.25 * _stacked(text))


def _stacked(text: str) -> int:
    """How many combining marks stand on plain Latin letters where composing would have taken them up."""
    composed = unicodedata.normalize("NFC", text[:200])
    return sum(1 for a, b in pairwise(composed) if a.isascii() and a.isalpha() and unicodedata.combining(b))


def _has_cjk(text: str) -> bool:
    return any(0x3040 <= ord(c) <= 0x9FFF or 0xAC00 <= ord(c) <= 0xD7AF for c in text)


def wording(mail: Mail) -> Facts:
    """How subject and text are written, in any language."""
    message, subject = mail.message, mail.message.subject[:MAX_LINE]
    text = message.text if len(message.text) <= MAX_TEXT else message.text[: MAX_TEXT - TAIL] + message.text[-TAIL:]
    lowered = text.lower()
    written = lowered.encode("utf-8", "replace")
    yield "wording:no-subject", float(not subject.strip())
    capitals, letters = _capitals(subject)
    yield "wording:subject-in-capitals", float(letters >= 8 and capitals / letters > 0.7)
    yield "wording:subject-shouts", min(1.0, subject.count("!") / 2 + 0.5 * subject.count("$") + 0.5 * ("???" in subject))
    yield "wording:subject-decorated", _decoration(subject)
    yield "wording:subject-code-tail", float(bool(_CODE_TAIL.search(subject)) and len(subject) > 12)
    yield "wording:subject-gap", float("     " in subject.strip())
    is_reply = subject[:4].lower() in ("re: ", "aw: ", "sv: ", "res:", "fw: ", "fwd:", "wg: ") or subject[:3].lower() in ("re:", "fw:")
    threaded = mail.fields.get("in-reply-to") is not None or mail.fields.get("references") is not None
    yield "wording:reply-without-thread", float(is_reply and not threaded)
    yield "wording:thread", float(is_reply and threaded)
    local = next((a.local.lower() for a in message.to[:1]), "")
    yield "wording:recipient-in-subject", float(len(local) >= 4 and local not in _ROLE and local in subject.lower())
    size = len(text)
    yield "wording:mixed-scripts", min(1.0, mixed_words(lowered) / 3)
    yield "wording:hardly-any-text", float(size < 40)
    if size >= 100:
        capitals, letters = _capitals(text[:5_000])
        yield "wording:capitals", max(0.0, min(1.0, (capitals / letters - 0.15) * 4)) if letters else 0.0
        yield "wording:shouting", min(1.0, 300 * text.count("!") / max(size, 600))
        yield "wording:quotes", float(text.count("\n>") >= 2 or text.count("\n> ") >= 1)
    money = len(_MONEY.findall(written))
    yield "wording:money", min(1.0, money / 4)
    stranger = bool(mail.site_known & Known.FREEMAIL) or mail.proven is False
    yield "wording:call-about-payment", float(money > 0 and stranger and size < 3_000 and bool(_PHONE.search(written)))
    yield "wording:crypto-address", float(bool(_CRYPTO.search(text.encode("utf-8", "replace"))))
    yield "wording:offers-removal", float(bool(_UNSUBSCRIBE.search(written)))
    for kind, count in lures(f"{subject.lower()} {lowered}").items():
        yield f"wording:lure-{kind}", count / 2
    yield "wording:foreign-addresses", float("@" in lowered and _foreign_addresses(mail, written))


def _capitals(text: str) -> tuple[int, int]:
    """How many letters are capitals, and how many letters there are: of the Latin alphabet, where capitals shout."""
    letters = text.encode("latin-1", "replace")
    without = letters.translate(None, _CAPITALS)
    capitals = len(letters) - len(without)
    return capitals, capitals + len(without) - len(without.translate(None, _SMALL))


def _foreign_addresses(mail: Mail, written: bytes) -> bool:
    """An address at a free mailbox in the text, while the visible sender is somebody else."""
    sites = {registrable(host.decode()) for host in _MAIL_IN_BYTES.findall(written)[:10]}
    return any(site != mail.site and bool(known_host(site) & Known.FREEMAIL) for site in sites)


def structure(mail: Mail, links: Links) -> Facts:
    """How the message is built: MIME, HTML, what is hidden, attachments, header fields."""
    message, html = mail.message, mail.message.html
    bodies = [part for part in message.parts if part.is_body]
    has_html = any(part.content_type == "text/html" for part in bodies)
    has_plain = any(part.content_type == "text/plain" and part.size > 2 for part in message.parts)
    size = len(message.text)
    yield "structure:plain", float(not has_html and bool(bodies))
    if has_html:
        yield "structure:html-only", float(not has_plain)
        yield (
            "structure:image-mail",
            float(html.images + html.inline_images >= 1 and size < 60 + 60 * (html.images + html.inline_images) and size < 400),
        )
        yield "structure:html-sketch", float(html.tags < 12)
        yield "structure:forms", float(html.forms > 0)
        yield "structure:password-field", float(html.password_inputs > 0)
        yield "structure:scripts", min(1.0, html.scripts / 2)
        yield "structure:frames", float(html.frames > 0)
        yield "structure:unknown-tags", min(1.0, html.unknown_tags / 8)
        yield "structure:comments", min(1.0, html.comments / 3_000)
        hidden = dict(html.hidden)
        for kind in (Hidden.TINY, Hidden.COLOUR, Hidden.OFFSCREEN):
            yield f"structure:hidden-{kind}", min(1.0, hidden.get(kind, 0) / 200)
        designed = html.tables >= 3 and html.style_length > 500 and html.tags > 80
        poison = hidden.get(Hidden.DISPLAY, 0) * (not designed) + hidden.get(Hidden.TINY, 0) + hidden.get(Hidden.COLOUR, 0)
        yield "structure:mostly-hidden", min(1.0, poison / (3 * size + 300)) if poison > 300 else 0.0
        yield "structure:designed", float(designed)
        if mail.proven is not None and bool(mail.site_known & Known.FREEMAIL):
            yield "structure:freemail-design", float(designed or html.images > 1)
        removal = mail.fields.get("list-unsubscribe") is not None or bool(
            _UNSUBSCRIBE.search(message.text[-5_000:].lower().encode("utf-8", "replace"))
        )
        yield "structure:bulk-without-removal", float(html.images > 0 and links.foreign_unknown > 0 and not removal)
    yield "structure:zero-width", min(1.0, dict(html.hidden).get(Hidden.ZERO_WIDTH, 0) / 10) if not has_html or html.tables < 3 else 0.0
    for part in bodies:
        if part.encoding == "base64" and part.content_type == "text/plain" and part.content.isascii() and part.size > 20:
            yield "structure:needless-base64", 1.0
            break
    yield from _attachments(mail)
    yield "structure:one-click-unsubscribe", float(mail.fields.get("list-unsubscribe-post") is not None and bool(mail.proven))
    yield (
        "structure:unsubscribe-header",
        float(mail.fields.get("list-unsubscribe") is not None and mail.fields.get("list-unsubscribe-post") is None),
    )
    yield "structure:no-mime-version", float(mail.fields.get("mime-version") is None and bool(mail.fields.get("content-type")))
    missing = [not message.from_, not message.date.strip(), not message.message_id.strip(), not message.to and not message.cc]
    yield "structure:one-field-missing", float(sum(missing) == 1)
    yield "structure:fields-missing", float(sum(missing) > 1)
    yield "structure:undisclosed", float(bool(message.to) and not message.to[0].domain)
    yield "structure:many-recipients", float(len(message.to) + len(message.cc) > 15)
    yield "structure:to-is-from", float(bool(message.to) and message.to[0].addr.lower() == mail.sender.addr.lower() != "")
    raw_bytes = any(not h.raw.isascii() for h in message.headers if h.key in _SHOWN_FIELDS)
    yield "structure:raw-bytes-in-headers", float(raw_bytes)
    yield "structure:bounce", float(mail.bounce)
    enclosed = any(part.content_type == "message/rfc822" for part in message.parts[:5])
    yield "structure:encloses-message", float(enclosed and not has_html)
    yield "structure:automatic", float((mail.fields.get("auto-submitted") or "no").strip().lower() != "no")
    yield (
        "structure:high-priority",
        float(
            (mail.fields.get("x-priority") or "3").strip()[:1] in "12" or (mail.fields.get("importance") or "").strip().lower() == "high"
        ),
    )


_RISKY = frozenset(
    "exe scr pif com bat cmd vbs vbe js jse wsf hta lnk iso img jar msi ps1 cpl chm reg one ace z r00 arj cab gz lzh".split()
)
_PAGES = frozenset("htm html shtml xhtml svg mht mhtml".split())


def _attachments(mail: Mail) -> Facts:
    names = [part for part in mail.message.parts if part.filename and not part.is_body]
    risky = pages = archives = 0
    for part in names:
        suffix = part.filename.rpartition(".")[2].lower()
        risky += suffix in _RISKY
        pages += suffix in _PAGES
        archives += suffix in ("zip", "rar", "7z")
        inner = part.filename.lower().split(".")
        if len(inner) > 2 and inner[-1] in _RISKY:
            yield "structure:double-extension", 1.0
    yield "structure:risky-attachment", float(risky > 0)
    yield "structure:page-attached", float(pages > 0)
    yield "structure:archive-attached", float(archives > 0)
    yield "structure:nothing-but-attachment", float(bool(names) and len(mail.message.text) < 80)


def link_facts(mail: Mail, links: Links) -> Facts:
    """Where the links of the message lead, by knowledge of their hosts alone."""
    if not links.count:
        yield "links:none", 1.0
        return
    count = links.count
    hiding = links.shorteners + links.hosting + links.redirects
    yield "links:popular", float(links.popular == count and not hiding)
    yield "links:redirect", min(1.0, links.redirects / 2)
    yield "links:names-recipient", float(links.addressed > 0)
    yield "links:rare-suffix", min(1.0, 1.5 * links.abused / count)
    yield "links:address-literal", float(links.literal > 0)
    yield "links:shortener", min(1.0, links.shorteners / 2)
    yield "links:free-hosting", min(1.0, links.hosting / 2)
    yield "links:text-names-other-site", float(links.deceiving > 0)
    yield "links:userinfo", float(links.userinfo > 0)
    yield "links:odd-port", float(links.ports > 0)
    yield "links:odd-encoding", float(links.encoded > 0)
    yield "links:random-path", min(1.0, links.random / max(count, 2))
    page = mail.message.html.tags > 0  # people who write to each other in plain text link to anywhere
    yield "links:all-foreign", float(page and links.same_site == 0 and links.foreign_unknown > 0)
    yield "links:one-target", float(count >= 3 and links.sites == 1 and links.same_site == 0)
    yield "links:many-sites", float(links.sites > 8)
    yield "links:borrowed-images", float(links.borrowed_images > 0)
    yield "links:no-tls", links.plain_http / count
