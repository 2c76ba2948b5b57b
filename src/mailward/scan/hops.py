"""Servers that look like hops of our own but are named nowhere: suggested to the administrator, trusted by nobody (filters.md, shared rules)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mailward.policy import DomainList
from mailward.policy.urls import hosts_above
from mailward.scan.assessment import Assessment

SUGGESTED = 3  # of the most likely
NAMED_MESSAGES, NAMED_SHARE = 5, 0.05  # from an address that has a name of ours; forged names come from many addresses, a hop is one
MOST_MESSAGES, MOST_SHARE = 20, 0.8  # of so many messages, from one address, whatever its name: only a relay brings nearly everything


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An address that may be a hop of ours, and why."""

    address: str
    messages: int
    looked_at: int
    why: str


def suggestions(assessments: Iterable[Assessment], internal_domains: DomainList) -> tuple[Suggestion, ...]:
    """The addresses that look most like hops of ours, the busiest first. Give it the last few hundred messages."""
    total, named, all_from = 0, Counter[str](), Counter[str]()
    names: dict[str, str] = {}
    for assessment in assessments:
        address = assessment.sender_ip.address
        if assessment.authenticated or assessment.connection_only or address is None:
            continue
        total += 1
        all_from[address] += 1
        name = next((name for name in (assessment.sender_ip.name, assessment.helo or "") if _is_ours(name, internal_domains)), "")
        if name:
            named[address] += 1
            names[address] = name
    found = [
        Suggestion(address, count, total, f"it calls itself {names[address]}")
        for address, count in named.items()
        if count >= NAMED_MESSAGES and count >= NAMED_SHARE * total
    ]
    known = {each.address for each in found}
    found += [
        Suggestion(address, count, total, "it brings nearly all mail")
        for address, count in all_from.items()
        if address not in known and total >= MOST_MESSAGES and count >= MOST_SHARE * total
    ]
    return tuple(sorted(found, key=lambda each: -each.messages)[:SUGGESTED])


def _is_ours(name: str, internal_domains: DomainList) -> bool:
    return any(internal_domains.match(domain) for domain in hosts_above(name.lower().rstrip(".")))
