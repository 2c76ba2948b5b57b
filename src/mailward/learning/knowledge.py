"""Build the packaged table of known domains from public lists that may be redistributed (see NOTICE).

`python -m mailward.learning.knowledge FOLDER` makes it anew; FOLDER holds `warninglists/` and `mail_maps/`.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mailward.reputation.knowledge import DATA, Known, domain_key

_JSON = (
    ("cloudflare-top100k.json", Known.POPULAR),
    ("disposable-email.json", Known.DISPOSABLE),
    ("dynamic-dns.json", Known.DYNAMIC),
    ("url-shortener.json", Known.SHORTENER),
    ("link-in-bio.json", Known.HOSTING),
    ("lots-project.json", Known.HOSTING),
    ("public-ipfs-gateways.json", Known.HOSTING),
    ("bank-website.json", Known.BANK),
    ("university_domains.json", Known.SCHOOL),
)
_MAPS = (
    ("freemail/free.txt", Known.FREEMAIL),
    ("freemail/disposable.txt", Known.DISPOSABLE),
    ("rspamd/dmarc_whitelist_new.inc", Known.POPULAR),
    ("rspamd/spf_dkim_whitelist.inc", Known.POPULAR),
)
_OWN = (("sending_platforms.txt", Known.PLATFORM), ("mailbox_providers.txt", Known.PROVIDER), ("image_hosts.txt", Known.IMAGES))
# Sites of the lists of places to put a page that are first of all places of their own: a link to them says little.
_NOT_HOSTING = (
    "twitter.com facebook.com instagram.com youtube.com reddit.com docusign.com icloud.com discord.com slack.com github.com gitlab.com "
    "doubleclick.net zendesk.com canva.com genius.com archive.org cdn.fbsbx.com graph.microsoft.com track.adform.net xiti.com "
    "atlassian.net box.com trello.com tumblr.com wordpress.com attachments.office.net nt.embluemail.com t.m1.email.samsung.com"
).split()
_NOT_POPULAR = ("example.com", "example.net", "example.org")  # documentation names, much asked for


def _names(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        name = line.split("#")[0].strip().lower().lstrip(".").removeprefix("*.")
        if name and " " not in name and "/" not in name:
            yield name


def build(public: Path, own: Path, out: Path) -> int:
    """Write `domain_keys.npy` and `domain_flags.npy` to `out`. Returns the number of domains."""
    flags: dict[str, int] = defaultdict(int)
    for file, flag in _JSON:
        for name in _names(json.loads((public / "warninglists" / file).read_text(encoding="utf-8"))["list"]):
            flags[name] |= flag
    for file, flag in _MAPS:
        for name in _names((public / "mail_maps" / file).read_text(encoding="utf-8").splitlines()):
            flags[name] |= flag
    for file, flag in _OWN:
        for name in _names((own / file).read_text(encoding="utf-8").splitlines()):
            flags[name] |= flag
    for name in _NOT_HOSTING:
        flags[name] &= ~(Known.HOSTING | Known.SHORTENER)
    for name in _NOT_POPULAR:
        flags.pop(name, None)
    pairs = sorted((domain_key(name), value) for name, value in flags.items())
    np.save(out / "domain_keys.npy", np.array([key for key, _ in pairs], np.uint64))
    np.save(out / "domain_flags.npy", np.array([value for _, value in pairs], np.uint16))
    return len(pairs)


if __name__ == "__main__":
    data = Path(str(DATA))
    print(f"{build(Path(sys.argv[1]), data, data):,} domains")
