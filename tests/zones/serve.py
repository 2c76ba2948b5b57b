"""Our DNS process alone: python tests/zones/serve.py CONFIG. Says "ready" on standard output."""

from __future__ import annotations

import os
import sys

from mailward.gateway.settings import Settings
from mailward.servers import log
from mailward.servers.dns import server


def main() -> int:
    log.configure()
    settings = Settings.load(sys.argv[1])
    return server.run(settings, server.bind(settings), os.getppid(), lambda: print("ready", flush=True))


if __name__ == "__main__":
    sys.exit(main())
