"""Display names against addresses: whether mail that bears the name of a brand comes from a domain of that brand."""

from __future__ import annotations

from mailward.phishing.brands import Brand, Brands, table
from mailward.reputation.knowledge import Known, known_host

# Exchange servers sign their own reports so, whatever domain they are of
_OWN_SERVERS = ("microsoftexchange329e", "mailer-daemon", "postmaster")


def false_claim(display: str, address: str, brands: Brands | None = None) -> Brand | None:
    """The brand that the display name says the mail is of while the address (`local@domain`, canonical) is of nobody of that brand.

    None where no brand is claimed, where one of those claimed is true, for mail servers that report under their maker's name, and at
    domains of services that send for others, which say nothing about whom they send for.
    """
    if not display:
        return None
    brands = brands or table()
    claimed = brands.claims(display)
    if not claimed:
        return None
    local, _, domain = address.rpartition("@")
    if local.startswith(_OWN_SERVERS) or any(true_for(brand, domain, brands) for brand in claimed):
        return None
    owner, exclusive = brands.owner(domain)
    if owner is not None and exclusive and brands.names_of(owner, display):
        return None
    return None if known_host(domain) & Known.PLATFORM and not known_host(domain) & Known.HOSTING else claimed[0]


def true_for(brand: Brand, domain: str, brands: Brands) -> bool:
    """Whether the domain is one of the brand, or of another brand of the same name or house (that shares a domain with it)."""
    if brands.is_true(brand, domain):
        return True
    owner, exclusive = brands.owner(domain)
    if owner is None or not exclusive:
        return False
    return not set(owner.domains).isdisjoint(brand.domains)
