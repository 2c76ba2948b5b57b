"""What would have had to be different for Web Reputation: links approved or not, the level, untested links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mailward.policy import Policy, WebLevel
from mailward.policy.urls import place
from mailward.reputation.answer import Outcome
from mailward.scan.assessment import Assessment
from mailward.scan.change import Change, observing
from mailward.scan.web_reputation import WEB_REPUTATION, charged, shown

MAX_NAMED = 4  # hosts or entries named in one sentence
_TARGET = f"{WEB_REPUTATION}.target"
APPROVED_URLS, _LEVEL = f"{_TARGET}.approved_urls", f"{_TARGET}.level"
_UNTESTED, _LOG_ONLY = f"{_TARGET}.act_on_untested", f"{WEB_REPUTATION}.log_only"


def approve(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Approve the hosts of the links that count, all of them."""
    hosts = list(dict.fromkeys(place(url.url)[0] for url in charged(assessment, policy)[0]))
    if len(hosts) > MAX_NAMED:
        return
    entries = policy.web_reputation.target.approved_urls
    try:
        for host in hosts:
            entries = entries.plus(host)
    except ValueError:  # a host no list can hold
        return
    named = " and ".join([shown(host) for host in hosts])
    verb = "was" if len(hosts) == 1 else "were"
    yield Change(f"if {named} {verb} approved (on {WEB_REPUTATION}.approved_urls)", assessment, policy.changed(APPROVED_URLS, entries))


def unapprove(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Take the approved entries that match off their list, one after the other."""
    gone: list[str] = []
    while len(gone) < MAX_NAMED and (found := charged(assessment, policy)[1]):
        entry = found.partition(": ")[2]
        gone.append(shown(entry))
        policy = policy.changed(APPROVED_URLS, policy.web_reputation.target.approved_urls.minus(entry))
        yield Change(f"without {' and '.join(gone)} on {WEB_REPUTATION}.approved_urls", assessment, policy)


def lower_level(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """The highest level at which no link is bad enough."""
    now = policy.web_reputation.target.level
    for level in (WebLevel.MEDIUM, WebLevel.LOW):
        if level.threshold < now.threshold:
            yield _at(level, assessment, policy)


def higher_level(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """The lowest level at which a link is bad enough."""
    now = policy.web_reputation.target.level
    for level in (WebLevel.MEDIUM, WebLevel.HIGH):
        if level.threshold > now.threshold:
            yield _at(level, assessment, policy)


def _at(level: WebLevel, assessment: Assessment, policy: Policy) -> Change:
    return Change(f"at level {level.capitalize()} of Web Reputation", assessment, policy.changed(_LEVEL, level))


def tested(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    if policy.web_reputation.target.act_on_untested:
        yield Change("if untested links were not acted on", assessment, policy.changed(_UNTESTED, False))


def authenticated(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """An approval failed for lack of authentication."""
    target = policy.web_reputation.target
    if assessment.from_aligned is not True and assessment.header_from and target.approved_senders.match(assessment.header_from[0]):
        yield Change("if it had passed authentication", replace(assessment, from_aligned=True), policy)


def uncounted(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    """Have the DNS lists that list a domain not count, one after the other."""
    lists = policy.web_reputation.target.domain_lists
    zones = dict.fromkeys(answer.zone for url in assessment.urls for answer in url.lists if answer.outcome is Outcome.LISTED)
    gone: list[str] = []
    for zone in zones:
        if (entry := lists.get(zone)) is None or len(gone) == MAX_NAMED:
            continue
        lists = lists.minus(str(entry))
        gone.append(zone)
        yield Change(f"if {' and '.join(gone)} did not count", assessment, policy.changed(f"{_TARGET}.domain_lists", lists))


def observed(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    yield from observing(WEB_REPUTATION, assessment, policy)


def switched_on(assessment: Assessment, policy: Policy) -> Iterator[Change]:
    if not policy.web_reputation.enabled:
        yield Change("if Web Reputation was switched on", assessment, policy.changed(f"{WEB_REPUTATION}.enabled", True))
    elif policy.web_reputation.log_only:
        yield Change("if Web Reputation did not only observe (log_only)", assessment, policy.changed(_LOG_ONLY, False))
