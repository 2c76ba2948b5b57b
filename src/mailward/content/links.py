"""What the links of a message have in common, counted once. Nothing is fetched; hosts are looked up in packaged lists only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mailward.message import Link, Message
from mailward.reputation.knowledge import Known, abuse, known_host, registrable

MAX_LINKS = 100  # links judged; marketing mail has up to 80

_URL = re.compile(r"(?:(https?|ftp):)?[/\\]{2}(?:([^/?#\\@]*)@)?(\[[0-9a-fA-F:.]+\]|[^/?#\\:]*)(?::(\d*))?([^\s]*)", re.I)
_LITERAL = re.compile(r"^(?:\[.*\]|\d{1,3}(?:\.\d{1,3}){3}|\d{8,10}|0x[0-9a-f]{6,8})$")
_RANDOM = re.compile(r"[A-Za-z0-9]{24,}")
_NAMED = re.compile(r"^\W*(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,24})(?:[/?:#\s]|$)")
_REDIRECT = re.compile(
    r"(?:[a-z0-9.-]+\.)?(?:google\.[a-z.]+(?:/url\?|/amp/|/search\?.*btnI)|googleadservices\.com/|bing\.com/ck/|linkedin\.com/(?:slink|redir)|youtube\.com/redirect|"
    r"facebook\.com/(?:l\.php|flx)|l\.facebook\.com/|translate\.google\.[a-z.]+/translate|[a-z0-9-]+\.translate\.goog/|duckduckgo\.com/l/|baidu\.com/link|yandex\.[a-z]+/redirect|"
    r"adservice\.google\.[a-z.]+/|doubleclick\.net/|shoutout\.wix\.com/|slack-redir\.net/|t\.umblr\.com/redirect|out\.reddit\.com/|medium\.com/r/|page\.link/?\?)"
)
_HIDING = Known.HOSTING | Known.SHORTENER | Known.DYNAMIC | Known.PLATFORM  # says nothing about who is behind it
_REDIRECTORS = frozenset(
    "googleadservices.com bing.com linkedin.com youtube.com facebook.com duckduckgo.com doubleclick.net wix.com slack-redir.net umblr.com reddit.com "
    "medium.com page.link baidu.com translate.goog".split()
)
_TARGETS = frozenset(("a", "area", "form", "text", "meta", "base", "iframe"))


@dataclass(slots=True)
class Links:
    count: int = 0  # targets with a host
    same_site: int = 0
    popular: int = 0
    abused: float = 0.0
    literal: int = 0
    shorteners: int = 0
    hosting: int = 0
    deceiving: int = 0  # the text names one site, the link leads to another
    userinfo: int = 0
    ports: int = 0
    encoded: int = 0
    random: int = 0
    foreign_unknown: int = 0  # neither the sender's nor popular
    plain_http: int = 0
    addressed: int = 0  # to an unknown site, with the recipient's address in it
    redirects: int = 0  # popular sites that send a visitor on to anywhere
    borrowed_images: int = 0  # pictures from places where anybody can put one
    sites: int = 0
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Host:
    """What is known of a host, once."""

    site: str
    popular: bool
    platform: bool
    shortener: bool
    hosting: bool
    pictures: bool
    literal: bool
    disguised: bool
    abused: float


@lru_cache(1 << 14)
def _host(host: str) -> _Host:
    what = known_host(host)
    platform = bool(what & Known.PLATFORM)  # trackers of a sending service: how wanted newsletters link, too
    return _Host(
        site=registrable(host),
        popular=bool(what & Known.POPULAR) and not what & _HIDING,
        platform=platform,
        shortener=bool(what & Known.SHORTENER) and not platform,
        hosting=bool(what & (Known.HOSTING | Known.DYNAMIC)) and not platform,
        pictures=bool(what & Known.IMAGES),
        literal=bool(_LITERAL.match(host)),
        disguised="%" in host,
        abused=abuse(host),
    )


def look_at_links(message: Message, site: str) -> Links:
    """Count the links a person could follow, at most MAX_LINKS of them."""
    result = Links()
    sites: set[str] = set()
    hosts: dict[str, None] = {}
    recipient = message.to[0].addr.lower() if message.to and message.to[0].domain else ""
    for link in message.links:
        picture = link.tag == "img"
        if (picture and result.borrowed_images) or not (picture or link.tag in _TARGETS):
            continue
        match = _URL.match(link.url)
        if match is None:
            continue
        if picture:
            result.borrowed_images += _host((match[3] or "").lower().rstrip(".")).pictures
            continue
        _count(result, link, match.groups(""), site, sites, hosts)
        if recipient and not result.addressed and hosts:
            result.addressed += _addressed(match, recipient, site)
        if result.count >= MAX_LINKS:
            break
    result.sites = len(sites)
    result.hosts = tuple(hosts)
    return result


def _addressed(match: re.Match[str], recipient: str, site: str) -> bool:
    """Whether a link to a site that is neither known nor the sender's carries the recipient's address, as lures do to fill in the form."""
    rest = (match[5] or "")[:1_000].lower().replace("%40", "@")
    if recipient not in rest:
        return False
    host = _host((match[3] or "").lower().rstrip("."))
    return not (host.popular or host.platform or host.site == site)


def _count(result: Links, link: Link, groups: tuple[str, ...], site: str, sites: set[str], hosts: dict[str, None]) -> None:
    scheme, userinfo, raw_host, port, rest = groups
    name = raw_host.lower().rstrip(".")
    if not name:
        return
    result.count += 1
    hosts[name] = None
    host = _host(name)
    redirect = (
        host.site in _REDIRECTORS or "google." in name or "yandex." in name or name.endswith((".translate.goog", ".page.link"))
    ) and bool(_REDIRECT.match(f"{name}{rest[:80]}"))
    popular = host.popular and not redirect
    own = host.site == site
    if not host.platform:
        sites.add(host.site)
    result.same_site += own
    result.redirects += redirect
    result.popular += popular
    result.abused += host.abused
    result.literal += host.literal
    result.shorteners += host.shortener
    result.hosting += host.hosting
    result.foreign_unknown += not (own or popular or host.platform)
    result.userinfo += bool(userinfo)
    result.ports += port not in ("", "80", "443")
    result.encoded += host.disguised or "\\" in link.url
    result.random += not (own or popular or host.platform) and bool(_RANDOM.search(rest[:300]))
    result.plain_http += scheme.lower() == "http"
    if link.text and link.tag == "a" and not host.platform and "." in link.text:
        named = _NAMED.match(link.text[:200].lower())
        result.deceiving += named is not None and registrable(named[1]) not in (host.site, site) and "." in named[1]
