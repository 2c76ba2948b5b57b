"""A zone as a file for other servers: rbldnsd's own format, and the zone file of RFC 1035 that BIND, NSD and Knot load."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv6Address, summarize_address_range

from mailward.reputation.zone import names
from mailward.reputation.zone.url_zone import UrlZone
from mailward.reputation.zone.zone import Entry, Zone, code_text, shown

_ADDRESS = "\0"  # stands for the address in a template until its dollar signs are doubled


def rbldnsd(zone: Zone, now: float) -> Iterator[str]:
    """Lines of one `combined` dataset: `rbldnsd ... ZONE:combined:FILE`. With SOA, NS, the time it was made and when it is too old."""
    yield from _head(zone, now)
    version = 0
    for entry in zone.entries(now):
        if entry.listing is None:
            continue
        if entry.version != version:
            version = entry.version
            yield f"$DATASET {'ip4set' if version == 4 else 'ip6trie'} @\n"
        template = zone.sentence(entry.listing, _ADDRESS).decode("ascii").replace("$", "$$").replace(_ADDRESS, "$")
        for where in _ranges(entry):
            yield f"{where} :{code_text(entry.codes[0])}:{template}\n"
    yield "$DATASET generic @\n"  # several records for one name
    for entry in zone.entries(now):
        if entry.listing is not None:
            return
        owner = names.owner(entry.version, entry.first)
        yield from (f"{owner} A {code_text(code)}\n" for code in entry.codes)
        yield f"{owner} TXT {_quoted(zone.sentence(None, ''))}\n"


def rbldnsd_names(zone: UrlZone, now: float) -> Iterator[str]:
    """The same of names: lines of one `dnset` dataset, `rbldnsd ... ZONE:dnset:FILE`. Names that no wildcard may match are exclusions."""
    yield from _head(zone, now)
    for record in zone.records(now):
        if not record.codes:
            yield f"!{record.labels}\n"
            continue
        words = record.words.decode("ascii").replace("$", "$$")
        yield f"{record.labels} :{code_text(record.codes[0])}:{words}\n"


def _head(zone: Zone | UrlZone, now: float) -> Iterator[str]:
    refresh, retry, expire = zone.timers
    made = datetime.fromtimestamp(int(now), UTC)
    yield f"# {zone.name}, made by mailward at {made:%Y-%m-%dT%H:%M:%SZ}\n"
    yield f"$SOA {zone.ttl} {zone.primary} hostmaster.{zone.name} {zone.serial} {refresh} {retry} {expire} {zone.ttl}\n"
    yield f"$NS {zone.ttl} {' '.join(zone.name_servers or ('localhost',))}\n"
    yield f"$TTL {zone.ttl}\n"
    yield f"$TIMESTAMP {made:%Y:%m:%d:%H:%M:%S} +{expire}\n"


def zone_file(zone: Zone | UrlZone, now: float) -> Iterator[str]:
    """Lines of a zone file with A and TXT for every entry; ranges and domains become wildcards (RFC 5782)."""
    refresh, retry, expire = zone.timers
    yield f"$ORIGIN {zone.name}.\n$TTL {zone.ttl}\n"
    yield f"@ SOA {zone.primary}. hostmaster {zone.serial} {refresh} {retry} {expire} {zone.ttl}\n"
    yield from (f"@ NS {server}.\n" for server in zone.name_servers or ("localhost",))
    for record in zone.records(now):
        yield from (f"{record.labels} {record.ttl} A {code_text(code)}\n" for code in record.codes)
        yield f"{record.labels} {record.ttl} TXT {_quoted(record.words)}\n"


def _ranges(entry: Entry) -> Iterator[str]:
    """As ip4set (first-last) and ip6trie (networks) take them."""
    first, last = shown(entry.version, entry.first), shown(entry.version, entry.last)
    if entry.version == 6:
        yield from map(str, summarize_address_range(IPv6Address(entry.first), IPv6Address(entry.last)))
    else:
        yield first if first == last else f"{first}-{last}"


def _quoted(words: bytes) -> str:
    """The strings of a TXT record; the words are printable ASCII."""
    pieces = [words[at : at + 255].decode("ascii") for at in range(0, len(words), 255)]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
