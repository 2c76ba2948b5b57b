"""A zone as a file for other servers: rbldnsd's own format, and the zone file of RFC 1035 that BIND, NSD and Knot load."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv6Address, summarize_address_range

from mailward.reputation.zone import names
from mailward.reputation.zone.transfer import named
from mailward.reputation.zone.zone import TIMERS, Entry, Zone, code_text, shown

_ADDRESS = "\0"  # stands for the address in a template until its dollar signs are doubled


def rbldnsd(zone: Zone, now: float) -> Iterator[str]:
    """Lines of one `combined` dataset: `rbldnsd ... ZONE:combined:FILE`. With SOA, NS, the time it was made and when it is too old."""
    refresh, retry, expire = TIMERS[zone.database]
    made = datetime.fromtimestamp(int(now), UTC)
    yield f"# {zone.name}, made by mailward at {made:%Y-%m-%dT%H:%M:%SZ}\n"
    yield f"$SOA {zone.ttl} {zone.primary} hostmaster.{zone.name} {zone.serial} {refresh} {retry} {expire} {zone.ttl}\n"
    yield f"$NS {zone.ttl} {' '.join(zone.name_servers or ('localhost',))}\n"
    yield f"$TTL {zone.ttl}\n"
    yield f"$TIMESTAMP {made:%Y:%m:%d:%H:%M:%S} +{expire}\n"
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


def zone_file(zone: Zone, now: float) -> Iterator[str]:
    """Lines of a zone file with A and TXT for every entry; ranges become wildcards (RFC 5782)."""
    refresh, retry, expire = TIMERS[zone.database]
    yield f"$ORIGIN {zone.name}.\n$TTL {zone.ttl}\n"
    yield f"@ SOA {zone.primary}. hostmaster {zone.serial} {refresh} {retry} {expire} {zone.ttl}\n"
    yield from (f"@ NS {server}.\n" for server in zone.name_servers or ("localhost",))
    for entry in zone.entries(now):
        for owner, address in named(entry):
            yield from (f"{owner} {entry.ttl} A {code_text(code)}\n" for code in entry.codes)
            yield f"{owner} {entry.ttl} TXT {_quoted(zone.sentence(entry.listing, address))}\n"


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
