"""What the package knows of addresses before it has seen any mail, made from public lists that may be redistributed (see NOTICE).

`python -m mailward.reputation.ip.starter FOLDER` makes `data/protected.txt` and `data/starter.txt` anew; FOLDER holds
`warninglists/` and `ipsum/`. Why so few addresses, and for how long: docs/decisions/0060-starter-list.md.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from ipaddress import ip_network
from pathlib import Path

from mailward.policy.lists import Network
from mailward.reputation.ip.formats import Format
from mailward.reputation.ip.imports import Imported, read
from mailward.reputation.ip.protected import DATA, collapsed
from mailward.reputation.listing import ListingKind
from mailward.reputation.lists import About

STARTER = "starter"  # the name of the list
STARTER_FILE = "starter.txt"
AT_LEAST = 5  # lists that carry an address
DAYS = 120  # from the day the list was made
_SENDERS = ("smtp-sending-ips.json", "google-gmail-sending-ips.json")


def build(public: Path, out: Path) -> tuple[int, int]:
    """Write both files. Returns the number of networks and of addresses."""
    networks = collapsed(_senders(public / "warninglists"))
    title = f"# Networks of big mail senders, from the MISP warning lists {', '.join(_SENDERS)} (CC0 1.0)\n"
    (out / "protected.txt").write_text(title + "".join(f"{network}\n" for network in networks), "ascii")
    source = max((public / "ipsum").glob("ipsum_*.txt"))
    made = re.search(r"\d{4}-\d\d-\d\d", source.name)
    if made is None:
        raise SystemExit(f"{source}: the name does not say when the list was made, such as ipsum_2026-08-22.txt")
    bad = list(_bad(source))
    title = f"# ipsum {made[0]}: {len(bad):,} addresses on at least {AT_LEAST} lists, and on how many (https://github.com/stamparm/ipsum, Unlicense)\n"
    (out / STARTER_FILE).write_text(title + "".join(bad), "ascii")
    return len(networks), len(bad)


def _senders(folder: Path) -> Iterator[Network]:
    for name in _SENDERS:
        yield from map(ip_network, json.loads((folder / name).read_text("utf-8"))["list"])


def _bad(file: Path) -> Iterator[str]:
    for line in file.read_text("ascii").splitlines():
        address, _, count = line.partition("\t")
        if not line.startswith("#") and int(count) >= AT_LEAST:
            yield f"{address}\t{count}\n"


def starter_list() -> tuple[About, Imported]:
    """The list a new database begins with. It counts from the day the list was made, not from the day it is put in."""
    data = (DATA / STARTER_FILE).read_bytes()
    imported = read(BytesIO(data), Format.IPSUM)
    made = data.partition(b":")[0].decode("ascii").removeprefix("# ")  # "ipsum 2026-08-22"
    day = int(datetime.fromisoformat(f"{made.split()[1]}T00:00:00+00:00").timestamp())
    about = About(
        name=STARTER,
        kind=ListingKind.EMERGING_THREAT.label,
        source=made,
        imported=day,
        expires=day + DAYS * 86400,
        entries=len(imported),
        refused=imported.refused,
        format=imported.format,
    )
    return about, imported


if __name__ == "__main__":
    networks, addresses = build(Path(sys.argv[1]), Path(str(DATA)))
    print(f"{networks:,} protected networks, {addresses:,} addresses")
