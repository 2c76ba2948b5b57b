"""Whether the visible From is authenticated: DMARC's identifier alignment (RFC 7489 3.1), relaxed."""

from __future__ import annotations

from collections.abc import Sequence

from mailward.auth import Authentication, Outcome
from mailward.message import Address
from mailward.message.domains import registrable


def organisational(domain: str) -> str:
    """The registrable domain, private suffixes such as github.io included; the domain itself where there is none."""
    return registrable(domain) or domain


def aligned(senders: Sequence[Address], auth: Authentication) -> bool | None:
    """Whether every visible From domain passed DMARC, or DKIM or SPF with the same organisational domain.

    None when nothing was checked, or the DNS was silent. A DMARC pass, and the word of a sealer that we trust, speak for a single From
    domain only, as DMARC knows no more. For approvals, so it is strict; what the score makes of it is `content.mail.proven`.
    """
    if auth.spf is auth.dkim is auth.dmarc is Outcome.UNCHECKED:
        return None
    domains = {address.domain for address in senders}
    if not domains or "" in domains:
        return False
    if len(domains) == 1 and (auth.dmarc is Outcome.PASS or auth.vouched in domains):
        return True
    proven = {organisational(domain) for domain in auth.dkim_domains} if auth.dkim is Outcome.PASS else set()
    if auth.spf is Outcome.PASS and auth.spf_domain:
        proven.add(organisational(auth.spf_domain))
    if all(organisational(domain) in proven for domain in domains):
        return True
    return None if any(auth.silent_about(organisational(domain)) for domain in domains) else False
