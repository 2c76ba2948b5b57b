"""Hosts that pass for those of a brand, of the organisation itself or of somebody it writes with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache

from mailward.message.domains import registrable
from mailward.phishing.brands import Brand, Brands, of_country, table
from mailward.phishing.skeletons import compact
from mailward.phishing.targets import MIN_HELD, Likeness, Target, Targets
from mailward.reputation.knowledge import Known, abuse, known

MAX_HOST = 253  # RFC 1035 2.3.4
MAX_ABOVE = 6  # labels before the registrable domain that are looked at, the last ones
YOUR_OWN, YOUR_PARTNER = "your organisation", "a partner of yours"  # owners in words

_WELL_KNOWN = Known.POPULAR | Known.BANK | Known.SCHOOL | Known.PROVIDER | Known.FREEMAIL | Known.PLATFORM
_EVERYBODYS = Known.HOSTING | Known.DYNAMIC | Known.SHORTENER | Known.IMAGES
_CARRIERS = frozenset(  # networks that deliver for the domain before theirs
    "edgekey.net edgesuite.net akadns.net akamaized.net akamai.net trafficmanager.net cloudflare.net fastly.net cdngslb.com nsatc.net footprint.net".split()
)
_RUN_BY_OTHERS = frozenset({"mail_and_cloud", "social", "insurance_and_energy"})  # kinds whose names stand before many domains
_FIRST_COME = ("github.io", "gitlab.io", "zendesk.com", "atlassian.net", "slack.com", "myshopify.com")  # brands have their names there
_SHORT = 3
_WWW = ["www"]
ABUSED = 0.3  # how far an ending has to be one that spam prefers, see reputation.knowledge.abuse


@dataclass(frozen=True, slots=True)
class Lookalike:
    """`how`: "skeleton" (reads the same), "edit" (one letter away), "token" (the name beside other words), "subdomain" (the name before
    the domain) or "tld" (the name under another ending). `sure`: hardly by chance. `text`: one sentence, the host in it defanged.
    """

    host: str
    brand: str
    true_domain: str
    how: str
    text: str
    sure: bool = True


@dataclass(frozen=True, eq=False)
class OwnNames:
    """The organisation's own domains, those of the people it writes with, and brands of its own. Compared by identity: make one a policy.

    `domains` and `partners` are registrable domains; hosts below them are theirs too.
    """

    domains: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    brands: tuple[Brand, ...] = ()
    targets: Targets = field(init=False, repr=False)
    true: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = [*((domain, YOUR_OWN) for domain in self.domains), *((domain, YOUR_PARTNER) for domain in self.partners)]
        own = [Target(label, owner, domain, len(label) <= _SHORT) for domain, owner in names if (label := _label_of(domain))]
        object.__setattr__(self, "targets", Targets([*own, *_targets(self.brands)]))
        theirs = [domain for brand in self.brands for domain in (*brand.domains, *brand.shared)]
        object.__setattr__(self, "true", frozenset([*self.domains, *self.partners, *theirs]))

    def owns(self, host: str) -> bool:
        """Whether the host is one of these domains or below one."""
        while host:
            if host in self.true:
                return True
            host = host.partition(".")[2]
        return False


def lookalike(host: str, own: OwnNames | None = None) -> Lookalike | None:
    """Whether `host` (lower case, A-labels) passes for another; never for a domain of that brand itself, or a well-known one.

    Own names and those of partners go before brands.
    """
    return _brand_lookalike(host) if own is None else _lookalike(host, own)


_RESERVED = frozenset("example.com example.net example.org example.edu".split())  # nobody can have them (RFC 2606)


@lru_cache(1 << 14)
def _lookalike(host: str, own: OwnNames) -> Lookalike | None:
    if own.owns(host):
        return None
    return own_lookalike(host, own) or _brand_lookalike(host)


@lru_cache(1 << 14)
def own_lookalike(host: str, own: OwnNames) -> Lookalike | None:
    """The same for own names and those of partners alone."""
    return None if own.owns(host) else _find(host, own.targets, table())


@lru_cache(1 << 14)
def _brand_lookalike(host: str) -> Lookalike | None:
    return _find(host, _brand_targets(), table())


def _find(host: str, targets: Targets, brands: Brands) -> Lookalike | None:
    if len(host) > MAX_HOST or ".".join(host.split(".")[-2:]) in _CARRIERS:
        return None
    site = registrable(host)
    if not site or site in _RESERVED:
        return None
    owner, exclusive = brands.owner(host)
    flags = known(site)
    everybodys = bool(flags & _EVERYBODYS) or (owner is not None and not exclusive)
    if not everybodys and (owner is not None or flags & _WELL_KNOWN):
        return None
    if owner is not None and flags & Known.FREEMAIL and not flags & _EVERYBODYS:
        return None  # the hosts of a mail provider, whose customers have addresses and no hosts
    above = host[: -len(site) - 1].split(".")[-MAX_ABOVE:] if len(host) > len(site) else []
    own_label = not flags & _WELL_KNOWN and brands.at(site) is None
    found = None
    if own_label:
        found = _of_site(site, targets)
    elif above:  # the place of a customer, who chose that label
        found = _of_site(f"{above[-1]}.{site}", targets)
    if found is None and above and above != _WWW:
        likeness = _of_names_above(above, site, targets, own_label)
        found = (likeness, "subdomain") if likeness is not None else None
    if found is None or (owner is not None and not own_label and found[0].target.owner == owner.name):
        return None
    return _told(host, site, *found)


def _of_site(site: str, targets: Targets) -> tuple[Likeness, str] | None:
    label, _, suffix = site.partition(".")
    shown = _shown(label)
    found = targets.whole(shown)
    if found is not None and found.how == "tld":
        return _under_another_ending(found.target, suffix, site)
    if found is not None and found.how == "edit" and _is_a_word(label):
        found = None
    found = found or targets.within(shown)
    return (found, found.how) if found is not None else None


def _under_another_ending(target: Target, suffix: str, site: str) -> tuple[Likeness, str] | None:
    """Brands have the domains of many countries, and more than a table knows; endings that spam prefers make it sure."""
    abused = abuse(site) >= ABUSED
    if site == target.domain or suffix in _FIRST_COME or (of_country(suffix) and not abused):
        return None
    hosted = "." in suffix and not of_country(suffix)
    return None if hosted and not target.above else (Likeness(target, "tld", abused), "tld")


def _is_a_word(label: str) -> bool:
    """Whether the label has a well-known domain of its own: a word or a name, not a slip of the pen."""
    return any(known(f"{label}.{ending}") & Known.POPULAR for ending in ("com", "org", "net"))


def _of_names_above(above: list[str], site: str, targets: Targets, own_label: bool) -> Likeness | None:
    """The labels before the site: a whole domain of the target, its name beside words that press, or cut in two by a dot."""
    shown = [_shown(label) for label in above]
    label = site.partition(".")[0]
    for name, after in zip(shown, [*shown[1:], _shown(label)], strict=True):
        found = _of_name_above(name, after, site, targets)
        if found is not None:
            return found
    if own_label:
        target = targets.exact.get("".join(shown).replace("-", "") + label)
        if target is not None and not target.plain:
            return Likeness(target, "subdomain", True)
    return None


def _of_name_above(name: str, after: str, site: str, targets: Targets) -> Likeness | None:
    target = targets.exact.get(name)
    if target is not None:
        ending = target.domain.partition(".")[2].partition(".")[0]
        if after in (ending, "com") or after.startswith((f"{ending}-", "com-")):
            return Likeness(target, "subdomain", True)
        if len(after) == 2 and of_country(after) and not target.plain:
            return Likeness(target, "subdomain", False)
        alone = target.above and not target.plain and (len(name) >= MIN_HELD or abuse(site) >= ABUSED)
        return Likeness(target, "subdomain", False) if alone else None
    found = targets.within(name) if "-" in name or len(name) >= MIN_HELD else None
    if found is None and len(name) >= MIN_HELD:
        found = targets.whole(name)
        found = found if found is not None and found.how == "skeleton" else None
    return found if found is not None and found.sure else None


def _shown(label: str) -> str:
    """A label as it is shown: A-labels (RFC 5890) as the characters they stand for."""
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label


_SENTENCES = {
    "skeleton": "{host} reads like {domain}, the domain of {owner}",
    "edit": "{host} is one letter away from {domain}, the domain of {owner}",
    "token": "{host} holds the name of {owner}, whose domain is {domain}",
    "subdomain": "{host} begins with the name of {owner} ({domain}), but belongs to {site}",
    "tld": "{host} has the name of {owner} under another ending than {domain}",
}


def _told(host: str, site: str, likeness: Likeness, how: str) -> Lookalike:
    target = likeness.target
    text = _SENTENCES[how].format(host=_defanged(host), site=_defanged(site), domain=target.domain, owner=target.owner)
    return Lookalike(host, target.owner, target.domain, how, text, likeness.sure)


def _defanged(host: str) -> str:
    return host.replace(".", "[.]")


def _label_of(domain: str) -> str:
    return _shown((registrable(domain) or domain).partition(".")[0])


@cache
def _brand_targets() -> Targets:
    return Targets(_targets(table()))


def _targets(brands: Iterable[Brand]) -> list[Target]:
    """One for each label, of the brand that is called so, or else of the first that has it."""
    owners: dict[str, Brand] = {}
    for brand in brands:
        for label in brand.labels:
            if label not in owners or (compact(brand.name) == label != compact(owners[label].name)):
                owners[label] = brand
    return [
        Target(label, brand.name, brand.domain_of(label), brand.plain(label), brand.kind not in _RUN_BY_OTHERS)
        for label, brand in owners.items()
    ]
