"""Hosts that pass for those of a brand, of the organisation itself or of somebody it writes with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mailward.message.domains import registrable
from mailward.phishing.brands import Brand, table
from mailward.phishing.skeletons import skeleton
from mailward.reputation.knowledge import Known, known


@dataclass(frozen=True, slots=True)
class Lookalike:
    """`how`: "skeleton", "edit", "token", "subdomain" or "tld". `sure`: hardly by chance. `text`: one sentence."""

    host: str
    brand: str
    true_domain: str
    how: str
    text: str
    sure: bool = True


@dataclass(frozen=True, eq=False)
class OwnNames:
    """The organisation's own domains and those of the people it writes with. Compared by identity: make one for a policy."""

    domains: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()


def lookalike(host: str, own: OwnNames | None = None) -> Lookalike | None:
    """Whether `host` (lower case, A-labels) passes for another; never for a domain of that brand itself, or a well-known one."""
    del own
    return _lookalike(host)


@lru_cache(1 << 14)
def _lookalike(host: str) -> Lookalike | None:
    site = registrable(host)
    brands = table()
    if not site or brands.of_domain(site) or known(site) & Known.POPULAR:
        return None
    label = site.partition(".")[0]
    brand: Brand | None = _skeletons().get(skeleton(label))
    if brand is None:
        return None
    return Lookalike(host, brand.name, brand.domain, "skeleton", f"{host} looks like {brand.domain}, the domain of {brand.name}")


@lru_cache(1)
def _skeletons() -> dict[str, Brand]:
    return {skeleton(label): brand for brand in table().all for label in brand.labels}
