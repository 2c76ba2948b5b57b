"""`mailward urls`: feeds of URLs, people's ratings, evidence about domains, and our zone of them for other servers."""

from __future__ import annotations

import json
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailward.cli import kept_lists, words
from mailward.cli.options import AsJson, ConfigFile, StateFolder, settings_of, who
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.gateway.settings import Settings
    from mailward.reputation.url.evidence import UrlEvidence
    from mailward.reputation.url.ratings import OwnRating

MAX_FILE = 64 << 20  # octets of a list of ratings
WAIT_SECONDS = 15.0  # for a running service to take up evidence; it needs one or two
SHOWN_REFUSALS = 20

app = typer.Typer(help="What is known of URLs: feeds, your own ratings, evidence, and the zone.", no_args_is_help=True)


class Report(StrEnum):
    SPAM = "spam"
    HAM = "ham"
    FORGET = "forget"


class ExportFormat(StrEnum):
    RBLDNSD = "rbldnsd"
    ZONE = "zone"


@app.command("feeds")
def feeds(
    offered: Annotated[bool, typer.Option("--catalogue", help="Show well-known feeds with their terms instead.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Show the feeds that are kept and how fetching them goes; or those that could be named, and on what terms."""
    if offered:
        _show_catalogue(as_json)
        return
    from mailward.gateway.databases import url_database
    from mailward.reputation.ip.refresh import Refresh, read_states

    settings = settings_of(config, state)
    database, now = url_database(settings), time.time()
    kept = {each.name: each for each in database.feeds()}
    sources, states = {source.name: source for source in settings.urls.feed_sources}, read_states(database)
    for name in sorted({*kept, *sources}):
        note, source, fetched = kept[name].about if name in kept else None, sources.get(name), states.get(name, Refresh())
        row: dict[str, Any] = {"name": name, "entries": note.entries if note else 0, "kind": note.kind if note else ""}
        row |= {"imported": note.imported if note else 0, "expires": note.expires if note else 0}
        defect = kept[name].defect if name in kept else ""
        row["state"] = kept_lists.state_of(note, defect, now)
        if source is not None:
            row |= {"source": source.place, "every": source.every, "fetched": fetched.succeeded, "failure": fetched.failure}
        print(json.dumps(row) if as_json else words.one_line(_row(row)))
    if not (kept or sources or as_json):
        print("No feed is kept. `mailward urls feeds --catalogue` shows well-known ones and their terms.")


def _row(row: dict[str, Any]) -> str:
    line = f"{row['name']}: {row['entries']:,} entries, {row['kind'] or 'no kind yet'}, {row['state']}"
    if row["imported"]:
        line += f", imported {words.when(row['imported'])}, expires {words.when(row['expires']) if row['expires'] else 'never'}"
    if "source" in row:
        line += f", from {row['source']}" + (f"; FAILED: {row['failure']}" if row["failure"] else "")
    return line


def _show_catalogue(as_json: bool) -> None:
    from msgspec import structs

    from mailward.reputation.url.feeds import catalogue

    for name, offer in catalogue().items():
        if as_json:
            print(json.dumps({"name": name, **structs.asdict(offer)}))
        else:
            print(f"{name}: {offer.title} ({offer.kind}, {offer.format})\n    {offer.terms}\n    {offer.site}")


@app.command("refresh")
def refresh(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One feed only.")] = "", config: ConfigFile = None, state: StateFolder = None
) -> None:
    """Fetch the feeds that the settings name now, and publish them. `serve` does so by itself when they are due."""
    from mailward.gateway.databases import url_database

    settings = settings_of(config, state)
    remedy = 'Name it in mailward.toml: [[urls.feeds]] name = "...".'
    kept_lists.fetch(url_database(settings), settings.urls.feed_sources, name, "feed", remedy)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A feed; it may be packed with gzip, bzip2 or zip.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the feed is called; without it as the file.")] = "",
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="phishing, malware, spam, suspicious, unwanted, safe or popular.")
    ] = "suspicious",
    rating: Annotated[int, typer.Option("--rating", min=-1, max=100, help="Of its entries; -1: the usual one of the kind.")] = -1,
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help="Without it what the file looks like.")] = "",
    expires: Annotated[str, typer.Option("--expires", metavar="TIME", help="When it says nothing any more: 12h, 30d or never.")] = "7d",
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Import a feed from a file, in place of the one of that name."""
    from mailward.gateway.databases import url_database
    from mailward.reputation.ip.sources import seconds
    from mailward.reputation.url.feeds import feed_format, feed_kind
    from mailward.reputation.url.imports import read

    now, database = time.time(), url_database(settings_of(config, state))
    name = name or kept_lists.name_of(file.name.partition(".")[0])
    with kept_lists.told(file):
        chosen = feed_kind(kind)
        end = 0 if expires == "never" else int(now) + seconds(expires)
        with file.open("rb") as content:
            feed = read(content, database.keying(), chosen, chosen.rating if rating < 0 else rating, now, feed_format(format))
        note = database.import_feed(name, feed, chosen, f"{name} {time.strftime('%Y-%m-%d', time.gmtime(now))}", end, now)
    database.publish_if_due(now)
    kept_lists.report(file, feed.refusals, feed.refused, "not taken")
    kept_lists.imported(note, f"{note.refused:,} lines not taken", "they count", as_json)


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that `mailward urls feeds` shows.")],
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Remove a feed; what it says ends at once."""
    from mailward.gateway.databases import url_database

    kept_lists.remove(url_database(settings_of(config, state)), name, "feed", "mailward urls feeds")


@app.command("ratings")
def ratings(
    history: Annotated[bool, typer.Option("--history", help="Everything that was ever set or unset, by whom and when.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Print your own ratings in force, one a line, as `mailward urls rate-all` reads them."""
    from msgspec import structs

    from mailward.gateway.databases import url_database
    from mailward.reputation.url.ratings import to_text

    database = url_database(settings_of(config, state))
    found = database.history() if history else database.ratings(time.time())
    if as_json:
        for each in found:
            print(json.dumps(structs.asdict(each)))
    elif history:
        for each in found:
            print(words.one_line(_said(each)))
    else:
        print(to_text(found), end="")


def _said(each: OwnRating) -> str:
    what = f"rated {each.rating}" if each.rating >= 0 else "rating taken back"
    return f"{words.when(each.time)}  {each.who}  {each.scope} {each.name}  {what}" + (f"  {each.why}" if each.why else "")


@app.command("rate-all")
def rate_all(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Ratings, one a line: RATING SCOPE NAME # WHY.")],
    replace: Annotated[bool, typer.Option("--replace", help="Take back every rating that is not in the file.")] = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Set many ratings from a file, as `mailward urls ratings` prints them. All lines or none."""
    from msgspec import structs

    from mailward.gateway.databases import url_database
    from mailward.reputation.url.ratings import REMOVED, from_text

    database, now = url_database(settings_of(config, state)), time.time()
    try:
        if file.stat().st_size > MAX_FILE:
            raise Trouble(f"{file} is larger than {MAX_FILE >> 20} MB", "Import a list as long as that as a feed: `mailward urls import`.")
        made, refused = from_text(file.read_text("utf-8", "replace"), who(), now)
    except OSError as error:
        raise Trouble(f"{file} cannot be read: {error.strerror}") from None
    if refused:
        for line, what in refused[:SHOWN_REFUSALS]:
            print(words.one_line(f"{file}:{line}: {what}"), file=sys.stderr)
        raise Trouble(f"{len(refused):,} lines of {file} cannot be taken; nothing was changed", "Mend them and try again.")
    kept = {each.place for each in made}
    gone = [each for each in database.ratings(now) if each.place not in kept] if replace else []
    gone = [structs.replace(each, rating=REMOVED, time=int(now), who=who(), why="not in the imported list", until=0) for each in gone]
    try:
        database.rate((*gone, *made), now)
    except ValueError as error:
        raise Trouble(str(error)) from None
    database.publish_if_due(now)
    print(f"{len(made):,} ratings set, {len(gone):,} taken back")


@app.command("report")
def report(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Links of a message.")],
    kind: Annotated[Report, typer.Option("--kind", help="spam, ham, or forget what evidence there is.")] = Report.SPAM,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; without it you.")] = "",
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Tell what was observed of links: evidence against the places they lead to, which decays. Published before the command ends."""
    from mailward.reputation.url.evidence import UrlEvidenceKind, of_message

    kinds = {Report.SPAM: UrlEvidenceKind.REPORT_SPAM, Report.HAM: UrlEvidenceKind.REPORT_HAM, Report.FORGET: UrlEvidenceKind.FORGET}
    pieces = []
    for url in urls:
        text = url if "://" in url else f"http://{url}"
        found = list(of_message([text], time.time(), kinds[kind], by=by or f"cli:{who()}"))
        if not found:
            hint = "A well-known site is not listed as a whole: name a URL with its path, or use `mailward rate --set`."
            raise Trouble(f"{url[:100]!r} gives nobody away", hint)
        pieces += found
    _take_effect(settings_of(config, state), pieces)
    for piece in pieces:
        print(words.one_line(f"{piece.scope} {piece.name}: {kind} recorded"))


def _take_effect(settings: Settings, pieces: list[UrlEvidence]) -> None:
    """Hand evidence over and return when what follows is published: by us, or by the service that runs."""
    from mailward.gateway.databases import url_keeper
    from mailward.reputation.mapped import SnapshotError
    from mailward.reputation.url import evidence
    from mailward.reputation.url.keeper import Busy
    from mailward.reputation.url.table import EVIDENCE_FILE, UrlTable

    evidence.append(settings.urls_folder, pieces)
    told = time.time()
    try:
        with url_keeper(settings) as keeper:
            keeper.catch_up(force=True)
        return
    except Busy:
        pass
    while time.time() < told + WAIT_SECONDS:
        try:
            if UrlTable.open(settings.snapshots_folder / EVIDENCE_FILE).made > told:
                return
        except SnapshotError:
            pass  # written anew with the change we wait for
        time.sleep(0.1)
    print("The service that runs has not taken it up yet; `mailward rate` shows when it has.", file=sys.stderr)


@app.command("export")
def export(
    format: Annotated[ExportFormat, typer.Option("--format", help="rbldnsd (a dnset) or zone (RFC 1035, for BIND, NSD, Knot).")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Replace this file, as a whole; without it standard output.")
    ] = None,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Write our zone of URLs as other servers read it."""
    from mailward.cli.reputation import written
    from mailward.gateway.zones import url_zone
    from mailward.reputation.mapped import SnapshotError
    from mailward.reputation.zone.export import rbldnsd_names, zone_file

    try:
        zone = url_zone(settings_of(config, state))
    except SnapshotError as error:
        raise Trouble(str(error)) from None
    written((rbldnsd_names if format is ExportFormat.RBLDNSD else zone_file)(zone, time.time()), out)
