"""Hosts that pass for those of a brand, of the organisation itself or of somebody it writes with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache

from mailward.message.domains import registrable
from mailward.phishing.brands import Brand, Brands, table
from mailward.phishing.skeletons import compact
from mailward.phishing.targets import MIN_HELD, Likeness, Target, Targets
from mailward.reputation.knowledge import Known, known

MAX_HOST = 253  # RFC 1035 2.3.4
MAX_ABOVE = 6  # labels before the registrable domain that are looked at, the last ones
YOUR_OWN = "your organisation"

_WELL_KNOWN = Known.POPULAR | Known.BANK | Known.SCHOOL | Known.PROVIDER | Known.FREEMAIL | Known.PLATFORM
_EVERYBODYS = Known.HOSTING | Known.DYNAMIC | Known.SHORTENER | Known.IMAGES
_FIRST_COME = ("github.io", "gitlab.io", "zendesk.com", "atlassian.net", "slack.com", "myshopify.com")  # brands have their names there
_SHORT = 3


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
        names = [*((domain, YOUR_OWN) for domain in self.domains), *((domain, domain) for domain in self.partners)]
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
    if own is not None:
        if own.owns(host):
            return None
        found = _own_lookalike(host, own)
        if found is not None:
            return found
    return _brand_lookalike(host)


@lru_cache(1 << 14)
def _own_lookalike(host: str, own: OwnNames) -> Lookalike | None:
    return _find(host, own.targets, table())


@lru_cache(1 << 14)
def _brand_lookalike(host: str) -> Lookalike | None:
    return _find(host, _brand_targets(), table())


def _find(host: str, targets: Targets, brands: Brands) -> Lookalike | None:
    if len(host) > MAX_HOST:
        return None
    site = registrable(host)
    if not site:
        return None
    owner, exclusive = brands.owner(host)
    flags = known(site)
    everybodys = bool(flags & _EVERYBODYS) or (owner is not None and not exclusive)
    if not everybodys and (owner is not None or flags & _WELL_KNOWN):
        return None
    above = host[: -len(site) - 1].split(".")[-MAX_ABOVE:] if len(host) > len(site) else []
    own_label = not (flags & _WELL_KNOWN or (owner is not None and site in owner.shared))
    found = _of_site(site, targets) if own_label else None
    if found is None and above:
        likeness = _of_names_above(above, site, targets, own_label)
        found = (likeness, "subdomain") if likeness is not None else None
    return _told(host, site, *found) if found else None


def _of_site(site: str, targets: Targets) -> tuple[Likeness, str] | None:
    label, _, suffix = site.partition(".")
    shown = _shown(label)
    found = targets.whole(shown) or targets.within(shown)
    if found is None or (found.how == "tld" and (suffix in _FIRST_COME or f"{label}.{suffix}" == found.target.domain)):
        return None
    return found, found.how


def _of_names_above(above: list[str], site: str, targets: Targets, own_label: bool) -> Likeness | None:
    """The labels before the site: a whole domain of the target, its name beside words of a service, or cut in two by a dot."""
    shown = [_shown(label) for label in above]
    label = site.partition(".")[0]
    following = [*shown[1:], _shown(label)]
    for name, after in zip(shown, following, strict=True):
        target = targets.exact.get(name)
        if target is not None:
            ending = target.domain.partition(".")[2].partition(".")[0]
            if after == ending or after.startswith(f"{ending}-"):
                return Likeness(target, "subdomain", True)
            if not target.plain and len(name) >= MIN_HELD:
                return Likeness(target, "subdomain", False)
            continue
        found = targets.within(name) if "-" in name or len(name) >= MIN_HELD else None
        if found is not None and found.sure:
            return found
        if len(name) >= MIN_HELD:
            whole = targets.whole(name)
            if whole is not None and whole.sure and whole.how == "skeleton":
                return whole
    if own_label:
        target = targets.exact.get("".join(shown).replace("-", "") + label)
        if target is not None and not target.plain:
            return Likeness(target, "subdomain", True)
    return None


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
    return [Target(label, brand.name, brand.domain_of(label), brand.plain(label)) for label, brand in owners.items()]
