"""Retention, as the hourly child applies it."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

from tests.e2e.running import Served

from mailward import storage
from mailward.gateway import Gateway
from mailward.message import Envelope
from mailward.policy import Policy
from mailward.quarantine import State, Vault
from mailward.servers import upkeep


def test_what_is_older_than_the_policy_keeps_goes(tmp_path: Path) -> None:
    """Held messages and records past their days expire, younger ones stay; the policy says how many days."""
    served = Served(tmp_path, None)
    served.configure()
    settings = served.settings
    policy = Policy.from_toml("[quarantine]\nretention_days = 5\n[tracking]\nretention_days = 9\n")
    gateway = Gateway.open(settings, policy)
    now = time.time()
    for days in (1, 4, 6, 8, 10):
        judged = gateway.judge(b"Subject: x\r\n\r\n", Envelope(), id=f"day{days}", now=now - days * 86400)
        gateway.record(judged, "quarantined")
        Vault(settings.quarantine_folder).hold(b"Subject: x\r\n\r\n", Envelope(), f"day{days}")
        os.utime(settings.quarantine_folder / "held" / f"day{days}.msg", (now - days * 86400,) * 2)
    gateway.close()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda parent=os.getpid(): os._exit(upkeep.run(settings, gateway, parent)))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    vault = Vault(settings.quarantine_folder)
    assert [entry.id for entry in vault.list(State.HELD)] == ["day1", "day4"]
    store = storage.open(settings.storage_url)
    assert [record.id for record in store.records()] == ["day8", "day6", "day4", "day1"]
    store.close()
