"""The formats of URL feeds: URLhaus, PhishTank, plain lists of URLs and of names, hosts files, popularity lists.

A reader takes numbered lines (or the whole of a JSON file) and gives found entries; a line it cannot take is handed to
`refuse` with words for an administrator, and the rest goes on. Nothing here looks at what an entry may stand for.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, TypeVar

import msgspec

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
MAX_TEXT = 80  # characters kept of what a feed says about an entry

Lines = Iterable[tuple[int, str]]
Refuse = Callable[[int, str], None]


class FeedFormat(StrEnum):
    URLHAUS_CSV = "urlhaus-csv"
    URLHAUS_JSON = "urlhaus-json"
    PHISHTANK_CSV = "phishtank-csv"
    PHISHTANK_JSON = "phishtank-json"
    URLS = "urls"  # one URL a line: OpenPhish, URLhaus text downloads
    DOMAINS = "domains"  # one name a line, with all below it
    HOSTS = "hosts"  # 127.0.0.1 name
    POPULARITY = "popularity"  # rank,name: Tranco, Umbrella, Majestic, CrUX


JSON = frozenset({FeedFormat.URLHAUS_JSON, FeedFormat.PHISHTANK_JSON})


class Found(NamedTuple):
    """One entry. `what` is a URL (then `is_url`) or a name; `since` in seconds since 1970, 0 unknown; `rank` 0: no popularity list."""

    line: int
    what: str
    is_url: bool
    since: int = 0
    said: str = ""
    rank: int = 0
    alone: bool = False  # a name without what is below it


Reader = Callable[[Lines, Refuse], Iterator[Found]]


def detect(sample: str) -> FeedFormat:
    """Which format the beginning of a feed is written in; what is unlike all others is a list of names."""
    start = sample.lstrip("\ufeff \t\r\n")
    if start.startswith(("[", "{")):
        return FeedFormat.URLHAUS_JSON if '"threat"' in start or '"urlhaus' in start else FeedFormat.PHISHTANK_JSON
    lines = [line.strip() for line in start.splitlines() if line.strip()]
    data = [line for line in lines if line[0] != "#"][:200]
    first = data[0].lower() if data else ""
    if first.startswith("phish_id,"):
        return FeedFormat.PHISHTANK_CSV
    if any(line.startswith("# id,dateadded,url") for line in lines) or re.match(r'"\d+","\d{4}-\d\d-\d\d', first):
        return FeedFormat.URLHAUS_CSV
    if re.match(r"(globalrank,|origin,|rank,|\d+,[^,\s]+\.[^,\s]+\s*$|https?://[^,]+,\d+\s*$)", first):
        return FeedFormat.POPULARITY
    if any(re.match(r"(0\.0\.0\.0|127\.0\.0\.1|::1?)\s+\S", line) for line in data):
        return FeedFormat.HOSTS
    return FeedFormat.URLS if any("://" in line for line in data) else FeedFormat.DOMAINS


def urls(lines: Lines, refuse: Refuse) -> Iterator[Found]:
    """One URL a line; a line that begins with `#` is a comment."""
    for number, line in lines:
        text = line.strip()
        if text and text[0] != "#":
            if "://" in text:
                yield Found(number, text, True)
            else:
                refuse(number, f"{_cut(text)} is no URL with a scheme")


def names(lines: Lines, refuse: Refuse) -> Iterator[Found]:
    """One name a line, `*.example.com` as `example.com`; `#` begins a comment."""
    for number, line in lines:
        text = line.partition("#")[0].strip()
        if text:
            if len(text.split()) > 1:
                refuse(number, f"{_cut(text)} is more than a name")
            else:
                yield Found(number, text.removeprefix("*.").removeprefix("."), False)


def hosts(lines: Lines, refuse: Refuse) -> Iterator[Found]:
    """A hosts file: an address and one or more names; the machine's own names are passed over."""
    for number, line in lines:
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] not in _NOWHERE:
            refuse(number, f"{_cut(line.strip())} does not begin with 127.0.0.1 or 0.0.0.0")
            continue
        for name in words[1:]:
            if name not in _OWN_NAMES:
                yield Found(number, name, False, alone=True)


_NOWHERE = frozenset({"127.0.0.1", "0.0.0.0", "::1", "::", "255.255.255.255", "fe80::1%lo0"})  # noqa: S104
_OWN_NAMES = frozenset(
    "localhost localhost.localdomain local broadcasthost ip6-localhost ip6-loopback ip6-localnet ip6-mcastprefix ip6-allnodes "
    "ip6-allrouters ip6-allhosts 0.0.0.0".split()
)


def urlhaus_csv(lines: Lines, refuse: Refuse) -> Iterator[Found]:
    """URLhaus: id, dateadded, url, url_status, (last_online,) threat, tags, urlhaus_link, reporter."""
    for number, line in lines:
        if not line.strip() or line[0] == "#":
            continue
        cells = _cells(line)
        if len(cells) < 8 or "://" not in cells[2]:
            refuse(number, f"{_cut(line.strip())} is no line of URLhaus: id, dateadded, url, ...")
            continue
        said = cells[5] if len(cells) >= 9 else cells[4]
        yield Found(number, cells[2], True, _time(cells[1]), said[:MAX_TEXT])


def phishtank_csv(lines: Lines, refuse: Refuse) -> Iterator[Found]:
    """PhishTank: phish_id, url, phish_detail_url, submission_time, verified, verification_time, online, target. Unverified ones are left out."""
    for number, line in lines:
        if not line.strip() or line.startswith("phish_id,"):
            continue
        cells = _cells(line)
        if len(cells) < 8 or "://" not in cells[1]:
            refuse(number, f"{_cut(line.strip())} is no line of PhishTank: phish_id, url, ...")
        elif cells[4] == "yes" and cells[6] != "no":
            yield Found(number, cells[1], True, _time(cells[3]), _target(cells[7]))


def popularity(lines: Lines, refuse: Refuse) -> Iterator[Found]:
    """`rank,name` (Tranco, Umbrella), a table with a header (Majestic), or `origin,rank` (CrUX)."""
    rank_at, name_at, header = 0, 1, True
    for number, line in lines:
        cells = _cells(line) if line.strip() else []
        if not cells or line[0] == "#":
            continue
        if header:
            header = False
            known = [cell.strip().lower() for cell in cells]
            if not any(cell.isdecimal() for cell in known):
                name_at = next((known.index(word) for word in ("domain", "origin", "host", "name") if word in known), 1)
                rank_at = next((known.index(word) for word in ("globalrank", "rank", "rank_magnitude") if word in known), 0)
                continue
            if "://" in cells[0]:
                rank_at, name_at = 1, 0
        if len(cells) <= max(rank_at, name_at) or not cells[rank_at].isdecimal() or len(cells[rank_at]) > 9:
            refuse(number, f"{_cut(line.strip())} has no rank and name")
            continue
        name = cells[name_at].strip()
        yield Found(number, name, "://" in name, rank=max(1, int(cells[rank_at])))


def _cells(line: str) -> list[str]:
    """The cells of one line; none where its quotes are wrong."""
    try:
        return next(csv.reader((line.rstrip("\r\n"),), strict=True, skipinitialspace=True), [])
    except csv.Error:
        return []


def _time(text: str) -> int:
    """Seconds since 1970; 0 for what is no time."""
    try:
        found = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except ValueError:
        return 0
    return max(0, int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()))


def _target(text: str) -> str:
    return f"aimed at {text.strip()[:MAX_TEXT]}" if text.strip() not in ("", "Other") else ""


def _cut(text: str) -> str:
    return repr(text[:60])


# JSON


class _UrlhausUrl(msgspec.Struct):
    url: str
    dateadded: str = ""
    date_added: str = ""
    threat: str | None = None


class _Phish(msgspec.Struct):
    url: str
    submission_time: str = ""
    verified: str = "yes"
    online: str = "yes"
    target: str = ""


def urlhaus_json(data: bytes, refuse: Refuse) -> Iterator[Found]:
    """URLhaus's dump, `{"id": [{"url": ...}]}`, or the answer of its interface, `{"urls": [...]}`. Raises msgspec.MsgspecError for no JSON."""
    groups = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    found = _in_order(data, (raw for group in groups.values() if bytes(group).startswith(b"[") for raw in _list(group)))
    for line, raw in found:
        each = _decoded(raw, _UrlhausUrl, line, refuse)
        if each is not None:
            yield Found(line, each.url, True, _time(each.dateadded or each.date_added), (each.threat or "")[:MAX_TEXT])


def phishtank_json(data: bytes, refuse: Refuse) -> Iterator[Found]:
    """PhishTank's dump: a list of objects. Raises msgspec.MsgspecError for no JSON."""
    for line, raw in _in_order(data, _list(data)):
        each = _decoded(raw, _Phish, line, refuse)
        if each is not None and each.verified == "yes" and each.online != "no":
            yield Found(line, each.url, True, _time(each.submission_time), _target(each.target))


def _list(data: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    return msgspec.json.decode(data, type=list[msgspec.Raw])


def _in_order(data: bytes, pieces: Iterable[msgspec.Raw]) -> Iterator[tuple[int, bytes]]:
    """Each piece with the line it starts on; they follow one another, so that all is read once."""
    at, line, counted = 0, 1, 0
    for piece in pieces:
        raw = bytes(piece)
        at = data.index(raw, at)
        line += data.count(b"\n", counted, at)
        counted = at
        at += len(raw)
        yield line, raw


def _decoded(raw: bytes, type: type[_Struct], line: int, refuse: Refuse) -> _Struct | None:
    try:
        return msgspec.json.decode(raw, type=type)
    except msgspec.MsgspecError as error:
        refuse(line, f"the entry that begins here cannot be read: {error}")
        return None


READERS: dict[FeedFormat, Reader] = {
    FeedFormat.URLHAUS_CSV: urlhaus_csv,
    FeedFormat.PHISHTANK_CSV: phishtank_csv,
    FeedFormat.URLS: urls,
    FeedFormat.DOMAINS: names,
    FeedFormat.HOSTS: hosts,
    FeedFormat.POPULARITY: popularity,
}
JSON_READERS: dict[FeedFormat, Callable[[bytes, Refuse], Iterator[Found]]] = {
    FeedFormat.URLHAUS_JSON: urlhaus_json,
    FeedFormat.PHISHTANK_JSON: phishtank_json,
}
