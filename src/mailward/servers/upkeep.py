"""What has to be done now and then: retention. A child of its own, so that the supervisor stays small and cannot be stopped by it."""

from __future__ import annotations

import time

import structlog

from mailward import storage
from mailward.gateway import Gateway, Settings
from mailward.quarantine import Vault
from mailward.servers.worker import die_with

FIRST_SECONDS = 60.0
EVERY_SECONDS = 3600.0


def run(settings: Settings, gateway: Gateway, supervisor: int) -> int:
    """Expire what is older than the policy keeps. Returns the exit code."""
    log = structlog.get_logger("mailward.upkeep")
    if not die_with(supervisor):
        return 0
    policy = gateway.policy
    try:
        expired, forgotten = Vault(settings.quarantine_folder).expire(policy.quarantine.retention_days)
        store = storage.open(settings.storage_url)
        try:
            records = store.expire(time.time() - policy.tracking.retention_days * 86400)
        finally:
            store.close()
    except (OSError, storage.StorageError) as error:
        log.error("upkeep_failed", error=str(error))
        return 1
    log.info("upkeep", quarantine_expired=expired, quarantine_forgotten=forgotten, records_expired=records)
    return 0
