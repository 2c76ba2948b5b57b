"""Pieces of evidence a second through the API, and from the API into the database.

    python benchmarks/intake.py [--pieces 400000] [--batch 5000]

A console in a process of its own takes batches from one node over one connection; then a keeper learns what was taken. Wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import sys
import tempfile
import time
from pathlib import Path

import httpx
import msgspec
import uvicorn

from mailward import console
from mailward.gateway.settings import Settings
from mailward.reputation.ip.keeper import Keeper

TOKEN = "benchmark-node-token-0123"


def serve(folder: str, listening: socket.socket) -> None:
    """The console as the control process runs it."""
    settings = Settings.model_validate({"state": {"folder": folder}, "reputation": {"node_tokens": [f"node:{TOKEN}"]}})
    asyncio.run(uvicorn.Server(console.config(settings)).serve([listening]))


def send(url: str, pieces: int, batch: int) -> float:
    """Send that many in batches; pieces a second."""
    now = time.time()
    bodies = [
        msgspec.json.encode(
            {
                "evidence": [
                    {"time": now, "kind": "spam", "address": f"20.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", "weight": 1.0}
                    for n in range(start, start + batch)
                ]
            }
        )
        for start in range(0, pieces, batch)
    ]
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        started = time.perf_counter()
        for body in bodies:
            client.post("/api/v1/reputation/evidence", content=body).raise_for_status()
        return len(bodies) * batch / (time.perf_counter() - started)


def learn(settings: Settings) -> float:
    """Learn everything that was taken; pieces a second."""
    with Keeper(settings.reputation_folder, settings.snapshots_folder) as keeper:
        started = time.perf_counter()
        learned = keeper.catch_up(force=True)
        return learned / (time.perf_counter() - started)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=400_000)
    parser.add_argument("--batch", type=int, default=5_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.get_context("fork").Process(target=serve, args=(folder, listening), daemon=True)
        process.start()
        try:
            taken = send(f"http://127.0.0.1:{listening.getsockname()[1]}", asked.pieces, asked.batch)
        finally:
            process.terminate()
            process.join(10)
        learned = learn(Settings.model_validate({"state": {"folder": str(Path(folder))}}))
    print(f"taken by the API {taken:,.0f} pieces/s in batches of {asked.batch}; learned {learned:,.0f} pieces/s (bar for each: 20,000)")
    return 0 if min(taken, learned) >= 20_000 else 1


if __name__ == "__main__":
    sys.exit(main())
