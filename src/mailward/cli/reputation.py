"""`mailward reputation`: look addresses up, tell what was observed of them, take them off, hand our zones to other servers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailward.cli import reputation_lists, reputation_replay, words
from mailward.cli.options import AsJson, ConfigFile, StateFolder, policy_in_force, settings_of, who
from mailward.cli.reputation_effect import take_effect
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.gateway.settings import Settings
    from mailward.reputation.address import Source
    from mailward.reputation.answer import IpReputation, ListAnswer
    from mailward.reputation.evidence import EvidenceKind
    from mailward.reputation.ip.keeper import About
    from mailward.reputation.zone.zone import Zone

MAX_COUNT = 1000
SHOWN_EVIDENCE = 10

app = typer.Typer(help="What is known of senders' addresses: look up, observe, import, export, take off.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(metavar="ADDR", help="An address, v4 or v6.")]


class ExportFormat(StrEnum):
    RBLDNSD = "rbldnsd"
    ZONE = "zone"
    TEXT = "text"


@app.command("zones")
def zones(config: ConfigFile = None, state: StateFolder = None) -> None:
    """Print the names of our zones, one a line: the standard one, the dynamic one, then that of URLs."""
    settings = settings_of(config, state)
    own = settings.reputation
    print(own.standard_zone)
    print(own.dynamic_zone)
    print(settings.urls.zone)


@app.command("lookup")
def lookup(
    address: Address,
    offline: Annotated[bool, typer.Option("--offline", help="Our own databases only; ask no DNS list.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Say what is known of an address: listings, why and until when, standing, evidence."""
    source = _source(address)
    settings = settings_of(config, state)
    _show(settings, source, offline=offline, as_json=as_json)


@app.command("evidence")
def evidence(
    address: Address,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="spam, ham, trap, report-spam, report-ham, url, refused or delist.")
    ] = "trap",
    weight: Annotated[
        float | None, typer.Option("--weight", min=0, max=100, help="Of each piece; without it the usual one of its kind.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=MAX_COUNT, help="How many pieces.")] = 1,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who observed it; without it you.")] = "",
    detail: Annotated[str, typer.Option("--detail", metavar="TEXT", help="What was observed.")] = "",
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Tell what was observed of an address. The listings that follow are published before the command ends."""
    from mailward.reputation.evidence import Evidence

    source, settings, now = _source(address), settings_of(config, state), time.time()
    piece = Evidence(now, _kind(kind), source, -1.0 if weight is None else weight, by or f"cli:{who()}", detail)
    take_effect(settings, [piece] * count)
    if not as_json:
        print(f"{source}: {count} {'piece' if count == 1 else 'pieces'} of evidence recorded ({kind})")
    _show(settings, source, offline=True, as_json=as_json)


@app.command("delist")
def delist(
    address: Annotated[str, typer.Argument(metavar="ADDR", help="An address or a network.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long imported lists cannot bring it back.")] = 90,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who decided; without it you.")] = "",
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Take an address off both databases: what was held against it is forgotten, and lists do not bring it back. New evidence does."""
    from mailward.gateway.databases import standard_database
    from mailward.reputation.address import Source
    from mailward.reputation.evidence import Evidence, EvidenceKind

    what = _network(address) if "/" in address else _source(address)
    settings, now, person = settings_of(config, state), time.time(), by or who()
    database = standard_database(settings)
    database.delist(what, person, now, now + days * 86400)
    database.publish_if_due(now)
    if isinstance(what, Source):
        take_effect(settings, [Evidence(now, EvidenceKind.DELIST, what, by=f"cli:{person}")])
    if not as_json:
        until = words.when(now + days * 86400)
        print(f"{what}: taken off; no list brings it back before {until}")
        if not isinstance(what, Source):
            print("Addresses of it that the dynamic database lists are taken off one by one, or end within hours.")
    if isinstance(what, Source):
        _show(settings, what, offline=True, as_json=as_json)
    elif as_json:
        print(json.dumps({"network": str(what), "until": int(now + days * 86400)}))


@app.command("export")
def export(
    format: Annotated[ExportFormat, typer.Option("--format", help="rbldnsd, zone (RFC 1035, for BIND, NSD, Knot) or text.")],
    zone: Annotated[str, typer.Option("--zone", metavar="Z", help="standard or dynamic, or the name of the zone.")] = "standard",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Replace this file, as a whole; without it standard output.")
    ] = None,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Write one of our zones as other servers and programs read it. The dynamic zone is the one of the level in the settings."""
    written(_exported(_zone(settings_of(config, state), zone), format, time.time()), out)


def written(lines: Iterable[str], out: Path | None) -> None:
    """Write to a file, which is replaced as a whole, or to standard output. Raises Trouble."""
    if out is None:
        sys.stdout.writelines(lines)
        return
    draft = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="ascii", errors="replace") as file:
            file.writelines(lines)
        draft.replace(out)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Trouble(f"{out} cannot be written: {error.strerror}") from None


app.command("import")(reputation_lists.import_)
app.command("lists")(reputation_lists.lists)
app.command("refresh")(reputation_lists.refresh)
app.command("remove")(reputation_lists.remove)
app.command("replay")(reputation_replay.replay)


# Reading what was typed


def _source(text: str) -> Source:
    from mailward.reputation.address import is_public, source

    found = source(text.strip())
    if found is None:
        raise Trouble(f"{text!r} is no address", "Write 192.0.2.1 or 2001:db8::1.")
    if not is_public(found):
        raise Trouble(f"{found} is no address of the internet", "Private and reserved addresses have no reputation.")
    return found


def _network(text: str) -> Any:
    from mailward.policy.lists import NetworkList
    from mailward.policy.problems import EntryError

    try:
        NetworkList.read(text)
    except EntryError as error:
        raise Trouble(error.what, error.remedy) from None
    return NetworkList([text]).networks()[0]


def _kind(text: str) -> EvidenceKind:
    from mailward.reputation.evidence import EvidenceKind

    try:
        return EvidenceKind(text)
    except ValueError:
        raise Trouble(f"{text!r} is no kind of evidence", f"There are {', '.join(EvidenceKind)}.") from None


def _zone(settings: Settings, name: str) -> Zone:
    from mailward.gateway.zones import own_zones
    from mailward.reputation.snapshot import SnapshotError

    database = reputation_lists.database_of(settings, name)
    try:
        return next(zone for zone in own_zones(settings) if zone.database is database)
    except SnapshotError as error:
        raise Trouble(str(error)) from None


def _exported(zone: Zone, format: ExportFormat, now: float) -> Iterator[str]:
    from mailward.reputation.zone.export import rbldnsd, zone_file

    match format:
        case ExportFormat.RBLDNSD:
            yield from rbldnsd(zone, now)
        case ExportFormat.ZONE:
            yield from zone_file(zone, now)
        case ExportFormat.TEXT:
            yield f"# {zone.name}, serial {zone.serial}\n"
            for entry in zone.table.listings(now):
                if entry.level <= zone.level:
                    yield f"{entry.network}\t# {entry.kind.label}: {words.one_line(entry.reason)}\n"


# Showing


def _show(settings: Settings, source: Source, *, offline: bool, as_json: bool) -> None:
    from mailward.gateway.databases import protected
    from mailward.reputation.ip.keeper import about
    from mailward.reputation.snapshot import SnapshotError

    known = asyncio.run(_asked(settings, source, offline))
    try:
        found = about(
            settings.reputation_folder, settings.snapshots_folder, source, time.time(), protected(settings), settings.reputation.level
        )
    except SnapshotError as error:
        raise Trouble(str(error)) from None
    if as_json:
        print(json.dumps(_plain(known, found)))
        return
    print(f"{source}: {_STANDINGS[known.standing]}" + (", protected" if found.protected else ""))
    for answer in known.answers:
        print(f"  {answer.zone}: {words.one_line(_said(answer))}")
    if found.counts:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(found.counts.items()))
        against = f"; against it first {words.when(found.first)}, last {words.when(found.last)}" if found.first else ""
        print(f"  evidence: {counts}{against}")
    for piece in found.evidence[-SHOWN_EVIDENCE:]:
        print(words.one_line(f"    {words.when(piece.time)} {piece.kind} {piece.weight:g} by {piece.by} {piece.detail}".rstrip()))


_STANDINGS = {
    "good": "in good standing",
    "unknown": "not listed",
    "dynamic": "listed in the dynamic database",
    "standard": "listed in the standard database",
    "unchecked": "could not be looked up",
}


async def _asked(settings: Settings, source: Source, offline: bool) -> IpReputation:
    from mailward.gateway.gateway import plan_of
    from mailward.gateway.lists import Reputation

    reputation = Reputation(settings)
    plan = None if offline else plan_of(policy_in_force(settings))
    try:
        return reputation.known(str(source)) if plan is None else await reputation.ask(str(source), plan)
    finally:
        await reputation.close()


def _said(answer: ListAnswer) -> str:
    if answer.why:
        return f"{answer.outcome}: {answer.why}"
    if not answer.codes:
        return str(answer.outcome)
    line = f"{answer.outcome}, {' '.join(answer.codes)}"
    if answer.level:
        line += f", from level {answer.level} on"
    if answer.since:
        line += f", since {words.when(answer.since)}, " + (f"until {words.when(answer.until)}" if answer.until else "until it is taken off")
    return f"{line}: {answer.reason}" if answer.reason else line


def _plain(known: IpReputation, found: About) -> dict[str, Any]:
    return {
        "address": str(found.source),
        "standing": known.standing,
        "protected": found.protected,
        "answers": [asdict(answer) for answer in known.answers],
        "evidence": {
            "counts": found.counts,
            "first": found.first,
            "last": found.last,
            "recent": [{**asdict(piece), "source": str(piece.source)} for piece in found.evidence],
        },
    }
