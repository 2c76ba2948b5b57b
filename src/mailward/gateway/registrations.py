"""Ask since when the domains are registered that mail links to: only where the operator names a service, and few at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from mailward.gateway.databases import url_rater
from mailward.gateway.settings import Settings
from mailward.policy import Policy
from mailward.reputation.url.knowledge import YOUNG_DAYS, UrlKnowledge
from mailward.reputation.url.place import place_of
from mailward.reputation.url.rater import Rater
from mailward.reputation.url.registration import Registrations, Unanswered, Wanted, ask, is_registered_name
from mailward.scan.web_reputation import is_internal

IDLE_SECONDS = 1.0  # between two looks for names that arrived
AGAIN_SECONDS = 15 * 60.0  # after the service did not answer, or wanted fewer questions
PUBLISH_SECONDS = 10.0  # at least between two tables: each makes workers forget what they have rated

log = logging.getLogger("mailward.reputation")


async def look_up_forever(settings: Settings, policy: Policy, wanted: Wanted, stop: asyncio.Event) -> None:
    """Ask about the names in `wanted` as far as that is worth it, one at a time, until `stop`. Does nothing where no service is named."""
    service = settings.urls.registrations
    if not service:
        await stop.wait()
        return
    known = await asyncio.to_thread(Registrations, settings.reputation_folder, settings.snapshots_folder)
    rater, knowledge = await asyncio.to_thread(url_rater, settings), UrlKnowledge(settings.snapshots_folder)
    published, changed = float("-inf"), False
    while not stop.is_set():
        pause = IDLE_SECONDS
        domain = wanted.take()
        if domain is not None and (known.knows(domain, time.time()) or not is_worth(domain, rater, knowledge, policy)):
            await asyncio.sleep(0)
            continue
        if domain is not None:
            pause = 3600 / settings.urls.registrations_per_hour
            try:
                known.remember(domain, await asyncio.to_thread(ask, service, domain), time.time())
                changed = True
            except Unanswered as error:
                pause = AGAIN_SECONDS
                wanted.add(domain)
                log.warning(
                    "%s does not say since when domains are registered: %s. It is asked again in %d minutes.", service, error, pause / 60
                )
        if changed and time.monotonic() >= published + PUBLISH_SECONDS:
            await asyncio.to_thread(known.publish, time.time())
            published, changed = time.monotonic(), False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
    if changed:
        await asyncio.to_thread(known.publish, time.time())


def is_worth(domain: str, rater: Rater, knowledge: UrlKnowledge, policy: Policy) -> bool:
    """Whether its age could change anything: a name that a registry gave away, of which nothing is known but how it looks.

    Not our own, not an approved one, and not one that has been in mail here for longer than a young domain can exist.
    """
    url = f"http://{domain}/"
    place = place_of(url)
    if place is None or place.is_address or place.domain != domain or not is_registered_name(domain):
        return False
    if is_internal(url, policy) or policy.web_reputation.target.approved_urls.match(url):
        return False
    knowledge.follow()
    days = knowledge.first_seen(place, time.time())
    if days is not None and days >= YOUNG_DAYS:
        return False
    found = rater.rate(url)
    return found.source.startswith("model:") or (found.rating is None and not found.source)
