"""What a message pretends: named evidence that somebody else's name is used to get at passwords or money, and its score."""

from mailward.phishing.score import Model, load

__all__ = ["Model", "load"]
