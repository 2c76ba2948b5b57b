"""`mailward reputation import, lists, refresh, remove`: the lists of the standard database, and evidence from files."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailward.cli import kept_lists, words
from mailward.cli.options import AsJson, ConfigFile, StateFolder, settings_of
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.gateway.settings import Settings
    from mailward.reputation.evidence import Evidence
    from mailward.reputation.ip.refresh import Refresh
    from mailward.reputation.ip.sources import ListSource
    from mailward.reputation.listing import Database
    from mailward.reputation.lists import KeptList

SHOWN_REFUSALS = 20
BATCH = 5000  # pieces of evidence written at once
NEVER = "never"


def database_of(settings: Settings, name: str) -> Database:
    """Which database a zone is: "standard", "dynamic" or the name of the zone. Raises Trouble."""
    from mailward.policy.addresses import canonical_domain
    from mailward.reputation.listing import Database

    own = settings.reputation
    known = {own.standard_zone: Database.STANDARD, own.dynamic_zone: Database.DYNAMIC}
    known.update((str(database), database) for database in Database)
    found = known.get(canonical_domain(name))
    if found is None:
        raise Trouble(f"{name!r} is no zone of ours", f"There are {own.standard_zone} (standard) and {own.dynamic_zone} (dynamic).")
    return found


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A list of addresses; for the dynamic zone, lines of evidence.")],
    zone: Annotated[str, typer.Option("--zone", metavar="Z", help="standard or dynamic, or the name of the zone.")],
    kind: Annotated[
        str,
        typer.Option("--kind", metavar="KIND", help="Of entries that do not say theirs: known-source, emerging-threat or dynamic-space."),
    ] = "known-source",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the list is called; without it as the file.")] = "",
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="When it lists nobody any more: 12h, 30d, 2027-01-31 or never.")
    ] = "30d",
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text, ipsum, rbldnsd or zone; without it what it looks like.")
    ] = "",
    at_least: Annotated[int, typer.Option("--at-least", min=1, help="ipsum: addresses on so many lists only.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Take networks wider than a /8 (v4) or /19 (v6) too.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Import a list into the standard database, in place of the one of that name; or evidence into the dynamic one."""
    from mailward.gateway.databases import standard_database
    from mailward.reputation.ip.formats import Format
    from mailward.reputation.ip.imports import read_file
    from mailward.reputation.ip.sources import list_kind
    from mailward.reputation.listing import Database

    settings, now = settings_of(config, state), time.time()
    if database_of(settings, zone) is Database.DYNAMIC:
        _import_evidence(settings, file, as_json)
        return
    if format and format not in set(Format):
        raise Trouble(f"{format!r} is no format", f"There are {', '.join(Format)}.")
    name = name or kept_lists.name_of(file.stem)
    with kept_lists.told(file):
        chosen, end = list_kind(kind), _end(expires, now)
        imported = read_file(file, Format(format) if format else None, force=force, at_least=at_least)
        database = standard_database(settings)
        about = database.import_list(name, imported, chosen, f"{name} {datetime.now(UTC):%Y-%m-%d}", end, now)
    database.publish_if_due(now)
    kept_lists.report(file, imported.refusals, imported.refused)
    kept_lists.imported(about, f"{_lines(about.refused)} refused", "they are listed", as_json)


def lists(as_json: AsJson = False, config: ConfigFile = None, state: StateFolder = None) -> None:
    """Show the imported lists, how fetching them goes, what was decided about single addresses, and whether DNS lists of others work."""
    from mailward.gateway.databases import standard_database
    from mailward.reputation.dnsbl.health import HEALTH_FILE, read_health
    from mailward.reputation.ip.refresh import Refresh, read_states

    settings = settings_of(config, state)
    database, now = standard_database(settings), time.time()
    kept = {each.name: each for each in database.lists()}
    states, sources = read_states(database), {source.name: source for source in settings.reputation.list_sources}
    rows = [_row(name, kept.get(name), sources.get(name), states.get(name, Refresh()), now) for name in sorted({*kept, *sources})]
    decisions = database.decisions(now)
    health = read_health(settings.snapshots_folder / HEALTH_FILE).values()
    if as_json:
        for row in rows:
            print(json.dumps({"list": row}))
        for decision in decisions:
            print(json.dumps({"decision": {"network": decision.network, "act": decision.act, "until": decision.until, "by": decision.by}}))
        for foreign in health:
            print(json.dumps({"dns_list": {"zone": foreign.zone, "works": foreign.works, "why": foreign.why, "checked": foreign.checked}}))
        return
    _table(rows)
    promoted = sum(decision.act == "promote" for decision in decisions)
    print(f"\n{promoted:,} sources promoted from the dynamic database, {len(decisions) - promoted:,} addresses and networks taken off")
    for foreign in health:
        print(words.one_line(f"{foreign.zone}: {'works' if foreign.works else f'switched off: {foreign.why}. {foreign.remedy}'}"))


def refresh(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One list only.")] = "", config: ConfigFile = None, state: StateFolder = None
) -> None:
    """Fetch the lists that the settings name now, and publish them. `serve` does so by itself when they are due."""
    from mailward.gateway.databases import standard_database

    settings = settings_of(config, state)
    remedy = "Name it in mailward.toml: [reputation] lists = [...]."
    kept_lists.fetch(standard_database(settings), settings.reputation.list_sources, name, "list", remedy)


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that `mailward reputation lists` shows.")],
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Remove an imported list; its addresses are free at once."""
    from mailward.gateway.databases import standard_database

    kept_lists.remove(standard_database(settings_of(config, state)), name, "list", "mailward reputation lists")


def _end(text: str, now: float) -> int:
    """When a list expires, seconds since 1970; 0 for never. Raises ValueError with words."""
    from mailward.reputation.ip.sources import seconds

    if text == NEVER:
        return 0
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return int(now) + seconds(text)
    end = int(datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp())
    if end <= now:
        raise ValueError(f"{text} is over; a list that has expired lists nobody")
    return end


def _import_evidence(settings: Settings, file: Path, as_json: bool) -> None:
    from mailward.cli.reputation_effect import take_effect
    from mailward.reputation.address import is_public
    from mailward.reputation.evidence import append, parse
    from mailward.reputation.ip.imports import MAX_LINE, Refusal

    taken, refused, refusals = 0, 0, []
    batch: list[Evidence] = []
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE), ""), 1):
                if not line.strip() or line.startswith("#"):
                    continue
                piece = parse(line)
                if piece is None or not is_public(piece.source):
                    refused += 1
                    refusals += [Refusal(number, "is no evidence: time, kind, weight, address, by and detail, with tabs between")]
                    del refusals[SHOWN_REFUSALS:]
                    continue
                batch.append(piece)
                taken += 1
                if len(batch) >= BATCH:
                    append(settings.reputation_folder, batch)
                    batch = []
    except OSError as error:
        raise Trouble(f"{file} cannot be read: {error.strerror}") from None
    take_effect(settings, batch)
    kept_lists.report(file, refusals, refused)
    if as_json:
        print(json.dumps({"evidence": taken, "refused": refused}))
    else:
        print(f"{taken:,} pieces of evidence recorded, {_lines(refused)} refused")


def _lines(count: int) -> str:
    return f"{count:,} {'line' if count == 1 else 'lines'}"


def _row(name: str, kept: KeptList | None, source: ListSource | None, state: Refresh, now: float) -> dict[str, Any]:
    about = kept.about if kept else None
    row: dict[str, Any] = {"name": name, "entries": about.entries if about else 0, "kind": about.kind if about else ""}
    row |= {"imported": about.imported if about else 0, "expires": about.expires if about else 0}
    row["state"] = kept_lists.state_of(about, f"damaged: {kept.defect}" if kept and kept.defect else "", now)
    if source is not None:
        row |= {"location": source.place, "every": source.every, "fetched": state.succeeded, "tried": state.tried, "failure": state.failure}
    return row


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("list", "entries", "kind", "imported", "expires", "state", "fetched", box=None, pad_edge=False)
    for row in rows:
        times = [words.when(row[name]) if row[name] else "-" for name in ("imported", "expires")]
        fetched = "" if "location" not in row else f"{words.when(row['fetched']) if row['fetched'] else 'never'} from {row['location']}"
        if row.get("failure"):
            fetched += f"; at {words.when(row['tried'])}: {row['failure']}"
        cells = (row["name"], f"{row['entries']:,}", row["kind"], *times, row["state"], fetched)
        table.add_row(*(escape(words.one_line(cell)) for cell in cells))
    words.show(table)
