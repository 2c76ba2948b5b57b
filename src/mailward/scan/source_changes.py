"""What would have had to be different for New Spam Sources: the sender's standing, its approval, the links, the filter itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mailward.policy import Policy
from mailward.policy.urls import place
from mailward.reputation.answer import Standing
from mailward.scan.assessment import Assessment, SenderIp
from mailward.scan.change import Change, observing
from mailward.scan.new_spam_sources import NEW_SPAM_SOURCES, Suspicion, finding
from mailward.scan.web_changes import APPROVED_URLS, MAX_NAMED
from mailward.scan.web_reputation import shown

_APPROVED = f"{NEW_SPAM_SOURCES}.target.approved_senders"
_LOG_ONLY = f"{NEW_SPAM_SOURCES}.log_only"


def better_standing(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """The worst standing of the sender that would have been good enough."""
    address = assessment.sender_ip.address
    for standing, words in ((Standing.UNKNOWN, "were not listed"), (Standing.GOOD, "were of good standing")):
        if assessment.sender_ip.standing != standing:
            changed = replace(assessment, sender_ip=SenderIp(address, standing))
            yield Change(f"if {address} {words}", changed, policy)


def approve(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Approve the visible senders for this filter; where that alone does not count, authentication has to pass too."""
    entries = policy.new_spam_sources.target.approved_senders
    missing = [sender for sender in dict.fromkeys(assessment.header_from) if not entries.match(sender)]
    if not assessment.header_from or len(missing) > 1:
        return
    try:
        for sender in missing:
            entries = entries.plus(sender)
    except ValueError:  # an address no list can hold
        return
    approved = policy.changed(_APPROVED, entries)
    condition = f"if {assessment.header_from[0]} were approved (on {NEW_SPAM_SOURCES}.approved_senders)"
    yield Change(condition, assessment, approved)
    yield Change(f"{condition} and it had passed authentication", replace(assessment, from_aligned=True), approved)


def approve_links(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Approve the hosts of the links that count, the worst first."""
    entries, hosts = policy.web_reputation.target.approved_urls, list[str]()
    while len(hosts) < MAX_NAMED and (found := finding(assessment, policy)) is not None and found.suspicion is Suspicion.HIGH:
        hosts.append(place(found.url.url)[0])
        try:
            entries = entries.plus(hosts[-1])
        except ValueError:  # a host no list can hold
            return
        policy = policy.changed(APPROVED_URLS, entries)
        named, verb = " and ".join(map(shown, hosts)), "was" if len(hosts) == 1 else "were"
        yield Change(f"if {named} {verb} approved (on web_reputation.approved_urls)", assessment, policy)


def observed(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    yield from observing(NEW_SPAM_SOURCES, assessment, policy)


def switched_on(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """What the filter would have made of a message that is delivered."""
    on = policy.changed(f"{NEW_SPAM_SOURCES}.enabled", True).changed(_LOG_ONLY, False)
    if on.web_reputation.enabled and (found := finding(assessment, on)) is not None and found.suspicion is Suspicion.HIGH:
        how = "did not only observe (log_only)" if policy.new_spam_sources.enabled else "was switched on"
        yield Change(f"if New Spam Sources {how}", assessment, on)
