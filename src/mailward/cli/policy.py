"""`mailward policy`: the document that says what to filter, its history, and what a change would have done."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from mailward.cli import words
from mailward.cli.options import AsJson, ConfigFile, StateFolder, opened_storage, policy_in_force, policy_of, settings_of, who
from mailward.cli.trouble import Trouble

app = typer.Typer(help="The policy document: show, check, import, export, history, rollback, replay.", no_args_is_help=True)

approved = typer.Typer(help="The approved URLs of Web Reputation as text, one a line.", no_args_is_help=True)
app.add_typer(approved, name="urls")

PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A policy as TOML.")]
DAY = 86_400.0


@app.command("show")
def show(config: ConfigFile = None, state: StateFolder = None) -> None:
    """Print the policy in force: every setting, what it does, and its default."""
    print(policy_in_force(settings_of(config, state)).to_toml(), end="")


@app.command("export")
def export(config: ConfigFile = None, state: StateFolder = None) -> None:
    """Print the policy in force as it was imported, comments and all; the defaults if none was."""
    settings = settings_of(config, state)
    with opened_storage(settings, must_exist=False) as storage:
        version = storage.policy() if storage else None
    print(version.toml if version else policy_in_force(settings).to_toml(), end="")


@app.command("check")
def check(file: PolicyFile) -> None:
    """Read a policy and name every mistake with its line. Nothing is changed."""
    policy = policy_of(file)
    print(f"{file}: good, {policy.digest}")


@app.command("import")
def import_(
    file: PolicyFile,
    note: Annotated[str, typer.Option("--note", help="Why, for the history.")] = "",
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Put a policy in force. A running gateway takes it up on SIGHUP."""
    policy_of(file)
    with opened_storage(settings_of(config, state)) as storage:
        assert storage is not None
        n = storage.save_policy(file.read_text("utf-8"), who(), note or f"imported from {file.name}", time.time())
    print(f"policy {n} is in force; a running gateway takes it up on SIGHUP")


@app.command("history")
def history(as_json: AsJson = False, config: ConfigFile = None, state: StateFolder = None) -> None:
    """List every policy that was ever in force, the newest first."""
    with opened_storage(settings_of(config, state), must_exist=False) as storage:
        versions = storage.policies() if storage else []
    if as_json:
        import json

        for version in versions:
            print(json.dumps({"n": version.n, "time": version.time, "who": version.who, "note": version.note}))
        return
    if not versions:
        print("No policy was ever saved: the defaults are in force.")
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table("n", "since", "who", "note", box=None, pad_edge=False)
    for version in versions:
        table.add_row(str(version.n), words.when(version.time), escape(words.one_line(version.who)), escape(words.one_line(version.note)))
    words.show(table)


@app.command("rollback")
def rollback(
    n: Annotated[int, typer.Argument(metavar="N", help="The number `mailward policy history` shows.")],
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Put an earlier policy in force again. The history keeps both."""
    with opened_storage(settings_of(config, state), must_exist=False) as storage:
        version = storage.policy(n) if storage else None
        if storage is None or version is None:
            raise Trouble(f"there is no policy {n}", "`mailward policy history` shows what there is.")
        new = storage.rollback(n, who(), time.time())
    print(f"policy {n} is in force again, as number {new}; a running gateway takes it up on SIGHUP")


@app.command("replay")
def replay(
    file: PolicyFile,
    days: Annotated[float, typer.Option("--days", min=0, metavar="N", help="How far back.")] = 7.0,
    shown: Annotated[int, typer.Option("--show", min=0, metavar="N", help="How many of the messages to list.")] = 20,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Say what a policy would have done with the mail of the last days. Nothing is scanned again, and nothing is changed."""
    from mailward.scan.replay import replay as replayed

    new = policy_of(file)
    settings = settings_of(config, state)
    with opened_storage(settings, must_exist=False) as storage:
        if storage is None:
            raise Trouble(f"no mail has been judged here: there is no {settings.database}", "Name the gateway's state folder with --state.")
        records = storage.records(time.time() - days * DAY)
        outcome = replayed((record.assessment for record in records), policy_in_force(settings), new)
    print(outcome.text())
    if not outcome.examples or not shown:
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table("id", "from", "subject", "now", "then", box=None, pad_edge=False)
    for example in outcome.examples[:shown]:
        facts = example.assessment
        cells = (facts.id, facts.header_from[0] if facts.header_from else facts.mail_from or "", facts.subject)
        before, after = (f"{verdict.kind}, {verdict.action}" for verdict in (example.before, example.after))
        table.add_row(*(escape(words.one_line(cell, 50)) for cell in cells), before, after)
    print()
    words.show(table)


@approved.command("export")
def export_urls(config: ConfigFile = None, state: StateFolder = None) -> None:
    """Print the approved URLs (web_reputation.target.approved_urls), one a line."""
    print(policy_in_force(settings_of(config, state)).web_reputation.target.approved_urls.to_text(), end="")


@approved.command("import")
def import_urls(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Hosts, or hosts with the beginning of a path, one a line; # begins a comment.")
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Put them in the place of those there are, instead of adding them.")] = False,
    note: Annotated[str, typer.Option("--note", help="Why, for the history.")] = "",
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Approve the URLs of a file. Every line that is refused is named, and then nothing is changed. Comments of the policy are not kept."""
    from mailward.policy.problems import ListError
    from mailward.policy.urls import UrlList

    settings = settings_of(config, state)
    try:
        entries = UrlList.from_text(file.read_text("utf-8"), str(file))
    except ListError as error:
        raise Trouble(str(error)) from None
    except UnicodeDecodeError:
        raise Trouble(f"{file} is not UTF-8 text", "Save it as UTF-8.") from None
    policy = policy_in_force(settings)
    web = policy.web_reputation
    wanted = entries if replace else UrlList([*web.target.approved_urls, *entries])
    target = web.target.model_copy(update={"approved_urls": wanted})
    changed = policy.model_copy(update={"web_reputation": web.model_copy(update={"target": target})})
    with opened_storage(settings) as storage:
        assert storage is not None
        n = storage.save_policy(changed.to_toml(), who(), note or f"approved URLs from {file.name}", time.time())
    print(f"{len(wanted):,} URLs are approved; policy {n} is in force, a running gateway takes it up on SIGHUP")
