"""Named facts about what a message pretends, each from 0 (absent) to 1 (fully there), with the words that its sentence needs.

As in `content.facts`: a fact says what is; its sign, weight and sentence stand in `data/facts.toml`. What cannot be known is absent.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator, Sequence

import re2

from mailward.auth import Outcome
from mailward.content.links import Links
from mailward.content.mail import Mail
from mailward.message import invisible
from mailward.message.urls import FoundUrl
from mailward.phishing.brands import Brand, table
from mailward.phishing.claims import OFTEN, SHORT, Named, brands_in, brands_of_text
from mailward.phishing.lookalikes import lookalike
from mailward.phishing.lures import lures
from mailward.phishing.pages import attached, look_at_pages
from mailward.reputation.knowledge import Known, known_host, registrable

Facts = Iterator[tuple[str, float, str]]  # name, strength, words for the sentence

MAX_TEXT = 6_000  # characters of the text searched for lures
MAX_LINKS = 60  # links looked at one by one
MAX_LINE = 500  # characters of a subject or a display name
MAX_WORDS = 80  # characters of a detail in a sentence
_SHARED = Known.HOSTING | Known.DYNAMIC | Known.SHORTENER
_FREE = Known.FREEMAIL | Known.DISPOSABLE
# Social networks and shops whose buttons stand under everybody's mail: named in a text, they claim nothing.
_EVERYWHERE = frozenset(
    "Facebook|Instagram|Twitter|X|LinkedIn|WhatsApp|Google|Apple|Telegram|Visa|Mastercard|YouTube|Meta|TikTok|Pinterest|Google Play".split(
        "|"
    )
)
_ROLES = re.compile(
    r"\b(?:support|help ?desk|service ?desk|admin(?:istrator|istration)?|security|it (?:team|dept|department|service|support)|"
    r"mail ?(?:server|box|delivery|admin|team)|web ?mail|e-?mail (?:team|admin|service|server|security)|server|account(?:s| team)?|billing|"
    r"payroll|human resources|hr|notification|verification|post ?master|kundenservice|kundendienst|sicherheit|konto|soporte|seguridad|suporte|"
    r"segurança|sécurité|assistance|assistenza|sicurezza|klantenservice|beveiliging)\b"
)
_PHONE = re2.compile(rb"(?:\+|\(|\b)1?[\s.\-(]{0,3}8\d\d[\s.\-)]{1,3}\d{3}[\s.\-]{1,3}\d{4}|\+\s?1?\s?[(\d][\d\s().\-]{8,16}\d\b")
_MONEY = re2.compile(rb"(?:[$]|usd|eur|\xe2\x82\xac|\xc2\xa3)\s?\d[\d,.]{2,}|\d[\d,.]{2,}\s?(?:[$]|usd|eur)")


def clip(text: str) -> str:
    """Words of a stranger for a sentence: cut, without control characters, and no program makes a link of them."""
    plain = text[:MAX_WORDS]
    if not plain.isprintable():
        plain = "".join([char if char.isprintable() else " " for char in plain])
    plain = plain.replace(".", "[.]").replace("://", "[:]//")
    return plain + ("..." if len(text) > MAX_WORDS else "")


def facts(mail: Mail, links: Links, urls: Sequence[FoundUrl], ratings: Sequence[int]) -> dict[str, tuple[float, str]]:
    """Every fact that holds, by name."""
    found: dict[str, tuple[float, str]] = {}
    text = f"{mail.message.subject[:MAX_LINE]}\n{mail.message.text[:MAX_TEXT]}".lower()
    lured = lures(text)
    for source in (
        brands_claimed(mail, links, not _OFFICIAL.isdisjoint(lured)),
        identity(mail),
        targets(mail, urls, ratings),
        pages(mail),
        asked_for(mail, text, lured),
    ):
        for name, value, words in source:
            if value > 0:
                found[name] = (min(1.0, value), clip(words))
    return found


def known_sender(mail: Mail) -> bool:
    """Whether the visible sender is proven to be a well-known domain that does not lend its name to strangers."""
    return bool(mail.proven and mail.site_known & Known.POPULAR and not mail.site_known & (_SHARED | _FREE | Known.PLATFORM))


def _truly(brand: Brand, mail: Mail) -> bool:
    """Whether the brand's own domain stands behind the message: as its From, or as who signed it."""
    own = table().is_true
    if own(brand, mail.site) or any(own(brand, domain) for domain in mail.auth.dkim_domains[:5]):
        return True
    return not mail.site_known & _FREE and table().of_domain(mail.site) is brand  # a service of its own, such as notices of a cloud


def brands_claimed(mail: Mail, links: Links, lured: bool) -> Facts:
    """Brands whose name is used by somebody who is not that brand. `lured`: whether the text asks for what a bank or shop would."""
    message, free = mail.message, bool(mail.site_known & _FREE)
    display = " ".join(address.display for address in message.from_[:3] if address.display)[:MAX_LINE]
    own = table().of_domain(mail.site) if mail.site else None
    if own is not None and table().is_true(own, mail.site):
        yield "brand:own", float(mail.proven is True), own.name
        forged = mail.auth.dmarc is Outcome.FAIL or (mail.auth.spf is Outcome.FAIL and not mail.auth.dkim_domains)
        yield (
            "brand:spoofed",
            float(mail.proven is False and forged and not mail.auth.vouched and not mail.site_known & Known.PLATFORM),
            own.name,
        )
    weight = 0.4 if known_sender(mail) else 1.0
    whole = 0.5 if _leads_to_its_own(mail, links) else 1.0
    named = [brand for brand in brands_in(display) if not _truly(brand, mail)]
    if named:
        yield "brand:in-name", whole, named[0].name
        yield "brand:proves-another", float(bool(mail.proven) and whole == 1.0 and not free), f"{mail.site}, not {named[0].name}"
        yield "brand:freemail", float(free), named[0].name
    weight *= whole
    in_subject = [brand for brand in brands_in(message.subject[:MAX_LINE]) if not _truly(brand, mail)]
    if in_subject:
        yield "brand:in-subject", weight * (0.5 if _names_itself(mail) else 1.0), in_subject[0].name
    text = [each for each in brands_of_text(message.text) if not _truly(each.brand, mail)]
    for each in text:
        everywhere = each.brand.name in _EVERYWHERE
        if _opens(each):
            yield "brand:introduced", weight, each.brand.name
        if each.times >= OFTEN + 2 * everywhere:
            yield "brand:named-often", weight, each.brand.name
        if each.owner:
            yield "brand:copyright", weight, each.brand.name
    claimed = named or in_subject or [each.brand for each in text if each.owner or (each.times >= OFTEN and each.head)]
    asking = named or (in_subject if not _names_itself(mail) else []) or [each.brand for each in text if each.owner or _opens(each)]
    if asking and lured:
        yield "brand:asks", whole * (0.6 if known_sender(mail) else 1.0), asking[0].name
    if claimed:
        yield "brand:from-freemail", float(free), claimed[0].name
        sites = {registrable(host) for host in links.hosts}
        true = [site for site in sites if any(table().is_true(brand, site) for brand in claimed)]
        yield "brand:links-elsewhere", weight * bool(sites and not true), claimed[0].name
        yield "brand:links-mixed", weight * bool(true and len(sites) > len(true)), claimed[0].name
    in_local = [
        brand
        for brand in brands_in(_SEPARATORS.sub(" ", mail.sender.local[:MAX_LINE]))
        if not _truly(brand, mail) and len(brand.name) > SHORT
    ]
    if in_local:
        yield "brand:in-address", whole, in_local[0].name
    yield from _looks_like(mail, links)


def _opens(named: Named) -> bool:
    """Whether a text opens in the name of a brand that is not everybody's button."""
    return named.head and named.brand.name not in _EVERYWHERE


def _names_itself(mail: Mail) -> bool:
    """Whether a proven sender names itself in the subject, too, as a shop does that tells how it was paid."""
    label = mail.site.partition(".")[0].partition("-")[0]
    return bool(mail.proven) and len(label) >= OWN_LABEL and label in mail.message.subject[:MAX_LINE].lower().replace(" ", "")


OWN_LABEL = 5  # letters of a domain's first label that are no other word by chance


def _leads_to_its_own(mail: Mail, links: Links) -> bool:
    """Whether a proven sender leads to well-known sites only, a brand's own among them: an agency that writes for a shop."""
    if not mail.proven or links.popular < links.count or links.shorteners or links.hosting or links.redirects:
        return False
    return any(table().of_domain(host) is not None for host in links.hosts[:MAX_HOSTS])


_SEPARATORS = re.compile(r"[-_.+\d]+")


def _looks_like(mail: Mail, links: Links) -> Facts:
    """Hosts that pass for those of a brand."""
    for name, domain in (("from", mail.sender.domain), ("reply-to", mail.message.reply_to[0].domain if mail.message.reply_to else "")):
        found = lookalike(domain) if domain and (name == "from" or domain != mail.sender.domain) else None
        if found is not None:
            yield f"lookalike:{name}", 1.0 if found.sure else 0.5, f"{domain} ({found.brand})"
    best = 0.0
    for host in links.hosts[:MAX_HOSTS]:
        found = lookalike(host)
        if found is not None and (strength := 1.0 if found.sure else 0.5) > best:
            best = strength
            yield "lookalike:link", strength, f"{host} ({found.brand})"


_WHOLE_ADDRESS = re.compile(r"^/?[\w.+-]{1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)+$")
MAX_HOSTS = 20  # link hosts compared with those of brands


def identity(mail: Mail) -> Facts:
    """Who it says it is from."""
    message = mail.message
    display = unicodedata.normalize("NFKC", " ".join(a.display for a in message.from_[:1])[:MAX_LINE]).lower()
    hidden = sum(invisible.strip(line[:MAX_LINE])[1] for line in (display, message.subject) if not line.isascii())
    yield "identity:hidden-characters", hidden / 2, ""
    role = _ROLES.search(display)
    known = known_sender(mail)
    label = mail.site.partition(".")[0]
    if role and not known and not (mail.proven and len(label) > 2 and label.replace("-", "") in display.replace(" ", "")):
        yield "identity:role", 1.0 if mail.site_known & (_FREE | _SHARED) or mail.proven is not True else 0.5, role.group()
    yield (
        "identity:shared-domain",
        float(bool(mail.site_known & _SHARED) or bool(known_host(mail.sender.domain) & _SHARED)),
        mail.sender.domain,
    )
    recipient = message.to[0] if message.to and message.to[0].domain else None
    if recipient is not None:
        site = registrable(recipient.domain)
        label = site.partition(".")[0]
        if len(label) >= 4 and site != mail.site and not known_host(site) & _FREE:
            yield "identity:recipients-name", float(label in display), site
            yield "identity:recipients-domain-in-subject", float(site in message.subject[:MAX_LINE].lower()), site
    yield (
        "identity:return-path-foreign",
        float(bool(mail.mail_from_site and mail.site and mail.mail_from_site != mail.site and mail.proven is not True)),
        mail.mail_from_site,
    )


def targets(mail: Mail, urls: Sequence[FoundUrl], ratings: Sequence[int]) -> Facts:
    """Where it wants the reader to go."""
    if ratings:
        lowest = min(ratings)
        yield "links:rated-dangerous", float(lowest <= 50), str(lowest)
        yield "links:rated-suspicious", 1.0 if 50 < lowest <= 65 else 0.5 * (65 < lowest <= 80), str(lowest)
    message = mail.message
    recipient = message.to[0].addr.lower() if message.to and message.to[0].domain else ""
    code = base64.b64encode(recipient.encode("utf-8", "replace")).decode().rstrip("=")[:-1] if recipient else ""
    hosts: set[str] = set()
    coded = personal = False
    for found in urls[:MAX_LINKS]:
        hosts.add(found.url[:300].partition("://")[2].partition("/")[0])
        if found.found_in.endswith(":qr"):
            yield "links:qr", 1.0, found.found_in.removesuffix(":qr")
        _, _, fragment = found.url.partition("#")
        personal |= bool(_WHOLE_ADDRESS.search(fragment) or (recipient and recipient in fragment.lower().replace("%40", "@")))
        coded |= len(code) > 12 and code in found.url
    yield "links:address-in-fragment", float(personal or coded), ""
    yield (
        "links:one-host",
        float(len(hosts) == 1 and mail.site not in next(iter(hosts)) and not known_sender(mail)),
        next(iter(hosts), ""),
    )


def pages(mail: Mail) -> Facts:
    """Pages that come with it."""
    message = mail.message
    if not (message.html.password_inputs or message.html.forms or next(attached(message), None)):
        return
    found = look_at_pages(message)
    yield "page:attached", float(found.attached > found.drawings), found.name
    yield "page:drawing", float(found.drawings > 0), found.name
    yield "page:password", float(found.password), ""
    yield "page:form", float(found.form), ""
    if found.attached:
        yield "page:script", float(found.script), found.name
        yield "page:redirects", float(found.redirect), found.name
        yield "page:builds-strings", float(found.builds), found.name
        yield "page:smuggles", float(found.smuggles), found.name


def _offices(mail: Mail, found: dict[str, int]) -> Facts:
    """What banks, shops and administrators write, from a free mailbox, where none of them writes from."""
    if mail.site_known & _FREE:
        told = sum(count for kind, count in found.items() if kind in _OFFICIAL)
        yield "lure:from-freemail", told / 2, ""


_OFFICIAL = frozenset(("account", "mailbox", "parcel", "tax", "wallet", "document", "callback"))


def asked_for(mail: Mail, text: str, found: dict[str, int]) -> Facts:
    """What the text asks for. Weaker where a well-known sender is proven: real banks speak of accounts, too."""
    weight = 0.3 if known_sender(mail) else 1.0
    for kind, count in found.items():
        yield f"lure:{kind}", weight * count / 2, ""
    if "callback" in found or "invoice" in found or "payment" in found:
        written = text.encode("utf-8", "replace")
        if _PHONE.search(written) and _MONEY.search(written):
            yield "lure:call-about-charge", weight * (1.0 if mail.site_known & _FREE or mail.proven is not True else 0.5), ""
    yield from _offices(mail, found)
    pressing = "urgency" in found and any(kind in found for kind in ("account", "mailbox", "tax", "payment", "wallet", "parcel"))
    yield "lure:pressed", weight * pressing, ""
