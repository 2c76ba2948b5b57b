"""`mailward scan`: judge messages that lie somewhere. One line a message."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailward.cli import words
from mailward.cli.options import AsJson, ConfigFile, StateFolder, policy_of, settings_of
from mailward.cli.progress import progress
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.cli.judging import Line

NOTHING_CAUGHT, SOMETHING_CAUGHT, NOTHING_JUDGED = 0, 1, 2


def scan(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="A message, a folder with all below it, an mbox, a Maildir, or -.")],
    as_json: AsJson = False,
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="Decide by this policy not by the stored one.")] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody on the network: SPF, DKIM, DMARC and DNS lists are left out.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", min=0, metavar="N", help="Processes. 0: one for each core when there are many messages.")
    ] = 0,
    client_ip: Annotated[
        str | None, typer.Option("--client-ip", metavar="A", help="The address the mail came from. Without it: as its trace says.")
    ] = None,
    helo: Annotated[str | None, typer.Option("--helo", metavar="H", help="What the client called itself.")] = None,
    mail_from: Annotated[
        str | None, typer.Option("--mail-from", metavar="M", help="The envelope sender; an empty text is the null sender.")
    ] = None,
    rcpt: Annotated[
        list[str] | None, typer.Option("--rcpt", metavar="R", help="An envelope recipient. May be given more than once.")
    ] = None,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Judge messages, and say why. Nothing is changed, sent or kept.

    Exit status: 0 nothing was caught, 1 something was, 2 nothing could be judged.
    """
    from mailward.cli.judging import Given, Instructions, judged
    from mailward.cli.mailbox import find

    given = Given(_address(client_ip), helo, mail_from, tuple(rcpt) if rcpt else None)
    document = None if policy is None else policy_of(policy)
    instructions = Instructions(settings_of(config, state), document, given, as_json, offline)
    with progress(find(paths)) as (pieces, advance):
        status = _print(judged(instructions, pieces, jobs), advance)
    raise typer.Exit(status)


def _address(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ip_address(text))
    except ValueError:
        raise Trouble(f"--client-ip {text}: not an IP address", "Write it like 192.0.2.1 or 2001:db8::1.") from None


def _print(lines: Iterable[Line], advance: Callable[[], None]) -> int:
    """Print every line as it comes; return the exit status."""
    judged = caught = 0
    for line in lines:
        if line.error:
            print(f"{words.one_line(line.name)}: {line.error}", file=sys.stderr)
        else:
            judged += line.verdict != "unscannable"
            caught += line.verdict not in ("clean", "unscannable")
            print(line.text)
        advance()
    if not judged:
        return NOTHING_JUDGED
    return SOMETHING_CAUGHT if caught else NOTHING_CAUGHT
