"""`mailward learn`, `train` and `evaluate`: local feedback, and how models are made and measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mailward.cli import words
from mailward.cli.judging import open_gateway
from mailward.cli.mailbox import Found, Unreadable, find, read
from mailward.cli.options import AsJson, ConfigFile, StateFolder, opened_storage, settings_of, who
from mailward.cli.progress import progress
from mailward.cli.trouble import Trouble

learn = typer.Typer(help="Teach this site's own model: what is wanted, what is spam, and what was a mistake.", no_args_is_help=True)

Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Messages, folders, mboxes, Maildirs, or -.")]
Corpora = Annotated[
    list[Path], typer.Argument(metavar="CORPUS...", help="Folders with ham/ and spam/, packed corpora (.tar.zst), or a folder of either.")
]


class Protocol(StrEnum):
    """How `evaluate` measures (docs/performance.md)."""

    LOSO = "loso"
    ONLINE = "online"
    FIXED = "fixed"


@learn.command("ham")
def learn_ham(paths: Paths, config: ConfigFile = None, state: StateFolder = None) -> None:
    """Report messages as wanted."""
    _learn("ham", paths, config, state)


@learn.command("spam")
def learn_spam(paths: Paths, config: ConfigFile = None, state: StateFolder = None) -> None:
    """Report messages as spam."""
    _learn("spam", paths, config, state)


@learn.command("undo")
def learn_undo(
    id: Annotated[int, typer.Argument(metavar="ID", help="The number `learn` printed.")],
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Take one report back: the model becomes what it would be without it."""
    from mailward.learning import feedback

    settings = settings_of(config, state)
    with opened_storage(settings, must_exist=False) as storage:
        gateway = open_gateway(settings)
        if storage is None or not feedback.undo(storage, gateway, id):
            raise Trouble(f"there is no report {id} that counts", "Name a number `mailward learn` printed, with the same --state.")
        gateway.close()
    print(f"report {id} is undone")


def _learn(kind: str, paths: list[str], config: Path | None, state: Path | None) -> None:
    """Store a report for each message, then make the site's model anew from all reports, once."""
    from mailward.learning import feedback

    settings = settings_of(config, state)
    learned = 0
    with opened_storage(settings) as storage, progress(find(paths)) as (pieces, advance):
        assert storage is not None
        gateway = open_gateway(settings)
        try:
            for piece in pieces:
                raw = _read(piece)
                if raw is not None:
                    id, _ = feedback.report(storage, gateway, raw, kind, who())
                    print(f"{id}\t{kind}\t{words.one_line(piece.name)}")
                    learned += 1
                advance()
        finally:
            feedback.publish(storage, gateway)
            gateway.close()
    if not learned:
        raise typer.Exit(2)
    typer.echo(f"{learned:,} learned as {kind}; `mailward learn undo` takes one back by its number", err=True)


def _read(piece: Found | Unreadable) -> bytes | None:
    """The message, or None once it was said why there is none."""
    try:
        if isinstance(piece, Found):
            return read(piece)
        reason = piece.reason
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    typer.echo(f"{words.one_line(piece.name)}: {reason}", err=True)
    return None


def train(
    corpora: Corpora,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the model and its card are written.")],
) -> None:
    """Make a model from corpora of judged mail. Needs the extra `train` (make test installs it)."""
    _needs_training()
    from mailward.learning import train as trainer

    with _corpus_troubles():
        trainer.main(corpora, out, _say)


def evaluate(
    corpora: Corpora,
    protocol: Annotated[
        Protocol, typer.Option("--protocol", help="loso: leave one source out. online: in time order, learning. fixed: the shipped model.")
    ] = Protocol.LOSO,
    as_json: AsJson = False,
) -> None:
    """Measure on corpora of judged mail, with counts and intervals."""
    _needs_training()
    from mailward.learning import evaluate as evaluation

    with _corpus_troubles():
        evaluation.main(corpora, str(protocol), as_json, _say)


@contextmanager
def _corpus_troubles() -> Iterator[None]:
    from mailward.learning.corpora import CorpusError

    try:
        yield
    except CorpusError as error:
        raise Trouble(
            str(error), "A corpus is a folder with ham/ and spam/, or with an index.tsv, or a packed one (NAME.tar.zst)."
        ) from None


def _needs_training() -> None:
    try:
        import scipy  # noqa: F401
        import sklearn  # noqa: F401
        import zstandard  # noqa: F401
    except ImportError as error:
        raise Trouble(f"training needs the library {error.name}", "Install the extra: pip install 'mailward[train]'.") from None


def _say(text: str) -> None:
    """What takes minutes tells where it is."""
    typer.echo(text, err=True)
