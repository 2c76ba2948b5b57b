"""Which domains of a message's URLs foreign lists are asked about: as few as can be, and none of our own."""

from __future__ import annotations

from collections.abc import Iterable

from mailward.message.domains import registrable
from mailward.message.received import canonical_ip
from mailward.message.urls import FoundUrl
from mailward.policy import Policy
from mailward.policy.urls import hosts_above, place
from mailward.reputation.knowledge import Known, known_host

MAX_DOMAINS = 20  # of a message; wanted mail leads to fewer, and every list is asked about each
_EVERYBODYS = Known.HOSTING | Known.DYNAMIC | Known.SHORTENER | Known.IMAGES
_WELL_KNOWN = Known.POPULAR | Known.BANK | Known.SCHOOL


def asked_about(urls: Iterable[FoundUrl], policy: Policy) -> tuple[str, ...]:
    """Registrable domains in order of appearance, without those of the organisation and without well-known sites that are nobody else's."""
    internal = policy.organisation.internal_domains
    found: dict[str, None] = {}
    for url in urls:
        host = place(url.url)[0]
        domain = registrable(host)
        if domain in found or "." not in domain or canonical_ip(host.strip("[]")):
            continue
        flags = known_host(host)
        if flags & _WELL_KNOWN and not flags & _EVERYBODYS:
            continue
        if internal and any(internal.match(name) for name in hosts_above(host)):
            continue
        found[domain] = None
        if len(found) == MAX_DOMAINS:
            break
    return tuple(found)
