"""Evidence takes effect at once, whether or not `serve` runs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from mailward.cli.options import policy_in_force

if TYPE_CHECKING:
    from mailward.gateway.settings import Settings
    from mailward.reputation.evidence import Evidence

WAIT_SECONDS = 15.0  # for a running service to take up evidence; it needs one or two


def take_effect(settings: Settings, pieces: list[Evidence]) -> None:
    """Hand evidence over and return when its listings are published: by us, or by the service that runs."""
    from mailward.gateway.databases import keeper, standard_database
    from mailward.reputation import evidence
    from mailward.reputation.ip.keeper import Busy

    evidence.append(settings.reputation_folder, pieces)
    told = time.time()
    try:
        with keeper(settings, policy_in_force(settings)) as keeping:
            keeping.catch_up(force=True)
    except Busy:
        if not _published_after(settings, told):
            print("The service that runs has not taken it up yet; `mailward reputation lookup` shows when it has.", file=sys.stderr)
        return
    standard_database(settings).publish_if_due(time.time())


def _published_after(settings: Settings, told: float) -> bool:
    """Wait until the dynamic database was published anew."""
    from mailward.reputation.snapshot import DYNAMIC_FILE, SnapshotError, Table

    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            if Table.open(settings.snapshots_folder / DYNAMIC_FILE).made > told:
                return True
        except SnapshotError:
            pass  # written anew with the change we wait for
        time.sleep(0.1)
    return False
