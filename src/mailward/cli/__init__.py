"""The command line. Every module here is one noun; heavy rooms are imported only by the command that needs them."""

from mailward.cli.program import app, main

__all__ = ["app", "main"]
