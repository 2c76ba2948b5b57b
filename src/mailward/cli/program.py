"""The program `mailward`: its commands, and how it ends when something goes wrong."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mailward import __version__
from mailward.cli import demo, doctor, explain, learning, policy, quarantine, rate, reputation, scan, serve, urls
from mailward.cli.trouble import Trouble, of_os

INTERRUPTED = 130  # 128 + SIGINT, as shells expect

app = typer.Typer(
    name="mailward",
    help="Judge mail, run the gateway, and say why a message was caught.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mailward {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    pass


app.command("scan")(scan.scan)
app.command("explain")(explain.explain)
app.command("serve")(serve.serve)
app.add_typer(learning.learn, name="learn")
app.add_typer(policy.app, name="policy")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(reputation.app, name="reputation")
app.command("rate")(rate.rate)
app.add_typer(urls.app, name="urls")
app.command("doctor")(doctor.doctor)
app.command("train")(learning.train)
app.command("evaluate")(learning.evaluate)
app.command("demo", hidden=True)(demo.demo)


def main() -> None:
    """Run the command line and exit. People see sentences; the traceback is for those who ask with MAILWARD_DEBUG=1."""
    try:
        app()
    except Trouble as trouble:
        _say(trouble)
        sys.exit(trouble.code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more: not even the flush at exit
        sys.exit(1)
    except OSError as error:
        _raise_if_asked()
        _say(of_os(error, "go on"))
        sys.exit(2)
    except Exception as error:
        _raise_if_asked()
        _say(
            Trouble(f"this should not have happened: {type(error).__name__}: {error}", "Set MAILWARD_DEBUG=1 to see where, and report it.")
        )
        sys.exit(2)


def _say(trouble: Trouble) -> None:
    print(f"mailward: {trouble.message}", file=sys.stderr)
    if trouble.hint:
        print(f"          {trouble.hint}", file=sys.stderr)


def _raise_if_asked() -> None:
    if os.environ.get("MAILWARD_DEBUG"):
        raise
