"""What the links of a message have in common, counted once. Nothing is fetched; hosts are looked up in packaged lists only."""

from __future__ import annotations

from dataclasses import dataclass

import re2

from mailward.content.knowledge import Known, abuse, known_host, registrable
from mailward.message import Link, Message

MAX_LINKS = 100  # links judged; marketing mail has up to 80

_URL = re2.compile(r"^(?i:(https?|ftp):)?[/\\]{2}(?:([^/?#\\@]*)@)?(\[[0-9a-fA-F:.]+\]|[^/?#\\:]*)(?::(\d*))?([^\s]*)")
_LITERAL = re2.compile(r"^(?:\[.*\]|\d{1,3}(?:\.\d{1,3}){3}|\d{8,10}|0x[0-9a-f]{6,8})$")
_RANDOM = re2.compile(r"[A-Za-z0-9]{24,}")
_NAMED = re2.compile(r"^\W*(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,24})(?:[/?:#\s]|$)")
_REDIRECT = re2.compile(
    r"(?:[a-z0-9.-]+\.)?(?:google\.[a-z.]+(?:/url\?|/amp/|/search\?.*btnI)|googleadservices\.com/|bing\.com/ck/|linkedin\.com/(?:slink|redir)|youtube\.com/redirect|"
    r"facebook\.com/(?:l\.php|flx)|l\.facebook\.com/|translate\.google\.[a-z.]+/translate|[a-z0-9-]+\.translate\.goog/|duckduckgo\.com/l/|baidu\.com/link|yandex\.[a-z]+/redirect|"
    r"adservice\.google\.[a-z.]+/|doubleclick\.net/|shoutout\.wix\.com/|slack-redir\.net/|t\.umblr\.com/redirect|out\.reddit\.com/|medium\.com/r/|page\.link/?\?)"
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
    redirects: int = 0  # popular sites that send a visitor on to anywhere
    borrowed_images: int = 0  # pictures from places where anybody can put one
    sites: int = 0
    hosts: tuple[str, ...] = ()


def look_at_links(message: Message, site: str) -> Links:
    """Count the links a person could follow, at most MAX_LINKS of them."""
    result = Links()
    sites: set[str] = set()
    hosts: dict[str, None] = {}
    for link in message.links:
        if link.tag in _TARGETS and (match := _URL.match(link.url)):
            _count(result, link, match.groups(), site, sites, hosts)
            if result.count >= MAX_LINKS:
                break
        elif link.tag == "img" and result.borrowed_images == 0 and (match := _URL.match(link.url)):
            result.borrowed_images += Known.IMAGES in known_host((match.group(3) or "").lower().rstrip("."))
    result.sites = len(sites)
    result.hosts = tuple(hosts)
    return result


def _count(result: Links, link: Link, groups: tuple[str | None, ...], site: str, sites: set[str], hosts: dict[str, None]) -> None:
    scheme, userinfo, raw_host, port, rest = (group or "" for group in groups)
    host = raw_host.lower().rstrip(".")
    if not host:
        return
    result.count += 1
    target = registrable(host)
    what = known_host(host)
    if Known.PLATFORM not in what:
        sites.add(target)
    hosts[host] = None
    result.same_site += target == site
    redirect = bool(_REDIRECT.match(f"{host}{rest[:80]}"))
    result.redirects += redirect
    popular = Known.POPULAR in what and not redirect and not what & (Known.HOSTING | Known.SHORTENER | Known.DYNAMIC)
    platform = Known.PLATFORM in what  # trackers of a sending service: how wanted newsletters link, too
    result.popular += popular
    result.abused += abuse(host)
    result.literal += bool(_LITERAL.match(host))
    result.shorteners += Known.SHORTENER in what and not platform
    result.hosting += bool(what & (Known.HOSTING | Known.DYNAMIC)) and not platform
    result.foreign_unknown += target != site and not popular and not platform
    result.userinfo += bool(userinfo)
    result.ports += port not in ("", "80", "443")
    result.encoded += "%" in host or "\\" in link.url
    result.random += bool(_RANDOM.search(rest[:300])) and not popular and not platform and target != site
    result.plain_http += scheme.lower() == "http"
    named = _NAMED.match(link.text[:200].lower()) if link.text and link.tag == "a" else None
    if named and registrable(named.group(1)) not in (target, site) and "." in named.group(1):
        result.deceiving += not platform
