"""`mailward quarantine`: what was held back, and what becomes of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailward.cli import words
from mailward.cli.options import AsJson, ConfigFile, StateFolder, settings_of
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.quarantine import Entry, Vault

app = typer.Typer(help="Messages held back: list, show, release, delete.", no_args_is_help=True)

MessageId = Annotated[str, typer.Argument(metavar="ID", help="The id `mailward quarantine list` shows.")]


@app.command("list")
def list_(
    decided: Annotated[bool, typer.Option("--all", help="Also those released, deleted or expired.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """List what is held back, oldest first."""
    from mailward.quarantine import State

    entries = _vault(config, state).list(*(State if decided else ()))
    if as_json:
        for entry in entries:
            print(json.dumps(_plain(entry)))
        return
    if not entries:
        print("The quarantine is empty.")
        return
    from rich.table import Table

    table = Table("id", "held since", "state", "size", "from", "to", "subject", "reason", box=None, pad_edge=False)
    for entry in entries:
        held = entry.held
        if held is None:
            table.add_row(_cell(entry.id), words.when(entry.since), entry.state, "", "", "", "", _cell(entry.defect))
            continue
        to = held.rcpt_to[0] + (f" and {len(held.rcpt_to) - 1} more" if len(held.rcpt_to) > 1 else "") if held.rcpt_to else ""
        cells = (entry.id, words.when(held.time), entry.state, words.size(held.size), held.mail_from or "<>", to, held.subject)
        table.add_row(*(_cell(cell) for cell in cells), _cell(entry.defect or held.reason))
    words.show(table)


@app.command("show")
def show(
    id: MessageId,
    raw: Annotated[bool, typer.Option("--raw", help="Print the message as it arrived, byte for byte.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Show one message: who sent it, why it was held, and its text."""
    vault = _vault(config, state)
    entry = _entry(vault, id)
    if raw:
        sys.stdout.buffer.write(_raw(vault, id))
        return
    if as_json:
        print(json.dumps(_plain(entry)))
        return
    _describe(entry)
    if entry.held is not None and not entry.defect and entry.state in ("held", "releasing", "released"):
        from mailward.message import parse

        print()
        for line in parse(_raw(vault, id)).text[:4000].splitlines():
            print(words.one_line(line))


@app.command("release")
def release(
    id: MessageId,
    again: Annotated[
        bool, typer.Option("--again", help="Send a message whose earlier release was interrupted. It may arrive twice.")
    ] = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Send one message on to the next hop. It is sent once, whoever else presses at the same time."""
    from mailward.quarantine import AlreadyDecided, NotHeld, NotSent
    from mailward.servers.relay import sender

    settings = settings_of(config, state)
    vault = _vault(config, state)
    try:
        held = vault.release(id, sender(settings), again=again)
    except (NotHeld, AlreadyDecided) as error:
        raise Trouble(str(error)) from None
    except NotSent as error:
        raise Trouble(
            f"{id}: not sent, and still held: {error}", "See that [smtp] next_hop is right and answers, then release it again."
        ) from None
    print(f"{id}: released to {', '.join(held.rcpt_to)}")


@app.command("delete")
def delete(id: MessageId, config: ConfigFile = None, state: StateFolder = None) -> None:
    """Delete one message. Its text is gone for good; that it was there stays on the list for a while."""
    from mailward.quarantine import AlreadyDecided, NotHeld

    try:
        _vault(config, state).delete(id)
    except (NotHeld, AlreadyDecided) as error:
        raise Trouble(str(error)) from None
    print(f"{id}: deleted")


def _vault(config: Path | None, state: Path | None) -> Vault:
    from mailward.quarantine import Vault

    return Vault(settings_of(config, state).quarantine_folder)


def _entry(vault: Vault, id: str) -> Entry:
    from mailward.quarantine import NotHeld

    try:
        return vault.show(id)
    except NotHeld as error:
        raise Trouble(str(error), "`mailward quarantine list` shows what there is.") from None


def _raw(vault: Vault, id: str) -> bytes:
    from mailward.quarantine import NotHeld

    try:
        return vault.raw(id)
    except NotHeld as error:
        raise Trouble(str(error)) from None


def _describe(entry: Entry) -> None:
    held = entry.held
    rows = [("id", entry.id), ("state", f"{entry.state} since {words.when(entry.since)}")]
    if entry.defect:
        rows.append(("defect", entry.defect))
    if held is not None:
        rows += [
            ("held", words.when(held.time)),
            ("from", held.mail_from or "<>"),
            ("to", ", ".join(held.rcpt_to)),
            ("client", " ".join(filter(None, (held.client_ip, held.client_name, held.helo and f"(says {held.helo})")))),
            ("size", words.size(held.size)),
            ("subject", held.subject),
            ("verdict", " by ".join(filter(None, (held.verdict, held.filter)))),
            ("reason", held.reason),
        ]
    for name, value in rows:
        print(f"{name:<8} {words.one_line(value)}")


def _plain(entry: Entry) -> dict[str, Any]:
    import msgspec

    held = {} if entry.held is None else msgspec.to_builtins(entry.held)
    held.pop("headers", None)
    return {**held, "id": entry.id, "state": str(entry.state), "since": entry.since, "defect": entry.defect}


def _cell(text: str) -> str:
    from rich.markup import escape

    return escape(words.one_line(text, 60))
