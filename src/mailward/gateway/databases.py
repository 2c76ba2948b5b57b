"""Our own reputation databases, as the settings name them: for the control process, the console and the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mailward.gateway.hops import published
from mailward.gateway.settings import Settings
from mailward.message.origin import is_own
from mailward.policy import Policy
from mailward.reputation.acquaintance.keeper import AcquaintanceKeeper
from mailward.reputation.address import Source
from mailward.reputation.ip.keeper import Keeper
from mailward.reputation.ip.levels import NETWORKS_FROM
from mailward.reputation.ip.protected import Protected
from mailward.reputation.ip.refresh import refresh_forever
from mailward.reputation.ip.standard import StandardDatabase
from mailward.reputation.url import rater
from mailward.reputation.url.keeper import UrlKeeper
from mailward.reputation.url.rater import Rater
from mailward.reputation.url.store import UrlDatabase


def protected(settings: Settings) -> Protected:
    """The big mail senders and the operator's own networks."""
    return Protected(settings.reputation.protected_networks.networks())


def standard_database(settings: Settings) -> StandardDatabase:
    return StandardDatabase(settings.reputation_folder, settings.snapshots_folder, protected(settings))


def keeper(settings: Settings, policy: Policy) -> Keeper:
    """The keeper of the dynamic database; our own hops are never listed. Raises Busy and OSError, as it does."""
    hops, proxies, domains = policy.organisation.gateway_networks, settings.smtp.trusted_proxies, policy.organisation.mx_domains
    level = max(settings.reputation.level, policy.email_reputation.target.dynamic_level)

    def ours(source: Source) -> bool:
        if hops.match(str(source)) is not None or proxies.match(str(source)) is not None:
            return True
        return bool(domains.entries) and is_own(str(source), published(settings, domains))

    folder, snapshots = settings.reputation_folder, settings.snapshots_folder
    return Keeper(folder, snapshots, standard_database(settings), protected(settings), ours, networks=level >= NETWORKS_FROM)


async def refresh_lists(settings: Settings, stop: asyncio.Event) -> None:
    """Fetch the lists that the settings name, until `stop`."""
    await refresh_forever(standard_database(settings), settings.reputation.list_sources, stop)


def url_database(settings: Settings) -> UrlDatabase:
    """Feeds of URLs and people's ratings."""
    return UrlDatabase(settings.reputation_folder, settings.snapshots_folder)


def url_keeper(settings: Settings, seen: Callable[[str], None] | None = None) -> UrlKeeper:
    """Who learns about domains, and tells `seen` of each. Raises Busy and OSError, as it does."""
    return UrlKeeper(settings.reputation_folder, settings.snapshots_folder, seen)


def acquaintance_keeper(settings: Settings) -> AcquaintanceKeeper:
    """Who learns who writes with whom. Raises Busy and OSError, as it does."""
    return AcquaintanceKeeper(settings.acquaintance_folder, settings.snapshots_folder)


def url_rater(settings: Settings) -> Rater:
    """The rater with everything that is published here; it takes up newer tables by itself."""
    return rater.load(settings.snapshots_folder, settings.urls.new_days)


async def refresh_feeds(settings: Settings, stop: asyncio.Event) -> None:
    """Fetch the feeds that the settings name, until `stop`."""
    await refresh_forever(url_database(settings), settings.urls.feed_sources, stop)
